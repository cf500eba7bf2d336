#include "producers/catalog/catalog_decide.h"

static bool is_same_text(struct view a, struct view b)
{
    return (a.data == NULL) == (b.data == NULL) && view_equal(a, b);
}

bool catalog_decide_upsert(struct product_upserted *out, const struct product *known,
                           const struct product *wanted, int64_t now_us)
{
    if (known->sold && view_equal(known->name, wanted->name) && known->kind == wanted->kind &&
        known->unit_price_minor == wanted->unit_price_minor &&
        view_equal(known->currency, wanted->currency) &&
        is_same_text(known->category, wanted->category))
        return false;
    *out = (struct product_upserted){
        .sku = wanted->sku,
        .name = wanted->name,
        .kind = wanted->kind,
        .unit_price_minor = wanted->unit_price_minor,
        .currency = wanted->currency,
        .category = wanted->category,
        .occurred_at = now_us,
    };
    return true;
}

bool catalog_decide_withdraw(struct product_withdrawn *out, const struct product *known,
                             int64_t now_us)
{
    if (!known->sold)
        return false;
    *out = (struct product_withdrawn){.sku = known->sku, .occurred_at = now_us};
    return true;
}

static void apply_upserted(struct product *product, const struct product_upserted *event)
{
    product->sku = event->sku;
    product->name = event->name;
    product->kind = event->kind;
    product->unit_price_minor = event->unit_price_minor;
    product->currency = event->currency;
    product->category = event->category;
    product->sold = true;
    product->changed_us = event->occurred_at;
}

static void apply_withdrawn(struct product *product, const struct product_withdrawn *event)
{
    product->sold = false;
    product->changed_us = event->occurred_at;
}

void catalog_apply(struct product *product, enum event_type type, const void *event, struct view id)
{
    if (type == EVENT_PRODUCT_UPSERTED)
        apply_upserted(product, event);
    else if (type == EVENT_PRODUCT_WITHDRAWN)
        apply_withdrawn(product, event);
    else
        return;
    product->event = id;
}
