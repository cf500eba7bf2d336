/* HTTP requests to others, many at a time, through libcurl's multi interface on one thread.
 *
 * For calls that are owed (a payment provider): the caller has an intent row and an idempotency
 * key, so a call may be made again at any time. */
#ifndef TRADEWIND_RUNTIME_HTTP_CLIENT_H
#define TRADEWIND_RUNTIME_HTTP_CLIENT_H

#include "runtime/bytes.h"
#include "runtime/err.h"

struct http_client;

struct http_call {
    const char *method; /* "POST" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct view body;
    int64_t timeout_ms;
    /* The answer's headers, before done; for those who look at one (Retry-After). May be NULL. */
    void (*header)(void *context, struct view name, struct view value);
    /* Runs on the client's thread, once per call. status 0: no answer (then err says why).
     * response is a view for the time of the call. */
    void (*done)(void *context, int status, struct view response, const struct err *err);
    void *context;
};

/** parallel: calls under way at a time; the rest waits in order, without a bound (the caller
 * bounds). */
enum err_kind http_client_new(struct http_client **out, int parallel, struct err *err);
/** Ends calls under way without calling done for them. */
void http_client_free(struct http_client *client);
CLEANUP(http_client_free, struct http_client *)

/** Start a call. copies everything. Any thread. */
void http_client_send(struct http_client *client, const struct http_call *call);

/** One call, waited for; gives the body in *response (buf). status in *status. For command line
 * tools. */
enum err_kind http_client_get(const struct http_call *call, int *status, struct buf *response,
                              struct err *err);

#endif
