#include "runtime/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* The first mistake stays; member is named when it is missing and has no node of its own. */
static void reader_fail(struct json_reader *reader, const struct json *node, const char *member,
                        const char *text)
{
    if (reader->failed)
        return;
    reader->failed = true;
    reader->pointer = json_pointer(node, member, reader->arena);
    err_set(&reader->err, ERR_REJECT, "%s", text);
}

void json_fail(struct json_reader *reader, const struct json *node, const char *format, ...)
{
    char text[sizeof reader->err.text];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    reader_fail(reader, node, NULL, text);
}

static bool reader_expect(struct json_reader *reader, const struct json *node, enum json_kind kind)
{
    if (node->kind == kind)
        return true;
    json_fail(reader, node, "%s, want %s", json_kind_name(node->kind), json_kind_name(kind));
    return false;
}

/* Member name of object; NULL when it is missing or null (a failure if required). */
static const struct json *reader_member(struct json_reader *reader, const struct json *object,
                                        const char *name, bool required)
{
    const struct json *member;

    if (reader->failed || object == NULL || !reader_expect(reader, object, JSON_OBJECT))
        return NULL;
    member = json_member(object, name);
    if (member != NULL && member->kind != JSON_NULL)
        return member;
    if (required)
        reader_fail(reader, object, name, member == NULL ? "missing" : "null, want a value");
    return NULL;
}

bool json_only(struct json_reader *reader, const struct json *object, const char *const *names)
{
    if (reader->failed || object == NULL || !reader_expect(reader, object, JSON_OBJECT))
        return false;
    for (size_t i = 0; i < object->count; i++) {
        const char *const *name = names;

        while (*name != NULL && !view_equals(object->items[i].name, *name))
            name++;
        if (*name == NULL) {
            AUTO(buf_clear) struct buf known = {0};

            for (name = names; *name != NULL; name++)
                buf_printf(&known, "%s%s", name == names ? "" : ", ", *name);
            json_fail(reader, &object->items[i], "unknown field, want one of %s", buf_cstr(&known));
            return false;
        }
    }
    return true;
}

static struct view read_text(struct json_reader *reader, const struct json *member, size_t min,
                             size_t max)
{
    if (member == NULL || !reader_expect(reader, member, JSON_STRING))
        return VIEW_NONE;
    if (member->text.size < min || member->text.size > max) {
        json_fail(reader, member, "text of %zu bytes, want %zu to %zu", member->text.size, min,
                  max);
        return VIEW_NONE;
    }
    for (size_t i = 0; i < member->text.size; i++)
        if ((unsigned char)member->text.data[i] < 0x20 || member->text.data[i] == 0x7f) {
            json_fail(reader, member, "control character U+%04X, want none",
                      (unsigned)member->text.data[i]);
            return VIEW_NONE;
        }
    return member->text;
}

struct view json_read_text(struct json_reader *reader, const struct json *object, const char *name,
                           size_t min, size_t max)
{
    return read_text(reader, reader_member(reader, object, name, true), min, max);
}

struct view json_read_text_optional(struct json_reader *reader, const struct json *object,
                                    const char *name, size_t min, size_t max)
{
    return read_text(reader, reader_member(reader, object, name, false), min, max);
}

static int64_t read_int64(struct json_reader *reader, const struct json *member, int64_t min,
                          int64_t max)
{
    int64_t value;

    if (!reader_expect(reader, member, JSON_NUMBER))
        return 0;
    if (json_to_int64(member, &value) && value >= min && value <= max)
        return value;
    json_fail(reader, member, "%.*s%s, want a whole number from %" PRId64 " to %" PRId64,
              member->text.size < 40 ? (int)member->text.size : 40, member->text.data,
              member->text.size > 40 ? "..." : "", min, max);
    return 0;
}

int64_t json_read_int64(struct json_reader *reader, const struct json *object, const char *name,
                        int64_t min, int64_t max)
{
    const struct json *member = reader_member(reader, object, name, true);

    return member != NULL ? read_int64(reader, member, min, max) : 0;
}

int64_t json_read_int64_optional(struct json_reader *reader, const struct json *object,
                                 const char *name, int64_t min, int64_t max, int64_t fallback)
{
    const struct json *member = reader_member(reader, object, name, false);

    return member != NULL ? read_int64(reader, member, min, max) : fallback;
}

bool json_read_bool_optional(struct json_reader *reader, const struct json *object,
                             const char *name, bool fallback)
{
    const struct json *member = reader_member(reader, object, name, false);

    if (member == NULL || !reader_expect(reader, member, JSON_BOOL))
        return fallback;
    return member->boolean;
}

const struct json *json_read_array(struct json_reader *reader, const struct json *object,
                                   const char *name, size_t min, size_t max)
{
    const struct json *member = reader_member(reader, object, name, true);

    if (member == NULL || !reader_expect(reader, member, JSON_ARRAY))
        return NULL;
    if (member->count < min || member->count > max) {
        json_fail(reader, member, "%zu elements, want %zu to %zu", member->count, min, max);
        return NULL;
    }
    return member;
}

const struct json *json_read_object(struct json_reader *reader, const struct json *object,
                                    const char *name)
{
    const struct json *member = reader_member(reader, object, name, true);

    return member != NULL && reader_expect(reader, member, JSON_OBJECT) ? member : NULL;
}
