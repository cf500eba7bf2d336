/* Fraud's tables as folds of topics: verdicts of its own, tombstones and customer_orders of its
 * inputs. */
#include "consumers/fraud/fraud_history.h"
#include "consumers/fraud/fraud_rows.h"
#include "consumers/fraud/fraud_rules.h"
#include "events/reminder.h"
#include "saga/saga.h"

extern const struct pg_migration fraud_scripts[];
extern const size_t fraud_script_count;

/* What replay_waiting counts of an order. */
enum { WAIT_VERDICT, WAIT_REMINDED };

struct change {
    bool created, reminded, cancelled;
    bool answered;
};

static void add_verdict(struct fold_batch *batch, struct change *change, const struct event *event,
                        bool flagged, int32_t score)
{
    change->answered = true;
    fraud_rows_add_verdict(fold_columns(batch, FRAUD_ROWS_VERDICTS), event->envelope->subject,
                           flagged, score);
}

static void add_order(struct fold_batch *batch, size_t write, const struct event *event)
{
    const struct order_created *created = order_told_by(event->type, event->data);
    struct pg_column *columns;

    if (fraud_is_guest(created->customer_id))
        return;
    fraud_rows_add_order(fold_columns(batch, write), created, event->envelope->subject);
    columns = fold_columns(batch, FRAUD_ROWS_DROP);
    pg_column_bytes(&columns[0], created->customer_id);
    pg_column_int8(&columns[1], setting_integer("TRADEWIND_FRAUD_WINDOW_MINUTES") * 60000000);
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct change *change = state;

    (void)err;
    if (event->type == EVENT_FRAUD_CLEARED) {
        add_verdict(batch, change, event, false,
                    ((const struct fraud_cleared *)event->data)->score);
    } else if (event->type == EVENT_FRAUD_FLAGGED) {
        add_verdict(batch, change, event, true, ((const struct fraud_flagged *)event->data)->score);
    } else if (event->type == EVENT_ORDER_CREATED) {
        change->created = true;
        add_order(batch, FRAUD_ROWS_ORDERS, event);
    } else if (event->type == EVENT_ORDER_REMINDED && !change->created && !change->reminded &&
               !change->cancelled) {
        change->reminded = true;
        add_order(batch, FRAUD_ROWS_REMINDED, event);
    } else if (event->type == EVENT_ORDER_CANCELLED) {
        change->cancelled = true;
    }
    return ERR_OK;
}

/* An order.cancelled always lies behind its order.created; it comes without it when that one was
 * set aside. Then a reminder may have told of the order, in this batch or, as replay_waiting says,
 * in an earlier one. */
static void save(struct fold_batch *batch, struct view key, const void *state)
{
    const struct change *change = state;

    fold_wait(batch, key, WAIT_VERDICT, change->created - change->answered);
    fold_wait(batch, key, WAIT_REMINDED, change->reminded);
    if (change->cancelled && !change->created && !change->reminded && batch->is_set_aside != NULL &&
        batch->is_set_aside(batch->context, key))
        pg_column_bytes(&fold_columns(batch, FRAUD_ROWS_TOMBSTONES)[0], key);
}

/* --- After a loss ----------------------------------------------------------------------------- */

static const struct pg_statement open_keys = {
    "fraud_fold_open",
    "select distinct key, 0::bigint from replay_waiting w where balance > 0"
    " and (what = 0 or not exists (select from verdicts v where v.order_id = w.key))"
    " and not exists (select from tombstones t where t.order_id = w.key) order by key"};
_Static_assert(WAIT_VERDICT == 0 && WAIT_REMINDED == 1, "the statements say so");

static bool is_open(int64_t state, enum event_type type)
{
    (void)state, (void)type;
    return true;
}

/* --- The part --------------------------------------------------------------------------------- */

static const struct fold_table tables[] = {
    {"verdicts", "order_id", "order_id", "order_id", FOLD_OWN, NULL, NULL},
    {"tombstones", "order_id", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"customer_orders", "customer_id, ordered_us, order_id", "customer_id", "order_id", FOLD_INPUTS,
     NULL, NULL},
};

static const enum topic inputs[] = {TOPIC_ORDERS};

/* clang-format off */
static const struct setting settings[] = {
    {"TRADEWIND_FRAUD_WINDOW_MINUTES", "60", SETTING_INTEGER, 1, 10080, NULL, "as fraud has it"},
};
/* clang-format on */

const struct fold fraud_fold = {
    .part = "fraud",
    .publishes = TOPIC_FRAUD,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .scripts = fraud_scripts,
    .script_count = &fraud_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .writes = fraud_writes,
    .write_count = FRAUD_ROWS_COUNT,
    .settings = settings,
    .setting_count = sizeof settings / sizeof settings[0],
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
    .open_keys = &open_keys,
    .is_open = is_open,
};
