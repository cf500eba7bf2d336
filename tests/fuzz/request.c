/* Fuzz: what a stranger sends over HTTP. The first byte says what it is: a target, the body of POST
 * /orders from a customer or from a service, of POST /products or of POST /stock/receipts. An order
 * whose form is accepted becomes an event that can be written. */
#include "consumers/inventory/receipts_request.h"
#include "events/codec.h"
#include "events/money.h"
#include "events/sku.h"
#include "producers/catalog/catalog_request.h"
#include "producers/orders/orders_request.h"
#include "runtime/http_target.h"
#include "tests/fuzz/fuzz.h"

static const struct order_asker CUSTOMER = {
    .subject = "c-1", .shop_country = "United Kingdom", .warehouses = "main,north"};
static const struct order_asker SERVICE = {
    .is_service = true, .subject = "shop", .shop_country = "France", .warehouses = "main"};

static void look_at_text(struct view text)
{
    HOLDS(view_is_utf8(text), "no text");
    for (size_t i = 0; i < text.size; i++)
        HOLDS((unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7f, "a control character");
}

static void fuzz_target(struct view input, struct arena *arena)
{
    static const char *const ROUTES[] = {"/orders", "/orders/{id}", "/orders/{id}/cancel", "/"};
    struct view rest = input, path = arena_view(arena, fuzz_until_nul(&rest));
    struct view query = arena_view(arena, fuzz_until_nul(&rest));
    struct http_target target;

    if (!http_target_parse(&target, path.data, query.data, arena))
        return;
    HOLDS(target.segment_count >= 1 && target.segment_count <= HTTP_SEGMENTS_MAX, "segments");
    HOLDS(target.query_count <= HTTP_QUERY_MAX, "query");
    for (size_t i = 0; i < target.segment_count; i++)
        look_at_text(target.segments[i]);
    for (size_t i = 0; i < target.query_count; i++) {
        look_at_text(target.query[i].name);
        look_at_text(target.query[i].value);
    }
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++)
        if (http_target_matches(&target, ROUTES[i]) && strstr(ROUTES[i], "{id}") != NULL)
            HOLDS(http_target_param(&target, ROUTES[i], "id").size > 0, "an empty id");
    http_target_query(&target, "limit");
}

static void look_at_failure(const struct json_reader *reader)
{
    HOLDS(reader->failed && reader->err.text[0] != '\0', "no reason");
    HOLDS(reader->pointer.data != NULL && view_is_utf8(reader->pointer), "no place");
}

static int by_sku(const void *a, const void *b)
{
    return view_compare(((const struct price *)a)->sku, ((const struct price *)b)->sku);
}

/* Everything that was asked for is sold: what is left to refuse are amounts. */
static void look_at_event(const struct order_request *request, struct arena *arena)
{
    AUTO(buf_clear) struct buf value = {0};
    const struct order_terms terms = {
        .order_id = VIEW_LITERAL("01ARYZ6S410000000000000000"), .deadline_ms = 1, .now_us = 1};
    struct price *prices = arena_array(arena, request->line_count, sizeof *prices);
    struct order_created created = {0};
    struct refusal refusal = {0};
    struct err err = {0};
    size_t count = 0;

    for (size_t i = 0; i < request->line_count; i++)
        prices[i] = (struct price){.sku = request->lines[i].sku,
                                   .unit_price_minor = 995,
                                   .currency = request->currency,
                                   .kind = PRODUCT_KIND_GOODS,
                                   .sold = true,
                                   .event = VIEW_LITERAL("catalog/1/1")};
    qsort(prices, request->line_count, sizeof *prices, by_sku);
    for (size_t i = 0; i < request->line_count; i++)
        if (count == 0 || !view_equal(prices[count - 1].sku, prices[i].sku))
            prices[count++] = prices[i];
    if (!order_decide_place(&created, request, &terms, prices, count, arena, &refusal)) {
        HOLDS(refusal.status >= 400 && refusal.detail[0] != '\0', "no reason");
        return;
    }
    HOLDS(event_encode(&value, EVENT_ORDER_CREATED, &created, fuzz_schema_ids(), &err) == ERR_OK,
          err.text);
}

static void fuzz_order(const struct json *body, const struct order_asker *asker,
                       struct arena *arena)
{
    struct json_reader reader = {.arena = arena};
    struct order_request request;
    struct contact contact;

    if (!order_request_read(&request, &contact, body, asker, &reader)) {
        look_at_failure(&reader);
        return;
    }
    HOLDS(request.customer_id.size > 0 && request.customer_id.size <= 70, "customer");
    HOLDS(asker->is_service || view_equals(request.customer_id, asker->subject), "for another");
    HOLDS(request.line_count >= 1 && request.line_count <= ORDER_LINES_MAX, "lines");
    HOLDS(money_is_currency(request.currency) && request.warehouse.size > 0, "currency");
    for (size_t i = 0; i < request.line_count; i++) {
        const struct request_line *line = &request.lines[i];

        HOLDS(line->sku.size > 0 && view_equal(sku_fold(line->sku, arena), line->sku), "SKU");
        HOLDS(line->quantity >= 1 && line->quantity <= ORDER_QUANTITY_MAX, "quantity");
        HOLDS(line->unit_price_minor >= -1 && line->unit_price_minor <= ORDER_UNIT_PRICE_MAX,
              "price");
        HOLDS(asker->is_service || line->unit_price_minor == -1, "a customer's own price");
    }
    look_at_event(&request, arena);
}

static void fuzz_products(const struct json *body, struct arena *arena)
{
    struct json_reader reader = {.arena = arena};
    struct product *products;
    size_t count;

    if (!catalog_request_read(&products, &count, body, &reader)) {
        look_at_failure(&reader);
        return;
    }
    HOLDS(count >= 1 && count <= CATALOG_PRODUCTS_MAX, "products");
    for (size_t i = 0; i < count; i++) {
        HOLDS(view_equal(sku_fold(products[i].sku, arena), products[i].sku), "SKU");
        HOLDS(products[i].unit_price_minor >= 0, "price");
        for (size_t j = 0; j < i; j++)
            HOLDS(!view_equal(products[i].sku, products[j].sku), "one SKU twice");
    }
}

static void fuzz_receipts(const struct json *body, struct arena *arena)
{
    struct json_reader reader = {.arena = arena};
    struct receipt *receipts;
    size_t count;

    if (!receipts_request_read(&receipts, &count, body, &reader)) {
        look_at_failure(&reader);
        return;
    }
    HOLDS(count >= 1 && count <= RECEIPTS_MAX, "receipts");
    for (size_t i = 0; i < count; i++) {
        const struct stock_item *item = &receipts[i].item;

        HOLDS(receipts[i].id.size >= 1 && receipts[i].id.size <= STOCK_ID_MAX, "id");
        HOLDS(item->sku.size > 0 && view_equal(sku_fold(item->sku, arena), item->sku), "SKU");
        HOLDS(item->quantity >= 1 && item->quantity <= RECEIPT_QUANTITY_MAX, "quantity");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *body;
    struct view input;

    if (size == 0)
        return 0;
    input = view_of(data + 1, size - 1);
    if (data[0] == 't')
        fuzz_target(input, &arena);
    else if (json_parse(&body, input, &arena, NULL) != ERR_OK)
        return 0;
    else if (data[0] == 'p')
        fuzz_products(body, &arena);
    else if (data[0] == 'r')
        fuzz_receipts(body, &arena);
    else
        fuzz_order(body, data[0] == 's' ? &SERVICE : &CUSTOMER, &arena);
    return 0;
}
