#include "producers/orders/orders_decide.h"
#include "producers/orders/orders_history.h"
#include "producers/orders/orders_open.h"
#include "producers/orders/orders_request.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A view in a static initializer. */
#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

/* --- Taking an order in ------------------------------------------------------------------------
 */

static const struct price prices[] = {
    {TEXT("22423"), 1275, TEXT("GBP"), PRODUCT_KIND_GOODS, true, TEXT("catalog/1/1")},
    {TEXT("85123A"), 255, TEXT("GBP"), PRODUCT_KIND_GOODS, true, TEXT("catalog/8/1")},
    {TEXT("GONE"), 100, TEXT("GBP"), PRODUCT_KIND_GOODS, false, TEXT("catalog/2/1")},
    {TEXT("POST"), 1800, TEXT("GBP"), PRODUCT_KIND_CHARGE, true, TEXT("catalog/3/1")},
    {TEXT("YEN"), 900, TEXT("JPY"), PRODUCT_KIND_GOODS, true, TEXT("catalog/4/1")},
};

static const struct order_terms terms = {
    .order_id = TEXT("01J0000000000000000000000A"),
    .deadline_ms = 900000,
    .now_us = 5000,
};

static struct request_line line(const char *sku, int64_t quantity)
{
    return (struct request_line){
        .sku = view_str(sku),
        .code = view_str(sku),
        .quantity = quantity,
        .unit_price_minor = -1,
    };
}

static struct order_request request_of(const struct request_line *lines, size_t count)
{
    return (struct order_request){
        .customer_id = VIEW_LITERAL("42"),
        .currency = VIEW_LITERAL("GBP"),
        .ordered_at_us = -1,
        .lines = lines,
        .line_count = count,
    };
}

static bool place(struct order_created *out, const struct request_line *lines, size_t count,
                  struct refusal *refusal, struct arena *arena)
{
    struct order_request request = request_of(lines, count);

    return order_decide_place(out, &request, &terms, prices, COUNT(prices), arena, refusal);
}

Test(orders, a_cart_is_priced_from_the_products_and_says_which_event_gave_each_price)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct request_line lines[] = {line("22423", 2), line("85123A", 6), line("POST", 1)};
    struct order_created created;
    struct refusal refusal = {0};

    cr_assert(place(&created, lines, 3, &refusal, &arena), "%s", refusal.detail);

    cr_expect_eq(created.total_minor, 2 * 1275 + 6 * 255 + 1800);
    cr_expect_eq(created.lines_count, 3);
    cr_expect_eq(created.lines[1].unit_price_minor, 255);
    cr_expect(view_equals(created.lines[1].price_event, "catalog/8/1"));
    cr_expect_eq(created.lines[1].kind, LINE_KIND_GOODS);
    cr_expect_eq(created.lines[2].kind, LINE_KIND_CHARGE);
    cr_expect_eq(created.ordered_at, 5000, "now, because the request does not say");
    cr_expect_eq(created.deadline_ms, 900000);
}

Test(orders, a_stated_price_and_kind_win_and_come_from_no_event)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct request_line stated = line("22423", 3);
    struct order_created created;
    struct refusal refusal = {0};

    stated.unit_price_minor = 0;
    stated.kind = LINE_KIND_CHARGE;
    cr_assert(place(&created, &stated, 1, &refusal, &arena), "%s", refusal.detail);

    cr_expect_eq(created.total_minor, 0);
    cr_expect_eq(created.lines[0].kind, LINE_KIND_CHARGE);
    cr_expect_null(created.lines[0].price_event.data);
}

