#include "consumers/fraud/fraud_decide.h"
#include "consumers/fraud/fraud_history.h"

#include <criterion/criterion.h>

#define MINUTE INT64_C(60000000)

static const struct fraud_limits limits = {
    .threshold = 100,
    .amounts = "GBP=500000 JPY=1000000 *=300000",
    .quantity = 500,
    .orders = 5,
    .window_us = 60 * MINUTE,
    .countries = "Atlantis,El Dorado",
};

static struct order_created order_of(struct order_line *line, const char *customer,
                                     const char *currency, int64_t total_minor, int64_t quantity,
                                     const char *country)
{
    *line = (struct order_line){.sku = VIEW_LITERAL("22423"), .quantity = quantity};
    return (struct order_created){
        .order_id = VIEW_LITERAL("01J"),
        .customer_id = view_str(customer),
        .country = view_str(country),
        .currency = view_str(currency),
        .lines = line,
        .lines_count = 1,
        .total_minor = total_minor,
    };
}

/* --- The rules ------------------------------------------------------------------------------ */

Test(fraud_rules, points_add_up_and_each_reason_is_given)
{
    static const struct {
        const char *name, *customer, *currency;
        int64_t total_minor, quantity;
        const char *country;
        int64_t earlier;
        int32_t score;
        const char *rules;
    } cases[] = {
        {"an ordinary order", "17850", "GBP", 13912, 6, "France", 0, 0, ""},
        {"just below everything", "17850", "GBP", 499999, 499, "France", 4, 0, ""},
        {"a large amount", "17850", "GBP", 500000, 6, "France", 0, 60, "amount "},
        {"extremely large", "17850", "GBP", 2500000, 6, "France", 0, 100, "amount amount_extreme "},
        {"large in yen", "17850", "JPY", 1000000, 6, "Japan", 0, 60, "amount "},
        {"large in a currency without a limit of its own", "17850", "SEK", 300000, 6, "Sweden", 0,
         60, "amount "},
        {"many pieces", "17850", "GBP", 0, 500, "France", 0, 50, "quantity "},
        {"twice as many", "17850", "GBP", 0, 1000, "France", 0, 100, "quantity quantity_extreme "},
        {"often", "17850", "GBP", 1, 1, "France", 5, 40, "orders "},
        {"very often", "17850", "GBP", 1, 1, "France", 100, 100, "orders orders_extreme "},
        {"a guest", "guest:1", "GBP", 1, 1, "France", 0, 40, "guest "},
        {"a guest and a large amount", "guest:1", "GBP", 500000, 1, "France", 0, 100,
         "amount guest "},
        {"a watched country", "17850", "GBP", 1, 1, "El Dorado", 0, 60, "country "},
        {"a country with a watched one's first letters", "17850", "GBP", 1, 1, "Atlan", 0, 0, ""},
        {"all at once", "guest:1", "GBP", INT64_MAX, 1000000000, "Atlantis", 1000, 400,
         "amount amount_extreme quantity quantity_extreme orders orders_extreme guest country "},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        AUTO(buf_clear) struct buf rules = {0};
        struct order_line line;
        struct order_created order =
            order_of(&line, cases[i].customer, cases[i].currency, cases[i].total_minor,
                     cases[i].quantity, cases[i].country);
        struct fraud_score score;
        int32_t sum = 0;

        fraud_score_order(&score, &order, cases[i].earlier, &limits, &arena);

        for (size_t j = 0; j < score.reason_count; j++) {
            buf_append_view(&rules, score.reasons[j].rule);
            buf_append_str(&rules, " ");
            sum += score.reasons[j].points;
            cr_expect_gt(score.reasons[j].detail.size, 0, "%s: a reason without a detail",
                         cases[i].name);
        }
        cr_expect_eq(score.score, cases[i].score, "%s: score %d", cases[i].name, score.score);
        cr_expect_eq(sum, score.score, "%s", cases[i].name);
        cr_expect_str_eq(buf_cstr(&rules), cases[i].rules, "%s: %s", cases[i].name,
                         buf_cstr(&rules));
    }
}

