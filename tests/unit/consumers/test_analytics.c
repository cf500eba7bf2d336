#include "consumers/analytics/analytics_rows.h"

#include <criterion/criterion.h>

static const struct order_line lines[] = {
    {.sku = VIEW_INIT("22423"), .kind = LINE_KIND_GOODS, .quantity = 2, .unit_price_minor = 1275},
    {.sku = VIEW_INIT("22423"), .kind = LINE_KIND_GOODS, .quantity = 1, .unit_price_minor = 1095},
    {.sku = VIEW_INIT("POST"), .kind = LINE_KIND_CHARGE, .quantity = 1, .unit_price_minor = 1800},
};
static const struct order_created created = {
    .customer_id = VIEW_INIT("12583"),
    .country = VIEW_INIT("France"),
    .currency = VIEW_INIT("EUR"),
    .lines = lines,
    .lines_count = 3,
    .total_minor = 5445,
};
static const struct order_confirmed confirmed = {.total_minor = 5445};
static const struct order_cancelled cancelled = {.reason = CANCEL_REASON_OUT_OF_STOCK,
                                                 .was = ORDER_STAGE_PLACED};
static const struct order_closed closed = {.outcome = ORDER_OUTCOME_FULFILLED};
static const struct payment_authorized authorized = {.currency = VIEW_INIT("EUR")};
static const struct payment_declined declined = {.decline_code = VIEW_INIT("do_not_honour")};
static const struct payment_captured captured = {.currency = VIEW_INIT("EUR")};
static const struct payment_voided voided = {.currency = VIEW_INIT("")};
static const struct payment_refunded refunded = {.currency = VIEW_INIT("EUR")};
static const struct payment_failed failed = {.failure_code = VIEW_INIT("expired")};
static const struct product_upserted upserted = {.name = VIEW_INIT("CAKESTAND")};
static const struct product_withdrawn withdrawn = {.sku = VIEW_INIT("22423")};

/* How many rows each table is to get. */
struct counts {
    int facts[FACT_COUNT];
    int products, withdrawals;
};

static void expect_counts(const struct rows *rows, const struct counts *want, const char *name)
{
    for (size_t i = 0; i < FACT_COUNT; i++) {
        const struct pg_batch *batch = &rows->facts[i];

        cr_expect_eq(batch->columns[0].count, want->facts[i], "%s: %d rows of fact %zu", name,
                     batch->columns[0].count, i);
        for (int column = 1; column < batch->column_count; column++)
            cr_expect_eq(batch->columns[column].count, want->facts[i], "%s: fact %zu, column %d",
                         name, i, column);
    }
    cr_expect_eq(rows->products.columns[0].count, want->products, "%s: products", name);
    cr_expect_eq(rows->withdrawals.columns[0].count, want->withdrawals, "%s: withdrawals", name);
}

Test(analytics, each_event_becomes_its_rows)
{
    static const struct {
        enum event_type type;
        const void *data;
        struct counts want;
    } cases[] = {
        {EVENT_ORDER_CREATED, &created, {{[FACT_ORDERS] = 1, [FACT_LINES] = 3}, 0, 0}},
        {EVENT_ORDER_CONFIRMED, &confirmed, {{[FACT_CONFIRMATIONS] = 1}, 0, 0}},
        {EVENT_ORDER_CANCELLED, &cancelled, {{[FACT_CANCELLATIONS] = 1}, 0, 0}},
        {EVENT_ORDER_CLOSED, &closed, {{[FACT_CLOSURES] = 1}, 0, 0}},
        {EVENT_PAYMENT_AUTHORIZED, &authorized, {{[FACT_PAYMENTS] = 1}, 0, 0}},
        {EVENT_PAYMENT_DECLINED, &declined, {{[FACT_PAYMENTS] = 1}, 0, 0}},
        {EVENT_PAYMENT_CAPTURED, &captured, {{[FACT_PAYMENTS] = 1}, 0, 0}},
        {EVENT_PAYMENT_VOIDED, &voided, {{[FACT_PAYMENTS] = 1}, 0, 0}},
        {EVENT_PAYMENT_REFUNDED, &refunded, {{[FACT_PAYMENTS] = 1}, 0, 0}},
        {EVENT_PAYMENT_FAILED, &failed, {{[FACT_PAYMENTS] = 1}, 0, 0}},
        {EVENT_PRODUCT_UPSERTED, &upserted, {{0}, 1, 0}},
        {EVENT_PRODUCT_WITHDRAWN, &withdrawn, {{0}, 0, 1}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct envelope envelope = {
            .id = VIEW_LITERAL("orders/7/42"), .subject = VIEW_LITERAL("01J"), .number = 42};
        struct event event = {
            .type = cases[i].type, .data = cases[i].data, .envelope = &envelope, .shard = 7};
        struct rows rows = {0};

        rows_start(&rows);
        rows_add_fact(&rows, &event, &arena);
        rows_add_product(&rows, &event, &arena);

        expect_counts(&rows, &cases[i].want, event_type_name(cases[i].type));
        rows_clear(&rows);
    }
}

Test(analytics, a_unit_that_is_made_again_begins_with_no_rows)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct envelope envelope = {.id = VIEW_LITERAL("orders/7/42"), .subject = VIEW_LITERAL("01J")};
    struct event event = {.type = EVENT_ORDER_CREATED, .data = &created, .envelope = &envelope};
    struct counts none = {0};
    struct rows rows = {0};

    rows_start(&rows);
    rows_add_fact(&rows, &event, &arena);
    rows_start(&rows);

    expect_counts(&rows, &none, "started again");
    rows_clear(&rows);
}