Test(orders, a_cart_that_cannot_be_is_refused_at_the_line_that_is_wrong)
{
    static const struct {
        const char *sku;
        int64_t quantity, unit_price_minor;
        const char *type, *pointer;
    } cases[] = {
        {"NOSUCH", 1, -1, "unknown-sku", "/lines/1/sku"},
        {"GONE", 1, -1, "unknown-sku", "/lines/1/sku"},
        {"YEN", 1, -1, "currency-mismatch", "/lines/1/sku"},
        {"POST", 1000000000, 1000000000000, "amount-too-large", "/lines/1/quantity"},
        {"POST", 1, INT64_MAX - 1274, "amount-too-large", "/lines/1/quantity"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct request_line lines[] = {line("22423", 1), line(cases[i].sku, cases[i].quantity)};
        struct order_created created;
        struct refusal refusal = {0};

        lines[1].unit_price_minor = cases[i].unit_price_minor;

        cr_assert_not(place(&created, lines, 2, &refusal, &arena), "case %zu", i);
        cr_expect_eq(refusal.status, 422);
        cr_expect_str_eq(refusal.type, cases[i].type);
        cr_expect(view_equals(refusal.pointer, cases[i].pointer), "case %zu", i);
    }
}

/* --- Going on with it --------------------------------------------------------------------------
 */

static const struct order_line order_lines[] = {
    {.sku = TEXT("22423"), .quantity = 2, .unit_price_minor = 1275},
};
static const struct order_created order_created = {
    .lines = order_lines,
    .lines_count = 1,
    .warehouse = TEXT("main"),
};

static struct order order_in(enum saga_orders_state state, uint32_t heard)
{
    return (struct order){
        .id = VIEW_LITERAL("01J0000000000000000000000A"),
        .progress = {state, heard},
        .customer_id = VIEW_LITERAL("42"),
        .total_minor = 2550,
        .currency = VIEW_LITERAL("GBP"),
        .created = &order_created,
    };
}

/* An event of each type that order_decide looks into. */
static const void *event_of(enum saga_trigger trigger)
{
    static const struct shortage shortages[] = {
        {TEXT("22423"), 2, 1},
        {TEXT("85123A"), 6, 0},
    };
    static const struct inventory_rejected rejected = {.shortages = shortages,
                                                       .shortages_count = 2};
    static const struct payment_declined declined = {.decline_code = TEXT("no_funds")};
    static const struct payment_failed failed = {.failure_code = TEXT("expired")};
    static const struct fraud_flagged flagged = {.score = 80, .threshold = 70};

    switch ((int)trigger) {
    case TRIGGER_INVENTORY_REJECTED:
        return &rejected;
    case TRIGGER_PAYMENT_DECLINED:
        return &declined;
    case TRIGGER_PAYMENT_FAILED:
        return &failed;
    case TRIGGER_FRAUD_FLAGGED:
        return &flagged;
    default:
        return NULL;
    }
}

static enum err_kind decide(struct order_decision *out, const struct order *order,
                            enum saga_trigger trigger, struct arena *arena)
{
    struct order_trigger what = {
        .trigger = trigger,
        .event = event_of(trigger),
        .caller = "customer",
        .now_us = 7000,
    };
    struct err err;

    return order_decide(out, order, &what, arena, &err);
}

/* Some memory with which the saga table takes this step; false: there is none. */
static bool heard_for(const struct saga_step *step, uint32_t *heard)
{
    for (*heard = 0; *heard < 1u << 12; (*heard)++) {
        struct order_progress before = {(enum saga_orders_state)step->state, *heard};

        if (order_progress_step(before, step->trigger).step == step)
            return true;
    }
    return false;
}

Test(orders, every_step_of_the_table_is_taken_and_publishes_what_it_says)
{
    size_t taken = 0;

    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];
        AUTO(arena_clear) struct arena arena = {0};
        struct order_decision decision;
        struct order order;
        uint32_t heard;

        if (step->part != PART_ORDERS || step->trigger == TRIGGER_CUSTOMER_ORDER)
            continue;
        cr_assert(heard_for(step, &heard), "no way to step %zu: %s", i, step->because);
        order = order_in((enum saga_orders_state)step->state, heard);

        cr_assert_eq(decide(&decision, &order, step->trigger, &arena), ERR_OK);
        cr_expect_eq(decision.after.state, step->next, "%s", step->because);
        cr_expect_eq(decision.publishes, step->publishes, "%s", step->because);
        taken++;
    }
    cr_expect_gt(taken, 30);
}

