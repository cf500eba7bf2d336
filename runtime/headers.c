#include "runtime/headers.h"

#include <assert.h>

static uint32_t big_endian(struct view bytes, size_t at, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value = value << 8 | (unsigned char)bytes.data[at + i];
    return value;
}

static char *write_big_endian(char *at, size_t value, unsigned size)
{
    for (unsigned i = size; i-- > 0;)
        *at++ = (char)(value >> (8 * i));
    return at;
}

void headers_start(struct buf *block)
{
    buf_reset(block);
    write_big_endian(buf_reserve(block, 2), 0, 2);
    block->size = 2;
}

void headers_append(struct buf *block, const char *name, struct view value)
{
    size_t count = big_endian(buf_view(block), 0, 2) + 1, name_size = strlen(name);
    char *at = buf_reserve(block, 2 + name_size + 4 + value.size);

    assert(name_size <= UINT16_MAX && value.size <= UINT32_MAX && count <= UINT16_MAX);
    at = write_big_endian(at, name_size, 2);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): its length stands before it */
    memcpy(at, name, name_size);
    at = write_big_endian(at + name_size, value.size, 4);
    if (value.size > 0)
        memcpy(at, value.data, value.size);
    block->size += 2 + name_size + 4 + value.size;
    write_big_endian(block->data, count, 2);
}

/* A length of `size` bytes and then that many bytes; false when they are not all there. */
static bool take(struct view *rest, unsigned size, struct view *out)
{
    uint32_t length;

    if (rest->size < size)
        return false;
    length = big_endian(*rest, 0, size);
    if (rest->size - size < length)
        return false;
    *out = view_of(rest->data + size, length);
    *rest = view_of(rest->data + size + length, rest->size - size - length);
    return true;
}

static bool next(struct headers *headers, struct header *out)
{
    struct headers after = *headers;

    if (!take(&after.rest, 2, &out->name) || !take(&after.rest, 4, &out->value))
        return false;
    after.left--;
    *headers = after;
    return true;
}

enum err_kind headers_read(struct headers *out, struct view block, struct err *err)
{
    struct headers headers, walk;
    struct header header;

    if (block.size < 2)
        return err_set(err, ERR_REJECT, "header block of %zu bytes, want at least 2", block.size);
    headers.left = big_endian(block, 0, 2);
    headers.rest = view_of(block.data + 2, block.size - 2);
    for (walk = headers; walk.left > 0;)
        if (!next(&walk, &header))
            return err_set(err, ERR_REJECT, "header block: ends within header %u of %u",
                           headers.left - walk.left + 1, headers.left);
    if (walk.rest.size > 0)
        return err_set(err, ERR_REJECT, "header block: %zu bytes behind the last of %u headers",
                       walk.rest.size, headers.left);
    *out = headers;
    return ERR_OK;
}

bool headers_next(struct headers *headers, struct header *out)
{
    return headers->left > 0 && next(headers, out);
}
