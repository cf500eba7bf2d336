/* The catalog's table as a fold of its own topic. */
#include "producers/catalog/catalog_rows.h"

extern const struct pg_migration catalog_scripts[];
extern const size_t catalog_script_count;

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
    struct pg_column *columns =
        fold_columns(batch, change->is_whole ? CATALOG_ROWS_PRODUCTS : CATALOG_ROWS_WITHDRAWN);

    if (change->is_whole) {
        catalog_rows_add(columns, key, &change->product);
        return;
    }
    pg_column_bytes(&columns[0], key);
    pg_column_bytes(&columns[1], change->product.event);
    pg_column_int8(&columns[2], change->product.changed_us);
}

static const struct fold_table tables[] = {
    {"products", "sku", "sku", "sku", FOLD_OWN, NULL, NULL},
};

static const char *name_of(const char *column, int value)
{
    return strcmp(column, "kind") == 0 ? product_kind_name((enum product_kind)value) : NULL;
}

const struct fold catalog_fold = {
    .part = "catalog",
    .publishes = TOPIC_PRODUCTS,
    .scripts = catalog_scripts,
    .script_count = &catalog_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .name_of = name_of,
    .writes = catalog_writes,
    .write_count = CATALOG_ROWS_COUNT,
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
};
