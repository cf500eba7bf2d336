/* Payment: holds the money when an order is placed, takes it when the order is confirmed, gives it
 * back when the order is cancelled, through a payment provider.
 *
 * Each call to the provider is a state of the saga table. It is decided in a unit of work together
 * with a row in owed_calls, made after the commit (payment_calls.c), and its answer comes back as a
 * command into another unit: an event that arrives meanwhile changes the state, never the call. An
 * order of amount zero is asked for like any other: to a provider that verifies the card. */
#include "consumers/payment/payment_calls.h"
#include "consumers/payment/payment_http.h"
#include "consumers/payment/payment_look.h"
#include "consumers/payment/payment_store.h"
#include "events/part.h"
#include "events/reminder.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SILENT_TOO_LONG_MS 30000 /* a provider that answers nothing for so long is not well */

static const struct setting settings[] = {
    {"TRADEWIND_PROVIDER", "http://127.0.0.1:17017", SETTING_URL, 0, 0, NULL, "payment provider"},
    {"TRADEWIND_PAYMENT_PROVIDER_NAME", "sandbox", SETTING_TEXT, 1, 40, NULL,
     "what events call the provider"},
    {"TRADEWIND_PAYMENT_TIMEOUT_MS", "2000", SETTING_INTEGER, 10, 60000, NULL,
     "how long one call to the provider may take, in ms; then it is made again"},
    {"TRADEWIND_PAYMENT_PARALLEL", "256", SETTING_INTEGER, 1, 1000, NULL,
     "calls to the provider under way at a time"},
    {"TRADEWIND_PAYMENT_CALLS_IN_MEMORY", "5000", SETTING_INTEGER, 50, 1000000, NULL,
     "calls the provider owes an answer to that are kept in memory (400 bytes each); more wait in "
     "the table"},
};

enum command_kind {
    COMMAND_ANSWER, /* of the provider */
    COMMAND_LOOK,   /* for owed calls */
};

struct payment_part {
    struct host *host;
    struct payment_calls *calls;
    struct payment_look *look;
    struct payment_store store;
    char *provider_url;
    struct view provider_name;
};

static struct metric stale_answers =
    METRIC(METRIC_COUNTER, "tradewind_payment_stale_answers_total",
           "answers of the provider to calls that were no longer owed");

static struct payment_part *part_of(struct unit *unit)
{
    return host_context(unit_host(unit));
}

/* --- Events and answers ----------------------------------------------------------------------- */

/* What carrying out a decision needs to know of what led to it. */
struct occasion {
    struct view order_id;
    enum saga_trigger trigger;
    const struct event *cause;            /* of what is published; NULL only with an answer */
    const struct provider_answer *answer; /* NULL: an event */
};

/* The six events of a payment say the same, but for the code of a no. */
static void emit(struct unit *unit, enum event_type type, const struct occasion *occasion,
                 const struct payment_event *row)
{
#define EMIT(structure, ...)                                                                       \
    unit_emit(unit, type,                                                                          \
              &(struct structure){.order_id = occasion->order_id,                                  \
                                  .amount_minor = row->amount_minor,                               \
                                  .currency = row->currency,                                       \
                                  .provider = row->provider,                                       \
                                  .provider_ref = row->provider_ref,                               \
                                  .occurred_at = unit_now_us(unit),                                \
                                  __VA_ARGS__},                                                    \
              occasion->order_id, occasion->cause)
    switch ((int)type) {
    case EVENT_PAYMENT_AUTHORIZED:
        EMIT(payment_authorized);
        return;
    case EVENT_PAYMENT_DECLINED:
        EMIT(payment_declined, .decline_code = row->code);
        return;
    case EVENT_PAYMENT_CAPTURED:
        EMIT(payment_captured);
        return;
    case EVENT_PAYMENT_FAILED:
        EMIT(payment_failed, .failure_code = row->code);
        return;
    case EVENT_PAYMENT_VOIDED:
        EMIT(payment_voided);
        return;
    case EVENT_PAYMENT_REFUNDED:
        EMIT(payment_refunded);
        return;
    default:
        assert(!"the table publishes payments only");
    }
#undef EMIT
}

