/* The reads and writes of a unit. Whoever changes a product holds the row of its shard. */
#include "producers/catalog/catalog.h"
#include "producers/catalog/catalog_rows.h"

static const struct pg_statement read_products = {
    "catalog_read",
    "select sku, name, kind, unit_price_minor, currency, category, sold, event, changed_us"
    "  from products where sku = any($1)"};

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
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    fold_write_start(batch, &catalog_writes[CATALOG_ROWS_PRODUCTS]);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->changed)
            catalog_rows_add(batch->columns, record->product.sku, &record->product);
    }
    pg_batch_queue(batch, unit_pg(unit), &catalog_writes[CATALOG_ROWS_PRODUCTS].statement);
}
