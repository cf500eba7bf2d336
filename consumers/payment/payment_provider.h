/* The provider's language: a call as an HTTP request, and a response as an answer. Pure.
 *
 * Only what the provider says in so many words is an answer. A time-out, a 5xx, a 4xx that means we
 * spoke wrongly: the money may have moved all the same, so the call is made again with the same
 * Idempotency-Key until there is one. */
#ifndef TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_PROVIDER_H
#define TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_PROVIDER_H

#include "consumers/payment/payment_decide.h"
#include "runtime/arena.h"
#include "runtime/err.h"

/* A call as it is owed. Views belong to who made it. */
struct owed_call {
    enum payment_call operation;
    int32_t shard;
    struct view order_id;
    int64_t amount_minor;
    struct view currency;
    struct view payment_token;
    struct view ref; /* the authorization or capture that it is about; empty for authorize */
};

/* Append the request's parts. Each buffer may hold something already. */
void payment_provider_url(struct buf *out, const char *base, const struct owed_call *call);
void payment_provider_key(struct buf *out, const struct owed_call *call); /* "authorize:01J..." */
void payment_provider_body(struct buf *out, const struct owed_call *call);

enum provider_says {
    PROVIDER_NOTHING, /* no answer: ask again */
    PROVIDER_YES,     /* it did it */
    PROVIDER_NO,      /* it will never do it */
    PROVIDER_SAYS_COUNT,
};

struct provider_answer {
    enum provider_says says;
    struct view ref;  /* the provider's id of this operation; one of yes or no has one */
    struct view code; /* of a no */
};

/**
 * Read a response. status 0: there was none. Views point into response or arena.
 * PROVIDER_NOTHING fills err with what was wrong with it.
 */
struct provider_answer payment_provider_read(enum payment_call operation, int status,
                                             struct view response, struct arena *arena,
                                             struct err *err);

/** What may stand in an Idempotency-Key and in a path: 1 to 64 letters, digits, - and _. */
bool payment_provider_is_id(struct view text);

#endif
