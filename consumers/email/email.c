/* Email as a part: its settings, and what it does in a unit of work. */
#include "consumers/email/email.h"

#include "runtime/metrics.h"

#include <stdlib.h>

/* clang-format off */
static const struct setting settings[] = {
    /* name, fallback, check, min, max, choices, help */
    {"TRADEWIND_SMTP",               NULL,                SETTING_URL,     0, 0,      NULL, "mail server, smtp://host:port or smtps://host:port"},
    {"TRADEWIND_MAIL_TLS",           "may",               SETTING_CHOICE,  0, 0,      "never|may|must", "STARTTLS: never, when the server offers it, or always"},
    {"TRADEWIND_MAIL_TIMEOUT_MS",    "5000",              SETTING_INTEGER, 100, 60000, NULL, "how long the mail server may take for a mail, in ms"},
    {"TRADEWIND_MAIL_RATE",          "200",               SETTING_INTEGER, 1, 100000, NULL, "mails a second that the mail server is given at most"},
    {"TRADEWIND_MAIL_CONNECTIONS",   "16",                SETTING_INTEGER, 1, 100,    NULL, "mails that it is given at the same time at most"},
    {"TRADEWIND_MAIL_GIVE_UP_HOURS", "24",                SETTING_INTEGER, 1, 720,    NULL, "age at which a mail that is not taken is given up, in hours"},
    {"TRADEWIND_MAIL_FROM",          "shop@example.test", SETTING_TEXT,    3, 254,    NULL, "address that mails come from"},
    {"TRADEWIND_MAIL_DOMAIN",        "example.test",      SETTING_TEXT,    1, 200,    NULL, "right side of each Message-ID"},
    {"TRADEWIND_MAIL_SHOP",          "Tradewind",         SETTING_TEXT,    1, 100,    NULL, "name that mails are signed with"},
    {"TRADEWIND_CONTACT_KEY",        NULL,                SETTING_FILE,    0, 0,      NULL, "file with the key that contacts are sealed with"},
};
/* clang-format on */

static const struct http_route routes[] = {
    {HTTP_GET, "/emails/{order_id}", ROLE_OPERATOR, 0, email_http_get},
};

static const enum topic inputs[] = {TOPIC_ORDERS, TOPIC_PAYMENTS};

/* Partitions of one number go together: whoever holds the one of orders sends the shard's mails. */
enum { SHARD_TOPIC = TOPIC_ORDERS };

static struct metric sent_total =
    METRIC(METRIC_COUNTER, "tradewind_email_sent_total", "Mails the mail server took.");
static struct metric failed_total =
    METRIC(METRIC_COUNTER, "tradewind_email_failed_total", "Mails given up.");
static struct metric queued_gauge =
    METRIC(METRIC_GAUGE, "tradewind_email_queued",
           "Mails that wait for the mail server, in the shards of this instance.");

/* --- Start, stop, shards ---------------------------------------------------------------------- */

static enum err_kind start(struct host *host, struct err *err)
{
    struct email *email = mem_alloc(sizeof *email);

    host_set_context(host, email);
    email->owed = mem_grow(NULL, (size_t)host_partitions(host), sizeof *email->owed);
    for (int32_t i = 0; i < host_partitions(host); i++)
        email->owed[i] = -1;
    metric_register(&sent_total);
    metric_register(&failed_total);
    metric_register(&queued_gauge);
    return mailer_start(&email->mailer, host, err);
}

static void stop(struct host *host)
{
    struct email *email = email_of(host);

    mailer_stop(email->mailer);
    pg_batch_clear(&email->batch);
    host_set_context(host, NULL);
    free(email->owed);
    free(email);
}

static bool leave(struct host *host)
{
    return mailer_leave(email_of(host)->mailer);
}

static void show_queued(const struct host *host)
{
    const struct email *email = email_of(host);
    int64_t queued = 0;

    for (int32_t i = 0; i < host_partitions(host); i++)
        queued += email->owed[i] > 0 ? email->owed[i] : 0;
    metric_set(&queued_gauge, queued);
}

static enum err_kind taken_over(struct host *host, struct pg *pg, enum topic topic, int32_t shard,
                                struct err *err)
{
    struct email *email = email_of(host);

    if ((int)topic != SHARD_TOPIC)
        return ERR_OK;
    if (email_count_owed(&email->owed[shard], pg, shard, err) != ERR_OK)
        return err->kind;
    mailer_hold(email->mailer, shard, true);
    show_queued(host);
    return ERR_OK;
}

static void lost(struct host *host, enum topic topic, int32_t shard)
{
    if ((int)topic != SHARD_TOPIC)
        return;
    mailer_hold(email_of(host)->mailer, shard, false);
    email_of(host)->owed[shard] = -1; /* not counted */
    show_queued(host);
}

/* --- A unit of work --------------------------------------------------------------------------- */

