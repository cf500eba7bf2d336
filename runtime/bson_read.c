#include "runtime/bson_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void bson_fail(struct bson_reader *reader, const char *format, ...)
{
    char text[256];
    va_list arguments;

    if (reader->kind != ERR_OK)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reader->kind = err_set(reader->err, ERR_STOP, "%s: %s", reader->what, text);
}

/* --- Values --------------------------------------------------------------------------------- */

static int64_t int64_of(struct bson_reader *reader, const bson_iter_t *iter, const char *name,
                        int64_t min, int64_t max)
{
    int64_t value;

    if (!BSON_ITER_HOLDS_INT64(iter) && !BSON_ITER_HOLDS_INT32(iter)) {
        bson_fail(reader, "%s is not an integer", name);
        return 0;
    }
    value = bson_iter_as_int64(iter);
    if (value < min || value > max) {
        bson_fail(reader, "%s is %" PRId64 ", want %" PRId64 " to %" PRId64, name, value, min, max);
        return 0;
    }
    return value;
}

static struct view text_of(struct bson_reader *reader, const bson_iter_t *iter, const char *name,
                           size_t max)
{
    uint32_t size;
    const char *text;

    if (!BSON_ITER_HOLDS_UTF8(iter)) {
        bson_fail(reader, "%s is not a text", name);
        return VIEW_LITERAL("");
    }
    text = bson_iter_utf8(iter, &size);
    if (size > max || memchr(text, '\0', size) != NULL || !view_is_utf8(view_of(text, size))) {
        bson_fail(reader, "%s is a text of %u bytes, want UTF-8 of at most %zu", name, size, max);
        return VIEW_LITERAL("");
    }
    return view_of(text, size);
}

static struct view binary_of(struct bson_reader *reader, const bson_iter_t *iter, const char *name)
{
    bson_subtype_t subtype;
    uint32_t size = 0;
    const uint8_t *bytes = NULL;

    if (BSON_ITER_HOLDS_NULL(iter))
        return VIEW_NONE;
    if (!BSON_ITER_HOLDS_BINARY(iter)) {
        bson_fail(reader, "%s is not binary", name);
        return VIEW_NONE;
    }
    bson_iter_binary(iter, &subtype, &size, &bytes);
    return view_of(bytes != NULL ? (const char *)bytes : "", size);
}

/* --- Fields --------------------------------------------------------------------------------- */

static bool find(struct bson_reader *reader, const bson_t *document, const char *name,
                 bson_iter_t *iter)
{
    if (bson_iter_init_find(iter, document, name))
        return true;
    bson_fail(reader, "%s is missing", name);
    return false;
}

int64_t bson_read_int64(struct bson_reader *reader, const bson_t *document, const char *name,
                        int64_t min, int64_t max)
{
    bson_iter_t iter;

    return find(reader, document, name, &iter) ? int64_of(reader, &iter, name, min, max) : 0;
}

struct view bson_read_text(struct bson_reader *reader, const bson_t *document, const char *name,
                           size_t max)
{
    bson_iter_t iter;

    return find(reader, document, name, &iter) ? text_of(reader, &iter, name, max)
                                               : VIEW_LITERAL("");
}

struct view bson_read_binary(struct bson_reader *reader, const bson_t *document, const char *name)
{
    bson_iter_t iter;

    return find(reader, document, name, &iter) ? binary_of(reader, &iter, name) : VIEW_NONE;
}

bool bson_read_bool(struct bson_reader *reader, const bson_t *document, const char *name)
{
    bson_iter_t iter;

    if (!find(reader, document, name, &iter))
        return false;
    if (!BSON_ITER_HOLDS_BOOL(&iter))
        bson_fail(reader, "%s is neither true nor false", name);
    return BSON_ITER_HOLDS_BOOL(&iter) && bson_iter_bool(&iter);
}

/* --- Arrays --------------------------------------------------------------------------------- */

struct bson_list bson_read_array(struct bson_reader *reader, const bson_t *document,
                                 const char *name, size_t max_count)
{
    struct bson_list list = {.reader = reader, .name = name};
    bson_iter_t field, count;

    if (!find(reader, document, name, &field))
        return list;
    if (!BSON_ITER_HOLDS_ARRAY(&field) || !bson_iter_recurse(&field, &list.iter)) {
        bson_fail(reader, "%s is not an array", name);
        return list;
    }
    bson_iter_recurse(&field, &count);
    while (bson_iter_next(&count))
        list.count++;
    if (list.count > max_count) {
        bson_fail(reader, "%s has %zu elements, want at most %zu", name, list.count, max_count);
        list.count = 0;
    }
    return list;
}

static bool next(struct bson_list *list)
{
    if (list->reader->kind != ERR_OK)
        return false;
    if (bson_iter_next(&list->iter))
        return true;
    bson_fail(list->reader, "%s ends too early", list->name);
    return false;
}

int64_t bson_next_int64(struct bson_list *list, int64_t min, int64_t max)
{
    return next(list) ? int64_of(list->reader, &list->iter, list->name, min, max) : 0;
}

struct view bson_next_text(struct bson_list *list, size_t max)
{
    return next(list) ? text_of(list->reader, &list->iter, list->name, max) : VIEW_LITERAL("");
}

void bson_next_document(struct bson_list *list, bson_t *out)
{
    uint32_t size;
    const uint8_t *bytes;

    if (next(list)) {
        if (BSON_ITER_HOLDS_DOCUMENT(&list->iter)) {
            bson_iter_document(&list->iter, &size, &bytes);
            if (bson_init_static(out, bytes, size))
                return;
        }
        bson_fail(list->reader, "an element of %s is not a document", list->name);
    }
    bson_init(out);
}
