/* Put a shadow in the place of the live tables, in one transaction.
 *
 * A part that serves is held at its commit point for the moment that takes: its position and shard
 * rows are locked, the shadow is moved up to them, the tables change places. What lies beside them
 * (what is owed, idempotency keys, the journal) fits, because both are at one position. What was
 * live is kept as SHADOW_OLD and can be moved on and swapped back.
 *
 * Of a database that was lost all that is beside is made from the topics too: numbers, positions,
 * the last hour of the journal; and inputs whose outcome the loss has taken become dead letters
 * with the reason `undecided`, which the part decides again when it starts. */
#ifndef TRADEWIND_REPLAY_SWAP_H
#define TRADEWIND_REPLAY_SWAP_H

#include "ops/replay/acted.h"
#include "ops/replay/live.h"

struct swap_result {
    int64_t held_ms;    /* for so long the part could not commit */
    uint64_t undecided; /* inputs that are decided again */
    uint64_t journal;   /* records copied from the part's topic */
};

/** The part's database is at its topics' position, and stays: Errors as live_follow; nothing has
 * changed then. */
enum err_kind swap_tables(struct shadow *shadow, struct live *live, const struct acted *acted,
                          struct swap_result *result, struct err *err);

/** The part's database was lost: the part does not run on it. */
enum err_kind swap_into_lost(struct shadow *shadow, struct live *live, const char *database,
                             const struct acted *acted, struct swap_result *result,
                             struct err *err);

/** Tell what was done that changed nothing of the live state: in a transaction of its own. */
enum err_kind swap_tell(struct live *live, const struct acted *acted, struct err *err);
/** Drop the shadow and what was put away, and tell it, when there was anything. */
enum err_kind swap_drop(struct live *live, const struct acted *acted, struct err *err);

#endif