static void publish(struct unit *unit, struct payment *payment,
                    const struct payment_decision *decision, const struct occasion *occasion)
{
    struct payment_event *row;
    const struct provider_answer *answer = occasion->answer;

    assert(payment->published_count < PAYMENT_EVENTS_MAX);
    row = &payment->published[payment->published_count++];
    *row = (struct payment_event){
        .state = decision->next.settled,
        .currency = VIEW_LITERAL(""),
        .provider = VIEW_LITERAL(""),
        .provider_ref = VIEW_LITERAL(""),
        .code = VIEW_LITERAL(""),
    };
    if (answer != NULL) { /* else the provider was never asked: no money was touched */
        row->amount_minor = payment->amount_minor;
        row->currency = payment->currency;
        row->provider = part_of(unit)->provider_name;
        row->provider_ref = arena_view(unit_arena(unit), answer->ref);
        row->code = arena_view(unit_arena(unit), answer->code);
    }
    emit(unit, decision->step->publishes, occasion, row);
    row->number = unit_last_number(unit);
    if (row->state == PAYMENT_AUTHORIZED)
        payment->authorization_ref = row->provider_ref;
    else if (row->state == PAYMENT_CAPTURED)
        payment->capture_ref = row->provider_ref;
}

/* The authorization or capture that a call is about. */
static struct view ref_of_call(const struct payment *payment, enum payment_call call)
{
    switch (call) {
    case CALL_CAPTURE:
    case CALL_VOID:
        return payment->authorization_ref;
    case CALL_REFUND:
        return payment->capture_ref;
    case CALL_AUTHORIZE:
    case CALL_NONE:
    case CALL_COUNT:
        break;
    }
    return VIEW_LITERAL("");
}

static void carry_out(struct unit *unit, struct payment *payment,
                      const struct payment_decision *decision, const struct occasion *occasion)
{
    const struct payment_memory *next = &decision->next;

    if (occasion->answer != NULL && payment->memory.owed == CALL_AUTHORIZE)
        payment->authorization_ref = arena_view(unit_arena(unit), occasion->answer->ref);
    if (decision->step->publishes != EVENT_NONE)
        publish(unit, payment, decision, occasion);
    if (decision->call != CALL_NONE) {
        /* A call that an answer leads to undoes what it said, because of the order.cancelled. */
        payment->call_cause =
            occasion->answer != NULL ? payment->cancelled_by : occasion->cause->envelope->id;
        payment->call_ref = ref_of_call(payment, decision->call);
        payment->cancelled_by = VIEW_LITERAL("");
        payment->asked_at_us = unit_now_us(unit);
        payment->call_changed = true;
    } else if (occasion->answer == NULL && occasion->trigger == TRIGGER_ORDER_CANCELLED &&
               next->owed != CALL_NONE) {
        payment->cancelled_by = occasion->cause->envelope->id;
        payment->call_changed = true;
    }
    payment->is_hurried |= decision->step->action == ACTION_HURRY;
    payment->request_changed |= next->seen != payment->memory.seen;
    payment->memory = *next;
}

/* What order.created, or the reminder of it, asks for. Refuses what could not be said to a
 * provider. */
static enum err_kind take_order(struct payment *payment, struct view order_id,
                                const struct order_created *order, struct err *err)
{
    if (!payment_provider_is_id(order_id) || !view_equal(order_id, order->order_id))
        return err_set(
            err, ERR_REJECT,
            "order '%.*s' under key '%.*s': want the same, 1 to 64 letters, digits, - or _",
            VIEW_PRINT(order->order_id), VIEW_PRINT(order_id));
    if (order->total_minor < 0)
        return err_set(err, ERR_REJECT, "order %.*s: total %" PRId64 ", want at least 0",
                       VIEW_PRINT(order_id), order->total_minor);
    payment->amount_minor = order->total_minor;
    payment->currency = order->currency;
    payment->payment_token = order->payment_token;
    return ERR_OK;
}

