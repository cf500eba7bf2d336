/* The newest records of the part's own topic, for the relay: what is not in here it reads from the
 * chain. Bounded; the oldest leave first. The caller locks. */
#ifndef TRADEWIND_INVENTORY_RECENT_H
#define TRADEWIND_INVENTORY_RECENT_H

#include "runtime/store.h"

struct recent_record {
    struct journal_record record;
    struct recent_record *newer;         /* of all */
    struct recent_record *next_in_shard; /* the next number */
};

struct recent {
    size_t bytes, max_bytes;
    int32_t partitions;
    struct recent_record *oldest, *newest;
    struct recent_shard {
        struct recent_record *first, *last; /* their numbers have no hole */
        struct recent_record *found;        /* where the last search ended: the next begins here */
    } * shards;
};

void recent_init(struct recent *recent, int32_t partitions, size_t max_bytes);
void recent_clear(struct recent *recent);  /* frees; recent_init makes it usable again */
void recent_forget(struct recent *recent); /* empties */

/** Copies. A number that does not follow the shard's last one empties it all first. */
void recent_add(struct recent *recent, const struct journal_record *record);

/** The record of this number; the next ones hang on next_in_shard. NULL: not here. */
const struct recent_record *recent_find(struct recent *recent, int32_t shard, uint64_t number);

#endif
