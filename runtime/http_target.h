/* The target of a request taken apart: path segments and query parameters, percent-decoded.
 * Pure; used by runtime/http.c only. */
#ifndef TRADEWIND_RUNTIME_HTTP_TARGET_H
#define TRADEWIND_RUNTIME_HTTP_TARGET_H

#include "runtime/arena.h"

#define HTTP_SEGMENTS_MAX 16
#define HTTP_QUERY_MAX 32

struct http_param {
    struct view name, value;
};

struct http_target {
    struct view segments[HTTP_SEGMENTS_MAX]; /* of "/orders/42": orders, 42 */
    size_t segment_count;
    struct http_param query[HTTP_QUERY_MAX];
    size_t query_count;
};

/**
 * Take apart path and query (query may be NULL). Views into the arena.
 * False: a bad percent escape, bytes that are no UTF-8 text, or too many pieces.
 */
bool http_target_parse(struct http_target *out, const char *path, const char *query,
                       struct arena *arena);

/** Does the target have the shape of a route's path? "{name}" stands for any one segment but an
 * empty one. */
bool http_target_matches(const struct http_target *target, const char *route_path);

/** The segment where the route's path says {name}; VIEW_NONE when it does not say so. */
struct view http_target_param(const struct http_target *target, const char *route_path,
                              const char *name);

/** The value of the first query parameter of that name; VIEW_NONE when there is none. */
struct view http_target_query(const struct http_target *target, const char *name);

#endif
