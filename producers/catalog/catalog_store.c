/* The reads and writes of a unit. Whoever changes a product holds the row of its shard. */
#include "producers/catalog/catalog.h"

static const struct pg_statement read_products = {
    "catalog_read",
    "select sku, name, kind, unit_price_minor, currency, category, sold, event, changed_us"
    "  from products where sku = any($1)"};

static const struct pg_statement upsert_products = {
    "catalog_upsert",
    "insert into products (sku, name, kind, unit_price_minor, currency, category, sold, event,"
    "                      changed_us)"
    " select * from unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::text[],"
    "                      $6::text[], $7::bool[], $8::text[], $9::bigint[])"
    " on conflict (sku) do update set name = excluded.name, kind = excluded.kind,"
    "   unit_price_minor = excluded.unit_price_minor, currency = excluded.currency,"
    "   category = excluded.category, sold = excluded.sold, event = excluded.event,"
    "   changed_us = excluded.changed_us"};

void catalog_load(struct unit *unit)
{
    const struct view *keys;
    struct pg_args args = {0};

    if (unit_keys(unit, &keys) == 0)
        return;
    pg_arg_column(&args, unit_keys_column(unit));
    pg_queue(unit_pg(unit), &read_products, &args);
}

static void take_product(struct product *out, const struct pg_rows *rows, int row,
                         struct arena *arena)
{
    *out = (struct product){
        .sku = arena_view(arena, pg_bytes(rows, row, 0)),
        .name = arena_view(arena, pg_bytes(rows, row, 1)),
        .kind = (enum product_kind)pg_int(rows, row, 2),
        .unit_price_minor = pg_int(rows, row, 3),
        .currency = arena_view(arena, pg_bytes(rows, row, 4)),
        .category = arena_view(arena, pg_bytes(rows, row, 5)),
        .sold = pg_bool(rows, row, 6),
        .event = arena_view(arena, pg_bytes(rows, row, 7)),
        .changed_us = pg_int(rows, row, 8),
    };
}

enum err_kind catalog_loaded(struct unit *unit, struct err *err)
{
    const struct view *keys;
    struct pg_rows rows;

    if (unit_keys(unit, &keys) == 0)
        return ERR_OK;
    if (pg_next(unit_pg(unit), &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++) {
        struct record *record = unit_state(unit, pg_bytes(&rows, row, 0));

        take_product(&record->product, &rows, row, unit_arena(unit));
    }
    return ERR_OK;
}

void catalog_save(struct unit *unit)
{
    struct pg_batch *batch = &catalog_of(unit_host(unit))->batch;
    struct pg_column *columns = batch->columns;
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    PG_BATCH_START(batch, PG_TEXT, PG_TEXT, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT, PG_BOOL, PG_TEXT,
                   PG_INT8);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);
        const struct product *product = &record->product;

        if (!record->changed)
            continue;
        pg_column_bytes(&columns[0], product->sku);
        pg_column_bytes(&columns[1], product->name);
        pg_column_int2(&columns[2], (int16_t)product->kind);
        pg_column_int8(&columns[3], product->unit_price_minor);
        pg_column_bytes(&columns[4], product->currency);
        pg_column_bytes(&columns[5], product->category);
        pg_column_bool(&columns[6], product->sold);
        pg_column_bytes(&columns[7], product->event);
        pg_column_int8(&columns[8], product->changed_us);
    }
    pg_batch_queue(batch, unit_pg(unit), &upsert_products);
}
