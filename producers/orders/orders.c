/* The order service as a part: its settings, its routes, and what it does in a unit of work. */
#include "producers/orders/orders.h"

#include "producers/orders/orders_history.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <ctype.h>
#include <stdlib.h>

/* clang-format off */
static const struct setting settings[] = {
    /* name, fallback, check, min, max, choices, help */
    {"TRADEWIND_ORDER_DEADLINE_MS",     "900000",         SETTING_INTEGER, 1, 86400000,   NULL, "how long an order waits for its verdicts before it is cancelled, in ms"},
    {"TRADEWIND_NUDGE_EVERY_MS",        "10000",          SETTING_INTEGER, 0, 86400000,   NULL, "how long an order that was nudged is not nudged again, in ms"},
    {"TRADEWIND_OPEN_ORDERS_MAX",       "1000000",        SETTING_INTEGER, 1, 100000000,  NULL, "placed orders that may wait in the shards of one instance; more are refused"},
    {"TRADEWIND_OVERLOAD_ORDERS",       "20",             SETTING_INTEGER, 1, 100000000,  NULL, "so many orders that wait longer than 5 s are overload: new ones are refused"},
    {"TRADEWIND_ORDER_COUNTRY",         "United Kingdom", SETTING_TEXT,    2, 64,         NULL, "where an order goes when its request does not say"},
    {"TRADEWIND_ORDER_WAREHOUSES",      "main",           SETTING_TEXT,    1, 400,        NULL, "warehouses an order may name, separated by commas; the first when it names none"},
    {"TRADEWIND_CONTACT_KEY",           NULL,             SETTING_FILE,    0, 0,          NULL, "file with the key that contacts are sealed with"},
};
/* clang-format on */

static const struct http_route routes[] = {
    {HTTP_POST, "/orders", ROLE_CUSTOMER | ROLE_SERVICE, 1 << 20, orders_http_place},
    {HTTP_GET, "/orders", ROLE_CUSTOMER | ROLE_SERVICE | ROLE_OPERATOR | ROLE_ANALYST, 0,
     orders_http_list},
    {HTTP_GET, "/orders/prices", ROLE_SERVICE | ROLE_OPERATOR, 0, orders_http_prices},
    {HTTP_GET, "/orders/prices/{sku}", ROLE_SERVICE | ROLE_OPERATOR, 0, orders_http_price},
    {HTTP_GET, "/orders/stuck", ROLE_OPERATOR, 0, orders_http_stuck},
    {HTTP_GET, "/orders/{id}", ROLE_CUSTOMER | ROLE_SERVICE | ROLE_OPERATOR | ROLE_ANALYST, 0,
     orders_http_get},
    {HTTP_POST, "/orders/{id}/cancel", ROLE_CUSTOMER | ROLE_SERVICE | ROLE_OPERATOR, 0,
     orders_http_cancel},
    {HTTP_POST, "/orders/{id}/nudge", ROLE_OPERATOR, 0, orders_http_nudge},
};

static const enum topic inputs[] = {TOPIC_INVENTORY, TOPIC_PAYMENTS, TOPIC_FRAUD, TOPIC_PRODUCTS};

static struct metric placed_total =
    METRIC(METRIC_COUNTER, "tradewind_orders_placed_total", "Orders accepted.");
static struct metric confirmed_total =
    METRIC(METRIC_COUNTER, "tradewind_orders_confirmed_total", "Orders with all three verdicts.");
static struct metric closed_total =
    METRIC(METRIC_COUNTER, "tradewind_orders_closed_total", "order.closed events.");
static struct metric *cancelled_total[CANCEL_REASON_COUNT];
static struct metric accepted_to_confirmed =
    METRIC(METRIC_HISTOGRAM, "tradewind_orders_accepted_to_confirmed_seconds",
           "From before the commit of order.created to after the commit of order.confirmed.");

