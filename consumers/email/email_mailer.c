#include "consumers/email/email_mailer.h"

#include "consumers/email/email.h"
#include "consumers/email/email_letter.h"
#include "events/codec.h"
#include "events/contact.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/smtp.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROWS_OF_A_SHARD = 64, /* read at a time: an order can have a thousand lines */
    ROUND_STEPS = 16,     /* then a shard's walk begins again, however many rows are left */
    IDLE_MS = 1000,       /* between two walks when nothing new comes */
    PAUSE_MIN_MS = 250,   /* when the mail server does not answer; doubled each time */
    PAUSE_MAX_MS = 10000,
    AGAIN_MS = 100, /* for an outcome that could not be stored */
    ANSWER_MS = 1000,
};

static struct metric retried_total = METRIC(METRIC_COUNTER, "tradewind_email_retried_total",
                                            "Tries that the mail server did not take.");

/* Since when the mail server does not answer, monotonic; 0: it does. Read by /health. */
static _Atomic int64_t silent_since_ms;

/* Where the walk through a shard is. */
struct place {
    char order_id[64]; /* the last row that was seen; "" at the beginning */
    int16_t kind;
    int rows;  /* read in this step */
    int steps; /* from the beginning */
};

/* A row of owed_mails with its order. */
struct owed {
    int32_t shard;
    struct view order_id;
    enum mail_kind kind;
    int64_t queued_us;
    enum cancel_reason reason;
    enum order_stage was;
    int64_t amount_minor;
    struct view currency;
    int64_t attempts;
    struct view last_error;
    struct view created; /* VIEW_NONE: its order.created has not been heard of */
};

/* A mail that the mail server has been begun to be given. */
struct sending {
    const struct owed *owed;
    const char *message_id;
};

struct mailer {
    struct host *host;
    pthread_t thread;
    struct smtp *smtp;
    struct contact_key contact_key;
    struct pg *pg;
    struct arena arena; /* of one batch */
    struct pg_batch columns;
    struct place *places; /* by shard */
    int64_t pause_ms;     /* 0: the mail server answers */
    bool must_pause;      /* it did not, and those under way are waited for first */
    int64_t next_send_us; /* monotonic: not before, for the rate */
    struct outcome *outcomes;
    size_t outcome_count;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool *held; /* by shard */
    bool is_news;
    bool leaving;   /* no mail is begun any more */
    bool has_left;  /* the thread has ended, and what it was told is stored */
    bool stopping;  /* nobody stores any more */
    size_t waiting; /* outcomes the worker has */
};

/* --- Statements ------------------------------------------------------------------------------- */

static const struct pg_statement walk = {
    "email_walk",
    "select m.shard, m.order_id, m.kind, m.queued_us, m.reason, m.was, m.amount_minor, m.currency,"
    "       m.attempts, m.last_error, o.created"
    "  from unnest($1::int[], $2::text[], $3::smallint[]) u(shard, order_id, kind)"
    " cross join lateral (select * from owed_mails w where w.shard = u.shard"
    "                        and (w.order_id, w.kind) > (u.order_id collate \"C\", u.kind)"
    "                        and w.next_try_us <= $5"
    "                      order by w.order_id, w.kind limit $4) m"
    "  left join orders o on o.order_id = m.order_id"
    " order by m.shard, m.order_id, m.kind"};

static const struct pg_statement note_attempt = {
    "email_note_attempt",
    "update owed_mails set attempts = attempts + 1, next_try_us = $4, last_error = $5"
    " where shard = $1 and order_id = $2 and kind = $3"};

/* --- Waiting ---------------------------------------------------------------------------------- */

