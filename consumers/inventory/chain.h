/* The ledger's documents where they lie: appended, read back, snapshots of them, trimmed.
 *
 *     ledger_0000000000 ...    256 documents each: number / 256
 *     snapshot_<number>_<run>  parts, then the document `valid`: without it there is no snapshot
 *     state_<number>_<run>     the same, of what a replay put in place with the document of that
 *                              number
 *
 * The chain is the fence. Whoever takes over writes a document (its epoch); a writer that came
 * before finds its next number taken. Numbers have no hole; reading begins behind the newest valid
 * snapshot and ends at the first number that is not there.
 *
 * A server may scan a collection for every find ([m] FerretDB does, 40 us a document of 8 kB), so
 * whole collections are read, and single documents are looked up only off the hot path. */
#ifndef TRADEWIND_INVENTORY_CHAIN_H
#define TRADEWIND_INVENTORY_CHAIN_H

#include "consumers/inventory/ledger.h"
#include "runtime/mongo.h"

/* A collection is dropped when all its events are published and old enough, and a snapshot of what
 * is behind it is that old: who reads has found either the collection or the snapshot. */
#define CHAIN_SNAPSHOT_AGE_US (INT64_C(60) * 1000000)
/* Between two snapshots that are kept for those who check the ledger from further back. */
#define CHAIN_SNAPSHOT_SPACING_US (INT64_C(600) * 1000000)

/**
 * Append the document of a batch.
 *
 * taken   true: the number is taken (ERR_REJECT)
 *
 * Errors  ERR_REJECT: it is larger than LEDGER_DOCUMENT_MAX, or taken; not stored
 *         ERR_RETRY: nobody knows whether it is stored
 */
enum err_kind chain_append(struct mongo *mongo, const bson_t *document, uint64_t number,
                           bool *taken, struct err *err);

/**
 * Read the newest snapshot, or the newest state that a replay has put in place, and all documents
 * behind it into an empty ledger.
 *
 * each   may be NULL; gets every document behind the snapshot, after it is folded
 *
 * Errors  ERR_RETRY: unreachable, or the chain has a hole (what was being read was trimmed
 *         meanwhile): begin again with a new ledger
 *         ERR_STOP: it holds what is no document of it, or an entry that does not fit
 */
enum err_kind chain_load(struct ledger *ledger, struct mongo *mongo,
                         void (*each)(void *context, const struct batch *batch), void *context,
                         struct err *err);

/* Who reads the chain document by document. What the callbacks get are views; all but batch may be
 * NULL. */
struct chain_visitor {
    struct snapshot_visitor things;
    void (*clear)(void *context); /* what things came so far do not count: others follow */
    enum err_kind (*standing)(void *context, const struct standing *standing, struct err *err);
    enum err_kind (*batch)(void *context, const struct batch *batch, struct err *err);
    void *context;
};

/** As chain_load, which is made of it: the newest snapshot (or a state that was put in place behind
 * it), its standing, all batches behind it. */
enum err_kind chain_visit(const struct chain_visitor *visitor, struct mongo *mongo,
                          struct err *err);

/** The things of one snapshot or state, and what its last document says.
 *  Errors  ERR_RETRY: unreachable, or it is not whole */
enum err_kind chain_visit_parts(const struct snapshot_visitor *visitor, struct standing *standing,
                                struct mongo *mongo, const char *name, struct arena *arena,
                                struct err *err);

/**
 * All records of the collection with that number of the shard, or with its first number behind it
 * when that one is trimmed: of all shards, each shard's in the order of their numbers, as views
 * until each returns. Nothing when there are none.
 * Errors  ERR_RETRY: unreachable. ERR_STOP: what lies there is no document of the chain
 */
enum err_kind chain_read_records(struct mongo *mongo, int32_t shard, uint64_t number,
                                 void (*each)(void *context, const struct journal_record *record),
                                 void *context, struct err *err);

/**
 * Write a snapshot of the ledger at number: the documents of snapshot_write, in their order. run
 * makes its name unique, so that two writers never mix their parts.
 * Errors  ERR_RETRY: unreachable; what was written of it is not valid
 */
enum err_kind chain_write_snapshot(struct mongo *mongo, uint64_t number, const char *run,
                                   bson_t *const *documents, size_t count, struct err *err);

/** The same for a state that the document of that number will put in place; name: its collection.
 */
enum err_kind chain_write_state(char name[LEDGER_NAME_SIZE], struct mongo *mongo, uint64_t number,
                                const char *run, bson_t *const *documents, size_t count,
                                struct err *err);

/**
 * Drop what nobody needs any more: collections of the chain, and snapshots.
 *
 * published   what the broker has acknowledged, by shard
 * keep_us     how long what was published stays
 * prove       says which of its records the log holds; others stay
 */
enum err_kind chain_trim(struct mongo *mongo, const uint64_t *published, int32_t partitions,
                         int64_t keep_us, int64_t now_us, journal_prove_fn *prove, void *context,
                         struct err *err);

#endif
