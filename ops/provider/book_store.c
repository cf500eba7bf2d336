#include "ops/provider/book_store.h"

#include <assert.h>
#include <stdlib.h>

extern const struct pg_migration provider_migrations[];
extern const size_t provider_migration_count;

#define COLUMNS 9

struct book_store {
    const char *conninfo;
    struct pg *pg;
    struct pg_column columns[COLUMNS];
    int64_t next_number; /* 0: not known */
};

static const struct pg_statement take_lock = {
    "provider_take_lock", "select pg_try_advisory_lock(hashtext('tradewind-provider'))"};

static const struct pg_statement last_number = {
    "provider_last_number", "select coalesce(max(number), 0) from authorizations"};

static const struct pg_statement read_operations = {
    "provider_read_operations",
    "select idempotency_key, request, kind, authorization_number, outcome, code, amount_minor, "
    "currency, asked"
    " from operations where idempotency_key = any($1::text[])",
};

static const struct pg_statement read_authorizations = {
    "provider_read_authorizations",
    "select number, merchant_ref, payment_token, status, currency, amount_minor, captured_minor, "
    "refunded_minor"
    " from authorizations where number = any($1::bigint[])",
};

static const struct pg_statement begin = {"provider_begin", "begin"};
static const struct pg_statement commit = {"provider_commit", "commit"};

static const struct pg_statement write_operations = {
    "provider_write_operations",
    "insert into operations (idempotency_key, request, kind, authorization_number, outcome, code,"
    " amount_minor, currency, asked)"
    " select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]),"
    "        unnest($5::text[]), unnest($6::text[]), unnest($7::bigint[]), unnest($8::text[]),"
    "        unnest($9::integer[])"
    " on conflict (idempotency_key) do update set asked = excluded.asked",
};

static const struct pg_statement write_authorizations = {
    "provider_write_authorizations",
    "insert into authorizations (number, merchant_ref, payment_token, status, currency, "
    "amount_minor,"
    " captured_minor, refunded_minor)"
    " select unnest($1::bigint[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]),"
    "        unnest($5::text[]), unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[])"
    " on conflict (number) do update set status = excluded.status,"
    " captured_minor = excluded.captured_minor, refunded_minor = excluded.refunded_minor",
};

struct book_store *book_store_new(const char *conninfo)
{
    struct book_store *store = mem_alloc(sizeof *store);

    store->conninfo = conninfo;
    return store;
}

static void disconnect(struct book_store *store)
{
    pg_close(store->pg);
    store->pg = NULL;
    store->next_number = 0;
}

void book_store_close(struct book_store *store)
{
    if (store == NULL)
        return;
    disconnect(store);
    for (size_t i = 0; i < COLUMNS; i++)
        pg_column_clear(&store->columns[i]);
    free(store);
}

static enum err_kind connect_and_lock(struct book_store *store, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_open(&store->pg, store->conninfo, "provider", err);

    if (kind == ERR_OK)
        kind = pg_migrate(store->pg, provider_migrations, provider_migration_count, err);
    if (kind == ERR_OK)
        kind = pg_run(store->pg, &take_lock, NULL, &rows, err);
    if (kind == ERR_OK && !pg_bool(&rows, 0, 0))
        kind = err_set(err, ERR_RETRY, "another provider writes this book");
    if (kind == ERR_OK)
        kind = pg_run(store->pg, &last_number, NULL, &rows, err);
    if (kind == ERR_OK)
        store->next_number = pg_int(&rows, 0, 0) + 1;
    return kind;
}

enum err_kind book_store_ready(struct book_store *store, int64_t *next_number, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (store->next_number == 0)
        kind = connect_and_lock(store, err);
    if (kind != ERR_OK)
        disconnect(store);
    else
        *next_number = store->next_number;
    return kind;
}

/* --- A batch in memory -------------------------------------------------------------------------
 */

static int compare_key(const void *key, const void *operation)
{
    return view_compare(*(const struct view *)key, ((const struct booked *)operation)->key);
}

struct booked *batch_operation(const struct batch *batch, struct view key)
{
    return bsearch(&key, batch->operations, batch->operation_count, sizeof *batch->operations,
                   compare_key);
}

static int compare_number(const void *number, const void *authorization)
{
    int64_t a = *(const int64_t *)number, b = ((const struct authorization *)authorization)->number;

    return (a > b) - (a < b);
}