/* The amount that was authorized is the one that is taken: another one is nobody's right to say. */
static enum err_kind check_amount(const struct payment *payment,
                                  const struct order_confirmed *order, struct err *err)
{
    if (order->total_minor == payment->amount_minor &&
        view_equal(order->currency, payment->currency))
        return ERR_OK;
    return err_set(err, ERR_REJECT,
                   "order %.*s: confirmed for %" PRId64 " %.*s, want the authorized %" PRId64
                   " %.*s",
                   VIEW_PRINT(order->order_id), order->total_minor, VIEW_PRINT(order->currency),
                   payment->amount_minor, VIEW_PRINT(payment->currency));
}

static enum err_kind react(struct unit *unit, const struct event *event, struct err *err)
{
    struct view order_id = event->envelope->subject;
    struct payment *payment = unit_state(unit, order_id);
    struct occasion occasion = {
        .order_id = order_id, .trigger = saga_trigger_of(event->type), .cause = event};
    struct payment_decision decision;
    enum err_kind kind;

    if (!saga_reacts(PART_PAYMENT, occasion.trigger))
        return ERR_OK;
    kind = payment_decide(&decision, &payment->memory, occasion.trigger, order_id, err);
    if (kind == ERR_OK && (event->type == EVENT_ORDER_CREATED || decision.call == CALL_AUTHORIZE))
        kind = take_order(payment, order_id, order_told_by(event->type, event->data), err);
    if (kind == ERR_OK && event->type == EVENT_ORDER_CONFIRMED)
        kind = check_amount(payment, event->data, err);
    if (kind == ERR_OK)
        carry_out(unit, payment, &decision, &occasion);
    return kind;
}

/* An answer on its way to the worker. */
struct answer {
    struct command command; /* key: the order, in text */
    struct payment_calls *calls;
    enum payment_call operation;
    struct provider_answer provider; /* views into text */
    char text[];
};

static enum err_kind act_on_answer(struct unit *unit, const struct answer *answer, struct err *err)
{
    struct view order_id = answer->command.key;
    struct payment *payment = unit_state(unit, order_id);
    enum saga_trigger trigger =
        payment_trigger_of_answer(answer->operation, answer->provider.says == PROVIDER_YES);
    struct envelope envelope = {.id = payment->call_cause, .correlation_id = order_id};
    struct event cause = {.envelope = &envelope};
    struct occasion occasion = {.order_id = order_id,
                                .trigger = trigger,
                                .cause = payment->call_cause.size > 0 ? &cause : NULL,
                                .answer = &answer->provider};
    struct payment_decision decision;
    enum err_kind kind;

    if (payment->memory.owed != answer->operation) {
        metric_add(&stale_answers, 1);
        return ERR_OK;
    }
    kind = payment_decide(&decision, &payment->memory, trigger, order_id, err);
    if (kind == ERR_OK)
        carry_out(unit, payment, &decision, &occasion);
    return kind;
}

static enum err_kind act(struct unit *unit, struct command *command, struct err *err)
{
    switch ((enum command_kind)command->kind) {
    case COMMAND_ANSWER:
        return act_on_answer(unit, (const struct answer *)command, err);
    case COMMAND_LOOK:
        return ERR_OK; /* it was read; committed takes it up */
    }
    return ERR_OK;
}

static void on_answer_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct answer *answer = (struct answer *)command;

    if (outcome == ERR_REJECT)
        LOG_ERROR("provider_answer_refused", "an answer of the provider cannot be applied",
                  log_view("order_id", command->key),
                  log_str("operation", payment_call_name(answer->operation)), log_err(err));
    if (outcome != ERR_OK)
        payment_calls_retry(answer->calls, command->key, answer->operation);
    free(answer);
}

static struct view keep_text(char **at, struct view text)
{
    struct view kept = view_of(*at, text.size);

    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return kept;
}

