#include "runtime/lookup.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_MIN 16

void lookup_clear(struct lookup *lookup)
{
    free(lookup->slots);
    lookup->slots = NULL;
    lookup->capacity = 0;
    lookup->count = 0;
}

/* The slot that holds the key, or the free one where it would go. The table is never full. */
static size_t slot_of(const struct lookup *lookup, struct view key, uint64_t hash)
{
    size_t mask = lookup->capacity - 1;
    size_t at = hash & mask;

    while (lookup->slots[at].thing != NULL &&
           (lookup->slots[at].hash != hash ||
            !view_equal(lookup->key_of(lookup->slots[at].thing), key)))
        at = (at + 1) & mask;
    return at;
}

void *lookup_find(const struct lookup *lookup, struct view key)
{
    if (lookup->count == 0)
        return NULL;
    return lookup->slots[slot_of(lookup, key, view_hash(key))].thing;
}

static void grow(struct lookup *lookup)
{
    struct lookup_slot *old = lookup->slots;
    size_t old_capacity = lookup->capacity;

    lookup->capacity = old_capacity == 0 ? CAPACITY_MIN : old_capacity * 2;
    lookup->slots = mem_alloc(lookup->capacity * sizeof *lookup->slots);
    for (size_t i = 0; i < old_capacity; i++) {
        size_t at = old[i].hash & (lookup->capacity - 1);

        if (old[i].thing == NULL)
            continue;
        while (lookup->slots[at].thing != NULL)
            at = (at + 1) & (lookup->capacity - 1);
        lookup->slots[at] = old[i];
    }
    free(old);
}

void lookup_add(struct lookup *lookup, void *thing)
{
    struct view key = lookup->key_of(thing);
    uint64_t hash = view_hash(key);
    size_t at;

    if (lookup->count * 4 >= lookup->capacity * 3)
        grow(lookup);
    at = slot_of(lookup, key, hash);
    assert(lookup->slots[at].thing == NULL);
    lookup->slots[at] = (struct lookup_slot){.hash = hash, .thing = thing};
    lookup->count++;
}

void *lookup_remove(struct lookup *lookup, struct view key)
{
    size_t mask = lookup->capacity - 1;
    size_t hole, at;
    void *thing;

    if (lookup->count == 0)
        return NULL;
    hole = slot_of(lookup, key, view_hash(key));
    thing = lookup->slots[hole].thing;
    if (thing == NULL)
        return NULL;
    /* Close the hole: whatever behind it was pushed past it moves up, so that no search ends early.
     */
    for (at = (hole + 1) & mask; lookup->slots[at].thing != NULL; at = (at + 1) & mask) {
        size_t home = lookup->slots[at].hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            lookup->slots[hole] = lookup->slots[at];
            hole = at;
        }
    }
    lookup->slots[hole] = (struct lookup_slot){0};
    lookup->count--;
    return thing;
}

void *lookup_next(const struct lookup *lookup, size_t *place)
{
    while (*place < lookup->capacity) {
        void *thing = lookup->slots[(*place)++].thing;

        if (thing != NULL)
            return thing;
    }
    return NULL;
}