struct authorization *batch_authorization(const struct batch *batch, int64_t number)
{
    return bsearch(&number, batch->authorizations, batch->authorization_count,
                   sizeof *batch->authorizations, compare_number);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static struct view keep(struct arena *arena, const struct pg_rows *rows, int row, int column)
{
    return arena_view(arena, pg_bytes(rows, row, column));
}

static void take_operation(const struct batch *batch, const struct pg_rows *rows, int row)
{
    struct booked *booked = batch_operation(batch, pg_bytes(rows, row, 0));

    assert(booked != NULL);
    booked->is_known = true;
    booked->request = keep(batch->arena, rows, row, 1);
    booked->operation.kind = operation_kind_from_name(pg_bytes(rows, row, 2));
    booked->number = pg_int(rows, row, 3);
    booked->verdict.outcome = outcome_from_name(pg_bytes(rows, row, 4));
    booked->verdict.code = keep(batch->arena, rows, row, 5);
    booked->operation.amount_minor = pg_int(rows, row, 6);
    booked->operation.currency = keep(batch->arena, rows, row, 7);
    booked->asked = (int32_t)pg_int(rows, row, 8);
}

static void take_authorization(const struct batch *batch, const struct pg_rows *rows, int row)
{
    struct authorization *authorization = batch_authorization(batch, pg_int(rows, row, 0));

    assert(authorization != NULL);
    authorization->merchant_ref = keep(batch->arena, rows, row, 1);
    authorization->payment_token = keep(batch->arena, rows, row, 2);
    authorization->status = authorization_status_from_name(pg_bytes(rows, row, 3));
    authorization->currency = keep(batch->arena, rows, row, 4);
    authorization->amount_minor = pg_int(rows, row, 5);
    authorization->captured_minor = pg_int(rows, row, 6);
    authorization->refunded_minor = pg_int(rows, row, 7);
}

static void queue(struct book_store *store, const struct pg_statement *statement, int columns)
{
    struct pg_args args = {0};

    for (int i = 0; i < columns; i++)
        pg_arg_column(&args, &store->columns[i]);
    pg_queue(store->pg, statement, &args);
}

/* After a failure nobody knows what the session holds: the next batch begins with a new one. */
static enum err_kind failed(struct book_store *store, enum err_kind kind)
{
    if (kind != ERR_OK)
        disconnect(store);
    return kind;
}

enum err_kind book_store_load(struct book_store *store, struct batch *batch, struct err *err)
{
    struct pg_column *columns = store->columns;
    struct pg_rows rows;
    enum err_kind kind;

    pg_column_start(&columns[0], PG_TEXT);
    for (size_t i = 0; i < batch->operation_count; i++)
        pg_column_bytes(&columns[0], batch->operations[i].key);
    queue(store, &read_operations, 1);
    pg_column_start(&columns[0], PG_INT8);
    for (size_t i = 0; i < batch->authorization_count; i++)
        pg_column_int8(&columns[0], batch->authorizations[i].number);
    queue(store, &read_authorizations, 1);
    pg_sync(store->pg);

    kind = pg_next(store->pg, &rows, err);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        take_operation(batch, &rows, row);
    if (kind == ERR_OK)
        kind = pg_next(store->pg, &rows, err);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        take_authorization(batch, &rows, row);
    if (kind == ERR_OK)
        kind = pg_finish(store->pg, err);
    return failed(store, kind);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void start_columns(struct book_store *store, const enum pg_element *elements, int count)
{
    for (int i = 0; i < count; i++)
        pg_column_start(&store->columns[i], elements[i]);
}

static void queue_operations(struct book_store *store, const struct batch *batch)
{
    struct pg_column *columns = store->columns;

    start_columns(store,
                  (const enum pg_element[]){PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8, PG_TEXT, PG_TEXT,
                                            PG_INT8, PG_TEXT, PG_INT4},
                  9);
    for (size_t i = 0; i < batch->operation_count; i++) {
        const struct booked *booked = &batch->operations[i];

        if (!booked->is_changed)
            continue;
        pg_column_bytes(&columns[0], booked->key);
        pg_column_bytes(&columns[1], booked->request);
        pg_column_bytes(&columns[2], view_str(operation_kind_name(booked->operation.kind)));
        pg_column_int8(&columns[3], booked->number);
        pg_column_bytes(&columns[4], view_str(outcome_name(booked->verdict.outcome)));
        pg_column_bytes(&columns[5], booked->verdict.code);
        pg_column_int8(&columns[6], booked->operation.amount_minor);
        pg_column_bytes(&columns[7], booked->operation.currency);
        pg_column_int4(&columns[8], booked->asked);
    }
    queue(store, &write_operations, 9);
}

static void put_authorization(struct pg_column *columns, const struct authorization *authorization)
{
    pg_column_int8(&columns[0], authorization->number);
    pg_column_bytes(&columns[1], authorization->merchant_ref);
    pg_column_bytes(&columns[2], authorization->payment_token);
    pg_column_bytes(&columns[3], view_str(authorization_status_name(authorization->status)));
    pg_column_bytes(&columns[4], authorization->currency);
    pg_column_int8(&columns[5], authorization->amount_minor);
    pg_column_int8(&columns[6], authorization->captured_minor);
    pg_column_int8(&columns[7], authorization->refunded_minor);
}

static void queue_authorizations(struct book_store *store, const struct batch *batch)
{
    start_columns(store,
                  (const enum pg_element[]){PG_INT8, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8,
                                            PG_INT8, PG_INT8},
                  8);
    for (size_t i = 0; i < batch->authorization_count; i++)
        if (batch->authorizations[i].status != AUTHORIZATION_NONE)
            put_authorization(store->columns, &batch->authorizations[i]);
    for (size_t i = 0; i < batch->opened_count; i++)
        put_authorization(store->columns, &batch->opened[i]);
    queue(store, &write_authorizations, 8);
}

enum err_kind book_store_save(struct book_store *store, const struct batch *batch, struct err *err)
{
    enum err_kind kind;

    pg_queue(store->pg, &begin, NULL);
    queue_operations(store, batch);
    queue_authorizations(store, batch);
    pg_queue(store->pg, &commit, NULL);
    pg_sync(store->pg);
    kind = pg_finish_commit(store->pg, err);
    if (kind == ERR_OK)
        store->next_number += (int64_t)batch->opened_count;
    return failed(store, kind);
}
