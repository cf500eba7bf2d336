#include "consumers/payment/payment_store.h"

static const struct pg_statement read_requests = {
    "payment_read_requests",
    "select order_id, seen, amount_minor, currency, payment_token"
    " from payment_requests where order_id = any($1)",
};

static const struct pg_statement read_events = {
    "payment_read_events",
    "select order_id, number, state, provider_ref"
    " from payment_events where order_id = any($1)",
};

static const struct pg_statement read_calls = {
    "payment_read_calls",
    "select o.order_id, o.operation, o.provider_ref, o.cause, o.cancelled_by, o.asked_at"
    " from owed_calls o where o.order_id = any($1)",
};

static const struct pg_statement write_requests = {
    "payment_write_requests",
    "insert into payment_requests (order_id, seen, amount_minor, currency, payment_token)"
    " select unnest($1::text[]), unnest($2::smallint[]), unnest($3::bigint[]),"
    "        unnest($4::text[]), unnest($5::text[])"
    " on conflict (order_id) do update set seen = excluded.seen, amount_minor = "
    "excluded.amount_minor,"
    " currency = excluded.currency, payment_token = excluded.payment_token",
};

static const struct pg_statement write_events = {
    "payment_write_events",
    "insert into payment_events (order_id, number, state, amount_minor, currency, provider,"
    " provider_ref, code, occurred_at)"
    " select *, $9::bigint from unnest($1::text[], $2::bigint[], $3::smallint[], $4::bigint[],"
    " $5::text[], $6::text[], $7::text[], $8::text[])",
};

static const struct pg_statement write_calls = {
    "payment_write_calls",
    "insert into owed_calls (shard, order_id, operation, provider_ref, cause, cancelled_by, "
    "asked_at)"
    " select unnest($1::integer[]), unnest($2::text[]), unnest($3::smallint[]),"
    "        unnest($4::text[]), unnest($5::text[]), unnest($6::text[]), unnest($7::bigint[])"
    " on conflict (order_id) do update set operation = excluded.operation,"
    " provider_ref = excluded.provider_ref, cause = excluded.cause,"
    " cancelled_by = excluded.cancelled_by, asked_at = excluded.asked_at",
};

static const struct pg_statement delete_calls = {
    "payment_delete_calls",
    "delete from owed_calls where order_id = any($1)",
};

static const struct pg_statement look_for_calls = {
    "payment_look_for_calls",
    "select o.order_id, o.operation, o.provider_ref, r.amount_minor, r.currency, r.payment_token"
    " from owed_calls o join payment_requests r on r.order_id = o.order_id"
    " where o.shard = $1 and o.order_id > $2 order by o.order_id limit $3",
};

void payment_store_clear(struct payment_store *store)
{
    for (size_t i = 0; i < sizeof store->columns / sizeof store->columns[0]; i++)
        pg_column_clear(&store->columns[i]);
}

/* Start one column an element, in order. */
static struct pg_column *start_columns(struct payment_store *store, const enum pg_element *elements,
                                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        pg_column_start(&store->columns[i], elements[i]);
    return store->columns;
}

#define START(store, ...)                                                                          \
    start_columns((store), (const enum pg_element[]){__VA_ARGS__},                                 \
                  sizeof((const enum pg_element[]){__VA_ARGS__}) / sizeof(enum pg_element))

static void queue(struct unit *unit, const struct pg_statement *statement,
                  struct pg_column *columns, int count)
{
    struct pg_args args = {0};

    for (int i = 0; i < count; i++)
        pg_arg_column(&args, &columns[i]);
    pg_queue(unit_pg(unit), statement, &args);
}

/* --- Reading ---------------------------------------------------------------------------------- */

void payment_store_load(struct unit *unit)
{
    const struct view *keys;

    if (unit_keys(unit, &keys) == 0)
        return;
    queue(unit, &read_requests, unit_keys_column(unit), 1);
    queue(unit, &read_events, unit_keys_column(unit), 1);
    queue(unit, &read_calls, unit_keys_column(unit), 1);
}

