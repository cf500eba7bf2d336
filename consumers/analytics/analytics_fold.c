/* The star as a fold of its inputs: the rows that the part itself makes of them. */
#include "consumers/analytics/analytics_rows.h"

extern const struct pg_migration analytics_scripts[];
extern const size_t analytics_script_count;

/* What a batch has heard of a SKU: the newest event of each kind. */
struct change {
    struct product_upserted upserted;
    struct product_withdrawn withdrawn;
    struct envelope upserted_by, withdrawn_by; /* number 0: none */
};

static struct envelope keep_envelope(struct fold_batch *batch, const struct event *event)
{
    return (struct envelope){
        .number = event->envelope->number,
        .id = fold_keep(batch, event->envelope->id),
        .subject = fold_keep(batch, event->envelope->subject),
    };
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct change *change = state;

    (void)err;
    if (event->type == EVENT_PRODUCT_UPSERTED) {
        const struct product_upserted *product = event->data;

        change->upserted_by = keep_envelope(batch, event);
        change->upserted = *product;
        change->upserted.name = fold_keep(batch, product->name);
        change->upserted.category = fold_keep(batch, product->category);
        change->upserted.currency = fold_keep(batch, product->currency);
    } else if (event->type == EVENT_PRODUCT_WITHDRAWN) {
        change->withdrawn_by = keep_envelope(batch, event);
        change->withdrawn = *(const struct product_withdrawn *)event->data;
    } else {
        rows_add_fact(batch->writes, event, batch->arena);
    }
    return ERR_OK;
}

static void save(struct fold_batch *batch, struct view key, const void *state)
{
    const struct change *change = state;

    (void)key;
    if (change->upserted_by.number > 0)
        rows_add_product(batch->writes,
                         &(struct event){.type = EVENT_PRODUCT_UPSERTED,
                                         .data = &change->upserted,
                                         .envelope = &change->upserted_by},
                         batch->arena);
    if (change->withdrawn_by.number > 0)
        rows_add_product(batch->writes,
                         &(struct event){.type = EVENT_PRODUCT_WITHDRAWN,
                                         .data = &change->withdrawn,
                                         .envelope = &change->withdrawn_by},
                         batch->arena);
}

static const struct fold_table tables[] = {
    {"fact_orders", "order_id", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"fact_lines", "order_id, line", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"fact_confirmations", "order_id", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"fact_cancellations", "order_id", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"fact_closures", "order_id, outcome", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"fact_payments", "order_id, kind", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"dim_products", "sku", "sku", "sku", FOLD_INPUTS, NULL, NULL},
};

static const enum topic inputs[] = {TOPIC_ORDERS, TOPIC_PAYMENTS, TOPIC_PRODUCTS};

const struct fold analytics_fold = {
    .part = "analytics",
    .publishes = TOPIC_NONE,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .scripts = analytics_scripts,
    .script_count = &analytics_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .writes = analytics_writes,
    .write_count = ROWS_COUNT,
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
};