/* HTTP client's thread. */
static bool submit_answer(void *context, const struct owed_call *call,
                          const struct provider_answer *provider)
{
    struct payment_part *self = context;
    struct answer *answer =
        mem_alloc(sizeof *answer + call->order_id.size + provider->ref.size + provider->code.size);
    char *at = answer->text;

    answer->command.kind = COMMAND_ANSWER;
    answer->command.key = keep_text(&at, call->order_id);
    answer->command.done = on_answer_done;
    answer->calls = self->calls;
    answer->operation = call->operation;
    answer->provider.says = provider->says;
    answer->provider.ref = keep_text(&at, provider->ref);
    answer->provider.code = keep_text(&at, provider->code);
    if (host_submit(self->host, &answer->command))
        return true;
    free(answer);
    return false;
}

/* --- Units ------------------------------------------------------------------------------------ */

static void load(struct unit *unit)
{
    struct command *const *commands;
    size_t count = unit_commands(unit, &commands);

    payment_store_load(unit);
    for (size_t i = 0; i < count; i++)
        if (commands[i]->kind == COMMAND_LOOK)
            payment_look_load(unit, commands[i]);
}

static enum err_kind loaded(struct unit *unit, struct err *err)
{
    struct command *const *commands;
    size_t count = unit_commands(unit, &commands);
    enum err_kind kind = payment_store_loaded(unit, err);

    for (size_t i = 0; i < count && kind == ERR_OK; i++)
        if (commands[i]->kind == COMMAND_LOOK)
            kind = payment_look_loaded(unit, commands[i], err);
    return kind;
}

static void save(struct unit *unit)
{
    payment_store_save(&part_of(unit)->store, unit);
}

#define MONEY_SERIES_MAX 512

static bool is_currency(struct view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 'A' || text.data[i] > 'Z')
            return false;
    return text.size == 3;
}

/* Money by what became of it and its currency. Worker only. */
static void count_money(enum saga_payment_state state, int64_t amount_minor, struct view currency)
{
    static struct {
        enum saga_payment_state state;
        char currency[4];
        struct metric *metric;
    } series[MONEY_SERIES_MAX];
    static size_t count;
    size_t i = 0;

    if (!is_currency(currency))
        return;
    while (i < count && (series[i].state != state || !view_equals(currency, series[i].currency)))
        i++;
    if (i == MONEY_SERIES_MAX)
        return;
    if (i == count) {
        count++;
        series[i].state = state;
        memcpy(series[i].currency, currency.data, currency.size);
        series[i].metric = metric_series(
            METRIC_COUNTER, "tradewind_payment_minor_total",
            "money in minor units by what became of it", "what=\"%s\",currency=\"%s\"",
            saga_state_name(PART_PAYMENT, (int)state), series[i].currency);
    }
    metric_add(series[i].metric, amount_minor);
}

/* Make the call. One that finds no room, or others of its shard waiting, is left to the table. */
static void owe(struct payment_part *self, const struct payment *payment, struct view order_id)
{
    const struct owed_call call = {
        .operation = payment->memory.owed,
        .shard = host_shard_of(self->host, order_id),
        .order_id = order_id,
        .amount_minor = payment->amount_minor,
        .currency = payment->currency,
        .payment_token = payment->payment_token,
        .ref = payment->call_ref,
    };

    if (!payment_calls_set(self->calls, &call, !payment_look_is_behind(self->look, call.shard)))
        payment_look_left(self->look, call.shard);
}

/* Memory follows what is stored, whatever it held before. */
static void committed(struct unit *unit)
{
    struct payment_part *self = part_of(unit);
    struct command *const *commands;
    const struct view *keys;
    size_t command_count = unit_commands(unit, &commands);
    size_t key_count = unit_keys(unit, &keys);

    for (size_t i = 0; i < command_count; i++)
        if (commands[i]->kind == COMMAND_LOOK)
            payment_look_committed(commands[i]);
    for (size_t i = 0; i < key_count; i++) {
        const struct payment *payment = unit_state_at(unit, i);

        for (size_t j = 0; j < payment->published_count; j++)
            count_money(payment->published[j].state, payment->published[j].amount_minor,
                        payment->published[j].currency);
        if (payment->memory.owed == CALL_NONE)
            payment_calls_settle(self->calls, keys[i]);
        else
            owe(self, payment, keys[i]);
        if (payment->is_hurried)
            payment_calls_hurry(self->calls, keys[i]);
    }
}

