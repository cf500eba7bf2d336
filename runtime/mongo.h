/* A store that speaks the MongoDB wire protocol, used the one way this project uses it: single
 * documents are inserted, looked up by `_id` or read with all of their collection, and whole
 * collections are dropped. Nothing is updated,
 * so nothing depends on how a server orders updates, and every server that speaks the protocol will
 * do.
 *
 * A write is answered when it is on disk at a majority (w: majority, j: true), and is never sent
 * twice behind our back (retryWrites=false): a lost answer comes out as "nobody knows".
 * After a network error the connection is made anew at the next call. One thread at a time. */
#ifndef TRADEWIND_RUNTIME_MONGO_H
#define TRADEWIND_RUNTIME_MONGO_H

#include "runtime/cleanup.h"
#include "runtime/err.h"

#include <bson/bson.h>

struct mongo;

/* A call that got no answer in this time ends with ERR_RETRY. */
#define MONGO_CONNECT_MS 2000
#define MONGO_ANSWER_MS 10000

/**
 * A client of the database that uri names (mongodb://host:port/database). Nothing is sent yet.
 *
 * out     gives: mongo_close
 * Errors  ERR_STOP: the URI cannot be read or names no database
 */
enum err_kind mongo_open(struct mongo **out, const char *uri, const char *application,
                         struct err *err);
/** From the next connection on a call waits so long for its answer. */
void mongo_answer_within(struct mongo *mongo, int answer_ms);
void mongo_close(struct mongo *mongo); /* NULL does nothing */
CLEANUP(mongo_close, struct mongo *)

/**
 * Insert one document; its `_id` is its own. The collection need not be there.
 *
 * duplicate   may be NULL; true: the `_id` is taken (ERR_REJECT)
 *
 * Errors  ERR_REJECT: the server will never take it (`_id` is taken, too large): it is not stored
 *         ERR_RETRY: unreachable, or no answer: nobody knows whether it is stored
 */
enum err_kind mongo_insert(struct mongo *mongo, const char *collection, const bson_t *document,
                           bool *duplicate, struct err *err);

/**
 * The document whose `_id` is the text id.
 *
 * out     gives: bson_destroy; NULL when there is none, also when there is no such collection
 * Errors  ERR_RETRY: unreachable or no answer
 */
enum err_kind mongo_find(struct mongo *mongo, const char *collection, const char *id, bson_t **out,
                         struct err *err);
CLEANUP(bson_destroy, bson_t *)

/**
 * All documents of a collection, in the server's order (of insertion, as a rule).
 *
 * per_reply   so many documents at once: a reply above 48 MB breaks
 * each        gets a view of one document; what it returns, other than ERR_OK, ends the reading
 *
 * Errors  ERR_RETRY: unreachable or no answer; and what each returns
 */
enum err_kind mongo_read(struct mongo *mongo, const char *collection, int per_reply,
                         enum err_kind (*each)(void *context, const bson_t *document,
                                               struct err *err),
                         void *context, struct err *err);

/**
 * Names of all collections that begin with prefix, in memcmp order, NULL-terminated.
 *
 * out     gives: mongo_names_free
 * Errors  ERR_RETRY: unreachable or no answer
 */
enum err_kind mongo_collections(struct mongo *mongo, const char *prefix, char ***out, size_t *count,
                                struct err *err);
void mongo_names_free(char **names);
CLEANUP(mongo_names_free, char **)

/**
 * Drop a collection; ERR_OK also when there is none of this name.
 * Errors  ERR_RETRY: unreachable or no answer: nobody knows whether it is gone
 */
enum err_kind mongo_drop(struct mongo *mongo, const char *collection, struct err *err);

/**
 * Whether the server answers.
 * Errors  ERR_RETRY: unreachable or no answer
 */
enum err_kind mongo_ping(struct mongo *mongo, struct err *err);

#endif