const char *orders_symbol(const char *symbol, struct arena *arena)
{
    char *lower = arena_strdup(arena, symbol);

    for (char *c = lower; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return lower;
}

static void register_metrics(void)
{
    AUTO(arena_clear) struct arena arena = {0};

    metric_register(&placed_total);
    metric_register(&confirmed_total);
    metric_register(&closed_total);
    metric_register(&accepted_to_confirmed);
    for (enum cancel_reason reason = CANCEL_REASON_UNKNOWN + 1; reason < CANCEL_REASON_COUNT;
         reason++)
        cancelled_total[reason] = metric_series(METRIC_COUNTER, "tradewind_orders_cancelled_total",
                                                "Orders cancelled, by reason.", "reason=\"%s\"",
                                                orders_symbol(cancel_reason_name(reason), &arena));
}

static enum err_kind start(struct host *host, struct err *err)
{
    struct orders *orders = mem_alloc(sizeof *orders);

    host_set_context(host, orders);
    orders->host = host;
    orders->deadline_ms = setting_integer("TRADEWIND_ORDER_DEADLINE_MS");
    orders->nudge_every_ms = setting_integer("TRADEWIND_NUDGE_EVERY_MS");
    pthread_mutex_init(&orders->lock, NULL);
    orders->in_flight.key_of = orders_place_key;
    orders_look_init(orders);
    register_metrics();
    return contact_key_load(&orders->contact_key, setting_text("TRADEWIND_CONTACT_KEY"), err);
}

static void stop(struct host *host)
{
    struct orders *orders = orders_of(host);

    orders_look_clear(orders);
    pg_batch_clear(&orders->work.batch);
    pg_column_clear(&orders->work.told);
    pg_column_clear(&orders->work.nudged);
    contact_key_clear(&orders->contact_key);
    lookup_clear(&orders->in_flight);
    pthread_mutex_destroy(&orders->lock);
    host_set_context(host, NULL);
    free(orders);
}

/* --- Deciding ------------------------------------------------------------------------------- */

/* The event that was just published, in the history of its order. */
static void note_said(struct unit *unit, struct record *record, const struct event *cause)
{
    struct history_entry entry = {
        .number = unit_last_number(unit),
        .time_us = unit_now_us(unit),
    };

    history_set_cause(&entry, cause != NULL ? cause->envelope->id : VIEW_NONE);
    record->said =
        history_add_said(record->said, record->order.progress.state, &entry, unit_arena(unit));
}

static void note_reminder(struct unit *unit, struct record *record)
{
    const struct history_entry entry = {
        .number = unit_last_number(unit),
        .time_us = unit_now_us(unit),
    };

    record->said = history_add_reminder(record->said, &entry, unit_arena(unit));
    record->reminded_us = entry.time_us;
}

/* Publish what was decided and note it in the record. */
static void carry_out(struct unit *unit, struct record *record,
                      const struct order_decision *decision, const struct event *cause)
{
    enum saga_orders_state before = record->order.progress.state;

    record->order.progress = decision->after;
    if (decision->publishes == EVENT_NONE)
        return;
    unit_emit(unit, decision->publishes, &decision->confirmed, record->order.id, cause);
    if (decision->publishes == EVENT_ORDER_REMINDED) {
        note_reminder(unit, record);
        return;
    }
    note_said(unit, record, cause);
    record->decided |= before == ORDERS_PLACED;
    record->confirmed |= decision->publishes == EVENT_ORDER_CONFIRMED;
    record->closed |= decision->publishes == EVENT_ORDER_CLOSED;
    if (decision->publishes == EVENT_ORDER_CANCELLED) {
        record->cancelled = true;
        record->reason = decision->cancelled.reason;
        record->detail = decision->cancelled.detail;
    }
}

static enum err_kind react_to_answer(struct unit *unit, struct record *record,
                                     const struct event *event, struct err *err)
{
    struct order_trigger trigger = {
        .trigger = saga_trigger_of(event->type),
        .event = event->data,
        .now_us = unit_now_us(unit),
    };
    struct order_decision decision;

    if (order_decide(&decision, &record->order, &trigger, unit_arena(unit), err) != ERR_OK)
        return err->kind;
    record->seen = history_add_seen(record->seen, event, unit_arena(unit));
    carry_out(unit, record, &decision, event);
    return ERR_OK;
}

static void note_product(struct record *record, const struct event *event)
{
    const struct product_upserted *product = event->data;

    record->upserted = true;
    record->price = (struct price){
        .sku = event->envelope->subject,
        .unit_price_minor = product->unit_price_minor,
        .currency = product->currency,
        .kind = product->kind,
        .sold = true,
        .event = event->envelope->id,
    };
}

static enum err_kind react(struct unit *unit, const struct event *event, struct err *err)
{
    struct record *record = unit_state(unit, event->envelope->subject);

    if (event->type == EVENT_PRODUCT_UPSERTED) {
        note_product(record, event);
    } else if (event->type == EVENT_PRODUCT_WITHDRAWN) {
        record->withdrawn = true;
        record->price.sold = false;
    } else if (saga_reacts(PART_ORDERS, saga_trigger_of(event->type))) {
        return react_to_answer(unit, record, event, err);
    }
    return ERR_OK; /* the rest of our topics, stock.received, is not about an order */
}

/* --- Requests ------------------------------------------------------------------------------- */

/* The key was used before: the same answer, if it is the same question. */
static enum err_kind answer_again(struct place *place, struct err *err)
{
    if (view_equal(place->earlier_hash, place->request.request_hash))
        return ERR_OK;
    place->refusal = (struct refusal){
        .status = 422,
        .type = "idempotency-key-reused",
        .detail = "this Idempotency-Key was used with another body in the last 24 hours",
    };
    return err_set(err, ERR_REJECT, "%s", place->refusal.detail);
}

static enum err_kind place_order(struct unit *unit, struct place *place, struct err *err)
{
    struct record *record = unit_state(unit, place->order_id);
    struct order_terms terms = {
        .order_id = place->order_id,
        .deadline_ms = orders_of(unit_host(unit))->deadline_ms,
        .now_us = unit_now_us(unit),
    };
    const struct work *work = &orders_of(unit_host(unit))->work;
    struct order_created created;

    if (!order_decide_place(&created, &place->request, &terms, work->prices, work->price_count,
                            unit_arena(unit), &place->refusal))
        return err_set(err, ERR_REJECT, "%s", place->refusal.detail);
    unit_emit(unit, EVENT_ORDER_CREATED, &created, place->order_id, NULL);
    record->placed = true;
    record->created = unit_last_value(unit);
    record->created_number = unit_last_number(unit);
    record->created_us = created.occurred_at;
    record->order.progress.state = ORDERS_PLACED;
    record->order.customer_id = created.customer_id;
    record->order.total_minor = created.total_minor;
    record->order.currency = created.currency;
    note_said(unit, record, NULL);
    return ERR_OK;
}

static enum err_kind act_place(struct unit *unit, struct place *place, struct err *err)
{
    const struct record *record = unit_state(unit, place->order_id);

    place->refusal.status = 0;
    if (place->request.idempotency_key.data != NULL &&
        !view_equal(place->earlier_id, place->order_id))
        return answer_again(place, err);
    /* There already: the answer to the commit of this very request was lost, and it is made again.
     */
    if (record->order.progress.state == ORDERS_NONE && place_order(unit, place, err) != ERR_OK)
        return err->kind;
    place->receipt = (struct receipt){
        .order_id = place->order_id,
        .customer_id = record->order.customer_id,
        .total_minor = record->order.total_minor,
        .currency = record->order.currency,
        .created_us = record->created_us,
    };
    return ERR_OK;
}

static struct view state_as_json(enum saga_orders_state state, struct arena *arena)
{
    return arena_printf(arena, "{\"state\":\"%s\"}", saga_state_name(PART_ORDERS, (int)state));
}

static void record_cancel(struct unit *unit, const struct cancel *cancel,
                          enum saga_orders_state before, enum saga_orders_state after)
{
    if (cancel->command.operation == NULL)
        return;
    unit_record(unit, &(struct action){
                          .operation = cancel->command.operation,
                          .name = "order.cancel",
                          .subject = cancel->command.key,
                          .before = state_as_json(before, unit_arena(unit)),
                          .after = state_as_json(after, unit_arena(unit)),
                      });
}

static enum err_kind act_cancel(struct unit *unit, struct cancel *cancel, struct err *err)
{
    struct record *record = unit_state(unit, cancel->command.key);
    struct order_trigger trigger = {
        .trigger = TRIGGER_CUSTOMER_CANCEL,
        .caller = cancel->caller,
        .now_us = unit_now_us(unit),
    };
    enum saga_orders_state before = record->order.progress.state;
    struct order_decision decision;

    cancel->not_found = record->order.progress.state == ORDERS_NONE ||
                        (cancel->only_customer.data != NULL &&
                         !view_equal(cancel->only_customer, record->order.customer_id));
    if (cancel->not_found)
        return err_set(err, ERR_REJECT, "no order %.*s", VIEW_PRINT(cancel->command.key));
    if (order_decide(&decision, &record->order, &trigger, unit_arena(unit), err) != ERR_OK)
        return err->kind;
    carry_out(unit, record, &decision, NULL);
    record_cancel(unit, cancel, before, record->order.progress.state);
    cancel->state = record->order.progress.state;
    cancel->reason = record->reason;
    return ERR_OK;
}

static void record_nudge(struct unit *unit, const struct nudge *nudge)
{
    struct view state = state_as_json(nudge->progress.state, unit_arena(unit));

    unit_record(unit, &(struct action){
                          .operation = nudge->command.operation,
                          .name = "order.nudge",
                          .subject = nudge->command.key,
                          .before = state,
                          .after = state,
                      });
}

static enum err_kind act_nudge(struct unit *unit, struct nudge *nudge, struct err *err)
{
    struct record *record = unit_state(unit, nudge->command.key);
    struct order_trigger trigger = {
        .trigger = TRIGGER_OPERATOR_NUDGE,
        .now_us = unit_now_us(unit),
    };
    int64_t every_us = orders_of(unit_host(unit))->nudge_every_ms * 1000;
    struct order_decision decision;

    nudge->refusal.status = 0;
    nudge->progress = record->order.progress;
    nudge->again_s = 0;
    if (record->order.progress.state == ORDERS_NONE)
        return err_set(err, ERR_REJECT, "no order %.*s", VIEW_PRINT(nudge->command.key));
    if (record->reminded_us >= nudge->asked_us)
        return ERR_OK; /* done: the answer to the commit was lost, or somebody else asked too */
    if (!order_may_be_nudged(&record->order, record->reminded_us, every_us, trigger.now_us,
                             &nudge->refusal)) {
        if (order_progress_waits_for(nudge->progress) != 0)
            nudge->again_s = (record->reminded_us + every_us - trigger.now_us) / 1000000 + 1;
        return err_set(err, ERR_REJECT, "%s", nudge->refusal.detail);
    }
    if (order_decide(&decision, &record->order, &trigger, unit_arena(unit), err) != ERR_OK)
        return err->kind;
    carry_out(unit, record, &decision, NULL);
    record_nudge(unit, nudge);
    return ERR_OK;
}

static enum err_kind act_deadline(struct unit *unit, struct command *command, struct err *err)
{
    struct record *record = unit_state(unit, command->key);
    struct order_trigger trigger = {.trigger = TRIGGER_DEADLINE, .now_us = unit_now_us(unit)};
    struct order_decision decision;

    if (order_decide(&decision, &record->order, &trigger, unit_arena(unit), err) != ERR_OK)
        return err->kind;
    carry_out(unit, record, &decision, NULL);
    return ERR_OK;
}

static enum err_kind act(struct unit *unit, struct command *command, struct err *err)
{
    switch (command->kind) {
    case COMMAND_PLACE:
        return act_place(unit, (struct place *)command, err);
    case COMMAND_CANCEL:
        return act_cancel(unit, (struct cancel *)command, err);
    case COMMAND_NUDGE:
        return act_nudge(unit, (struct nudge *)command, err);
    case COMMAND_DEADLINE:
        return act_deadline(unit, command, err);
    default: /* a look only reads */
        return ERR_OK;
    }
}

/* --- Committed ------------------------------------------------------------------------------ */

static void count(const struct record *record, int64_t now_us)
{
    metric_add(&placed_total, record->placed);
    metric_add(&confirmed_total, record->confirmed);
    metric_add(&closed_total, record->closed);
    if (record->cancelled)
        metric_add(cancelled_total[record->reason], 1);
    if (record->confirmed)
        metric_observe_us(&accepted_to_confirmed, now_us - record->created_us);
}

static void committed(struct unit *unit)
{
    const struct view *keys;
    size_t key_count = unit_keys(unit, &keys);
    int64_t now_us = clock_utc_us();

    for (size_t i = 0; i < key_count; i++)
        count(unit_state_at(unit, i), now_us);
    orders_look_committed(unit);
}

static bool may_drop(enum event_type type)
{
    return saga_drop(PART_ORDERS, type) != NULL || !saga_reacts(PART_ORDERS, saga_trigger_of(type));
}

const struct part part = {
    .name = "orders",
    .publishes = TOPIC_ORDERS,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .settings = settings,
    .setting_count = sizeof settings / sizeof settings[0],
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .state_bytes = sizeof(struct record),
    .start = start,
    .stop = stop,
    .taken_over = orders_taken_over,
    .lost = orders_lost,
    .load = orders_load,
    .loaded = orders_loaded,
    .react = react,
    .act = act,
    .may_drop = may_drop,
    .save = orders_save,
    .committed = committed,
    .tick = orders_tick,
};
