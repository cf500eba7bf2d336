/* Fraud as a part: its settings, and what it does in a unit of work. */
#include "consumers/fraud/fraud.h"

#include "events/reminder.h"
#include "runtime/metrics.h"

#include <stdlib.h>

/* clang-format off */
static const struct setting settings[] = {
    /* name, fallback, check, min, max, choices, help */
    {"TRADEWIND_FRAUD_THRESHOLD",      "100", SETTING_INTEGER, 1, 1000,  NULL, "score from which on an order is flagged"},
    {"TRADEWIND_FRAUD_AMOUNTS",        "GBP=500000 EUR=600000 USD=650000 JPY=1000000 *=500000",
                                              SETTING_TEXT,    0, 0,     NULL, "minor units from which on an order is large, by currency; * for any other"},
    {"TRADEWIND_FRAUD_QUANTITY",       "500", SETTING_INTEGER, 1, 1000000000, NULL, "pieces of one line from which on they are many"},
    {"TRADEWIND_FRAUD_ORDERS",         "5",   SETTING_INTEGER, 1, 100,   NULL, "earlier orders of a customer in the window from which on they are many"},
    {"TRADEWIND_FRAUD_WINDOW_MINUTES", "60",  SETTING_INTEGER, 1, 10080, NULL, "the window, in minutes, by the time the customer ordered"},
    {"TRADEWIND_FRAUD_COUNTRIES",      "",    SETTING_TEXT,    0, 0,     NULL, "countries that are watched, separated by commas"},
};
/* clang-format on */

static const enum topic inputs[] = {TOPIC_ORDERS};

static struct metric cleared_total =
    METRIC(METRIC_COUNTER, "tradewind_fraud_cleared_total", "Orders below the threshold.");
static struct metric flagged_total =
    METRIC(METRIC_COUNTER, "tradewind_fraud_flagged_total", "Orders at or above the threshold.");

static enum err_kind start(struct host *host, struct err *err)
{
    struct fraud *fraud = mem_alloc(sizeof *fraud);

    host_set_context(host, fraud);
    fraud->limits = (struct fraud_limits){
        .threshold = (int32_t)setting_integer("TRADEWIND_FRAUD_THRESHOLD"),
        .amounts = setting_text("TRADEWIND_FRAUD_AMOUNTS"),
        .quantity = setting_integer("TRADEWIND_FRAUD_QUANTITY"),
        .orders = setting_integer("TRADEWIND_FRAUD_ORDERS"),
        .window_us = setting_integer("TRADEWIND_FRAUD_WINDOW_MINUTES") * 60000000,
        .countries = setting_text("TRADEWIND_FRAUD_COUNTRIES"),
    };
    metric_register(&cleared_total);
    metric_register(&flagged_total);
    return fraud_amounts_check(fraud->limits.amounts, err);
}

static void stop(struct host *host)
{
    struct fraud *fraud = fraud_of(host);

    pg_batch_clear(&fraud->batch);
    host_set_context(host, NULL);
    free(fraud);
}

static void carry_out(struct unit *unit, struct record *record,
                      const struct fraud_decision *decision, const struct event *event)
{
    record->is_new_tombstone |= record->state == FRAUD_NONE && decision->next == FRAUD_TOMBSTONE;
    record->state = decision->next;
    if (decision->publishes == EVENT_NONE)
        return;
    unit_emit(unit, decision->publishes, &decision->event, event->envelope->subject, event);
    record->is_new_verdict = true;
    record->flagged = decision->publishes == EVENT_FRAUD_FLAGGED;
    record->score = decision->score.score;
}

static enum err_kind react(struct unit *unit, const struct event *event, struct err *err)
{
    struct fraud *fraud = fraud_of(unit_host(unit));
    struct record *record = unit_state(unit, event->envelope->subject);
    struct fraud_question question = {
        .state = record->state,
        .type = event->type,
        .order_id = event->envelope->subject,
        .created = order_told_by(event->type, event->data),
        .now_us = unit_now_us(unit),
    };
    /* The reminder of an order that was heard of is no further order of its customer. */
    bool is_first = event->type == EVENT_ORDER_CREATED || record->state == FRAUD_NONE;
    struct fraud_decision decision;
    struct customer *customer = NULL; /* stays NULL for a guest */

    if (!saga_reacts(PART_FRAUD, saga_trigger_of(event->type)))
        return ERR_OK;
    if (question.created != NULL && is_first)
        customer = history_find(&fraud->history, question.created->customer_id);
    if (customer != NULL)
        question.earlier_orders =
            customer_orders_before(customer, question.created->ordered_at, fraud->limits.window_us);
    if (fraud_decide(&decision, &question, &fraud->limits, unit_arena(unit), err) != ERR_OK)
        return err->kind;
    carry_out(unit, record, &decision, event);
    if (customer != NULL) {
        customer_note(customer, question.created->ordered_at, unit_arena(unit));
        record->seen = question.created;
    }
    return ERR_OK;
}

static void committed(struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        metric_add(&flagged_total, record->is_new_verdict && record->flagged);
        metric_add(&cleared_total, record->is_new_verdict && !record->flagged);
    }
}

static bool may_drop(enum event_type type)
{
    return saga_drop(PART_FRAUD, type) != NULL;
}

const struct part part = {
    .name = "fraud",
    .publishes = TOPIC_FRAUD,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .patience_ms = 5, /* payment, which asks outside, is the slower verdict all the same */
    .settings = settings,
    .setting_count = sizeof settings / sizeof settings[0],
    .state_bytes = sizeof(struct record),
    .start = start,
    .stop = stop,
    .load = fraud_load,
    .loaded = fraud_loaded,
    .react = react,
    .save = fraud_save,
    .committed = committed,
    .may_drop = may_drop,
};
