/* The calls this instance owes the provider, in memory: which are ready, under way, waiting for
 * another try. The table owed_calls is the truth; this is what is being done about it, bounded, and
 * may be forgotten at any time and filled again from there.
 *
 * A provider in trouble is spared: each call without an answer halves how many are under way at a
 * time, each answer adds one. Calls of the same number of failures wait equally long, so each such
 * level is a queue.
 *
 * Any thread; answers come on the HTTP client's. */
#ifndef TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_CALLS_H
#define TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_CALLS_H

#include "consumers/payment/payment_provider.h"

struct payment_calls;

struct payment_calls_options {
    const char *provider; /* URL without a slash at the end */
    int parallel;         /* calls under way at most */
    int room;             /* calls in memory at most */
    int64_t timeout_ms;   /* of one call */
    /* An answer came: make it a unit of work, and say payment_calls_retry when it was not applied.
     * On the HTTP client's thread; views are for the time of the call. false: no room, try again
     * later. */
    bool (*answered)(void *context, const struct owed_call *call,
                     const struct provider_answer *answer);
    void *context;
};

/** gives *out (payment_calls_free). Borrows the texts of options. */
enum err_kind payment_calls_new(struct payment_calls **out,
                                const struct payment_calls_options *options, struct err *err);
/** Calls under way end without an answer. */
void payment_calls_free(struct payment_calls *calls);

/** The order owes this call, in place of another if one is here: make it, unless that is being
 * done. Copies. false: the order has none here and there is no room, or it may not be added. */
bool payment_calls_set(struct payment_calls *calls, const struct owed_call *call, bool may_add);
/** How many more calls have room. */
size_t payment_calls_room(struct payment_calls *calls);
/** The order owes no call. */
void payment_calls_settle(struct payment_calls *calls, struct view order_id);
/** The answer to this call could not be applied: ask again in a while. */
void payment_calls_retry(struct payment_calls *calls, struct view order_id,
                         enum payment_call operation);
/** If the order's call waits for another try: make it now. */
void payment_calls_hurry(struct payment_calls *calls, struct view order_id);
/** Forget all calls of a shard: another instance makes them now. */
void payment_calls_forget(struct payment_calls *calls, int32_t shard);
/** Start those that have waited long enough. */
void payment_calls_tick(struct payment_calls *calls, int64_t now_ms);

struct payment_calls_health {
    int owed; /* in memory */
    int under_way;
    int64_t silent_ms; /* since when calls get no answer; 0: they do */
};
struct payment_calls_health payment_calls_health(struct payment_calls *calls, int64_t now_ms);

#endif
