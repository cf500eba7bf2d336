#include "events/codec.h"
#include "events/events_generated.h"

#include <criterion/criterion.h>

static struct schema_ids *open_ids(void)
{
    struct schema_ids *ids = NULL;
    struct err err = {0};

    cr_assert_eq(schema_ids_open(&ids, SCHEMAS, NULL, &err), ERR_OK, "%s", err.text);
    return ids;
}

static struct order_created an_order(void)
{
    static const struct sealed contact = {
        .key_id = VIEW_INIT("local"),
        .nonce = VIEW_INIT("\0\1\2"),
        .ciphertext = VIEW_INIT("\xff\xfe"),
    };
    static const struct order_line lines[] = {
        {.sku = VIEW_INIT("85123A"),
         .code = VIEW_INIT("85123a"),
         .kind = LINE_KIND_GOODS,
         .quantity = 6,
         .unit_price_minor = 255,
         .price_event = VIEW_INIT("catalog/3/17")},
        {.sku = VIEW_INIT("POST"),
         .code = VIEW_INIT("POST"),
         .kind = LINE_KIND_CHARGE,
         .quantity = 1,
         .unit_price_minor = 1800},
    };

    return (struct order_created){
        .order_id = VIEW_LITERAL("01ARYZ6S410000000000000000"),
        .customer_id = VIEW_LITERAL("17850"),
        .contact = &contact,
        .country = VIEW_LITERAL("Côte d'Ivoire"),
        .currency = VIEW_LITERAL("GBP"),
        .lines = lines,
        .lines_count = 2,
        .total_minor = 3330,
        .payment_token = VIEW_LITERAL("tok_approve"),
        .request_hash = VIEW_LITERAL("hash"),
        .deadline_ms = 900000,
        .ordered_at = 1291191960000000,
        .occurred_at = 1291191960123456,
    };
}

Test(codec, an_order_comes_back_as_it_went)
{
    AUTO(schema_ids_free) struct schema_ids *ids = open_ids();
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf bytes = {0};
    struct order_created wrote = an_order();
    const struct order_created *read;
    enum event_type type;
    struct err err = {0};
    const void *event;

    cr_assert_eq(event_encode(&bytes, EVENT_ORDER_CREATED, &wrote, ids, &err), ERR_OK, "%s",
                 err.text);
    cr_assert_eq(event_decode(&type, &event, buf_view(&bytes), ids, &arena, &err), ERR_OK, "%s",
                 err.text);

    cr_assert_eq(type, EVENT_ORDER_CREATED);
    read = event;
    cr_expect(view_equal(read->order_id, wrote.order_id));
    cr_expect(view_equal(read->country, wrote.country));
    cr_assert_not_null(read->contact);
    cr_expect(view_equal(read->contact->nonce, wrote.contact->nonce));
    cr_assert_eq(read->lines_count, 2);
    cr_expect(view_equals(read->lines[0].code, "85123a"));
    cr_expect_eq(read->lines[0].kind, LINE_KIND_GOODS);
    cr_expect_eq(read->lines[1].unit_price_minor, 1800);
    cr_expect_null(read->lines[1].price_event.data);
    cr_expect(view_equals(read->warehouse, "main"), "left out: the default");
    cr_expect_null(read->idempotency_key.data);
    cr_expect_eq(read->occurred_at, wrote.occurred_at);
}

Test(codec, the_value_is_confluents_head_and_avro_binary)
{
    static const char want[] = "\0\0\0\0\x15" /* product.withdrawn: id 21 */
                               "\x0c"
                               "85123A"    /* zigzag of 6, the SKU */
                               "\x80\x01"; /* zigzag of 64 */
    AUTO(schema_ids_free) struct schema_ids *ids = open_ids();
    AUTO(buf_clear) struct buf bytes = {0};
    struct product_withdrawn event = {.sku = VIEW_LITERAL("85123A"), .occurred_at = 64};

    cr_assert_eq(event_encode(&bytes, EVENT_PRODUCT_WITHDRAWN, &event, ids, NULL), ERR_OK);

    cr_expect(view_equal(buf_view(&bytes), VIEW_LITERAL(want)));
}