Test(orders, every_impossible_pair_is_rejected_with_its_reason)
{
    for (size_t i = 0; i < saga_impossible_count; i++) {
        const struct saga_impossible *pair = &saga_impossibles[i];
        AUTO(arena_clear) struct arena arena = {0};
        struct order order = order_in((enum saga_orders_state)pair->state, 0);
        struct order_trigger what = {.trigger = pair->trigger, .now_us = 1};
        struct order_decision decision;
        struct err err = {0};

        if (pair->part != PART_ORDERS)
            continue;
        cr_assert_eq(order_decide(&decision, &order, &what, &arena, &err), ERR_REJECT);
        cr_expect_not_null(strstr(err.text, pair->because), "%s", err.text);
    }
}

Test(orders, the_third_yes_confirms_and_a_repeat_of_it_confirms_nothing_more)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct order order =
        order_in(ORDERS_PLACED, HEARD_INVENTORY_RESERVED | HEARD_PAYMENT_AUTHORIZED);
    struct order_decision decision;

    cr_assert_eq(decide(&decision, &order, TRIGGER_FRAUD_CLEARED, &arena), ERR_OK);
    cr_expect_eq(decision.publishes, EVENT_ORDER_CONFIRMED);
    cr_expect_eq(decision.confirmed.total_minor, 2550);
    cr_expect(view_equals(decision.confirmed.customer_id, "42"));
    cr_expect_eq(decision.confirmed.occurred_at, 7000);

    order.progress = decision.after;
    cr_expect_eq(decide(&decision, &order, TRIGGER_FRAUD_CLEARED, &arena), ERR_REJECT);
}