Test(fraud_rules, a_detail_says_what_was_seen)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct order_line line;
    struct order_created order = order_of(&line, "17850", "GBP", 1066169, 600, "France");
    struct fraud_score score;

    fraud_score_order(&score, &order, 0, &limits, &arena);

    cr_assert_eq(score.reason_count, 2);
    cr_expect_str_eq(score.reasons[0].detail.data, "GBP 10,661.69, large from GBP 5,000.00");
    cr_expect_str_eq(score.reasons[1].detail.data, "600 of 22423, many from 500");
}

Test(fraud_rules, a_list_of_amounts_is_checked_and_its_bad_entry_named)
{
    struct err err;

    cr_expect_eq(fraud_amounts_check("", &err), ERR_OK);
    cr_expect_eq(fraud_amounts_check(" GBP=1  *=0 ", &err), ERR_OK);
    cr_expect_eq(fraud_amounts_check("GBP=1 pounds=2", &err), ERR_STOP);
    cr_expect_not_null(strstr(err.text, "\"pounds=2\""));
    cr_expect_eq(fraud_amounts_check("GBP=-1", &err), ERR_STOP);
    cr_expect_eq(fraud_amounts_check("GBP", &err), ERR_STOP);
    cr_expect_eq(fraud_amounts_check("GBP=1.5", &err), ERR_STOP);
    cr_expect_eq(fraud_amount_limit("", VIEW_LITERAL("GBP")), INT64_MAX);
}

/* --- Deciding ------------------------------------------------------------------------------- */

Test(fraud, every_state_and_event_is_decided_as_the_table_says)
{
    static const struct {
        enum saga_fraud_state state;
        enum event_type type;
        int64_t quantity; /* 1000: reaches the threshold */
        enum err_kind kind;
        enum saga_fraud_state next;
        enum event_type publishes;
    } cases[] = {
        {FRAUD_NONE, EVENT_ORDER_CREATED, 1, ERR_OK, FRAUD_DONE, EVENT_FRAUD_CLEARED},
        {FRAUD_NONE, EVENT_ORDER_CREATED, 1000, ERR_OK, FRAUD_DONE, EVENT_FRAUD_FLAGGED},
        {FRAUD_NONE, EVENT_ORDER_CANCELLED, 0, ERR_OK, FRAUD_TOMBSTONE, EVENT_NONE},
        {FRAUD_NONE, EVENT_ORDER_CONFIRMED, 0, ERR_REJECT, 0, EVENT_NONE},
        {FRAUD_NONE, EVENT_ORDER_CLOSED, 0, ERR_REJECT, 0, EVENT_NONE},
        {FRAUD_DONE, EVENT_ORDER_CREATED, 1, ERR_REJECT, 0, EVENT_NONE},
        {FRAUD_DONE, EVENT_ORDER_CONFIRMED, 0, ERR_OK, FRAUD_DONE, EVENT_NONE},
        {FRAUD_DONE, EVENT_ORDER_CANCELLED, 0, ERR_OK, FRAUD_DONE, EVENT_NONE},
        {FRAUD_DONE, EVENT_ORDER_CLOSED, 0, ERR_OK, FRAUD_DONE, EVENT_NONE},
        {FRAUD_TOMBSTONE, EVENT_ORDER_CREATED, 1000, ERR_OK, FRAUD_TOMBSTONE, EVENT_NONE},
        {FRAUD_TOMBSTONE, EVENT_ORDER_CONFIRMED, 0, ERR_REJECT, 0, EVENT_NONE},
        {FRAUD_TOMBSTONE, EVENT_ORDER_CANCELLED, 0, ERR_REJECT, 0, EVENT_NONE},
        {FRAUD_TOMBSTONE, EVENT_ORDER_CLOSED, 0, ERR_OK, FRAUD_TOMBSTONE, EVENT_NONE},
        {FRAUD_NONE, EVENT_ORDER_REMINDED, 1, ERR_OK, FRAUD_DONE, EVENT_FRAUD_CLEARED},
        {FRAUD_NONE, EVENT_ORDER_REMINDED, 1000, ERR_OK, FRAUD_DONE, EVENT_FRAUD_FLAGGED},
        {FRAUD_DONE, EVENT_ORDER_REMINDED, 1000, ERR_OK, FRAUD_DONE, EVENT_NONE},
        {FRAUD_TOMBSTONE, EVENT_ORDER_REMINDED, 1000, ERR_OK, FRAUD_TOMBSTONE, EVENT_NONE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct order_line line;
        struct order_created order =
            order_of(&line, "17850", "GBP", 1, cases[i].quantity, "France");
        struct fraud_question question = {
            .state = cases[i].state,
            .type = cases[i].type,
            .order_id = order.order_id,
            .created = cases[i].quantity > 0 ? &order : NULL,
            .now_us = 7,
        };
        struct fraud_decision decision;
        struct err err = {0};

        cr_assert_eq(fraud_decide(&decision, &question, &limits, &arena, &err), cases[i].kind,
                     "case %zu: %s", i, err.text);
        if (cases[i].kind != ERR_OK) {
            cr_expect_not_null(strstr(err.text, "impossible"), "case %zu: %s", i, err.text);
            continue;
        }
        cr_expect_eq(decision.next, cases[i].next, "case %zu", i);
        cr_expect_eq(decision.publishes, cases[i].publishes, "case %zu", i);
    }
}

Test(fraud, a_verdict_carries_its_score_its_reasons_and_the_threshold)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct order_line line;
    struct order_created order = order_of(&line, "guest:536592", "GBP", 691565, 47, "France");
    struct fraud_question question = {
        .type = EVENT_ORDER_CREATED, .order_id = order.order_id, .created = &order, .now_us = 7};
    struct fraud_decision decision;
    const struct fraud_flagged *flagged = &decision.event.flagged;

    cr_assert_eq(fraud_decide(&decision, &question, &limits, &arena, NULL), ERR_OK);

    cr_assert_eq(decision.publishes, EVENT_FRAUD_FLAGGED);
    cr_expect(view_equals(flagged->order_id, "01J"));
    cr_expect(view_equals(flagged->customer_id, "guest:536592"));
    cr_expect_eq(flagged->score, 100);
    cr_expect_eq(flagged->threshold, 100);
    cr_assert_eq(flagged->reasons_count, 2);
    cr_expect(view_equals(flagged->reasons[0].rule, "amount"));
    cr_expect(view_equals(flagged->reasons[1].rule, "guest"));
    cr_expect_eq(flagged->occurred_at, 7);
}