/* What the mail will have to say of the event. */
static void queue_mail(struct mail_state *mail, const struct event *event, int64_t now_us)
{
    mail->is_queued = true;
    mail->cause = event->envelope->id;
    /* Brought back: what is older than a day is nobody's news any more, and is given up. */
    mail->queued_us = event->redriven ? event->envelope->time_us : now_us;
    if (event->type == EVENT_ORDER_CANCELLED) {
        const struct order_cancelled *cancelled = event->data;

        mail->reason = cancelled->reason;
        mail->was = cancelled->was;
    } else if (event->type == EVENT_PAYMENT_REFUNDED) {
        const struct payment_refunded *refunded = event->data;

        mail->amount_minor = refunded->amount_minor;
        mail->currency = refunded->currency;
    }
}

static enum err_kind react(struct unit *unit, const struct event *event, struct err *err)
{
    struct record *record = unit_state(unit, event->envelope->subject);
    enum mail_kind kind = email_kind_of(event->type);
    struct mail_state *mail = &record->mails[kind];
    const struct saga_step *step;

    if (event->type == EVENT_ORDER_CREATED)
        return email_keep_order(&record->created, event->data, host_schema_ids(unit_host(unit)),
                                unit_arena(unit), err);
    if (kind == MAIL_KIND_UNKNOWN)
        return ERR_OK;
    if (email_decide(&step, mail->state, saga_trigger_of(event->type), event->envelope->subject,
                     kind, err) != ERR_OK)
        return err->kind;
    mail->state = (enum saga_email_state)step->next;
    queue_mail(mail, event, unit_now_us(unit));
    return ERR_OK;
}

static void emit(struct unit *unit, enum event_type type, const struct outcome *outcome,
                 const struct mail_state *mail)
{
    struct envelope envelope = {.id = mail->cause, .correlation_id = outcome->command.key};
    struct event cause = {.envelope = &envelope};
    struct view order_id = outcome->command.key;

    if (type == EVENT_EMAIL_SENT)
        unit_emit(unit, type,
                  &(struct email_sent){.order_id = order_id,
                                       .kind = outcome->kind,
                                       .message_id = mail->message_id,
                                       .occurred_at = unit_now_us(unit)},
                  order_id, &cause);
    else
        unit_emit(unit, type,
                  &(struct email_failed){.order_id = order_id,
                                         .kind = outcome->kind,
                                         .message_id = mail->message_id,
                                         .reason = mail->why,
                                         .occurred_at = unit_now_us(unit)},
                  order_id, &cause);
}

static enum err_kind act(struct unit *unit, struct command *command, struct err *err)
{
    struct outcome *outcome = (struct outcome *)command;
    struct record *record = unit_state(unit, command->key);
    struct mail_state *mail = &record->mails[outcome->kind];
    const struct saga_step *step;

    if (mail->state != EMAIL_QUEUED)
        return ERR_OK; /* settled before: by another instance, or the answer to a commit was lost */
    if (email_decide(&step, mail->state,
                     outcome->is_taken ? TRIGGER_MAIL_TAKEN : TRIGGER_MAIL_GIVEN_UP, command->key,
                     outcome->kind, err) != ERR_OK)
        return err->kind;
    mail->state = (enum saga_email_state)step->next;
    mail->is_settled = true;
    mail->message_id = view_str(outcome->message_id);
    mail->why = view_str(outcome->is_taken ? "" : outcome->why);
    emit(unit, step->publishes, outcome, mail);
    return ERR_OK;
}

static void committed(struct unit *unit)
{
    struct host *host = unit_host(unit);
    struct email *email = email_of(host);
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);
    bool is_news = false;

    for (size_t i = 0; i < count * MAIL_KIND_COUNT; i++) {
        const struct record *record = unit_state_at(unit, i / MAIL_KIND_COUNT);
        const struct mail_state *mail = &record->mails[i % MAIL_KIND_COUNT];
        int64_t *owed = &email->owed[host_shard_of(host, keys[i / MAIL_KIND_COUNT])];

        if (*owed >= 0)
            *owed += mail->is_queued - mail->is_settled;
        is_news |= mail->is_queued || record->created.data != NULL;
        metric_add(&sent_total, mail->is_settled && mail->state == EMAIL_SENT);
        metric_add(&failed_total, mail->is_settled && mail->state == EMAIL_GIVEN_UP);
    }
    show_queued(host);
    if (is_news)
        mailer_wake(email->mailer);
}

static bool may_drop(enum event_type type)
{
    return type == EVENT_ORDER_CREATED || saga_drop(PART_EMAIL, type) != NULL;
}

static bool healthy(struct host *host, char *why, size_t why_bytes)
{
    (void)host;
    return mailer_is_well(why, why_bytes);
}

const struct part part = {
    .name = "email",
    .publishes = TOPIC_EMAILS,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .patience_ms = 250,
    .settings = settings,
    .setting_count = sizeof settings / sizeof settings[0],
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .state_bytes = sizeof(struct record),
    .start = start,
    .leave = leave,
    .stop = stop,
    .taken_over = taken_over,
    .lost = lost,
    .load = email_load,
    .loaded = email_loaded,
    .react = react,
    .act = act,
    .save = email_save,
    .committed = committed,
    .may_drop = may_drop,
    .healthy = healthy,
};