static struct timespec in_ms(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static bool is_said(struct mailer *mailer, const bool *what)
{
    bool said;

    pthread_mutex_lock(&mailer->lock);
    said = *what;
    pthread_mutex_unlock(&mailer->lock);
    return said;
}

/* Ends early when the mailer is to leave. */
static void pause_for(struct mailer *mailer, int64_t ms)
{
    struct timespec until = in_ms(ms);

    pthread_mutex_lock(&mailer->lock);
    while (!mailer->leaving &&
           pthread_cond_timedwait(&mailer->changed, &mailer->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&mailer->lock);
}

/* Until there is something new, or a while has passed in which a mail may have become due. */
static void wait_for_news(struct mailer *mailer)
{
    struct timespec until = in_ms(IDLE_MS);

    pthread_mutex_lock(&mailer->lock);
    while (!mailer->leaving && !mailer->is_news &&
           pthread_cond_timedwait(&mailer->changed, &mailer->lock, &until) != ETIMEDOUT)
        ;
    mailer->is_news = false;
    pthread_mutex_unlock(&mailer->lock);
}

/* --- Outcomes: commands for the worker ----------------------------------------------------------
 */

/* On the worker. */
static void outcome_done(struct command *command, enum err_kind kind, const struct err *err)
{
    struct outcome *outcome = (struct outcome *)command;
    struct mailer *mailer = outcome->mailer;

    if (kind == ERR_REJECT)
        LOG_ERROR("email_outcome", "what became of a mail cannot be stored",
                  log_view("order_id", command->key), log_err(err));
    pthread_mutex_lock(&mailer->lock);
    outcome->answer = kind == ERR_RETRY ? OUTCOME_AGAIN : OUTCOME_STORED;
    mailer->waiting--;
    pthread_cond_broadcast(&mailer->changed);
    pthread_mutex_unlock(&mailer->lock);
}

static void settle(struct mailer *mailer, const struct owed *owed, const char *message_id,
                   bool is_taken, const char *why)
{
    mailer->outcomes[mailer->outcome_count++] = (struct outcome){
        .command = {.kind = COMMAND_OUTCOME, .key = owed->order_id, .done = outcome_done},
        .kind = owed->kind,
        .is_taken = is_taken,
        .message_id = message_id,
        .why = why,
        .mailer = mailer,
        .answer = OUTCOME_AGAIN,
    };
}

/* Give the worker those that are not stored; returns how many there were. */
static size_t submit_outcomes(struct mailer *mailer)
{
    size_t submitted = 0;

    for (size_t i = 0; i < mailer->outcome_count; i++) {
        struct outcome *outcome = &mailer->outcomes[i];

        if (outcome->answer != OUTCOME_AGAIN)
            continue;
        submitted++;
        outcome->answer = OUTCOME_WAITS;
        pthread_mutex_lock(&mailer->lock);
        mailer->waiting++;
        pthread_mutex_unlock(&mailer->lock);
        if (!host_submit(mailer->host, &outcome->command))
            outcome_done(&outcome->command, ERR_RETRY, NULL);
    }
    pthread_mutex_lock(&mailer->lock);
    while (mailer->waiting > 0)
        pthread_cond_wait(&mailer->changed, &mailer->lock);
    pthread_mutex_unlock(&mailer->lock);
    return submitted;
}

/* Until all are stored: what the mail server took must not be sent again. */
static void store_outcomes(struct mailer *mailer)
{
    while (submit_outcomes(mailer) > 0 && !is_said(mailer, &mailer->stopping)) {
        bool again = false;

        for (size_t i = 0; i < mailer->outcome_count; i++)
            again |= mailer->outcomes[i].answer == OUTCOME_AGAIN;
        if (!again)
            break;
        pause_for(mailer, AGAIN_MS);
    }
    mailer->outcome_count = 0;
}

/* --- One mail ------------------------------------------------------------------------------------
 */

static bool is_too_old(const struct owed *owed)
{
    return clock_utc_us() - owed->queued_us >
           setting_integer("TRADEWIND_MAIL_GIVE_UP_HOURS") * 3600 * 1000000;
}

/* Try it again later. The queue's clock is no state of the part: it is written at once. */
static void postpone(struct mailer *mailer, const struct owed *owed, const char *why)
{
    struct pg_args args = {0};
    struct err err;

    metric_add(&retried_total, 1);
    pg_arg_int4(&args, owed->shard);
    pg_arg_bytes(&args, owed->order_id);
    pg_arg_int2(&args, (int16_t)owed->kind);
    pg_arg_int8(&args, clock_utc_us() + email_pause_us(owed->attempts + 1));
    pg_arg_bytes(&args, email_without_addresses(why, &mailer->arena));
    if (pg_run(mailer->pg, &note_attempt, &args, NULL, &err) != ERR_OK)
        LOG_WARN("email_queue", "the queue of mails cannot be written", log_err(&err));
}

static void server_answers(struct mailer *mailer)
{
    if (atomic_exchange(&silent_since_ms, 0) != 0)
        LOG_INFO("mail_server_back", "the mail server takes mails again");
    mailer->pause_ms = 0;
}

static void server_is_silent(struct mailer *mailer, const struct err *err)
{
    if (atomic_load(&silent_since_ms) == 0) {
        LOG_WARN("mail_server_silent", "a mail was not taken: mails wait, orders go on",
                 log_err(err));
        atomic_store(&silent_since_ms, clock_monotonic_ms());
    }
    mailer->must_pause = true;
}

static void pause_for_server(struct mailer *mailer)
{
    mailer->must_pause = false;
    mailer->pause_ms = mailer->pause_ms == 0 ? PAUSE_MIN_MS : 2 * mailer->pause_ms;
    if (mailer->pause_ms > PAUSE_MAX_MS)
        mailer->pause_ms = PAUSE_MAX_MS;
    pause_for(mailer, mailer->pause_ms);
}

/* --- Mails under way -----------------------------------------------------------------------------
 */

/* false: no answer came within wait_ms. */
static bool take_answer(struct mailer *mailer, int wait_ms)
{
    struct smtp_answer answer;
    const struct sending *sending;

    if (!smtp_answered(mailer->smtp, &answer, wait_ms))
        return false;
    sending = answer.context;
    switch (answer.kind) {
    case ERR_OK:
        server_answers(mailer);
        settle(mailer, sending->owed, sending->message_id, true, "");
        break;
    case ERR_REJECT:
        settle(mailer, sending->owed, sending->message_id, false,
               email_without_addresses(answer.err.text, &mailer->arena).data);
        break;
    case ERR_RETRY:
    case ERR_STOP:
        postpone(mailer, sending->owed, answer.err.text);
        server_is_silent(mailer, &answer.err);
    }
    return true;
}

/* Until no more than so many are under way. */
static void take_answers(struct mailer *mailer, int left)
{
    while (smtp_under_way(mailer->smtp) > left)
        take_answer(mailer, ANSWER_MS);
}

static void keep_rate(struct mailer *mailer)
{
    int64_t wait_us;

    while ((wait_us = mailer->next_send_us - clock_monotonic_us()) > 0) {
        const struct timespec wait = {wait_us / 1000000, wait_us % 1000000 * 1000};

        if (wait_us < 1000 || smtp_under_way(mailer->smtp) == 0)
            nanosleep(&wait, NULL);
        else
            take_answer(mailer, (int)(wait_us / 1000));
    }
    mailer->next_send_us = clock_monotonic_us() + 1000000 / setting_integer("TRADEWIND_MAIL_RATE");
}

/* Wait until a mail may be begun. A server that did not answer is asked about one mail, not about
 * many. false: none may be, in this step. */
static bool gets_turn(struct mailer *mailer)
{
    int connections = (int)setting_integer("TRADEWIND_MAIL_CONNECTIONS");

    keep_rate(mailer);
    take_answers(mailer, mailer->pause_ms > 0 ? 0 : connections - 1);
    return !mailer->must_pause && !is_said(mailer, &mailer->leaving);
}

/* false: not its turn. */
static bool hand_over(struct mailer *mailer, const struct owed *owed,
                      const struct letter_facts *facts, const struct contact *contact,
                      const char *message_id)
{
    struct arena *arena = &mailer->arena;
    struct sending *sending = arena_array(arena, 1, sizeof *sending);
    struct letter letter;
    struct err err;

    if (!gets_turn(mailer))
        return false;
    *sending = (struct sending){owed, message_id};
    letter_write(&letter, facts, arena);
    if (smtp_begin(
            mailer->smtp,
            &(struct mail){
                .message_id = message_id,
                .from = setting_text("TRADEWIND_MAIL_FROM"),
                .to = arena_view(arena, contact->email).data,
                .to_name = arena_view(arena, contact->name).data,
                .subject = letter.subject,
                .text = letter.text,
                .html = letter.html,
                .headers =
                    (const char *const[]){
                        arena_printf(arena, "X-Order-Id: %.*s", VIEW_PRINT(owed->order_id)).data,
                        NULL},
                .date_us = owed->queued_us,
            },
            sending, &err) != ERR_OK)
        settle(mailer, owed, message_id, false, email_without_addresses(err.text, arena).data);
    return true;
}

/* The order as it was kept; NULL: it cannot be read, or not yet (err is ERR_RETRY). */
static const struct order_created *read_created(struct mailer *mailer, const struct owed *owed,
                                                struct err *err)
{
    enum event_type type;
    const void *event;

    if (event_decode_kept(&type, &event, owed->created, host_schema_ids(mailer->host),
                          &mailer->arena, err) != ERR_OK)
        return NULL;
    return type == EVENT_ORDER_CREATED ? event : NULL;
}

/* false: not its turn. */
static bool send_mail(struct mailer *mailer, const struct owed *owed)
{
    struct arena *arena = &mailer->arena;
    const char *message_id =
        email_message_id(owed->kind, owed->order_id, setting_text("TRADEWIND_MAIL_DOMAIN"), arena)
            .data;
    struct err err = {.text = "the order is kept as something else"};
    const struct order_created *created;
    struct contact contact = {VIEW_NONE, VIEW_NONE, VIEW_NONE};

    if (is_too_old(owed)) {
        settle(mailer, owed, message_id, false,
               arena_printf(arena, "too old; last: %.*s", VIEW_PRINT(owed->last_error)).data);
        return true;
    }
    if (owed->created.data == NULL)
        return true; /* topics are read side by side: its order.created is still to come */
    created = read_created(mailer, owed, &err);
    if (created == NULL && err.kind == ERR_RETRY) {
        postpone(mailer, owed, err.text); /* a later release has kept it: its schemas are to come */
    } else if (created == NULL) {
        settle(mailer, owed, message_id, false, arena_strdup(arena, err.text));
    } else if (created->contact == NULL) {
        settle(mailer, owed, message_id, false, "no contact");
    } else if (contact_open(&contact, created->contact, owed->order_id, &mailer->contact_key, arena,
                            &err) != ERR_OK) {
        settle(mailer, owed, message_id, false, arena_strdup(arena, err.text));
    } else if (contact.email.size == 0) {
        settle(mailer, owed, message_id, false, "no contact");
    } else {
        return hand_over(mailer, owed,
                         &(struct letter_facts){.kind = owed->kind,
                                                .shop = setting_text("TRADEWIND_MAIL_SHOP"),
                                                .name = contact.name,
                                                .created = created,
                                                .reason = owed->reason,
                                                .was = owed->was,
                                                .amount_minor = owed->amount_minor,
                                                .currency = owed->currency},
                         &contact, message_id);
    }
    return true;
}

/* --- The walk ------------------------------------------------------------------------------------
 */

/* false: it holds none. */
static bool queue_walk(struct mailer *mailer)
{
    struct pg_column *columns = mailer->columns.columns;
    struct pg_args args = {0};

    PG_BATCH_START(&mailer->columns, PG_INT4, PG_TEXT, PG_INT2);
    pthread_mutex_lock(&mailer->lock);
    for (int32_t shard = 0; shard < host_partitions(mailer->host); shard++) {
        if (!mailer->held[shard])
            continue;
        pg_column_int4(&columns[0], shard);
        pg_column_bytes(&columns[1], view_str(mailer->places[shard].order_id));
        pg_column_int2(&columns[2], mailer->places[shard].kind);
    }
    pthread_mutex_unlock(&mailer->lock);
    if (columns[0].count == 0)
        return false;
    for (int i = 0; i < 3; i++)
        pg_arg_column(&args, &columns[i]);
    pg_arg_int8(&args, ROWS_OF_A_SHARD);
    pg_arg_int8(&args, clock_utc_us());
    pg_queue(mailer->pg, &walk, &args);
    pg_sync(mailer->pg);
    return true;
}

static void take_owed(struct owed *out, const struct pg_rows *rows, int row, struct arena *arena)
{
    *out = (struct owed){
        .shard = (int32_t)pg_int(rows, row, 0),
        .order_id = arena_view(arena, pg_bytes(rows, row, 1)),
        .kind = (enum mail_kind)pg_int(rows, row, 2),
        .queued_us = pg_int(rows, row, 3),
        .reason = (enum cancel_reason)pg_int(rows, row, 4),
        .was = (enum order_stage)pg_int(rows, row, 5),
        .amount_minor = pg_int(rows, row, 6),
        .currency = arena_view(arena, pg_bytes(rows, row, 7)),
        .attempts = pg_int(rows, row, 8),
        .last_error = arena_view(arena, pg_bytes(rows, row, 9)),
        .created = arena_view(arena, pg_bytes(rows, row, 10)),
    };
}

static void move_on(struct mailer *mailer, const struct owed *owed)
{
    struct place *place = &mailer->places[owed->shard];

    snprintf(place->order_id, sizeof place->order_id, "%.*s", VIEW_PRINT(owed->order_id));
    place->kind = (int16_t)owed->kind;
}

/* The next few rows of each shard. */
static enum err_kind read_owed(struct mailer *mailer, struct owed **out, size_t *count,
                               struct err *err)
{
    struct pg_rows rows;

    *count = 0;
    for (int32_t shard = 0; shard < host_partitions(mailer->host); shard++)
        mailer->places[shard].rows = 0;
    if (!queue_walk(mailer))
        return ERR_OK;
    if (pg_next(mailer->pg, &rows, err) == ERR_OK) {
        *out = arena_array(&mailer->arena, (size_t)rows.count + 1, sizeof **out);
        *count = (size_t)rows.count;
        for (int row = 0; row < rows.count; row++) {
            take_owed(&(*out)[row], &rows, row, &mailer->arena);
            mailer->places[(*out)[row].shard].rows++;
        }
    }
    return pg_finish(mailer->pg, err);
}

/* Shards of which all is seen are walked from their beginning again, each by itself, and so are
 * those that have always more: rows of older orders come behind the walk, too. True: there is none
 * with more.
 *
 * left   the first row that was not seen; NULL: all were */
static bool begin_again(struct mailer *mailer, const struct owed *left)
{
    bool all = true;

    for (int32_t shard = 0; shard < host_partitions(mailer->host); shard++) {
        struct place *place = &mailer->places[shard];
        bool is_seen = left == NULL || shard < left->shard;
        bool at_end = is_seen && place->rows < ROWS_OF_A_SHARD;

        if (at_end || (is_seen && ++place->steps == ROUND_STEPS))
            *place = (struct place){.kind = 0};
        all = all && at_end;
    }
    return all;
}

/* One step of the walk. *at_end: there is nothing more to be seen. */
static enum err_kind step(struct mailer *mailer, bool *at_end, struct err *err)
{
    struct owed *owed;
    size_t count, seen;

    arena_reset(&mailer->arena);
    if (read_owed(mailer, &owed, &count, err) != ERR_OK)
        return err->kind;
    mailer->outcomes = arena_array(&mailer->arena, count + 1, sizeof *mailer->outcomes);
    for (seen = 0; seen < count && !mailer->must_pause && !is_said(mailer, &mailer->leaving);
         seen++) {
        if (!send_mail(mailer, &owed[seen]))
            break;
        move_on(mailer, &owed[seen]);
    }
    *at_end = begin_again(mailer, seen < count ? &owed[seen] : NULL);
    take_answers(mailer, 0);
    store_outcomes(mailer);
    if (mailer->must_pause)
        pause_for_server(mailer);
    return ERR_OK;
}

static enum err_kind open_session(struct mailer *mailer, struct err *err)
{
    if (mailer->pg != NULL && !pg_is_lost(mailer->pg))
        return ERR_OK;
    pg_close(mailer->pg);
    mailer->pg = NULL;
    return pg_open(&mailer->pg, setting_text("TRADEWIND_<PART>_DATABASE"), "email-mailer", err);
}

static void *mailer_main(void *context)
{
    struct mailer *mailer = context;
    bool was_well = true;

    while (!is_said(mailer, &mailer->leaving)) {
        bool at_end = false;
        struct err err;
        enum err_kind kind = open_session(mailer, &err);

        if (kind == ERR_OK)
            kind = step(mailer, &at_end, &err);
        if (kind != ERR_OK) {
            if (was_well)
                LOG_WARN("email_queue", "the queue of mails cannot be read", log_err(&err));
            if (mailer->pg != NULL)
                pg_rollback(mailer->pg);
            pause_for(mailer, IDLE_MS);
        } else if (at_end) {
            wait_for_news(mailer);
        }
        was_well = kind == ERR_OK;
    }
    pthread_mutex_lock(&mailer->lock);
    mailer->has_left = true;
    pthread_mutex_unlock(&mailer->lock);
    return NULL;
}

/* --- Start, stop, and what others say ------------------------------------------------------------
 */

static void mailer_free(struct mailer *mailer)
{
    smtp_close(mailer->smtp);
    pg_close(mailer->pg);
    contact_key_clear(&mailer->contact_key);
    arena_clear(&mailer->arena);
    pg_batch_clear(&mailer->columns);
    pthread_cond_destroy(&mailer->changed);
    pthread_mutex_destroy(&mailer->lock);
    free(mailer->places);
    free(mailer->held);
    free(mailer);
}
CLEANUP(mailer_free, struct mailer *)

static void init_locks(struct mailer *mailer)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&mailer->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&mailer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

enum err_kind mailer_start(struct mailer **out, struct host *host, struct err *err)
{
    AUTO(mailer_free) struct mailer *mailer = mem_alloc(sizeof *mailer);
    size_t partitions = (size_t)host_partitions(host);

    init_locks(mailer);
    mailer->host = host;
    mailer->places = mem_alloc(partitions * sizeof *mailer->places);
    mailer->held = mem_alloc(partitions * sizeof *mailer->held);
    metric_register(&retried_total);
    if (contact_key_load(&mailer->contact_key, setting_text("TRADEWIND_CONTACT_KEY"), err) !=
            ERR_OK ||
        smtp_open(&mailer->smtp, setting_text("TRADEWIND_SMTP"), setting_text("TRADEWIND_MAIL_TLS"),
                  setting_integer("TRADEWIND_MAIL_TIMEOUT_MS"),
                  (int)setting_integer("TRADEWIND_MAIL_CONNECTIONS"), err) != ERR_OK)
        return err->kind;
    if (pthread_create(&mailer->thread, NULL, mailer_main, mailer) != 0)
        return err_set(err, ERR_STOP, "no thread for the mailer: %s", strerror(errno));
    *out = mailer_free_keep(&mailer);
    return ERR_OK;
}

bool mailer_leave(struct mailer *mailer)
{
    bool has_left;

    pthread_mutex_lock(&mailer->lock);
    mailer->leaving = true;
    has_left = mailer->has_left;
    pthread_cond_broadcast(&mailer->changed);
    pthread_mutex_unlock(&mailer->lock);
    return has_left;
}

void mailer_stop(struct mailer *mailer)
{
    if (mailer == NULL)
        return;
    mailer_leave(mailer);
    pthread_mutex_lock(&mailer->lock);
    mailer->stopping = true;
    pthread_cond_broadcast(&mailer->changed);
    pthread_mutex_unlock(&mailer->lock);
    pthread_join(mailer->thread, NULL);
    mailer_free(mailer);
}

void mailer_hold(struct mailer *mailer, int32_t shard, bool held)
{
    pthread_mutex_lock(&mailer->lock);
    mailer->held[shard] = held;
    mailer->is_news = true;
    pthread_cond_broadcast(&mailer->changed);
    pthread_mutex_unlock(&mailer->lock);
}

void mailer_wake(struct mailer *mailer)
{
    pthread_mutex_lock(&mailer->lock);
    mailer->is_news = true;
    pthread_cond_broadcast(&mailer->changed);
    pthread_mutex_unlock(&mailer->lock);
}

bool mailer_is_well(char *why, size_t why_bytes)
{
    int64_t since_ms = atomic_load(&silent_since_ms);

    if (since_ms == 0)
        return true;
    snprintf(why, why_bytes, "the mail server takes no mails since %d seconds: they wait",
             (int)((clock_monotonic_ms() - since_ms) / 1000));
    return false;
}
