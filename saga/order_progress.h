/* How far an order is, as the orders part sees it, and how it goes on: the join of the saga, pure.
 *
 * An order waits three times, each time for more than one answer: placed for three verdicts,
 * confirmed for stock and money to change hands, cancelled for stock and money to be back. What it
 * heard so far decides whether the next answer is the last one.
 *
 * The two halves are folds of different topics, so that a replay can compare them apart: `state` of
 * the orders part's own events, `heard` of what the others said, whatever the state was. */
#ifndef TRADEWIND_SAGA_ORDER_PROGRESS_H
#define TRADEWIND_SAGA_ORDER_PROGRESS_H

#include "saga/saga.h"

#include <stdint.h>

enum {
#define HEARD(bit, event) HEARD_##event = 1 << (bit),
#include "saga/table.def"
};

/** Zero is an order that was never placed. Both members are stored; their numbers never change. */
struct order_progress {
    enum saga_orders_state state;
    uint32_t heard; /* a set of HEARD_* */
};

/** step NULL: the table knows no such step. Then `after` is what was before. */
struct order_move {
    const struct saga_step *step;
    struct order_progress after;
};

/**
 * What a trigger does to an order. `step->publishes` is the event to publish, `step->because` the
 * reason to log. `step->state` is what a cancelled order *was*; an order.closed is one of a
 * fulfilled order when `after.state` is ORDERS_FULFILLED and one of a cancelled order otherwise.
 *
 * Hearing the same event again changes no state, but delivery has to keep repeats away all the
 * same: one that comes in a later state has no step.
 */
struct order_move order_progress_step(struct order_progress before, enum saga_trigger trigger);

/** `heard` with one event more. Events that the join does not wait for leave it as it is. */
uint32_t order_progress_hear(uint32_t heard, enum event_type type);

/** The parts whose answer a placed, confirmed or cancelled order still waits for: a set of
 * `1 << enum saga_part`, empty when it waits for nobody. For operators: who holds this order up? */
unsigned order_progress_waits_for(struct order_progress progress);

#endif
