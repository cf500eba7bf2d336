/* The collections beside the chain that hold a whole state of it: snapshots, and what a replay put
 * in place. For chain.c. */
#ifndef TRADEWIND_INVENTORY_CHAIN_SNAPSHOTS_H
#define TRADEWIND_INVENTORY_CHAIN_SNAPSHOTS_H

#include "consumers/inventory/chain.h"

#define CHAIN_SNAPSHOT_PREFIX "snapshot_"
#define CHAIN_STATE_PREFIX "state_"
/* Replies hold this many documents: even of the largest ones together less than 48 MB. */
#define CHAIN_PER_REPLY 10

/** The number in "snapshot_<number>_<run>", or "state_..."; false: there is none. */
bool chain_snapshot_number(const char *name, uint64_t *number);

/** The newest one below `before` that is valid; index of it in names, or -1. */
enum err_kind chain_find_valid(struct mongo *mongo, char *const *names, size_t before,
                               ptrdiff_t *found, int64_t *time_us, struct err *err);

/** The newest snapshot, or the newest state that a replay has put in place behind it; out is empty
 * when there is neither. */
enum err_kind chain_find_beginning(char out[LEDGER_NAME_SIZE], struct mongo *mongo,
                                   struct err *err);

#endif
