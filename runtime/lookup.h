/* Finds things by a key that they carry themselves.
 *
 * A hash table of pointers (open addressing, linear probing): 16 bytes a slot, half to three
 * quarters of them in use once it has grown. The things and their keys belong to somebody else, and
 * a key must not change while its thing is in here. Not for several threads. */
#ifndef TRADEWIND_RUNTIME_LOOKUP_H
#define TRADEWIND_RUNTIME_LOOKUP_H

#include "runtime/bytes.h"

struct lookup_slot {
    uint64_t hash;
    void *thing; /* NULL: free */
};

struct lookup {
    struct view (*key_of)(const void *thing); /* set it; the rest begins as zero */
    struct lookup_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void lookup_clear(struct lookup *lookup); /* frees the table, not the things; usable again */

/** The thing with this key, or NULL. */
void *lookup_find(const struct lookup *lookup, struct view key);
/** Put a thing in; none with its key may be there. */
void lookup_add(struct lookup *lookup, void *thing);
/** Take the thing with this key out and return it; NULL when there is none. */
void *lookup_remove(struct lookup *lookup, struct view key);
/** One thing after the other in no order, NULL at the end; *place begins as 0. */
void *lookup_next(const struct lookup *lookup, size_t *place);

#endif
