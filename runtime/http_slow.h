/* Requests that are being read, and which of them take too long.
 *
 * A client that sends a byte now and then is never idle: idleness bounds nothing. So a request has
 * HTTP_READING_MAX_MS from its first byte to its last. Pure: the caller has the clock and names
 * connections by an address that is theirs alone while they live; nothing is read there.
 *
 * Nobody says when a connection dies in the middle of a request. What is known of it goes when its
 * address is taken by another one, or when it is older than a connection can be that sends nothing.
 */
#ifndef TRADEWIND_RUNTIME_HTTP_SLOW_H
#define TRADEWIND_RUNTIME_HTTP_SLOW_H

#include "runtime/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_READING_MAX_MS 30000
/* A connection without a byte for so long is closed. */
#define HTTP_IDLE_MS 60000

struct http_reading;

/* Zeroed: none. */
struct http_readings {
    struct http_reading *first; /* the oldest */
};

void http_readings_clear(struct http_readings *readings);
CLEANUP_IN_PLACE(http_readings_clear, struct http_readings)

enum http_reading_state {
    HTTP_READING_IN_TIME,
    HTTP_READING_TOO_SLOW, /* said once: from here on it is late */
    HTTP_READING_LATE,
};

/** A connection begins at this address. */
void http_reading_forget(struct http_readings *readings, const void *connection);
/** It sent something that belongs to a request. */
enum http_reading_state http_reading_note(struct http_readings *readings, const void *connection,
                                          int64_t now_ms);
/** The request is there, whole. True when it was too slow. */
bool http_reading_end(struct http_readings *readings, const void *connection);
/** Part of a request is there, and not all of it. */
bool http_reading_is_under_way(const struct http_readings *readings, const void *connection);
/** Requests that are being read. */
size_t http_reading_count(const struct http_readings *readings);

#endif
