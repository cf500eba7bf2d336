/* A schema registry by Confluent's REST interface: the two calls that ids.c needs. */
#ifndef TRADEWIND_EVENTS_REGISTRY_H
#define TRADEWIND_EVENTS_REGISTRY_H

#include "runtime/arena.h"
#include "runtime/err.h"

/**
 * Make sure that text is a version of subject; gives its id, the same one each time.
 *
 * url     up to and without /subjects: http://127.0.0.1:8081
 *
 * Errors  ERR_RETRY: not reachable, or it answers 429 or 5xx
 *         ERR_REJECT: it refuses the schema, and says why
 * Thread  any; waits up to 3 s
 * Source  https://docs.confluent.io/platform/current/schema-registry/develop/api.html
 */
enum err_kind registry_register(int32_t *id, const char *url, struct view subject, struct view text,
                                struct err *err);

/**
 * The text of an id's schema, in arena.
 * Errors  ERR_RETRY: not reachable, or it does not know the id (yet); ERR_REJECT: no Avro schema
 */
enum err_kind registry_fetch(struct view *text, const char *url, int32_t id, struct arena *arena,
                             struct err *err);

#endif