Test(orders, a_cancelled_order_says_why_what_it_was_and_what_is_to_be_undone)
{
    static const struct {
        enum saga_orders_state state;
        enum saga_trigger trigger;
        enum cancel_reason reason;
        enum order_stage was;
        const char *detail;
    } cases[] = {
        {ORDERS_PLACED, TRIGGER_INVENTORY_REJECTED, CANCEL_REASON_OUT_OF_STOCK, ORDER_STAGE_PLACED,
         "SKU 22423: wanted 2, available 1 and 1 more"},
        {ORDERS_PLACED, TRIGGER_PAYMENT_DECLINED, CANCEL_REASON_PAYMENT_DECLINED,
         ORDER_STAGE_PLACED, "no_funds"},
        {ORDERS_PLACED, TRIGGER_FRAUD_FLAGGED, CANCEL_REASON_FRAUD, ORDER_STAGE_PLACED,
         "score 80, threshold 70"},
        {ORDERS_PLACED, TRIGGER_DEADLINE, CANCEL_REASON_DEADLINE, ORDER_STAGE_PLACED,
         "no answer in time from inventory payment fraud"},
        {ORDERS_CONFIRMED, TRIGGER_PAYMENT_FAILED, CANCEL_REASON_PAYMENT_FAILED,
         ORDER_STAGE_CONFIRMED, "expired"},
        {ORDERS_FULFILLED, TRIGGER_CUSTOMER_CANCEL, CANCEL_REASON_CUSTOMER, ORDER_STAGE_FULFILLED,
         "asked for by the customer"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct order order = order_in(cases[i].state, 0);
        struct order_decision decision;

        cr_assert_eq(decide(&decision, &order, cases[i].trigger, &arena), ERR_OK);
        cr_assert_eq(decision.publishes, EVENT_ORDER_CANCELLED, "case %zu", i);
        cr_expect_eq(decision.cancelled.reason, cases[i].reason, "case %zu", i);
        cr_expect_eq(decision.cancelled.was, cases[i].was, "case %zu", i);
        cr_expect(view_equals(decision.cancelled.detail, cases[i].detail), "case %zu: %.*s", i,
                  VIEW_PRINT(decision.cancelled.detail));
        cr_expect_eq(decision.cancelled.lines, order_lines, "case %zu", i);
        cr_expect_eq(decision.cancelled.total_minor, 2550, "case %zu", i);
        cr_expect(view_equals(decision.cancelled.warehouse, "main"), "case %zu", i);
    }
}

Test(orders, two_answers_in_either_order_end_alike)
{
    static const enum saga_trigger pairs[][2] = {
        {TRIGGER_INVENTORY_REJECTED, TRIGGER_PAYMENT_DECLINED},
        {TRIGGER_INVENTORY_REJECTED, TRIGGER_FRAUD_FLAGGED},
        {TRIGGER_INVENTORY_RESERVED, TRIGGER_CUSTOMER_CANCEL},
        {TRIGGER_PAYMENT_AUTHORIZED, TRIGGER_DEADLINE},
    };

    for (size_t i = 0; i < COUNT(pairs); i++) {
        AUTO(arena_clear) struct arena arena = {0};
        enum saga_orders_state ends[2];

        for (int first = 0; first < 2; first++) {
            struct order order = order_in(ORDERS_PLACED, 0);
            struct order_decision decision;

            cr_assert_eq(decide(&decision, &order, pairs[i][first], &arena), ERR_OK);
            order.progress = decision.after;
            cr_assert_eq(decide(&decision, &order, pairs[i][!first], &arena), ERR_OK);
            ends[first] = decision.after.state;
        }
        cr_expect_eq(ends[0], ends[1], "pair %zu", i);
    }
}

Test(orders, a_deadline_after_the_decision_changes_nothing)
{
    static const enum saga_orders_state states[] = {ORDERS_CONFIRMED, ORDERS_FULFILLED,
                                                    ORDERS_CANCELLED, ORDERS_CLOSED};

    for (size_t i = 0; i < COUNT(states); i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct order order = order_in(states[i], 0);
        struct order_decision decision;

        cr_assert_eq(decide(&decision, &order, TRIGGER_DEADLINE, &arena), ERR_OK);
        cr_expect_eq(decision.publishes, EVENT_NONE);
        cr_expect_eq(decision.after.state, states[i]);
    }
}

Test(orders, a_nudged_order_is_told_in_full_and_stays_what_it_is)
{
    static const enum saga_orders_state states[] = {ORDERS_PLACED, ORDERS_CONFIRMED,
                                                    ORDERS_CANCELLED};

    for (size_t i = 0; i < COUNT(states); i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct order order = order_in(states[i], 0);
        struct order_decision decision;

        cr_assert_eq(decide(&decision, &order, TRIGGER_OPERATOR_NUDGE, &arena), ERR_OK);
        cr_expect_eq(decision.publishes, EVENT_ORDER_REMINDED);
        cr_expect_eq(decision.after.state, states[i]);
        cr_expect_eq(decision.after.heard, 0);
        cr_expect_eq(decision.reminded.occurred_at, 7000);
        cr_expect_eq(memcmp(&decision.reminded.order, order.created, sizeof *order.created), 0);
    }
}

Test(orders, is_nudged_while_it_waits_and_not_too_often)
{
    static const struct {
        enum saga_orders_state state;
        int64_t reminded_us, now_us;
        const char *refused; /* NULL: it is not */
        const char *detail;
    } cases[] = {
        {ORDERS_PLACED, 0, 5000, NULL, NULL},
        {ORDERS_CONFIRMED, 0, 5000, NULL, NULL},
        {ORDERS_CANCELLED, 0, 5000, NULL, NULL},
        {ORDERS_PLACED, 1000000, 11000000, NULL, NULL},
        {ORDERS_PLACED, 1000000, 10999999, "nudged-lately",
         "was nudged 9999 ms ago: want 10000 ms between two nudges"},
        {ORDERS_FULFILLED, 0, 5000, "waits-for-nobody", "is fulfilled: it waits for nobody"},
        {ORDERS_CLOSED, 1000000, 1000001, "waits-for-nobody", "is closed: it waits for nobody"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct order order = order_in(cases[i].state, 0);
        struct refusal refusal = {0};
        bool may =
            order_may_be_nudged(&order, cases[i].reminded_us, 10000000, cases[i].now_us, &refusal);

        cr_expect_eq(may, cases[i].refused == NULL, "case %zu", i);
        if (cases[i].refused == NULL)
            continue;
        cr_expect_eq(refusal.status, 409);
        cr_expect_str_eq(refusal.type, cases[i].refused);
        cr_expect_not_null(strstr(refusal.detail, cases[i].detail), "%s", refusal.detail);
    }
}

/* --- The history -------------------------------------------------------------------------------
 */

static struct history_entry entry(enum event_type type, uint64_t number, int64_t time_us,
                                  const char *cause_id)
{
    struct history_entry out = {.type = type, .number = number, .time_us = time_us};

    history_set_cause(&out, view_str(cause_id));
    return out;
}

static struct envelope heard_envelope(enum event_type type, uint64_t number, int64_t time_us,
                                      const char *cause_id)
{
    return (struct envelope){
        .type = type, .number = number, .time_us = time_us, .causation_id = view_str(cause_id)};
}

Test(orders_history, is_read_in_the_order_of_time_but_never_before_a_cause)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct history_entry created = entry(EVENT_ORDER_CREATED, 42, 1000, NULL);
    struct history_entry cancelled =
        entry(EVENT_ORDER_CANCELLED, 43, 2000, "inventory/main/7/9"); /* its clock is behind */
    const struct envelope heard[] = {
        heard_envelope(EVENT_FRAUD_CLEARED, 7, 900, "orders/7/42"), /* so is this one's */
        heard_envelope(EVENT_INVENTORY_REJECTED, 9, 2500, "orders/7/42"),
        heard_envelope(EVENT_PAYMENT_VOIDED, 8, 2100, "orders/7/43"),
    };
    static const enum event_type want[] = {
        EVENT_ORDER_CREATED,   EVENT_FRAUD_CLEARED,  EVENT_INVENTORY_REJECTED,
        EVENT_ORDER_CANCELLED, EVENT_PAYMENT_VOIDED,
    };
    struct view said = VIEW_NONE, seen = VIEW_NONE;
    struct history_entry *entries;
    struct err err;
    size_t count;

    said = history_add_said(said, ORDERS_PLACED, &created, &arena);
    said = history_add_said(said, ORDERS_CANCELLED, &cancelled, &arena);
    for (size_t i = 0; i < COUNT(heard); i++) {
        struct event event = {.type = heard[i].type, .envelope = &heard[i]};

        seen = history_add_seen(seen, &event, &arena);
    }

    cr_assert_eq(history_read(&entries, &count, said, seen, &arena, &err), ERR_OK);
    cr_assert_eq(count, 5);
    for (size_t i = 0; i < COUNT(want); i++)
        cr_expect_eq(entries[i].type, want[i], "entry %zu is %s", i,
                     event_type_name(entries[i].type));
    cr_expect_eq(entries[0].cause_writer, HISTORY_NOBODY);
    cr_expect_eq(entries[3].number, 43);
    cr_expect_eq(entries[3].time_us, 2000, "the time stays what it was");
    cr_expect_eq(entries[3].cause_writer, HISTORY_INVENTORY);
    cr_expect_eq(entries[3].cause_number, 9);
    cr_expect_eq(entries[4].cause_writer, HISTORY_ORDERS);
    cr_expect_eq(entries[4].cause_number, 43);
}

Test(orders_history, a_reminder_stands_between_the_states)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct history_entry created = entry(EVENT_ORDER_CREATED, 42, 1000, NULL);
    struct history_entry reminded = entry(EVENT_ORDER_REMINDED, 43, 2000, NULL);
    struct history_entry confirmed = entry(EVENT_ORDER_CONFIRMED, 44, 3000, "fraud/7/8");
    struct view said = history_add_said(VIEW_NONE, ORDERS_PLACED, &created, &arena);
    struct history_entry *entries;
    struct err err;
    size_t count;

    said = history_add_reminder(said, &reminded, &arena);
    said = history_add_said(said, ORDERS_CONFIRMED, &confirmed, &arena);

    cr_assert_eq(history_read(&entries, &count, said, VIEW_NONE, &arena, &err), ERR_OK);
    cr_assert_eq(count, 3);
    cr_expect_eq(entries[1].type, EVENT_ORDER_REMINDED);
    cr_expect_eq(entries[1].number, 43);
    cr_expect_eq(entries[1].time_us, 2000);
    cr_expect_eq(entries[2].type, EVENT_ORDER_CONFIRMED);
}

