/* The book in PostgreSQL: what a batch of requests needs of it is read in one flight and written in
 * one transaction. One provider at a time writes: it holds an advisory lock while its session
 * lives. */
#ifndef TRADEWIND_OPS_PROVIDER_BOOK_STORE_H
#define TRADEWIND_OPS_PROVIDER_BOOK_STORE_H

#include "ops/provider/book.h"
#include "runtime/arena.h"
#include "runtime/pg.h"

/* What was answered, or is about to be, under an idempotency key. */
struct booked {
    struct view key;
    bool is_known; /* in the book, or by an earlier request of this batch */
    bool is_changed;
    struct view request; /* what was asked, as one line of text */
    struct operation operation;
    int64_t number; /* of the authorization */
    struct verdict verdict;
    int32_t asked; /* how often */
};

struct batch {
    struct arena *arena;
    struct booked *operations; /* sorted by key, each once; keys set before the load */
    size_t operation_count;
    struct authorization
        *authorizations; /* sorted by number, each once; numbers set before the load */
    size_t authorization_count;
    struct authorization *opened; /* new in this batch, with the next numbers in order */
    size_t opened_count;
};

struct book_store;

/** conninfo is borrowed. gives *out (book_store_close). Connects at the first batch. */
struct book_store *book_store_new(const char *conninfo);
void book_store_close(struct book_store *store);

/**
 * Connect if need be, take the lock, and learn the next free authorization number.
 * Errors  ERR_RETRY: no connection, or another provider has the lock
 */
enum err_kind book_store_ready(struct book_store *store, int64_t *next_number, struct err *err);
/** Read the batch's operations and authorizations; those that are not there keep is_known false,
 * status NONE. */
enum err_kind book_store_load(struct book_store *store, struct batch *batch, struct err *err);
/** Write what is changed, and commit. Not ERR_OK: nothing of it counts. */
enum err_kind book_store_save(struct book_store *store, const struct batch *batch, struct err *err);

struct booked *batch_operation(const struct batch *batch, struct view key);
/** NULL: not one of the batch. */
struct authorization *batch_authorization(const struct batch *batch, int64_t number);

#endif
