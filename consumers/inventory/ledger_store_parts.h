/* Inside the ledger's store: what its files share. Elsewhere ledger_store.h is enough.
 *
 *     ledger_store.c        the commit, and all that the worker and the part's hooks do
 *     ledger_store_chain.c  reading the chain of documents, and writing the next one
 *     ledger_store_relay.c  what the relay and other threads ask: numbers, records, dead letters */
#ifndef TRADEWIND_INVENTORY_LEDGER_STORE_PARTS_H
#define TRADEWIND_INVENTORY_LEDGER_STORE_PARTS_H

#include "consumers/inventory/chain.h"
#include "consumers/inventory/ledger_store.h"
#include "consumers/inventory/recent.h"
#include "consumers/inventory/snapshotter.h"
#include "runtime/metrics.h"

#include <pthread.h>

struct ledger_store {
    struct mongo *worker, *relay, *probe;
    struct snapshotter *snapshotter;
    char *instance, *warehouse;
    char run[17]; /* of this process: random hex */
    int32_t partitions;
    int64_t journal_s, belief_ms;

    /* The worker's. The relay looks at ledger only under the lock, and the worker changes the
     * pointer, and anything in it but the stock, only under it. */
    struct ledger *ledger; /* NULL: to be read */
    uint64_t epoch;        /* of the document with which we took over; 0: we did not */
    uint64_t attempts;
    int64_t believed_ms;
    size_t since_bytes, since_documents, snapshot_bytes; /* since the last snapshot; its size */
    bool beat;
    uint64_t waits_behind; /* the last document that asked to wait, and how long we do */
    int64_t waits_until_ms;
    const struct commit *commit; /* of the unit that began */
    struct entry *entries;
    size_t entry_count, entry_capacity;

    pthread_mutex_t lock;
    struct recent recent;
    struct recent waiting;  /* what the relay found in the chain and no shard's turn has come for */
    uint64_t *last_numbers; /* arrays of one element a shard: what the relay may know */
    uint64_t *published;
    int64_t *published_offsets;
    int64_t *copied; /* dead letters that were copied since the last document */
    size_t copied_count;
};

/* One reading of the chain; what it looks for on the way. */
struct ledger_load {
    struct ledger_store *store;
    const char *writer; /* of the attempt that is looked for; NULL: none */
    uint64_t number;
    bool found;
    size_t documents;
};

extern struct metric ledger_documents_total, ledger_reloads_total, ledger_insert_time;

/* --- ledger_store_chain.c: the worker's ------------------------------------------------------- */

void ledger_store_drop_unit(struct ledger_store *store);
/** Forget the ledger in memory: it is read again when it is needed. */
void ledger_store_drop(struct ledger_store *store);
enum err_kind ledger_store_load(struct ledger_store *store, struct ledger_load *load,
                                struct err *err);
/** Read it unless it is there. */
enum err_kind ledger_store_need(struct ledger_store *store, struct err *err);
/** The time of the unit that begins: never before that of the last document. */
void ledger_store_set_time(struct ledger_store *store);
/** What the next document says of the whole, as things stand; its arrays in arena. */
struct standing ledger_store_next_standing(struct ledger_store *store, struct arena *arena);
/** Write the batch, whose entries are applied, as the next document. On ERR_OK it stands and is
 * settled; on ERR_RETRY the memory was dropped. */
enum err_kind ledger_store_write(struct ledger_store *store, struct batch *batch, struct err *err);

/* --- ledger_store_relay.c: functions of struct store ------------------------------------------ */

enum err_kind ledger_store_last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                        struct err *err);
enum err_kind ledger_store_published(void *self, uint64_t *numbers, int32_t partitions,
                                     struct err *err);
enum err_kind ledger_store_note_published(void *self, const uint64_t *numbers,
                                          const int64_t *offsets, int32_t partitions,
                                          struct err *err);
enum err_kind ledger_store_read(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                                void (*each)(void *context, const struct journal_record *record),
                                void *context, struct err *err);
enum err_kind ledger_store_maintain(void *self, journal_prove_fn *prove, void *context,
                                    struct err *err);
enum err_kind ledger_store_copy_dead_letters(void *self,
                                             bool (*each)(void *context,
                                                          const struct dead_letter *dead),
                                             void *context, struct err *err);
enum err_kind ledger_store_load_dead_letters(void *self, int64_t id, struct dead_letter **out,
                                             size_t *count, struct arena *arena, struct err *err);
enum err_kind ledger_store_list_dead_letters(void *self, int64_t after, int32_t limit,
                                             void (*each)(void *context,
                                                          const struct dead_letter *dead),
                                             void *context, struct err *err);
enum err_kind ledger_store_find_dead_letter(void *self, int64_t id, const struct dead_letter **out,
                                            struct arena *arena, struct err *err);
enum err_kind ledger_store_undecided(void *self, const int32_t *partitions, size_t partition_count,
                                     size_t max, struct dead_letter **out, size_t *count,
                                     struct arena *arena, struct err *err);

#endif
