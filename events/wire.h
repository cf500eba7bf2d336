/* Avro's binary primitives: what a cursor reads and a buffer takes.
 *
 * A read that fails says why in the cursor (a constant text) and gives false; the caller adds
 * where. */
#ifndef TRADEWIND_EVENTS_WIRE_H
#define TRADEWIND_EVENTS_WIRE_H

#include "runtime/bytes.h"

#define WIRE_LONG_BYTES_MAX 10

struct cursor {
    const unsigned char *at, *end;
    const char *why;
};

static inline struct cursor cursor_over(struct view bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;

    return (struct cursor){.at = at, .end = at + bytes.size};
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline bool cursor_fail(struct cursor *cursor, const char *why)
{
    cursor->why = why;
    return false;
}

bool wire_get_long_slow(struct cursor *cursor, int64_t *out);

/** int and long: zigzag, 7 bits a byte, at most 10 bytes. */
static inline bool wire_get_long(struct cursor *cursor, int64_t *out)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) { /* most are small */
        uint8_t zigzag = *cursor->at++;

        *out = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
        return true;
    }
    return wire_get_long_slow(cursor, out);
}

bool wire_get_int(struct cursor *cursor, int32_t *out);
bool wire_get_boolean(struct cursor *cursor, bool *out);
bool wire_get_float(struct cursor *cursor, float *out);
bool wire_get_double(struct cursor *cursor, double *out);

/** A view of the next size bytes; data is never NULL. */
static inline bool wire_get_fixed(struct cursor *cursor, size_t size, struct view *out)
{
    if (size > cursor_left(cursor))
        return cursor_fail(cursor, "is longer than what is there");
    *out = view_of(cursor->at, size);
    cursor->at += size;
    return true;
}

static inline bool wire_get_bytes(struct cursor *cursor, struct view *out)
{
    int64_t size;

    if (!wire_get_long(cursor, &size))
        return false;
    if (size < 0)
        return cursor_fail(cursor, "has a negative length");
    return wire_get_fixed(cursor, (size_t)size, out);
}

/** bytes that are UTF-8. */
static inline bool wire_get_string(struct cursor *cursor, struct view *out)
{
    if (!wire_get_bytes(cursor, out))
        return false;
    return view_is_utf8(*out) || cursor_fail(cursor, "is not UTF-8");
}

/* A block of an array or map. */
struct wire_block {
    size_t count;             /* items; 0: this was the last block */
    const unsigned char *end; /* where the block says that it ends; NULL: it says nothing */
};

/**
 * The head of a block of items of at least min_bytes. *empty_items is what may still come of items
 * that take no byte; it bounds what bytes cannot.
 */
bool wire_get_block(struct cursor *cursor, size_t min_bytes, size_t *empty_items,
                    struct wire_block *out);
/** After its items: does the block end where it said? Who skips it by its size must agree. */
bool wire_end_block(struct cursor *cursor, const struct wire_block *block);

/* How many items without a byte a whole message may hold: there is no use for them. */
#define WIRE_EMPTY_ITEMS_MAX 1000

/** At `at`, where WIRE_LONG_BYTES_MAX bytes have room; returns where it ends. */
static inline char *wire_write_long(char *at, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    for (; zigzag >= 0x80; zigzag >>= 7)
        *at++ = (char)(zigzag | 0x80);
    *at++ = (char)zigzag;
    return at;
}

static inline void wire_put_long(struct buf *out, int64_t value)
{
    char *start = buf_reserve(out, WIRE_LONG_BYTES_MAX);

    out->size += (size_t)(wire_write_long(start, value) - start);
}

static inline void wire_put_bytes(struct buf *out, struct view bytes)
{
    char *start = buf_reserve(out, WIRE_LONG_BYTES_MAX + bytes.size);
    char *at = wire_write_long(start, (int64_t)bytes.size);

    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    out->size += (size_t)(at - start) + bytes.size;
}

void wire_put_float(struct buf *out, float value);
void wire_put_double(struct buf *out, double value);

#endif
