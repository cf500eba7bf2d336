/* The desk: requests that arrive while one commit runs share the next. Answers go out after the
 * commit that books them, some of them with a delay. One thread, which owns the book. */
#ifndef TRADEWIND_OPS_PROVIDER_DESK_H
#define TRADEWIND_OPS_PROVIDER_DESK_H

#include "ops/provider/book.h"
#include "ops/provider/sandbox.h"
#include "runtime/http.h"

/* A request that was understood; lives in its http_arena. */
struct job {
    struct http_request *request;
    struct view key;  /* Idempotency-Key */
    struct view text; /* what is asked, as one line: the same key has to ask the same */
    struct operation operation;
    int64_t number;            /* of the authorization; authorize: 0 */
    struct view merchant_ref;  /* authorize */
    struct view payment_token; /* authorize */

    int status; /* of the answer */
    struct buf body;
    const char *problem; /* its type; NULL: body is the answer */
    struct view detail;
    int64_t due_ms;
    struct job *prev, *next;
};

struct desk;

/** Borrows both. The thread connects and says when it cannot. gives (desk_free). */
struct desk *desk_new(const char *conninfo, const struct sandbox *sandbox);
/** End the thread; what waits is answered. After the HTTP server: nobody submits any more. */
void desk_free(struct desk *desk);

/** Book it and answer it. Takes the job with its request. Any thread. */
void desk_submit(struct desk *desk, struct job *job);
/** The book is open. Any thread. */
bool desk_is_ready(struct desk *desk);

#endif