Test(orders_history, a_cause_that_is_nobodys_is_none)
{
    static const char *const cases[] = {"", "orders", "orders/", "orders/7/x", "stranger/7/42"};

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(entry(EVENT_FRAUD_CLEARED, 1, 1, cases[i]).cause_writer, HISTORY_NOBODY, "%s",
                     cases[i]);
}

Test(orders_history, bytes_that_are_none_are_refused)
{
    static const char unknown[26] = {99}, stranger[26] = {0, 99};
    AUTO(arena_clear) struct arena arena = {0};
    struct view cases[] = {VIEW_LITERAL("short"), view_of(unknown, 26), view_of(stranger, 26)};
    struct history_entry *entries;
    struct err err;
    size_t count;

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect_eq(history_read(&entries, &count, VIEW_NONE, cases[i], &arena, &err), ERR_STOP,
                     "case %zu", i);
}

/* --- Who waits ---------------------------------------------------------------------------------
 */

static struct open_moment at(int64_t now_ms, uint64_t published)
{
    return (struct open_moment){now_ms, published};
}

Test(orders_open, a_deadline_runs_from_the_acknowledgement_not_from_the_commit)
{
    struct open_shard shard = {0};
    struct open_order *due;
    size_t cursor = 0;

    open_shard_start(&shard);
    open_shard_add(&shard, 5, 1000);
    open_shard_pulse(&shard, at(10000, 4), 5000);
    cr_expect_null(open_shard_next_due(&shard, 99999, &cursor), "the broker does not have it");

    open_shard_pulse(&shard, at(20000, 5), 5000);
    cursor = 0;
    cr_expect_null(open_shard_next_due(&shard, 21000, &cursor), "not a moment too early");
    cursor = 0;
    due = open_shard_next_due(&shard, 21001, &cursor);

    cr_assert_not_null(due);
    cr_expect_eq(due->number, 5);
    cr_expect_eq(open_order_deadline_ms(due), 21000);
    due->asked = true;
    cursor = 0;
    cr_expect_null(open_shard_next_due(&shard, 99999, &cursor), "it is asked once");
    open_shard_stop(&shard);
}

