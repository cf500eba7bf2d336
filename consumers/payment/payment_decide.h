/* What payment decides about one order: pure, by the saga table, without clock or I/O.
 *
 * The state of the saga table is not stored. It follows from three things that are, each kept by
 * itself so that a rebuild can compare them: what this part has published (a fold of its own
 * topic), what it has seen (a fold of its inputs), and which call the provider still owes an answer
 * to (neither: it goes with the answer). */
#ifndef TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_DECIDE_H
#define TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_DECIDE_H

#include "runtime/bytes.h"
#include "runtime/err.h"
#include "saga/saga.h"

/* A call to the provider. The numbers are stored (owed_calls.operation) and never change. */
enum payment_call {
    CALL_NONE = 0,
    CALL_AUTHORIZE = 1,
    CALL_CAPTURE = 2,
    CALL_VOID = 3,
    CALL_REFUND = 4,
    CALL_COUNT,
};

/** "authorize": in the idempotency key, the metrics and GET /payments. Empty for CALL_NONE. */
const char *payment_call_name(enum payment_call call);

/* Bits of payment_memory.seen; stored, they never change. */
enum payment_seen {
    SEEN_CREATED = 1,
    SEEN_CONFIRMED = 2,
    SEEN_CANCELLED = 4,
};

/** The bit of a trigger; 0: nothing that has to be remembered. */
unsigned payment_seen_by(enum saga_trigger trigger);

struct payment_memory {
    enum saga_payment_state settled; /* what was published last; PAYMENT_NONE: nothing */
    unsigned seen;                   /* enum payment_seen */
    enum payment_call owed;          /* the call under way */
};

/** Where the order is in the saga table. */
enum saga_payment_state payment_state(const struct payment_memory *memory);

/** The trigger that an answer is. yes counts for authorize and capture only: void and refund are
 * asked until done. */
enum saga_trigger payment_trigger_of_answer(enum payment_call call, bool yes);

struct payment_decision {
    const struct saga_step *step; /* what to publish, and why */
    struct payment_memory next;
    enum payment_call call; /* to be made; CALL_NONE: none */
};

/**
 * What an event or an answer leads to. An answer is for this only when its call is the one owed.
 * Errors  ERR_REJECT: the table has no such step, with its reason
 */
enum err_kind payment_decide(struct payment_decision *out, const struct payment_memory *memory,
                             enum saga_trigger trigger, struct view order_id, struct err *err);

#endif