/* --- The part --------------------------------------------------------------------------------- */

static enum err_kind start(struct host *host, struct err *err)
{
    struct payment_part *self = mem_alloc(sizeof *self);
    struct payment_calls_options options;
    size_t url_size;
    enum err_kind kind;

    self->host = host;
    self->provider_url = mem_strdup(setting_text("TRADEWIND_PROVIDER"));
    url_size = strlen(self->provider_url);
    if (url_size > 0 && self->provider_url[url_size - 1] == '/')
        self->provider_url[url_size - 1] = '\0';
    self->provider_name = view_str(setting_text("TRADEWIND_PAYMENT_PROVIDER_NAME"));
    options = (struct payment_calls_options){
        .provider = self->provider_url,
        .parallel = (int)setting_integer("TRADEWIND_PAYMENT_PARALLEL"),
        .room = (int)setting_integer("TRADEWIND_PAYMENT_CALLS_IN_MEMORY"),
        .timeout_ms = setting_integer("TRADEWIND_PAYMENT_TIMEOUT_MS"),
        .answered = submit_answer,
        .context = self,
    };
    kind = payment_calls_new(&self->calls, &options, err);
    if (kind != ERR_OK) {
        free(self->provider_url);
        free(self);
        return kind;
    }
    self->look = payment_look_new(host, self->calls, COMMAND_LOOK);
    metric_register(&stale_answers);
    host_set_context(host, self);
    return ERR_OK;
}

static void stop(struct host *host)
{
    struct payment_part *self = host_context(host);

    if (self == NULL)
        return;
    payment_calls_free(self->calls);
    payment_look_free(self->look);
    payment_store_clear(&self->store);
    free(self->provider_url);
    free(self);
}

static enum err_kind taken_over(struct host *host, struct pg *pg, enum topic topic, int32_t shard,
                                struct err *err)
{
    struct payment_part *self = host_context(host);

    (void)pg, (void)topic, (void)err;
    payment_look_take(self->look, shard);
    return ERR_OK;
}

static void lost(struct host *host, enum topic topic, int32_t shard)
{
    struct payment_part *self = host_context(host);

    (void)topic;
    payment_look_leave(self->look, shard);
    payment_calls_forget(self->calls, shard);
}

static void tick(struct host *host, int64_t now_ms)
{
    struct payment_part *self = host_context(host);

    payment_calls_tick(self->calls, now_ms);
    payment_look_tick(self->look, now_ms);
}

static bool healthy(struct host *host, char *why, size_t why_bytes)
{
    struct payment_part *self = host_context(host);
    struct payment_calls_health health = payment_calls_health(self->calls, clock_monotonic_ms());

    if (health.silent_ms < SILENT_TOO_LONG_MS)
        return true;
    snprintf(why, why_bytes,
             "the provider %s has not answered for %" PRId64 " s; %d calls are owed",
             self->provider_url, health.silent_ms / 1000, health.owed);
    return false;
}

static const enum topic inputs[] = {TOPIC_ORDERS};

static const struct http_route routes[] = {
    {HTTP_GET, "/payments/{order_id}", ROLE_OPERATOR | ROLE_ANALYST | ROLE_SERVICE, 0,
     payment_http_get},
};

static bool may_drop(enum event_type type)
{
    return saga_drop(PART_PAYMENT, type) != NULL;
}

const struct part part = {
    .name = "payment",
    .publishes = TOPIC_PAYMENTS,
    .inputs = inputs,
    .input_count = 1,
    .settings = settings,
    .setting_count = sizeof settings / sizeof settings[0],
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .state_bytes = sizeof(struct payment),
    .start = start,
    .stop = stop,
    .taken_over = taken_over,
    .lost = lost,
    .load = load,
    .loaded = loaded,
    .react = react,
    .act = act,
    .save = save,
    .committed = committed,
    .tick = tick,
    .healthy = healthy,
    .may_drop = may_drop,
};
