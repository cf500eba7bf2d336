/* Sends POST requests on many kept connections from one thread, with as little of the machine as it
 * can: what is measured runs on the same cores. It knows just enough HTTP/1.1 to read our own door's
 * answers (a status line, Content-Length). */
#ifndef TRADEWIND_TESTS_BENCH_HTTP_LOAD_H
#define TRADEWIND_TESTS_BENCH_HTTP_LOAD_H

#include "runtime/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct http_load;

struct http_load_options {
    const char *url; /* http://host:port */
    const char *authorization;
    int connections;
    /* status 0: no answer. On the thread that calls http_load_serve. */
    void (*answered)(void *context, int64_t tag, int status);
    void *context;
};

struct http_load *http_load_new(const struct http_load_options *options);
void http_load_free(struct http_load *load);

/* Queue a request; it leaves as soon as a connection is free. */
void http_load_post(struct http_load *load, const char *path, struct view body, int64_t tag);

/* Send and read for at most wait_ms. */
void http_load_serve(struct http_load *load, int wait_ms);

/* Queued, or sent and not answered. */
long http_load_pending(const struct http_load *load);

#endif
