/* The catalog's table as a fold of its own topic. */
#include "events/fold.h"
#include "producers/catalog/catalog_decide.h"

extern const struct pg_migration catalog_scripts[];
extern const size_t catalog_script_count;

enum { WRITE_PRODUCTS, WRITE_WITHDRAWN };

static const struct fold_write writes[] = {
    [WRITE_PRODUCTS] =
        {{"catalog_fold_products",
          "insert into products (sku, name, kind, unit_price_minor, currency, category, sold,"
          "                      event, changed_us)"
          " select * from unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::text[],"
          "                      $6::text[], $7::bool[], $8::text[], $9::bigint[])"
          " on conflict (sku) do update set name = excluded.name, kind = excluded.kind,"
          "   unit_price_minor = excluded.unit_price_minor, currency = excluded.currency,"
          "   category = excluded.category, sold = excluded.sold, event = excluded.event,"
          "   changed_us = excluded.changed_us"},
         {PG_TEXT, PG_TEXT, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT, PG_BOOL, PG_TEXT, PG_INT8},
         9},
    [WRITE_WITHDRAWN] = {{"catalog_fold_withdrawn",
                          "update products p set sold = false, event = u.event, changed_us = u.us"
                          "  from unnest($1::text[], $2::text[], $3::bigint[]) u(sku, event, us)"
                          " where p.sku = u.sku"},
                         {PG_TEXT, PG_TEXT, PG_INT8},
                         3},
};

struct change {
    struct product product;
    bool is_whole; /* upserted in this batch: all of it is known */
};

static void keep_texts(struct fold_batch *batch, struct product *product)
{
    product->sku = fold_keep(batch, product->sku);
    product->name = fold_keep(batch, product->name);
    product->currency = fold_keep(batch, product->currency);
    product->category = fold_keep(batch, product->category);
    product->event = fold_keep(batch, product->event);
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct change *change = state;

    (void)err;
    catalog_apply(&change->product, event->type, event->data, event->envelope->id);
    keep_texts(batch, &change->product);
    change->is_whole |= event->type == EVENT_PRODUCT_UPSERTED;
    return ERR_OK;
}

static void save(struct fold_batch *batch, struct view key, const void *state)
{
    const struct change *change = state;
    const struct product *product = &change->product;
    struct pg_column *columns =
        fold_columns(batch, change->is_whole ? WRITE_PRODUCTS : WRITE_WITHDRAWN);

    pg_column_bytes(&columns[0], key);
    if (!change->is_whole) {
        pg_column_bytes(&columns[1], product->event);
        pg_column_int8(&columns[2], product->changed_us);
        return;
    }
    pg_column_bytes(&columns[1], product->name);
    pg_column_int2(&columns[2], (int16_t)product->kind);
    pg_column_int8(&columns[3], product->unit_price_minor);
    pg_column_bytes(&columns[4], product->currency);
    pg_column_bytes(&columns[5], product->category);
    pg_column_bool(&columns[6], product->sold);
    pg_column_bytes(&columns[7], product->event);
    pg_column_int8(&columns[8], product->changed_us);
}

static const struct fold_table tables[] = {
    {"products", "sku", "sku", "sku", FOLD_OWN, NULL, NULL},
};

const struct fold catalog_fold = {
    .part = "catalog",
    .publishes = TOPIC_PRODUCTS,
    .scripts = catalog_scripts,
    .script_count = &catalog_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .writes = writes,
    .write_count = sizeof writes / sizeof writes[0],
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
};
