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

/* How many rows each statement is to get. */
struct counts {
    int of[ROWS_COUNT];
};

static void expect_counts(const struct pg_batch *rows, const struct counts *want, const char *name)
{
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        for (int column = 0; column < rows[i].column_count; column++)
            cr_expect_eq(rows[i].columns[column].count, want->of[i],
                         "%s: %d rows of %zu, column %d", name, rows[i].columns[column].count, i,
                         column);
    }
}

Test(analytics, each_event_becomes_its_rows)
{
    static const struct {
        enum event_type type;
        const void *data;
        struct counts want;
    } cases[] = {
        {EVENT_ORDER_CREATED, &created, {{[ROWS_ORDERS] = 1, [ROWS_LINES] = 3}}},
        {EVENT_ORDER_CONFIRMED, &confirmed, {{[ROWS_CONFIRMATIONS] = 1}}},
        {EVENT_ORDER_CANCELLED, &cancelled, {{[ROWS_CANCELLATIONS] = 1}}},
        {EVENT_ORDER_CLOSED, &closed, {{[ROWS_CLOSURES] = 1}}},
        {EVENT_PAYMENT_AUTHORIZED, &authorized, {{[ROWS_PAYMENTS] = 1}}},
        {EVENT_PAYMENT_DECLINED, &declined, {{[ROWS_PAYMENTS] = 1}}},
        {EVENT_PAYMENT_CAPTURED, &captured, {{[ROWS_PAYMENTS] = 1}}},
        {EVENT_PAYMENT_VOIDED, &voided, {{[ROWS_PAYMENTS] = 1}}},
        {EVENT_PAYMENT_REFUNDED, &refunded, {{[ROWS_PAYMENTS] = 1}}},
        {EVENT_PAYMENT_FAILED, &failed, {{[ROWS_PAYMENTS] = 1}}},
        {EVENT_PRODUCT_UPSERTED, &upserted, {{[ROWS_PRODUCTS] = 1}}},
        {EVENT_PRODUCT_WITHDRAWN, &withdrawn, {{[ROWS_WITHDRAWALS] = 1}}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct envelope envelope = {
            .id = VIEW_LITERAL("orders/7/42"), .subject = VIEW_LITERAL("01J"), .number = 42};
        struct event event = {
            .type = cases[i].type, .data = cases[i].data, .envelope = &envelope, .shard = 7};
        struct pg_batch rows[ROWS_COUNT] = {0};

        rows_start(rows);
        rows_add_fact(rows, &event, &arena);
        rows_add_product(rows, &event, &arena);

        expect_counts(rows, &cases[i].want, event_type_name(cases[i].type));
        rows_clear(rows);
    }
}

Test(analytics, a_unit_that_is_made_again_begins_with_no_rows)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct envelope envelope = {.id = VIEW_LITERAL("orders/7/42"), .subject = VIEW_LITERAL("01J")};
    struct event event = {.type = EVENT_ORDER_CREATED, .data = &created, .envelope = &envelope};
    struct counts none = {0};
    struct pg_batch rows[ROWS_COUNT] = {0};

    rows_start(rows);
    rows_add_fact(rows, &event, &arena);
    rows_start(rows);

    expect_counts(rows, &none, "started again");
    rows_clear(rows);
}
