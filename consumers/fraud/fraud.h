/* Fraud: screens each order once. What its files share.
 *
 *     fraud.c           the part: its settings and hooks
 *     fraud_rules.c     the rules and their points (pure)
 *     fraud_decide.c    what to publish (pure)
 *     fraud_history.c   the orders of a customer (pure)
 *     fraud_store.c     the reads and writes of a unit
 *     fraud_rows.c      the rows that it keeps, also for its fold */
#ifndef TRADEWIND_FRAUD_H
#define TRADEWIND_FRAUD_H

#include "consumers/fraud/fraud_decide.h"
#include "consumers/fraud/fraud_history.h"
#include "events/part.h"
#include "runtime/pg_batch.h"

/* What a unit of work knows and changes of one order. */
struct record {
    enum saga_fraud_state state;
    bool is_new_verdict, is_new_tombstone;
    bool flagged;
    int32_t score;
    const struct order_created *seen; /* to be noted in the customer's history */
};

struct fraud {
    struct fraud_limits limits;
    struct history history; /* of the unit that is being made */
    struct pg_batch batch;
};

static inline struct fraud *fraud_of(const struct host *host)
{
    return host_context(host);
}

/* --- fraud_store.c -------------------------------------------------------------------------- */
void fraud_load(struct unit *unit);
enum err_kind fraud_loaded(struct unit *unit, struct err *err);
void fraud_save(struct unit *unit);

#endif
