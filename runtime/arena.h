/* One message's memory: allocated piece by piece, given back all at once.
 *
 * arena_reset keeps the first blocks, so a worker that resets its arena after each batch soon
 * allocates nothing any more. Not for several threads. */
#ifndef TRADEWIND_RUNTIME_ARENA_H
#define TRADEWIND_RUNTIME_ARENA_H

#include "runtime/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    struct arena_block *spare;  /* kept by arena_reset */
    size_t used;                /* in the newest block */
    size_t total;               /* bytes handed out since the last reset */
};

void arena_clear(struct arena *arena); /* frees; a zeroed arena is a valid empty one */
CLEANUP_IN_PLACE(arena_clear, struct arena)
void arena_reset(
    struct arena *arena); /* forgets all content, keeps up to 1 MiB for the next batch */

/** size zeroed bytes, aligned for any type; never NULL (out of memory ends the process). */
void *arena_alloc(struct arena *arena, size_t size);
/** count * size with the product checked. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/** An array of count entries of size bytes with room for one more: itself, or a copy of twice its
 * *capacity. */
void *arena_room(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
/** A copy that lives as long as the arena; NUL behind it (not counted). None stays none. */
struct view arena_view(struct arena *arena, struct view view);
struct view arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