/* --- History -------------------------------------------------------------------------------- */

Test(fraud_history, counts_what_lies_in_the_window_before_an_order)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct customer customer = {0};

    customer_note(&customer, 100 * MINUTE, &arena);
    customer_note(&customer, 40 * MINUTE, &arena); /* just outside */
    customer_note(&customer, 41 * MINUTE, &arena);
    customer_note(&customer, 101 * MINUTE, &arena); /* later */

    cr_expect_eq(customer_orders_before(&customer, 100 * MINUTE, 60 * MINUTE), 2);
    cr_expect_eq(customer_orders_before(&customer, INT64_MIN, 60 * MINUTE), 0);
}

Test(fraud_history, a_customer_of_several_orders_is_one_customer)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct history history;
    const struct customer *ada;

    history_start(&history, 4, &arena);
    history_add(&history, VIEW_LITERAL("bob"), 5);
    history_add(&history, VIEW_LITERAL("ada"), 30);
    history_add(&history, VIEW_LITERAL("ada"), 10);
    history_add(&history, VIEW_LITERAL("ada"), 20);
    history_sort(&history);

    cr_assert_eq(history.count, 2);
    ada = history_find(&history, VIEW_LITERAL("ada"));
    cr_assert_not_null(ada);
    cr_expect_eq(ada->first_us, 10);
    cr_expect_eq(ada->last_us, 30);
    cr_expect_eq(ada->oldest_us, 10);
    cr_expect_eq(ada->newest_us, 30);
    cr_expect_null(history_find(&history, VIEW_LITERAL("eve")));
}

Test(fraud_history, holds_more_orders_than_it_began_with)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct customer customer = {0};

    for (int64_t i = 1; i <= 100; i++)
        customer_note(&customer, i, &arena);

    cr_expect_eq(customer_orders_before(&customer, 100, 1000), 100);
}