Test(orders_open, a_takeover_begins_all_deadlines_anew)
{
    struct open_shard shard = {0};
    size_t cursor = 0;

    open_shard_start(&shard);
    open_shard_add(&shard, 5, 1000);
    open_shard_pulse(&shard, at(10000, 5), 5000);
    open_shard_start(&shard);
    open_shard_add(&shard, 5, 1000);
    open_shard_pulse(&shard, at(10900, 5), 5000);

    cr_expect_null(open_shard_next_due(&shard, 11500, &cursor));
    cursor = 0;
    cr_expect_not_null(open_shard_next_due(&shard, 11901, &cursor));
    open_shard_stop(&shard);
}

Test(orders_open, an_order_that_was_decided_waits_no_longer)
{
    struct open_shard shard = {0};
    size_t cursor = 0;

    open_shard_start(&shard);
    for (uint64_t number = 1; number <= 100; number++)
        open_shard_add(&shard, number, 1000);
    open_shard_pulse(&shard, at(0, 100), 5000);
    for (uint64_t number = 1; number <= 100; number++)
        if (number != 37)
            open_shard_decided(&shard, number, false);

    cr_expect_eq(open_shard_count(&shard), 1);
    cr_expect_eq(open_shard_next_due(&shard, 5000, &cursor)->number, 37);
    open_shard_pulse(&shard, at(1, 100), 5000);
    cr_expect_eq(shard.count, 1, "the others are forgotten");
    open_shard_drop_below(&shard, 38);
    cr_expect_eq(open_shard_count(&shard), 0, "another instance decided it: it left the table");
    open_shard_stop(&shard);
}

Test(orders_open, orders_between_two_looks_are_counted)
{
    struct open_shard shard = {0};

    open_shard_start(&shard);
    open_shard_add(&shard, 10, 1000);
    open_shard_placed(&shard, 11);
    open_shard_placed(&shard, 13);
    cr_expect_eq(open_shard_count(&shard), 3);
    open_shard_decided(&shard, 11, true);
    cr_expect_eq(open_shard_count(&shard), 2);

    open_shard_add(&shard, 10, 1000);
    open_shard_add(&shard, 13, 1000);
    open_shard_caught_up(&shard);
    cr_expect_eq(open_shard_count(&shard), 2, "10 and 13, neither twice");
    open_shard_stop(&shard);
}

