#include "runtime/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_ALIGN _Alignof(max_align_t)
#define ARENA_BLOCK_BYTES (16u * 1024u)
#define ARENA_KEEP_BYTES (1024u * 1024u)

struct arena_block {
    struct arena_block *next;
    size_t capacity;
    _Alignas(max_align_t) char data[];
};

static void blocks_free(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_clear(struct arena *arena)
{
    blocks_free(arena->blocks);
    blocks_free(arena->spare);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    size_t kept = 0;

    for (struct arena_block *block = arena->spare; block != NULL; block = block->next)
        kept += block->capacity;
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->next;
        if (kept + block->capacity > ARENA_KEEP_BYTES) {
            free(block);
            continue;
        }
        kept += block->capacity;
        block->next = arena->spare;
        arena->spare = block;
    }
    arena->used = 0;
    arena->total = 0;
}

static void arena_new_block(struct arena *arena, size_t size)
{
    struct arena_block **link = &arena->spare;
    struct arena_block *block;

    while (*link != NULL && (*link)->capacity < size)
        link = &(*link)->next;
    block = *link;
    if (block != NULL) {
        *link = block->next;
    } else {
        size_t capacity = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;

        block = mem_alloc(sizeof *block + capacity);
        block->capacity = capacity;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    char *memory;

    if (size > SIZE_MAX / 2)
        abort();
    size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (arena->blocks == NULL || arena->blocks->capacity - arena->used < size)
        arena_new_block(arena, size);
    memory = arena->blocks->data + arena->used;
    arena->used += size;
    arena->total += size;
    return memset(memory, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        abort();
    return arena_alloc(arena, bytes);
}

struct view arena_view(struct arena *arena, struct view view)
{
    char *copy;

    if (view.data == NULL)
        return VIEW_NONE;
    copy = arena_alloc(arena, view.size + 1);
    if (view.size > 0)
        memcpy(copy, view.data, view.size);
    return view_of(copy, view.size);
}

void *arena_room(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size)
{
    void *larger;

    if (count < *capacity)
        return array;
    *capacity = *capacity > 0 ? 2 * *capacity : 16;
    larger = arena_array(arena, *capacity, size);
    return count > 0 ? memcpy(larger, array, count * size) : larger;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(arena_alloc(arena, size), text, size);
}

struct view arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    int length;
    char *text;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return view_of(text, (size_t)length);
}
