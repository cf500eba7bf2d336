/* The reads and writes of a unit. Whoever changes an order holds the row of its shard; a customer's
 * orders lie in many shards, so two instances may count at the same time and not see each other's:
 * a verdict goes by what was committed before it. */
#include "consumers/fraud/fraud.h"
#include "consumers/fraud/fraud_rows.h"
#include "events/reminder.h"

static const struct pg_statement read_states = {
    "fraud_read_states", "select order_id, $2::smallint from verdicts where order_id = any($1)"
                         " union all "
                         "select order_id, $3::smallint from tombstones where order_id = any($1)"};

/* How far a customer's orders reach: who has some beyond the window drops them. */
static const struct pg_statement read_reach = {
    "fraud_read_reach",
    "select u.place, r.oldest, r.newest"
    "  from unnest($1::text[]) with ordinality u(customer_id, place)"
    "  cross join lateral (select min(ordered_us) oldest, max(ordered_us) newest"
    "                        from customer_orders c where c.customer_id = u.customer_id) r"
    " where r.oldest is not null"};

/* No more of them than can make a difference. */
static const struct pg_statement read_orders = {
    "fraud_read_orders",
    "select u.place, o.ordered_us"
    "  from unnest($1::text[], $2::bigint[], $3::bigint[])"
    "       with ordinality u(customer_id, after, until, place)"
    "  cross join lateral (select ordered_us from customer_orders c"
    "                       where c.customer_id = u.customer_id and c.ordered_us > u.after"
    "                         and c.ordered_us <= u.until"
    "                       order by c.ordered_us desc limit $4) o"};

static const struct pg_statement insert_tombstones = {
    "fraud_insert_tombstones", "insert into tombstones (order_id) select unnest($1::text[])"};

static const struct pg_statement drop_orders = {
    "fraud_drop_orders",
    "delete from customer_orders c using unnest($1::text[], $2::bigint[]) u(customer_id, until)"
    " where c.customer_id = u.customer_id and c.ordered_us <= u.until"};

/* --- Load ------------------------------------------------------------------------------------- */

static const struct order_created *created_by_customer(const struct event *event)
{
    const struct order_created *created = order_told_by(event->type, event->data);

    return created != NULL && !fraud_is_guest(created->customer_id) ? created : NULL;
}

static void find_customers(struct unit *unit, struct history *history)
{
    const struct event *events;
    size_t count = unit_events(unit, &events);

    history_start(history, count, unit_arena(unit));
    for (size_t i = 0; i < count; i++) {
        const struct order_created *created = created_by_customer(&events[i]);

        if (created != NULL)
            history_add(history, created->customer_id, created->ordered_at);
    }
    history_sort(history);
}

static void queue_states(struct unit *unit)
{
    struct pg_args args = {0};

    pg_arg_column(&args, unit_keys_column(unit));
    pg_arg_int2(&args, FRAUD_DONE);
    pg_arg_int2(&args, FRAUD_TOMBSTONE);
    pg_queue(unit_pg(unit), &read_states, &args);
}

static void queue_history(struct unit *unit, struct fraud *fraud)
{
    struct pg_column *columns = fraud->batch.columns;
    struct pg_args args = {0};

    PG_BATCH_START(&fraud->batch, PG_TEXT, PG_INT8, PG_INT8);
    for (size_t i = 0; i < fraud->history.count; i++) {
        const struct customer *customer = &fraud->history.customers[i];

        pg_column_bytes(&columns[0], customer->id);
        pg_column_int8(&columns[1],
                       history_window_start(customer->first_us, fraud->limits.window_us));
        pg_column_int8(&columns[2], customer->last_us);
    }
    pg_arg_column(&args, &columns[0]);
    pg_queue(unit_pg(unit), &read_reach, &args);
    pg_arg_column(&args, &columns[1]);
    pg_arg_column(&args, &columns[2]);
    pg_arg_int8(&args, fraud->limits.orders * FRAUD_ORDERS_EXTREME);
    pg_queue(unit_pg(unit), &read_orders, &args);
}

