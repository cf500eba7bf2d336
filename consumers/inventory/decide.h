/* What inventory does about an event of the order service: the saga table's answer, given the
 * stock.
 *
 * Pure: the stock and the event in, an entry for the ledger and an event to publish out. The caller
 * applies the one and emits the other. The same event twice gets the table's answer to the second,
 * which is "cannot be": repeats are dropped by their number before they get here. */
#ifndef TRADEWIND_INVENTORY_DECIDE_H
#define TRADEWIND_INVENTORY_DECIDE_H

#include "consumers/inventory/stock.h"
#include "runtime/arena.h"

struct question {
    enum event_type type;
    struct view key;       /* the record's: the order's id */
    const void *event;     /* the generated struct of type */
    bool letter_left;      /* a dead letter of the order can still be redriven */
    struct view warehouse; /* whose stock this is */
    int64_t now_us;        /* UTC, for what is published */
};

struct decision {
    const struct saga_step
        *step; /* NULL: the event does not concern us; then nothing is to be done */
    bool has_entry;
    struct entry entry;
    enum event_type publishes; /* EVENT_NONE: nothing */
    const void *event;         /* the generated struct of publishes, in the arena */
};

/**
 * Errors  ERR_REJECT: the table has no such step (text gives its reason), the lines are no lines
 *         (quantity, kind, more than 1,000), or the key is not the order's id
 */
enum err_kind inventory_decide(struct decision *out, const struct stock *stock,
                               const struct question *question, struct arena *arena,
                               struct err *err);

#endif
