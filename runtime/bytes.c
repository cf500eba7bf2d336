#include "runtime/bytes.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What jemalloc reads before main: threads share one heap, and what a burst took is given back
 * within seconds, by a part that then idles too. Without jemalloc (sanitizers, debug builds) nobody
 * reads it. */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0,background_thread:true,"
                          "max_background_threads:1";

static void out_of_memory(size_t size)
{
    fprintf(stderr, "out of memory: %zu bytes\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);

    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *mem_grow(void *old, size_t count, size_t size)
{
    void *memory = reallocarray(old, count > 0 ? count : 1, size);

    if (memory == NULL)
        out_of_memory(count * size);
    return memory;
}

void *mem_room(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity > 0 ? 2 * *capacity : 16;
    return mem_grow(array, *capacity, size);
}

char *mem_strdup_view(struct view view)
{
    char *text = mem_alloc(view.size + 1);

    if (view.size > 0)
        memcpy(text, view.data, view.size);
    return text;
}

char *mem_strdup(const char *text)
{
    return mem_strdup_view(view_str(text));
}

int view_compare(struct view a, struct view b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

/* Unicode 15, table 3-7: which second bytes make a sequence well-formed. */
size_t view_utf8_sequence(struct view v)
{
    const unsigned char *s = (const unsigned char *)v.data;
    unsigned char lowest = 0x80, highest = 0xbf;
    size_t length;

    if (v.size == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        length = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        length = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (length > v.size)
        return 0;
    if (s[0] == 0xe0)
        lowest = 0xa0;
    else if (s[0] == 0xed)
        highest = 0x9f;
    else if (s[0] == 0xf0)
        lowest = 0x90;
    else if (s[0] == 0xf4)
        highest = 0x8f;
    if (s[1] < lowest || s[1] > highest)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return length;
}

bool view_is_utf8(struct view v)
{
    while (v.size > 0) {
        size_t length = (unsigned char)v.data[0] < 0x80 ? 1 : view_utf8_sequence(v);

        if (length == 0)
            return false;
        v.data += length;
        v.size -= length;
    }
    return true;
}

bool view_to_int64(struct view v, int64_t *out)
{
    bool negative = v.size > 0 && v.data[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value = 0;

    if (v.size == (negative ? 1u : 0u))
        return false;
    for (size_t i = negative ? 1 : 0; i < v.size; i++) {
        unsigned digit = (unsigned)(v.data[i] - '0');

        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

uint64_t view_hash(struct view v)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < v.size; i++)
        hash = (hash ^ (unsigned char)v.data[i]) * 0x100000001b3u;
    return hash ^ (hash >> 32);
}

void buf_clear(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

char *buf_grow(struct buf *buf, size_t more)
{
    size_t wanted = buf->capacity > 0 ? buf->capacity * 2 : 256;

    if (more > SIZE_MAX / 2 - buf->size)
        out_of_memory(more);
    while (wanted - buf->size < more)
        wanted *= 2;
    buf->data = mem_grow(buf->data, wanted, 1);
    buf->capacity = wanted;
    return buf->data + buf->size;
}

void buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buf_reserve(buf, size), data, size);
    buf->size += size;
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
    *buf_reserve(buf, 1) = (char)byte;
    buf->size++;
}

void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_append_view(struct buf *buf, struct view view)
{
    buf_append(buf, view.data, view.size);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length > 0) {
        vsnprintf(buf_reserve(buf, (size_t)length + 1), (size_t)length + 1, format, again);
        buf->size += (size_t)length;
    }
    va_end(again);
}

const char *buf_cstr(struct buf *buf)
{
    *buf_reserve(buf, 1) = '\0';
    return buf->data;
}
