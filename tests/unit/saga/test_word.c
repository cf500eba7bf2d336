#include "saga/word.h"

#include <criterion/criterion.h>

enum verdict {
    WHOLE, /* a word of the table */
    BEGUN, /* the beginning of one */
    NO_WORD,
};

static enum verdict judge(enum saga_part part, const enum event_type *events)
{
    struct saga_word word = saga_word_begin(part);

    for (size_t i = 0; events[i] != EVENT_NONE; i++) {
        if (!saga_word_next(&word, events[i]))
            return NO_WORD;
    }
    return saga_word_can_end(&word) ? WHOLE : BEGUN;
}

Test(saga_word, tells_what_a_part_can_say_from_what_it_cannot)
{
    static const struct {
        enum saga_part part;
        enum event_type events[6];
        enum verdict verdict;
    } cases[] = {
        {PART_INVENTORY, {EVENT_NONE}, BEGUN},
        {PART_INVENTORY, {EVENT_INVENTORY_RESERVED}, BEGUN},
        {PART_INVENTORY, {EVENT_INVENTORY_REJECTED}, WHOLE},
        {PART_INVENTORY, {EVENT_INVENTORY_RELEASED}, WHOLE}, /* its order.created was dropped */
        {PART_INVENTORY, {EVENT_INVENTORY_RESERVED, EVENT_INVENTORY_COMMITTED}, WHOLE},
        {PART_INVENTORY, {EVENT_INVENTORY_RESERVED, EVENT_INVENTORY_RELEASED}, WHOLE},
        {PART_INVENTORY,
         {EVENT_INVENTORY_RESERVED, EVENT_INVENTORY_COMMITTED, EVENT_INVENTORY_RELEASED},
         WHOLE},
        {PART_INVENTORY, {EVENT_INVENTORY_COMMITTED}, NO_WORD},
        {PART_INVENTORY, {EVENT_INVENTORY_RESERVED, EVENT_INVENTORY_RESERVED}, NO_WORD},
        {PART_INVENTORY, {EVENT_INVENTORY_REJECTED, EVENT_INVENTORY_RELEASED}, NO_WORD},
        {PART_INVENTORY,
         {EVENT_INVENTORY_RESERVED, EVENT_INVENTORY_RELEASED, EVENT_INVENTORY_RELEASED},
         NO_WORD},
        {PART_INVENTORY,
         {EVENT_INVENTORY_RESERVED, EVENT_INVENTORY_COMMITTED, EVENT_INVENTORY_RELEASED,
          EVENT_INVENTORY_RELEASED},
         NO_WORD},

        {PART_PAYMENT, {EVENT_NONE}, BEGUN},
        {PART_PAYMENT, {EVENT_PAYMENT_AUTHORIZED}, BEGUN},
        {PART_PAYMENT, {EVENT_PAYMENT_DECLINED}, WHOLE},
        {PART_PAYMENT, {EVENT_PAYMENT_VOIDED}, WHOLE}, /* withdrawn, or order.created dropped */
        {PART_PAYMENT, {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_CAPTURED}, WHOLE},
        {PART_PAYMENT, {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_VOIDED}, WHOLE},
        {PART_PAYMENT, {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_FAILED}, BEGUN},
        {PART_PAYMENT,
         {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_FAILED, EVENT_PAYMENT_VOIDED},
         WHOLE},
        {PART_PAYMENT,
         {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_CAPTURED, EVENT_PAYMENT_REFUNDED},
         WHOLE},
        {PART_PAYMENT, {EVENT_PAYMENT_CAPTURED}, NO_WORD},
        {PART_PAYMENT,
         {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_CAPTURED, EVENT_PAYMENT_CAPTURED},
         NO_WORD},
        {PART_PAYMENT,
         {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_CAPTURED, EVENT_PAYMENT_VOIDED},
         NO_WORD},
        {PART_PAYMENT, {EVENT_PAYMENT_AUTHORIZED, EVENT_PAYMENT_REFUNDED}, NO_WORD},
        {PART_PAYMENT, {EVENT_PAYMENT_DECLINED, EVENT_PAYMENT_VOIDED}, NO_WORD},

        {PART_FRAUD, {EVENT_NONE}, WHOLE}, /* its order.created was dropped */
        {PART_FRAUD, {EVENT_FRAUD_FLAGGED}, WHOLE},
        {PART_FRAUD, {EVENT_FRAUD_CLEARED, EVENT_FRAUD_FLAGGED}, NO_WORD},

        {PART_ORDERS, {EVENT_ORDER_CREATED}, BEGUN},
        {PART_ORDERS, {EVENT_ORDER_CREATED, EVENT_ORDER_CONFIRMED}, BEGUN},
        {PART_ORDERS, {EVENT_ORDER_CREATED, EVENT_ORDER_CANCELLED}, BEGUN},
        {PART_ORDERS, {EVENT_ORDER_CREATED, EVENT_ORDER_CANCELLED, EVENT_ORDER_CLOSED}, WHOLE},
        {PART_ORDERS, {EVENT_ORDER_CREATED, EVENT_ORDER_CONFIRMED, EVENT_ORDER_CLOSED}, WHOLE},
        {PART_ORDERS,
         {EVENT_ORDER_CREATED, EVENT_ORDER_CONFIRMED, EVENT_ORDER_CLOSED, EVENT_ORDER_CANCELLED},
         BEGUN},
        {PART_ORDERS,
         {EVENT_ORDER_CREATED, EVENT_ORDER_CONFIRMED, EVENT_ORDER_CLOSED, EVENT_ORDER_CANCELLED,
          EVENT_ORDER_CLOSED},
         WHOLE},
        {PART_ORDERS, {EVENT_ORDER_CONFIRMED}, NO_WORD},
        {PART_ORDERS, {EVENT_ORDER_CREATED, EVENT_ORDER_CLOSED}, NO_WORD},
        {PART_ORDERS, {EVENT_ORDER_CREATED, EVENT_ORDER_CANCELLED, EVENT_ORDER_CONFIRMED}, NO_WORD},
        {PART_ORDERS,
         {EVENT_ORDER_CREATED, EVENT_ORDER_CONFIRMED, EVENT_ORDER_CLOSED, EVENT_ORDER_CLOSED},
         NO_WORD},

        {PART_EMAIL, {EVENT_NONE}, WHOLE},
        {PART_EMAIL, {EVENT_EMAIL_SENT}, WHOLE},
        {PART_EMAIL, {EVENT_EMAIL_FAILED}, WHOLE},
        {PART_EMAIL, {EVENT_EMAIL_SENT, EVENT_EMAIL_SENT}, NO_WORD},
        {PART_EMAIL, {EVENT_EMAIL_FAILED, EVENT_EMAIL_SENT}, NO_WORD},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(judge(cases[i].part, cases[i].events), cases[i].verdict, "case %zu of %s", i,
                     saga_part_name(cases[i].part));
}

Test(saga_word, knows_no_words_of_other_parts)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        struct saga_word word = saga_word_begin(part);

        cr_expect_not(saga_word_next(&word, EVENT_STOCK_RECEIVED), "%s", saga_part_name(part));
        cr_expect_not(saga_word_can_end(&word), "%s", saga_part_name(part));
        cr_expect_not(saga_word_next(&word, EVENT_ORDER_CREATED), "a word that is none stays none");
    }
}
