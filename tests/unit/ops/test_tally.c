/* The stock as sums: what a replay makes of inventory's events, in whatever order it reads them. */
#include "ops/replay/tally.h"

#include <criterion/criterion.h>

#define V(text) VIEW_LITERAL(text)

static const struct stock_item TWO_MUGS[] = {{{"MUG", 3}, 2}};

/* An order that was fulfilled, cancelled before it was shipped, and closed again. */
static const struct order_created CREATED = {.order_id = {"A", 1}};
static const struct order_confirmed CONFIRMED = {.order_id = {"A", 1}};
static const struct order_closed FULFILLED = {.order_id = {"A", 1},
                                              .outcome = ORDER_OUTCOME_FULFILLED};
static const struct order_cancelled CANCELLED = {.order_id = {"A", 1},
                                                 .was = ORDER_STAGE_FULFILLED};
static const struct order_closed CLOSED = {.order_id = {"A", 1},
                                           .outcome = ORDER_OUTCOME_CANCELLED};

static const struct {
    enum event_type type;
    const void *event;
} INPUTS[] = {{EVENT_ORDER_CREATED, &CREATED},
              {EVENT_ORDER_CONFIRMED, &CONFIRMED},
              {EVENT_ORDER_CLOSED, &FULFILLED},
              {EVENT_ORDER_CANCELLED, &CANCELLED},
              {EVENT_ORDER_CLOSED, &CLOSED}};

static const struct inventory_reserved RESERVED = {
    .order_id = {"A", 1}, .items = TWO_MUGS, .items_count = 1};
static const struct inventory_committed COMMITTED = {
    .order_id = {"A", 1}, .items = TWO_MUGS, .items_count = 1};
static const struct inventory_released RELEASED = {
    .order_id = {"A", 1}, .items = TWO_MUGS, .items_count = 1, .released_from = RELEASED_FROM_SOLD};

/* What inventory said, and the number of the input that it answered. */
static const struct {
    enum event_type type;
    const void *event;
    uint64_t cause;
} OWN[] = {{EVENT_INVENTORY_RESERVED, &RESERVED, 1},
           {EVENT_INVENTORY_COMMITTED, &COMMITTED, 2},
           {EVENT_INVENTORY_RELEASED, &RELEASED, 4}};

static void fold_own(struct tally *tally, size_t i)
{
    const struct tally_event by = {OWN[i].type, 0, i + 1, (int64_t)i, (int64_t)i};

    cr_assert_eq(tally_fold(tally, OWN[i].type, OWN[i].event, &by, OWN[i].cause, NULL), ERR_OK);
}

static void hear(struct tally *tally, size_t i)
{
    tally_hear(tally, INPUTS[i].type, INPUTS[i].event, i + 1);
}

static int64_t units(const struct tally *tally, int place)
{
    const struct tally_sku *sku = lookup_find(&tally->skus, V("MUG"));

    return sku != NULL ? sku->units[place] : 0;
}

Test(tally, is_the_same_in_whatever_order_the_two_topics_are_read)
{
    size_t cases = 0;

    /* Each bit says whose event is next. */
    for (unsigned order = 0; order < 1u << 8; order++) {
        struct tally tally;
        size_t own = 0, inputs = 0;

        if (__builtin_popcount(order) != 3)
            continue;
        tally_init(&tally, 0);
        for (unsigned i = 0; i < 8; i++)
            if (order & 1u << i)
                fold_own(&tally, own++);
            else
                hear(&tally, inputs++);
        cases++;

        cr_expect_eq(tally.orders.count, 0, "order %x: it is not forgotten", order);
        cr_expect_eq(units(&tally, STOCK_ON_HAND), 0, "order %x", order);
        cr_expect_eq(units(&tally, STOCK_HELD), 0, "order %x", order);
        cr_expect_eq(units(&tally, STOCK_SOLD), 0, "order %x", order);
        tally_clear(&tally);
    }
    cr_expect_eq(cases, 56);
}

/* At each step of the part: what it knew then, in any order, is what it had then. */
Test(tally, remembers_an_order_while_the_part_does)
{
    static const struct {
        size_t own, inputs;
        enum saga_inventory_state state; /* NONE: not remembered */
        bool is_asked;
    } STEPS[] = {
        {0, 0, INVENTORY_NONE, false},      {0, 1, INVENTORY_NONE, true},
        {1, 1, INVENTORY_RESERVED, false},  {1, 2, INVENTORY_RESERVED, true},
        {2, 2, INVENTORY_COMMITTED, false}, {2, 3, INVENTORY_NONE, false},
        {2, 4, INVENTORY_NONE, true},       {3, 4, INVENTORY_RELEASED, false},
        {3, 5, INVENTORY_NONE, false},
    };

    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++)
        for (int own_first = 0; own_first < 2; own_first++) {
            struct tally tally;
            const struct tally_order *order;

            tally_init(&tally, 0);
            for (size_t k = 0; own_first && k < STEPS[i].own; k++)
                fold_own(&tally, k);
            for (size_t k = 0; k < STEPS[i].inputs; k++)
                hear(&tally, k);
            for (size_t k = 0; !own_first && k < STEPS[i].own; k++)
                fold_own(&tally, k);
            order = lookup_find(&tally.orders, V("A"));

            cr_expect_eq(order != NULL ? order->state : INVENTORY_NONE, STEPS[i].state,
                         "step %zu, own first %d", i, own_first);
            cr_expect_eq(order != NULL && tally_is_asked(order), STEPS[i].is_asked,
                         "step %zu, own first %d", i, own_first);
            tally_clear(&tally);
        }
}

Test(tally, names_the_last_event_that_changed_a_field)
{
    const struct stock_received received = {.receipt_id = V("r1"), .sku = V("MUG"), .quantity = 10};
    const struct tally_event by = {EVENT_STOCK_RECEIVED, 7, 1, 0, -5};
    struct tally tally;
    const struct tally_sku *mug;

    tally_init(&tally, 0);
    fold_own(&tally, 1); /* sold, before anything is heard of where it came from */
    cr_assert_eq(tally_fold(&tally, EVENT_STOCK_RECEIVED, &received, &by, 0, NULL), ERR_OK);
    fold_own(&tally, 0);
    mug = lookup_find(&tally.skus, V("MUG"));

    cr_expect_eq(mug->units[STOCK_ON_HAND], 8);
    cr_expect_eq(mug->units[STOCK_SOLD], 2);
    cr_expect_eq(mug->units[TALLY_RECEIVED], 10);
    cr_expect_eq(mug->by[STOCK_ON_HAND].type, EVENT_INVENTORY_RESERVED);
    cr_expect_eq(mug->by[STOCK_HELD].type, EVENT_INVENTORY_COMMITTED, "the later one, read first");
    cr_expect_eq(mug->by[TALLY_RECEIVED].partition, 7);
    tally_clear(&tally);
}