Test(orders_open, a_backlog_is_late_but_an_order_that_others_overtake_is_not)
{
    struct open_shard shard = {0};

    open_shard_start(&shard);
    for (uint64_t number = 1; number <= 30; number++)
        open_shard_add(&shard, number, 900000);
    cr_expect_eq(open_shard_pulse(&shard, at(1000, 20), 5000), 0);
    cr_expect_eq(open_shard_pulse(&shard, at(6000, 30), 5000), 0, "5 s are not too long");
    cr_expect_eq(open_shard_pulse(&shard, at(6001, 30), 5000), 20, "of the first 20");

    open_shard_decided(&shard, 15, true);

    cr_expect_eq(open_shard_pulse(&shard, at(6001, 30), 5000), 5, "16 to 20");
    open_shard_decided(&shard, 20, false);
    cr_expect_eq(open_shard_pulse(&shard, at(6001, 30), 5000), 4, "a no says nothing of the rest");
    open_shard_stop(&shard);
}

Test(orders_open, a_shard_of_others_is_left_alone)
{
    struct open_shard shard = {0};

    open_shard_add(&shard, 5, 1000);
    open_shard_placed(&shard, 5);
    open_shard_decided(&shard, 5, true);

    cr_expect_eq(open_shard_count(&shard), 0);
    cr_expect_null(shard.orders);
}

/* --- Requests ----------------------------------------------------------------------------------
 */

static const struct order_asker customer = {
    .subject = "42",
    .shop_country = "United Kingdom",
    .warehouses = "main,north",
};
static const struct order_asker service = {
    .is_service = true,
    .subject = "import",
    .shop_country = "United Kingdom",
    .warehouses = "main,north",
};

static bool read_text(struct order_request *out, struct contact *contact, const char *text,
                      const struct order_asker *asker, struct json_reader *reader)
{
    struct json *body;
    struct err err = {0};

    cr_assert_eq(json_parse(&body, view_str(text), reader->arena, &err), ERR_OK, "%s: %s", text,
                 err.text);
    return order_request_read(out, contact, body, asker, reader);
}

Test(orders_request, a_customers_order_is_theirs_and_keeps_the_spelling_of_its_skus)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json_reader reader = {.arena = &arena};
    struct order_request request;
    struct contact contact;

    cr_assert(read_text(&request, &contact,
                        "{\"currency\":\"GBP\",\"payment_token\":\"tok\",\"contact\":{\"email\":"
                        "\"a@b.c\"},\"lines\":[{\"sku\":\"85123a\",\"quantity\":6}]}",
                        &customer, &reader),
              "%s", reader.err.text);

    cr_expect(view_equals(request.customer_id, "42"));
    cr_expect(view_equals(request.country, "United Kingdom"));
    cr_expect(view_equals(request.warehouse, "main"));
    cr_expect(view_equals(contact.email, "a@b.c"));
    cr_expect_null(contact.name.data);
    cr_expect(view_equals(request.lines[0].sku, "85123A"));
    cr_expect(view_equals(request.lines[0].code, "85123a"));
    cr_expect_eq(request.lines[0].unit_price_minor, -1);
    cr_expect_eq(request.lines[0].kind, LINE_KIND_UNKNOWN);
    cr_expect_eq(request.ordered_at_us, -1);
}

Test(orders_request, a_service_speaks_for_others_and_states_prices)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json_reader reader = {.arena = &arena};
    struct order_request request;
    struct contact contact;

    cr_assert(read_text(&request, &contact,
                        "{\"guest\":\"536544\",\"country\":\"EIRE\",\"currency\":\"GBP\","
                        "\"payment_token\":\"tok\",\"warehouse\":\"north\","
                        "\"ordered_at\":\"2010-12-01T08:26:00Z\",\"lines\":[{\"sku\":\"POST\","
                        "\"code\":\"post\",\"quantity\":1,\"unit_price_minor\":0,\"kind\":"
                        "\"charge\"}]}",
                        &service, &reader),
              "%s", reader.err.text);

    cr_expect(view_equals(request.customer_id, "guest:536544"));
    cr_expect(view_equals(request.country, "EIRE"));
    cr_expect(view_equals(request.warehouse, "north"));
    cr_expect_eq(request.ordered_at_us, 1291191960000000);
    cr_expect_eq(request.lines[0].unit_price_minor, 0);
    cr_expect_eq(request.lines[0].kind, LINE_KIND_CHARGE);
    cr_expect(view_equals(request.lines[0].code, "post"));
}