static struct view keep(struct unit *unit, const struct pg_rows *rows, int row, int column)
{
    return arena_view(unit_arena(unit), pg_bytes(rows, row, column));
}

static struct payment *payment_of_row(struct unit *unit, const struct pg_rows *rows, int row)
{
    return unit_state(unit, pg_bytes(rows, row, 0));
}

static void take_request(struct unit *unit, const struct pg_rows *rows, int row)
{
    struct payment *payment = payment_of_row(unit, rows, row);

    payment->memory.seen = (unsigned)pg_int(rows, row, 1);
    payment->amount_minor = pg_int(rows, row, 2);
    payment->currency = keep(unit, rows, row, 3);
    payment->payment_token = keep(unit, rows, row, 4);
}

static void take_event(struct unit *unit, const struct pg_rows *rows, int row)
{
    struct payment *payment = payment_of_row(unit, rows, row);
    uint64_t number = (uint64_t)pg_int(rows, row, 1);
    enum saga_payment_state state = (enum saga_payment_state)pg_int(rows, row, 2);

    if (number > payment->last_number) {
        payment->last_number = number;
        payment->memory.settled = state;
    }
    if (state == PAYMENT_AUTHORIZED)
        payment->authorization_ref = keep(unit, rows, row, 3);
    else if (state == PAYMENT_CAPTURED)
        payment->capture_ref = keep(unit, rows, row, 3);
}

static void take_call(struct unit *unit, const struct pg_rows *rows, int row)
{
    struct payment *payment = payment_of_row(unit, rows, row);

    payment->was_owed = true;
    payment->memory.owed = (enum payment_call)pg_int(rows, row, 1);
    payment->call_ref = keep(unit, rows, row, 2);
    payment->call_cause = keep(unit, rows, row, 3);
    payment->cancelled_by = keep(unit, rows, row, 4);
    payment->asked_at_us = pg_int(rows, row, 5);
}

static enum err_kind take_rows(struct unit *unit,
                               void (*take)(struct unit *, const struct pg_rows *, int),
                               struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_next(unit_pg(unit), &rows, err);

    if (kind != ERR_OK)
        return kind;
    for (int row = 0; row < rows.count; row++)
        take(unit, &rows, row);
    return ERR_OK;
}

enum err_kind payment_store_loaded(struct unit *unit, struct err *err)
{
    const struct view *keys;
    enum err_kind kind = ERR_OK;

    if (unit_keys(unit, &keys) == 0)
        return ERR_OK;
    kind = take_rows(unit, take_request, err);
    if (kind == ERR_OK)
        kind = take_rows(unit, take_event, err);
    if (kind == ERR_OK)
        kind = take_rows(unit, take_call, err);
    return kind;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* Empty, not null, until order.created has come: a tombstone never hears it. */
static struct view text_of(struct view text)
{
    return text.data != NULL ? text : VIEW_LITERAL("");
}

static void save_requests(struct payment_store *store, struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);
    struct pg_column *columns = START(store, PG_TEXT, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT);

    for (size_t i = 0; i < count; i++) {
        const struct payment *payment = unit_state_at(unit, i);

        if (!payment->request_changed)
            continue;
        pg_column_bytes(&columns[0], keys[i]);
        pg_column_int2(&columns[1], (int16_t)payment->memory.seen);
        pg_column_int8(&columns[2], payment->amount_minor);
        pg_column_bytes(&columns[3], text_of(payment->currency));
        pg_column_bytes(&columns[4], text_of(payment->payment_token));
    }
    if (columns[0].count > 0)
        queue(unit, &write_requests, columns, 5);
}