void fraud_load(struct unit *unit)
{
    struct fraud *fraud = fraud_of(unit_host(unit));
    const struct view *keys;

    find_customers(unit, &fraud->history);
    if (unit_keys(unit, &keys) > 0)
        queue_states(unit);
    if (fraud->history.count > 0)
        queue_history(unit, fraud);
}

/* --- Loaded: the answers, in the order of the questions --------------------------------------- */

static enum err_kind take_states(struct unit *unit, struct err *err)
{
    struct pg_rows rows;

    if (pg_next(unit_pg(unit), &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++) {
        struct record *record = unit_state(unit, pg_bytes(&rows, row, 0));

        record->state = (enum saga_fraud_state)pg_int(&rows, row, 1);
    }
    return ERR_OK;
}

static enum err_kind take_history(struct unit *unit, struct fraud *fraud, struct err *err)
{
    struct customer *customers = fraud->history.customers;
    struct pg_rows rows;

    if (pg_next(unit_pg(unit), &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++) {
        struct customer *customer = &customers[pg_int(&rows, row, 0) - 1];
        int64_t oldest_us = pg_int(&rows, row, 1), newest_us = pg_int(&rows, row, 2);

        if (oldest_us < customer->oldest_us)
            customer->oldest_us = oldest_us;
        if (newest_us > customer->newest_us)
            customer->newest_us = newest_us;
    }
    if (pg_next(unit_pg(unit), &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++)
        customer_note(&customers[pg_int(&rows, row, 0) - 1], pg_int(&rows, row, 1),
                      unit_arena(unit));
    return ERR_OK;
}

enum err_kind fraud_loaded(struct unit *unit, struct err *err)
{
    struct fraud *fraud = fraud_of(unit_host(unit));
    const struct view *keys;
    enum err_kind kind = ERR_OK;

    if (unit_keys(unit, &keys) > 0)
        kind = take_states(unit, err);
    if (kind == ERR_OK && fraud->history.count > 0)
        kind = take_history(unit, fraud, err);
    return kind;
}

/* --- Save ------------------------------------------------------------------------------------- */

static void save_states(struct unit *unit, struct pg_batch *batch, size_t count,
                        const struct view *keys)
{
    fold_write_start(batch, &fraud_writes[FRAUD_ROWS_VERDICTS]);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->is_new_verdict)
            fraud_rows_add_verdict(batch->columns, keys[i], record->flagged, record->score);
    }
    pg_batch_queue(batch, unit_pg(unit), &fraud_writes[FRAUD_ROWS_VERDICTS].statement);

    PG_BATCH_START(batch, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        if (((const struct record *)unit_state_at(unit, i))->is_new_tombstone)
            pg_column_bytes(&batch->columns[0], keys[i]);
    pg_batch_queue(batch, unit_pg(unit), &insert_tombstones);
}

static void save_history(struct unit *unit, struct fraud *fraud, size_t count,
                         const struct view *keys)
{
    struct pg_batch *batch = &fraud->batch;

    fold_write_start(batch, &fraud_writes[FRAUD_ROWS_ORDERS]);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->seen != NULL)
            fraud_rows_add_order(batch->columns, record->seen, keys[i]);
    }
    pg_batch_queue(batch, unit_pg(unit), &fraud_writes[FRAUD_ROWS_ORDERS].statement);

    PG_BATCH_START(batch, PG_TEXT, PG_INT8);
    for (size_t i = 0; i < fraud->history.count; i++) {
        const struct customer *customer = &fraud->history.customers[i];
        int64_t until_us = history_window_start(customer->newest_us, fraud->limits.window_us);

        if (customer->oldest_us > until_us)
            continue;
        pg_column_bytes(&batch->columns[0], customer->id);
        pg_column_int8(&batch->columns[1], until_us);
    }
    pg_batch_queue(batch, unit_pg(unit), &drop_orders);
}

void fraud_save(struct unit *unit)
{
    struct fraud *fraud = fraud_of(unit_host(unit));
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    save_states(unit, &fraud->batch, count, keys);
    save_history(unit, fraud, count, keys);
}