Test(orders_request, every_wrong_field_is_named)
{
#define HEAD "\"currency\":\"GBP\",\"payment_token\":\"t\""
#define LINE ",\"lines\":[{\"sku\":\"A\",\"quantity\":1}]"
    static const struct {
        const struct order_asker *asker;
        const char *body, *pointer;
    } cases[] = {
        {&customer, "[]", ""},
        {&customer, "{" HEAD "}", "/lines"},
        {&customer, "{" HEAD ",\"lines\":[]}", "/lines"},
        {&customer, "{" HEAD ",\"lines\":{}}", "/lines"},
        {&customer, "{" HEAD ",\"lines\":[7]}", "/lines/0"},
        {&customer, "{" HEAD LINE ",\"colour\":1}", "/colour"},
        {&customer, "{" HEAD LINE ",\"customer_id\":\"7\"}", "/customer_id"},
        {&customer, "{" HEAD LINE ",\"country\":\"France\"}", "/country"},
        {&customer, "{" HEAD LINE ",\"ordered_at\":\"2010-12-01T08:26:00Z\"}", "/ordered_at"},
        {&customer, "{" HEAD LINE ",\"warehouse\":\"south\"}", "/warehouse"},
        {&customer, "{" HEAD LINE ",\"contact\":{\"email\":\"nobody\"}}", "/contact/email"},
        {&customer, "{" HEAD LINE ",\"contact\":{\"phone\":\"1\"}}", "/contact/phone"},
        {&customer, "{\"currency\":\"gbp\",\"payment_token\":\"t\"" LINE "}", "/currency"},
        {&customer, "{\"currency\":\"GBP\"" LINE "}", "/payment_token"},
        {&customer, "{" HEAD ",\"lines\":[{\"quantity\":1}]}", "/lines/0/sku"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\" A\",\"quantity\":1}]}", "/lines/0/sku"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":0}]}", "/lines/0/quantity"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":1.5}]}", "/lines/0/quantity"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":9223372036854775808}]}",
         "/lines/0/quantity"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":\"1\"}]}",
         "/lines/0/quantity"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"code\":\"B\",\"quantity\":1}]}",
         "/lines/0/code"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":1,\"unit_price_minor\":1}]}",
         "/lines/0/unit_price_minor"},
        {&customer, "{" HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":1,\"kind\":\"goods\"}]}",
         "/lines/0/kind"},
        {&service, "{" HEAD LINE "}", ""},
        {&service, "{\"customer_id\":\"1\",\"guest\":\"2\"," HEAD LINE "}", ""},
        {&service, "{\"customer_id\":\"guest:2\"," HEAD LINE "}", "/customer_id"},
        {&service, "{\"guest\":\"2\",\"ordered_at\":\"yesterday\"," HEAD LINE "}", "/ordered_at"},
        {&service,
         "{\"guest\":\"2\"," HEAD
         ",\"lines\":[{\"sku\":\"A\",\"quantity\":1,\"unit_price_minor\":-1}]}",
         "/lines/0/unit_price_minor"},
        {&service,
         "{\"guest\":\"2\"," HEAD ",\"lines\":[{\"sku\":\"A\",\"quantity\":1,\"kind\":\"air\"}]}",
         "/lines/0/kind"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct json_reader reader = {.arena = &arena};
        struct order_request request;
        struct contact contact;

        cr_assert_not(read_text(&request, &contact, cases[i].body, cases[i].asker, &reader),
                      "case %zu: %s", i, cases[i].body);
        cr_expect(view_equals(reader.pointer, cases[i].pointer), "case %zu: %.*s: %s", i,
                  VIEW_PRINT(reader.pointer), reader.err.text);
    }
#undef HEAD
#undef LINE
}
