/* When the customers of a unit of work ordered before. Pure: rows are put in, orders are counted.
 */
#ifndef TRADEWIND_FRAUD_HISTORY_H
#define TRADEWIND_FRAUD_HISTORY_H

#include "runtime/arena.h"

struct customer {
    struct view id;
    int64_t first_us, last_us;    /* of the unit's orders of this customer, by ordered_at */
    int64_t oldest_us, newest_us; /* of all that is known, the unit's as well */
    int64_t *ordered_us;          /* that may lie in a window, in no order */
    size_t count, capacity;
};

struct history {
    struct customer *customers; /* sorted by id, each once, when history_sort is done */
    size_t count;
};

/** Room for so many orders; each is one history_add. */
void history_start(struct history *history, size_t order_count, struct arena *arena);
void history_add(struct history *history, struct view customer_id, int64_t ordered_us);
/** Put customers in order, each once. */
void history_sort(struct history *history);

/** NULL: not a customer of this unit. */
struct customer *history_find(const struct history *history, struct view customer_id);

/** An order that is known: a row that was read, or one of this unit that was screened. */
void customer_note(struct customer *customer, int64_t ordered_us, struct arena *arena);

/** Where the window before us begins: what lies at it or before is outside. */
int64_t history_window_start(int64_t us, int64_t window_us);

/** Orders that are known within window_us before and at ordered_us. */
int64_t customer_orders_before(const struct customer *customer, int64_t ordered_us,
                               int64_t window_us);

#endif
