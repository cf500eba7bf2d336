#include "producers/catalog/catalog_request.h"

#include "events/money.h"
#include "events/sku.h"

#include <stdlib.h>

static const char *const members[] = {"sku",      "name",     "kind", "unit_price_minor",
                                      "currency", "category", NULL};

static enum product_kind read_kind(const struct json *item, struct json_reader *reader)
{
    struct view text = json_read_text(reader, item, "kind", 1, 16);

    if (view_equals(text, "goods"))
        return PRODUCT_KIND_GOODS;
    if (view_equals(text, "charge"))
        return PRODUCT_KIND_CHARGE;
    if (!reader->failed)
        json_fail(reader, json_member(item, "kind"), "kind \"%.*s\", want goods or charge",
                  VIEW_PRINT(text));
    return PRODUCT_KIND_UNKNOWN;
}

static struct view read_currency(const struct json *item, struct json_reader *reader)
{
    struct view currency = json_read_text(reader, item, "currency", 3, 3);

    if (!reader->failed && !money_is_currency(currency))
        json_fail(reader, json_member(item, "currency"),
                  "currency \"%.*s\", want three capital letters", VIEW_PRINT(currency));
    return currency;
}

static void read_product(struct product *out, const struct json *item, struct json_reader *reader)
{
    if (!json_only(reader, item, members))
        return;
    out->sku = sku_read(reader, item);
    out->name = json_read_text(reader, item, "name", 1, CATALOG_NAME_MAX);
    out->kind = read_kind(item, reader);
    out->unit_price_minor = json_read_int64(reader, item, "unit_price_minor", 0, CATALOG_PRICE_MAX);
    out->currency = read_currency(item, reader);
    out->category = json_read_text_optional(reader, item, "category", 1, CATALOG_CATEGORY_MAX);
}

/* By SKU; of one SKU, in the order they were written. */
static int compare_products(const void *a, const void *b)
{
    const struct product *left = *(const struct product *const *)a;
    const struct product *right = *(const struct product *const *)b;
    int order = view_compare(left->sku, right->sku);

    return order != 0 ? order : (left > right) - (left < right);
}

/* Two prices of one SKU in one request: nobody could say which was meant. */
static void refuse_repeats(const struct product *products, const struct json *body,
                           struct json_reader *reader)
{
    const struct product **sorted = arena_array(reader->arena, body->count, sizeof *sorted);

    for (size_t i = 0; i < body->count; i++)
        sorted[i] = &products[i];
    qsort(sorted, body->count, sizeof *sorted, compare_products);
    for (size_t i = 1; i < body->count && !reader->failed; i++)
        if (view_equal(sorted[i]->sku, sorted[i - 1]->sku))
            json_fail(reader, json_member(&body->items[sorted[i] - products], "sku"),
                      "SKU \"%.*s\" is in this request already, as product %zu",
                      VIEW_PRINT(sorted[i]->sku), (size_t)(sorted[i - 1] - products));
}

bool catalog_request_read(struct product **out, size_t *count, const struct json *body,
                          struct json_reader *reader)
{
    struct product *products;

    if (body->kind != JSON_ARRAY || body->count == 0 || body->count > CATALOG_PRODUCTS_MAX) {
        json_fail(reader, body, "want an array of 1 to %d products", CATALOG_PRODUCTS_MAX);
        return false;
    }
    products = arena_array(reader->arena, body->count, sizeof *products);
    for (size_t i = 0; i < body->count && !reader->failed; i++)
        read_product(&products[i], &body->items[i], reader);
    if (!reader->failed)
        refuse_repeats(products, body, reader);
    *out = products;
    *count = body->count;
    return !reader->failed;
}
