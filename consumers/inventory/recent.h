/* Records of the part's own topic that the relay may ask for: the newest, and what it found in the
 * chain, which it reads a whole collection at a time. What is not published yet stays longer, in
 * larger bounds. The oldest leave first. The caller locks. */
#ifndef TRADEWIND_INVENTORY_RECENT_H
#define TRADEWIND_INVENTORY_RECENT_H

#include "runtime/store.h"

struct recent_record {
    struct journal_record record;
    struct recent_record *newer;         /* of all */
    struct recent_record *next_in_shard; /* the next number */
};

struct recent {
    size_t bytes, max_bytes;   /* max_bytes: of what is published */
    size_t most_bytes;         /* of all */
    const uint64_t *published; /* the last number of each shard that is; the caller's */
    int32_t partitions;
    struct recent_record *oldest, *newest;
    struct recent_shard {
        struct recent_record *first, *last; /* their numbers have no hole */
        struct recent_record *found;        /* where the last search ended: the next begins here */
    } * shards;
};

void recent_init(struct recent *recent, int32_t partitions, const uint64_t *published,
                 size_t max_bytes, size_t most_bytes);
void recent_clear(struct recent *recent);  /* frees; recent_init makes it usable again */
void recent_forget(struct recent *recent); /* empties */

/** Copies. A number that does not follow the shard's last one empties it all first. */
void recent_add(struct recent *recent, const struct journal_record *record);

/** The record of this number; the next ones hang on next_in_shard. NULL: not here. */
const struct recent_record *recent_find(struct recent *recent, int32_t shard, uint64_t number);

#endif