static void put_event(struct pg_column *columns, struct view order_id,
                      const struct payment_event *event)
{
    pg_column_bytes(&columns[0], order_id);
    pg_column_int8(&columns[1], (int64_t)event->number);
    pg_column_int2(&columns[2], (int16_t)event->state);
    pg_column_int8(&columns[3], event->amount_minor);
    pg_column_bytes(&columns[4], event->currency);
    pg_column_bytes(&columns[5], event->provider);
    pg_column_bytes(&columns[6], event->provider_ref);
    pg_column_bytes(&columns[7], event->code);
}

static void save_events(struct payment_store *store, struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);
    struct pg_column *columns =
        START(store, PG_TEXT, PG_INT8, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT);
    struct pg_args args = {0};

    for (size_t i = 0; i < count; i++) {
        const struct payment *payment = unit_state_at(unit, i);

        for (size_t j = 0; j < payment->published_count; j++)
            put_event(columns, keys[i], &payment->published[j]);
    }
    if (columns[0].count == 0)
        return;
    for (int i = 0; i < 8; i++)
        pg_arg_column(&args, &columns[i]);
    pg_arg_int8(&args, unit_now_us(unit));
    pg_queue(unit_pg(unit), &write_events, &args);
}

static void save_calls(struct payment_store *store, struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);
    struct pg_column *columns =
        START(store, PG_INT4, PG_TEXT, PG_INT2, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8);

    for (size_t i = 0; i < count; i++) {
        const struct payment *payment = unit_state_at(unit, i);

        if (!payment->call_changed || payment->memory.owed == CALL_NONE)
            continue;
        pg_column_int4(&columns[0], host_shard_of(unit_host(unit), keys[i]));
        pg_column_bytes(&columns[1], keys[i]);
        pg_column_int2(&columns[2], (int16_t)payment->memory.owed);
        pg_column_bytes(&columns[3], payment->call_ref);
        pg_column_bytes(&columns[4], payment->call_cause);
        pg_column_bytes(&columns[5], payment->cancelled_by);
        pg_column_int8(&columns[6], payment->asked_at_us);
    }
    if (columns[0].count > 0)
        queue(unit, &write_calls, columns, 7);
}

static void delete_answered(struct payment_store *store, struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);
    struct pg_column *columns = START(store, PG_TEXT);

    for (size_t i = 0; i < count; i++) {
        const struct payment *payment = unit_state_at(unit, i);

        if (payment->was_owed && payment->memory.owed == CALL_NONE)
            pg_column_bytes(&columns[0], keys[i]);
    }
    if (columns[0].count > 0)
        queue(unit, &delete_calls, columns, 1);
}

void payment_store_save(struct payment_store *store, struct unit *unit)
{
    save_requests(store, unit);
    save_events(store, unit);
    save_calls(store, unit);
    delete_answered(store, unit);
}

/* --- Looking ---------------------------------------------------------------------------------- */

void payment_store_look(struct unit *unit, int32_t shard, struct view after, int limit)
{
    struct pg_args args = {0};

    pg_arg_int4(&args, shard);
    pg_arg_bytes(&args, after);
    pg_arg_int8(&args, limit);
    pg_queue(unit_pg(unit), &look_for_calls, &args);
}

enum err_kind payment_store_looked(struct unit *unit, int32_t shard, struct owed_call **calls,
                                   size_t *count, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_next(unit_pg(unit), &rows, err);

    if (kind != ERR_OK)
        return kind;
    *count = (size_t)rows.count;
    *calls = arena_array(unit_arena(unit), *count, sizeof **calls);
    for (int row = 0; row < rows.count; row++)
        (*calls)[row] = (struct owed_call){
            .shard = shard,
            .order_id = keep(unit, &rows, row, 0),
            .operation = (enum payment_call)pg_int(&rows, row, 1),
            .ref = keep(unit, &rows, row, 2),
            .amount_minor = pg_int(&rows, row, 3),
            .currency = keep(unit, &rows, row, 4),
            .payment_token = keep(unit, &rows, row, 5),
        };
    return ERR_OK;
}
