/* Inventory's commit point: one insert into the ledger's chain (design "delivery", rule 7).
 *
 * It is a store (runtime/store.h) whose state is in memory. The worker decides against that memory
 * (ledger_store_enter applies at once), and the commit writes one document with everything in it.
 * When the document's number is taken, when no answer comes, or when it comes so late that the
 * chain may have been trimmed behind the writer's back, the memory is dropped and the chain read
 * again; only what stands there has happened.
 *
 * Threads: as in struct store. What the relay asks for is kept apart under a lock. */
#ifndef TRADEWIND_INVENTORY_LEDGER_STORE_H
#define TRADEWIND_INVENTORY_LEDGER_STORE_H

#include "consumers/inventory/ledger.h"

struct ledger_store;

/* An insert that is answered later than this after the one before was sent is not believed: by then
 * the chain may have gone on, and its number may have been trimmed and be free again. */
#define LEDGER_BELIEF_MS 30000
/* For so long the writer waits for what a replay puts behind a document that asks it to wait. Then
 * it writes on, and the replay finds its number taken. */
#define LEDGER_WAIT_MS 20000

/* Of records that are not published yet, so much stays in memory for the relay. */
#define LEDGER_RECENT_BYTES (64u << 20)

struct ledger_store_options {
    const char *uri;      /* mongodb://host:port/database */
    const char *instance; /* "inventory-1" */
    const char *warehouse;
    int32_t partitions;
    int64_t journal_s;   /* how long what was published stays */
    int64_t belief_ms;   /* LEDGER_BELIEF_MS, but for tests */
    size_t recent_bytes; /* LEDGER_RECENT_BYTES, but for tests */
};

/**
 * Connect. out->self is the struct ledger_store.
 * Errors  ERR_RETRY: the server does not answer. ERR_STOP: a bad URI
 */
enum err_kind ledger_store_open(struct store *out, const struct ledger_store_options *options,
                                struct err *err);

/* --- For the part's hooks, on the worker, between begin and commit ------------------------------
 */

/** The stock as the unit's decisions have left it. Good until the unit ends. */
const struct stock *ledger_store_stock(const struct ledger_store *store);

/**
 * Apply an entry and write it with this unit. borrows what it points to until the unit ends.
 * Errors  ERR_REJECT: it does not fit; nothing has changed
 */
enum err_kind ledger_store_enter(struct ledger_store *store, const struct entry *entry,
                                 struct err *err);
/** How many entries this unit has, and going back to so many. */
size_t ledger_store_entered(const struct ledger_store *store);
void ledger_store_take_back(struct ledger_store *store, size_t entered);

/** Whether a numbered dead letter of the key is left that this unit does not bring back. */
bool ledger_store_has_letter(struct ledger_store *store, struct view key);

/** Write a document for this unit even when there is nothing to say. */
void ledger_store_beat(struct ledger_store *store);
/** Monotonic time of the last document that stands (sent), or of the last reading. */
int64_t ledger_store_believed_ms(const struct ledger_store *store);

#endif
