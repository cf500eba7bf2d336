#include "events/wire.h"

bool wire_get_long_slow(struct cursor *cursor, int64_t *out)
{
    const unsigned char *at = cursor->at;
    uint64_t zigzag = 0;

    for (unsigned i = 0; i < WIRE_LONG_BYTES_MAX; i++) {
        uint64_t byte;

        if (at == cursor->end)
            return cursor_fail(cursor, "ends within a number");
        byte = *at++;
        if (i == WIRE_LONG_BYTES_MAX - 1 && byte > 1)
            break; /* more than 64 bits */
        zigzag |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
            cursor->at = at;
            return true;
        }
    }
    return cursor_fail(cursor, "is a number of more than 64 bits");
}

bool wire_get_int(struct cursor *cursor, int32_t *out)
{
    int64_t value;

    if (!wire_get_long(cursor, &value))
        return false;
    if (value < INT32_MIN || value > INT32_MAX)
        return cursor_fail(cursor, "is an int of more than 32 bits");
    *out = (int32_t)value;
    return true;
}

bool wire_get_boolean(struct cursor *cursor, bool *out)
{
    if (cursor->at == cursor->end)
        return cursor_fail(cursor, "ends before a boolean");
    if (*cursor->at > 1)
        return cursor_fail(cursor, "is a boolean other than 0 and 1");
    *out = *cursor->at++ == 1;
    return true;
}

/* Little-endian bytes of any machine. */
static uint64_t little_endian(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

bool wire_get_float(struct cursor *cursor, float *out)
{
    uint32_t bits;

    if (cursor_left(cursor) < sizeof bits)
        return cursor_fail(cursor, "ends within a float");
    bits = (uint32_t)little_endian(cursor->at, sizeof bits);
    memcpy(out, &bits, sizeof bits);
    cursor->at += sizeof bits;
    return true;
}

bool wire_get_double(struct cursor *cursor, double *out)
{
    uint64_t bits;

    if (cursor_left(cursor) < sizeof bits)
        return cursor_fail(cursor, "ends within a double");
    bits = little_endian(cursor->at, sizeof bits);
    memcpy(out, &bits, sizeof bits);
    cursor->at += sizeof bits;
    return true;
}

bool wire_get_block(struct cursor *cursor, size_t min_bytes, size_t *empty_items,
                    struct wire_block *out)
{
    struct wire_block block = {0};
    int64_t items, bytes;

    if (!wire_get_long(cursor, &items))
        return false;
    if (items < 0) { /* then the block's size in bytes follows, for those who skip */
        if (items == INT64_MIN)
            return cursor_fail(cursor, "has more items than there are bytes");
        items = -items;
        if (!wire_get_long(cursor, &bytes))
            return false;
        if (bytes < 0 || (uint64_t)bytes > cursor_left(cursor))
            return cursor_fail(cursor, "has a block longer than what is there");
        block.end = cursor->at + bytes;
    }
    if (min_bytes > 0) {
        if ((uint64_t)items > cursor_left(cursor) / min_bytes)
            return cursor_fail(cursor, "has more items than there are bytes");
    } else {
        if ((uint64_t)items > *empty_items)
            return cursor_fail(cursor, "has too many empty items");
        *empty_items -= (size_t)items;
    }
    block.count = (size_t)items;
    *out = block;
    return true;
}

bool wire_end_block(struct cursor *cursor, const struct wire_block *block)
{
    if (block->end != NULL && block->end != cursor->at)
        return cursor_fail(cursor, "has a block of another size than it says");
    return true;
}

static void put_little_endian(struct buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_append_byte(out, (uint8_t)(value >> (8 * i)));
}

void wire_put_float(struct buf *out, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_little_endian(out, bits, sizeof bits);
}

void wire_put_double(struct buf *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_little_endian(out, bits, sizeof bits);
}
