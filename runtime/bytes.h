/* Views of bytes that belong to somebody else, and a buffer that grows.
 *
 * A view whose data is NULL means "none" (Avro null, SQL NULL, no header); an empty view does not.
 */
#ifndef TRADEWIND_RUNTIME_BYTES_H
#define TRADEWIND_RUNTIME_BYTES_H

#include "runtime/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct view {
    const char *data;
    size_t size;
};

#define VIEW_NONE ((struct view){NULL, 0})
#define VIEW_LITERAL(text) ((struct view){(text), sizeof(text) - 1})
/* The same as an initializer of something static. */
#define VIEW_INIT(text)                                                                            \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
/* For printf: "%.*s", VIEW_PRINT(v) */
#define VIEW_PRINT(v) ((int)(v).size), ((v).data != NULL ? (v).data : "")

static inline struct view view_of(const void *data, size_t size)
{
    return (struct view){.data = data, .size = size};
}

/** View of a C string; NULL gives VIEW_NONE. */
static inline struct view view_str(const char *text)
{
    return (struct view){.data = text, .size = text != NULL ? strlen(text) : 0};
}

static inline bool view_equal(struct view a, struct view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool view_equals(struct view v, const char *text)
{
    return view_equal(v, view_str(text));
}

/** memcmp order, shorter first: how rows of a batch are sorted. */
int view_compare(struct view a, struct view b);

/** True when v is well-formed UTF-8 (no overlong forms, no surrogates, <= U+10FFFF). */
bool view_is_utf8(struct view v);

/** Bytes of the UTF-8 sequence that v starts with; 0 when it is malformed, cut off or v is empty.
 */
size_t view_utf8_sequence(struct view v);

/** Decimal integer of the whole view (optional '-'); false on anything else or out of range. */
bool view_to_int64(struct view v, int64_t *out);

/** FNV-1a, for hash tables only. */
uint64_t view_hash(struct view v);

/* A buffer that grows. Out of memory ends the process: nothing a caller could do would be right. */
struct buf {
    char *data;
    size_t size;
    size_t capacity;
};

void buf_clear(struct buf *buf); /* frees; usable again */
CLEANUP_IN_PLACE(buf_clear, struct buf)

static inline void buf_reset(struct buf *buf)
{
    buf->size = 0;
}

char *buf_grow(struct buf *buf, size_t more); /* buf_reserve's rare half */

/** Room for more bytes at the end; returns where they go. */
static inline char *buf_reserve(struct buf *buf, size_t more)
{
    return buf->capacity - buf->size >= more ? buf->data + buf->size : buf_grow(buf, more);
}
void buf_append(struct buf *buf, const void *data, size_t size);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_append_str(struct buf *buf, const char *text);
void buf_append_view(struct buf *buf, struct view view);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** A NUL after the content (not counted), so that data is a C string. View into buf. */
const char *buf_cstr(struct buf *buf);

static inline struct view buf_view(const struct buf *buf)
{
    return (struct view){.data = buf->data != NULL ? buf->data : "", .size = buf->size};
}

/* malloc and friends that end the process instead of returning NULL. */
void *mem_alloc(size_t size); /* zeroed */
void *mem_grow(void *old, size_t count, size_t size);
/** An array of count entries of size bytes with room for one more: itself, or grown to twice its
 * *capacity. */
void *mem_room(void *array, size_t count, size_t *capacity, size_t size);
char *mem_strdup(const char *text);
char *mem_strdup_view(struct view view);

#endif
