/* Sending a plan of orders through the public door.
 *
 * Products and receipts go in as arrays; then the sender waits until the order service has heard of
 * every product; then orders go at a steady rate, each under a key of its own made of the run and
 * the invoice. A request that was not answered, or answered "later" (429, 503), is made again under
 * the same key, so nothing is doubled; Retry-After holds back everything that is still to be sent.
 */
#ifndef TRADEWIND_OPS_IMPORT_SEND_H
#define TRADEWIND_OPS_IMPORT_SEND_H

#include "ops/import_retail.h"

struct import_target {
    const char *door;        /* http://127.0.0.1:17000 */
    const char *signing_key; /* file */
    const char *run;         /* part of every key */
    int64_t rate;            /* orders a second */
};

#define IMPORT_EXAMPLES_MAX 5

struct import_sent {
    size_t products, receipts; /* taken by the services */
    size_t accepted;           /* orders answered 201 */
    size_t refused;            /* orders answered with a problem: not made */
    size_t cancelled;          /* cancellations that were accepted */
    size_t not_cancelled;      /* orders that ended by themselves before they could be cancelled */
    size_t held_back;          /* answers 429 or 503 */
    size_t unanswered;         /* requests that were made again because no answer came */
    int64_t duration_ms;       /* of sending the orders */
    const char *examples[IMPORT_EXAMPLES_MAX]; /* of refusals */
    size_t example_count;
};

/**
 * Send it all. Progress goes to standard error.
 *
 * sent    filled as far as it came, also after an error
 * Errors  ERR_RETRY: the door or a part behind it has not answered for a minute
 *         ERR_REJECT: products or stock were refused, or the token
 *         ERR_STOP: the signing key cannot be used
 */
enum err_kind import_send(const struct retail *retail, const struct import_target *target,
                          struct import_sent *sent, struct arena *arena, struct err *err);

#endif
