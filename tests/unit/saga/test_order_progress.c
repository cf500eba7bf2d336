#include "saga/order_progress.h"

#include <criterion/criterion.h>

/* An order that has gone through triggers, up to TRIGGER_NONE; every one of them has to have a
 * step. */
static struct order_move after(const enum saga_trigger *triggers)
{
    struct order_move outcome = {.step = NULL};

    for (size_t i = 0; triggers[i] != TRIGGER_NONE; i++) {
        outcome = order_progress_step(outcome.after, triggers[i]);
        cr_assert_not_null(outcome.step, "no step for %s", saga_trigger_name(triggers[i]));
    }
    return outcome;
}

#define AFTER(...) after((const enum saga_trigger[]){__VA_ARGS__, TRIGGER_NONE})

Test(order_progress, confirms_on_the_third_yes_in_whatever_order_they_come)
{
    static const enum saga_trigger yes[] = {
        TRIGGER_INVENTORY_RESERVED,
        TRIGGER_PAYMENT_AUTHORIZED,
        TRIGGER_FRAUD_CLEARED,
    };
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        enum saga_trigger a = yes[orders[i][0]], b = yes[orders[i][1]], c = yes[orders[i][2]];

        struct order_move two = AFTER(TRIGGER_CUSTOMER_ORDER, a, b);
        struct order_move three = AFTER(TRIGGER_CUSTOMER_ORDER, a, b, c);

        cr_expect_eq(two.after.state, ORDERS_PLACED, "order %zu", i);
        cr_expect_eq(two.step->publishes, EVENT_NONE, "order %zu", i);
        cr_expect_eq(three.after.state, ORDERS_CONFIRMED, "order %zu", i);
        cr_expect_eq(three.step->publishes, EVENT_ORDER_CONFIRMED, "order %zu", i);
    }
}

Test(order_progress, closes_a_cancelled_order_when_stock_and_money_are_back)
{
    struct order_move outcome =
        AFTER(TRIGGER_CUSTOMER_ORDER, TRIGGER_INVENTORY_RESERVED, TRIGGER_PAYMENT_DECLINED);

    cr_expect_eq(outcome.after.state, ORDERS_CANCELLED);
    cr_expect_eq(outcome.step->publishes, EVENT_ORDER_CANCELLED);
    cr_expect_eq(outcome.step->state, ORDERS_PLACED, "what it was");

    outcome = order_progress_step(outcome.after, TRIGGER_INVENTORY_RELEASED);

    cr_expect_eq(outcome.after.state, ORDERS_CLOSED, "the declined payment is the other side");
    cr_expect_eq(outcome.step->publishes, EVENT_ORDER_CLOSED);
}

Test(order_progress, closes_twice_when_a_fulfilled_order_is_cancelled)
{
    struct order_move outcome =
        AFTER(TRIGGER_CUSTOMER_ORDER, TRIGGER_FRAUD_CLEARED, TRIGGER_PAYMENT_AUTHORIZED,
              TRIGGER_INVENTORY_RESERVED, TRIGGER_PAYMENT_CAPTURED, TRIGGER_INVENTORY_COMMITTED);

    cr_expect_eq(outcome.after.state, ORDERS_FULFILLED);
    cr_expect_eq(outcome.step->publishes, EVENT_ORDER_CLOSED);

    outcome = order_progress_step(outcome.after, TRIGGER_CUSTOMER_CANCEL);
    cr_expect_eq(outcome.step->state, ORDERS_FULFILLED, "what it was");
    outcome = order_progress_step(outcome.after, TRIGGER_INVENTORY_RELEASED);
    cr_expect_eq(outcome.after.state, ORDERS_CANCELLED);
    outcome = order_progress_step(outcome.after, TRIGGER_PAYMENT_REFUNDED);

    cr_expect_eq(outcome.after.state, ORDERS_CLOSED);
    cr_expect_eq(outcome.step->publishes, EVENT_ORDER_CLOSED);
}

Test(order_progress, hears_the_same_whatever_the_state_is)
{
    struct order_move in_time = AFTER(TRIGGER_CUSTOMER_ORDER, TRIGGER_INVENTORY_RESERVED);
    struct order_move crossed =
        AFTER(TRIGGER_CUSTOMER_ORDER, TRIGGER_CUSTOMER_CANCEL, TRIGGER_INVENTORY_RESERVED);

    cr_expect_eq(in_time.after.heard, HEARD_INVENTORY_RESERVED);
    cr_expect_eq(crossed.after.heard, HEARD_INVENTORY_RESERVED);
    cr_expect_eq(order_progress_hear(0, EVENT_INVENTORY_RESERVED), HEARD_INVENTORY_RESERVED);
    cr_expect_eq(order_progress_hear(0, EVENT_ORDER_CONFIRMED), 0);
}

Test(order_progress, stays_as_it_was_when_there_is_no_step)
{
    struct order_progress placed = AFTER(TRIGGER_CUSTOMER_ORDER).after;

    struct order_move outcome = order_progress_step(placed, TRIGGER_PAYMENT_REFUNDED);

    cr_expect_null(outcome.step);
    cr_expect_eq(outcome.after.state, ORDERS_PLACED);
    cr_expect_eq(outcome.after.heard, 0);
}

Test(order_progress, says_whom_an_order_waits_for)
{
    const unsigned inventory = 1u << PART_INVENTORY, payment = 1u << PART_PAYMENT,
                   fraud = 1u << PART_FRAUD;

    cr_expect_eq(order_progress_waits_for(AFTER(TRIGGER_CUSTOMER_ORDER).after),
                 inventory | payment | fraud);
    cr_expect_eq(
        order_progress_waits_for(AFTER(TRIGGER_CUSTOMER_ORDER, TRIGGER_FRAUD_FLAGGED).after),
        inventory | payment, "a cancelled order does not wait for fraud");
    cr_expect_eq(
        order_progress_waits_for(AFTER(TRIGGER_CUSTOMER_ORDER, TRIGGER_INVENTORY_REJECTED).after),
        payment, "what was rejected need not come back");
    cr_expect_eq(order_progress_waits_for((struct order_progress){.state = ORDERS_CLOSED}), 0);
}

/* These numbers are in databases. Add to the list, never change it. */
Test(order_progress, keeps_the_bits_that_are_stored)
{
    cr_expect_eq(HEARD_INVENTORY_RESERVED, 1);
    cr_expect_eq(HEARD_INVENTORY_REJECTED, 2);
    cr_expect_eq(HEARD_INVENTORY_RELEASED, 4);
    cr_expect_eq(HEARD_INVENTORY_COMMITTED, 8);
    cr_expect_eq(HEARD_PAYMENT_AUTHORIZED, 16);
    cr_expect_eq(HEARD_PAYMENT_DECLINED, 32);
    cr_expect_eq(HEARD_PAYMENT_CAPTURED, 64);
    cr_expect_eq(HEARD_PAYMENT_VOIDED, 128);
    cr_expect_eq(HEARD_PAYMENT_REFUNDED, 256);
    cr_expect_eq(HEARD_PAYMENT_FAILED, 512);
    cr_expect_eq(HEARD_FRAUD_CLEARED, 1024);
    cr_expect_eq(HEARD_FRAUD_FLAGGED, 2048);
}
