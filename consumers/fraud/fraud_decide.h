/* What fraud does about an event of the order service: the saga table's answer, given the score.
 * Pure. */
#ifndef TRADEWIND_FRAUD_DECIDE_H
#define TRADEWIND_FRAUD_DECIDE_H

#include "consumers/fraud/fraud_rules.h"
#include "saga/saga.h"

struct fraud_question {
    enum saga_fraud_state state;
    enum event_type type; /* one that saga_reacts */
    struct view order_id;
    const struct order_created *created; /* of order.created and order.reminded, else NULL */
    int64_t earlier_orders;              /* of its customer */
    int64_t now_us;
};

struct fraud_decision {
    enum saga_fraud_state next;
    enum event_type publishes; /* EVENT_NONE: nothing */
    union {                    /* of publishes */
        struct fraud_cleared cleared;
        struct fraud_flagged flagged;
    } event;
    struct fraud_score score; /* the event's reasons point here: do not copy a decision */
};

/** Errors  ERR_REJECT: the table has no such step (text gives its reason) */
enum err_kind fraud_decide(struct fraud_decision *out, const struct fraud_question *question,
                           const struct fraud_limits *limits, struct arena *arena, struct err *err);

#endif
