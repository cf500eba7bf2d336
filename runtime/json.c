/* JSON through yajl's SAX interface.
 *
 * yajl 2.1.0 is kept to what it does well. Before it sees a byte we check the whole text for UTF-8
 * (its own check lets overlong forms and surrogates pass) and every \u escape (it turns a lone high
 * surrogate into '?', and reads past the end of a cut one: CVE-2017-16516). Its callbacks fill a
 * stack of values; a container that closes moves its values into an array of the arena. */
#include "runtime/json.h"

#include "runtime/base64.h"
#include "runtime/clock.h"

#include <yajl/yajl_parse.h>

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* yajl's buffers double without looking at overflow (CVE-2022-24795): stay far below. */
#define JSON_TEXT_MAX (256u * 1024u * 1024u)
/* Up to here a duplicate key is looked for pair by pair, above in a sorted copy. */
#define JSON_KEYS_BY_PAIR 16

/* --- Reading --------------------------------------------------------------------------------- */

struct json_build {
    struct view text;
    struct arena *arena;
    size_t values_left;
    struct json *stack; /* values whose container is still open, containers among them */
    size_t count, capacity;
    size_t open[JSON_DEEP_MAX]; /* where in the stack the open containers are */
    size_t depth, depth_max;
    struct view name; /* of the value to come, when its container is an object */
    struct err *err;
};

/* Points into the text when yajl gave us a piece of it, else into a copy. */
static struct view keep_text(struct json_build *build, const void *data, size_t size)
{
    uintptr_t at = (uintptr_t)data, start = (uintptr_t)build->text.data;

    if (at >= start && at - start <= build->text.size)
        return view_of(data, size);
    return arena_view(build->arena, view_of(data, size));
}

static struct json *push_value(struct json_build *build, enum json_kind kind)
{
    struct json *value;

    if (build->values_left == 0) {
        err_set(build->err, ERR_REJECT, "json: too many values");
        return NULL;
    }
    build->values_left--;
    if (build->count == build->capacity) {
        build->capacity = build->capacity > 0 ? build->capacity * 2 : 32;
        build->stack = mem_grow(build->stack, build->capacity, sizeof *build->stack);
    }
    value = &build->stack[build->count++];
    *value = (struct json){.kind = kind, .name = build->name};
    build->name = VIEW_NONE;
    return value;
}

static int push_container(struct json_build *build, enum json_kind kind)
{
    if (build->depth == build->depth_max) {
        err_set(build->err, ERR_REJECT, "json: nested deeper than %zu levels", build->depth_max);
        return 0;
    }
    if (push_value(build, kind) == NULL)
        return 0;
    build->open[build->depth++] = build->count - 1;
    return 1;
}

/* A value has reached its place for good: now its children can know where their parent is. */
static void adopt_children(struct json *value)
{
    for (size_t i = 0; i < value->count; i++)
        value->items[i].parent = value;
}

static int by_name(const void *a, const void *b)
{
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

static bool find_duplicate(const struct json *members, size_t count, struct view *duplicate)
{
    struct view *names;
    bool found = false;

    if (count <= JSON_KEYS_BY_PAIR) {
        for (size_t i = 1; i < count; i++)
            for (size_t j = 0; j < i; j++)
                if (view_equal(members[i].name, members[j].name)) {
                    *duplicate = members[i].name;
                    return true;
                }
        return false;
    }
    names = mem_grow(NULL, count, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = members[i].name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 1; i < count && !found; i++)
        if (view_equal(names[i - 1], names[i])) {
            *duplicate = names[i];
            found = true;
        }
    free(names);
    return found;
}

static int pop_container(struct json_build *build)
{
    size_t at = build->open[--build->depth];
    struct json *container = &build->stack[at];
    struct json *items = container + 1;
    struct view duplicate;

    container->count = build->count - at - 1;
    if (container->kind == JSON_OBJECT && find_duplicate(items, container->count, &duplicate)) {
        err_set(build->err, ERR_REJECT, "json: key \"%.*s\" stands twice in an object",
                duplicate.size < 60 ? (int)duplicate.size : 60, duplicate.data);
        return 0;
    }
    if (container->count > 0) {
        container->items = arena_array(build->arena, container->count, sizeof *items);
        memcpy(container->items, items, container->count * sizeof *items);
        for (size_t i = 0; i < container->count; i++)
            adopt_children(&container->items[i]);
    }
    build->count = at + 1;
    return 1;
}

static int on_null(void *context)
{
    return push_value(context, JSON_NULL) != NULL;
}

static int on_boolean(void *context, int boolean)
{
    struct json *value = push_value(context, JSON_BOOL);

    if (value == NULL)
        return 0;
    value->boolean = boolean != 0;
    return 1;
}

static int push_text(struct json_build *build, enum json_kind kind, const void *data, size_t size)
{
    struct json *value = push_value(build, kind);

    if (value == NULL)
        return 0;
    value->text = keep_text(build, data, size);
    return 1;
}

static int on_number(void *context, const char *text, size_t size)
{
    return push_text(context, JSON_NUMBER, text, size);
}

static int on_string(void *context, const unsigned char *text, size_t size)
{
    return push_text(context, JSON_STRING, text, size);
}

static int on_start_map(void *context)
{
    return push_container(context, JSON_OBJECT);
}

static int on_map_key(void *context, const unsigned char *text, size_t size)
{
    struct json_build *build = context;

    build->name = keep_text(build, text, size);
    return 1;
}

static int on_start_array(void *context)
{
    return push_container(context, JSON_ARRAY);
}

static int on_end(void *context)
{
    return pop_container(context);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

/* yajl does not look at what malloc answers. */
static void *yajl_new_memory(void *context, size_t size)
{
    (void)context;
    return mem_grow(NULL, size, 1);
}

static void *yajl_grow_memory(void *context, void *old, size_t size)
{
    (void)context;
    return mem_grow(old, size, 1);
}

static void yajl_free_memory(void *context, void *memory)
{
    (void)context;
    free(memory);
}

/* The 4 hex digits of a \u escape; -1 when there are none. */
static int32_t escape_unit(struct view text, size_t at)
{
    int32_t unit = 0;

    if (text.size < 6 || at > text.size - 6 || text.data[at] != '\\' || text.data[at + 1] != 'u')
        return -1;
    for (size_t i = at + 2; i < at + 6; i++) {
        char c = text.data[i];

        if (c >= '0' && c <= '9')
            unit = unit * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            unit = unit * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return unit;
}

/* Each high surrogate is followed by a low one and each low one led by a high one. (A backslash
 * outside of a string is no JSON, so strings need not be told apart.) */
static enum err_kind check_escapes(struct view text, struct err *err)
{
    const char *end = text.data + text.size;
    const char *slash = text.data;

    while ((slash = memchr(slash, '\\', (size_t)(end - slash))) != NULL) {
        size_t at = (size_t)(slash - text.data);
        int32_t unit, low;

        if (end - slash < 2 || slash[1] != 'u') {
            slash += end - slash < 2 ? 1 : 2;
            continue;
        }
        unit = escape_unit(text, at);
        if (unit < 0)
            return err_set(err, ERR_REJECT, "json: \\u without 4 hex digits at byte %zu", at);
        slash += 6;
        if (unit < 0xd800 || unit > 0xdfff)
            continue;
        low = escape_unit(text, at + 6);
        if (unit >= 0xdc00 || low < 0xdc00 || low > 0xdfff)
            return err_set(err, ERR_REJECT, "json: half a surrogate pair at byte %zu", at);
        slash += 6;
    }
    return ERR_OK;
}

static enum err_kind yajl_failure(yajl_handle handle, struct view text, struct err *err)
{
    unsigned char *message = yajl_get_error(handle, 0, (const unsigned char *)text.data, text.size);
    const char *reason = (const char *)message;
    size_t at = yajl_get_bytes_consumed(handle);

    err_set(err, ERR_REJECT, "json: %.*s at byte %zu of %zu", (int)strcspn(reason, ".\n"), reason,
            at < text.size ? at : text.size, text.size);
    yajl_free_error(handle, message);
    return ERR_REJECT;
}

static enum err_kind parse_into(struct json_build *build, struct err *err)
{
    yajl_alloc_funcs memory = {yajl_new_memory, yajl_grow_memory, yajl_free_memory, NULL};
    yajl_handle handle = yajl_alloc(&callbacks, &memory, build);
    const unsigned char *text = (const unsigned char *)build->text.data;
    enum err_kind kind = ERR_OK;
    yajl_status status;

    yajl_config(handle, yajl_dont_validate_strings, 1); /* the whole text is checked already */
    status = yajl_parse(handle, text, build->text.size);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(handle);
    if (status == yajl_status_client_canceled)
        kind = ERR_REJECT; /* the callback has said why */
    else if (status != yajl_status_ok)
        kind = yajl_failure(handle, build->text, err);
    yajl_free(handle);
    return kind;
}

/* build holds the text and the bounds. */
static enum err_kind parse_document(struct json **out, struct json_build *build, struct err *err)
{
    struct view text = build->text;
    enum err_kind kind;

    build->err = err;
    if (text.size == 0)
        return err_set(err, ERR_REJECT, "json: no document, only 0 bytes");
    if (text.size > JSON_TEXT_MAX)
        return err_set(err, ERR_REJECT, "json: %zu bytes, want at most %u", text.size,
                       JSON_TEXT_MAX);
    if (!view_is_utf8(text))
        return err_set(err, ERR_REJECT, "json: the text is not well-formed UTF-8");
    if ((kind = check_escapes(text, err)) != ERR_OK)
        return kind;
    kind = parse_into(build, err);
    if (kind == ERR_OK && build->count != 1)
        kind = err_set(err, ERR_REJECT, "json: no document in %zu bytes", text.size);
    if (kind == ERR_OK) {
        *out = arena_alloc(build->arena, sizeof **out);
        **out = build->stack[0];
        adopt_children(*out);
    }
    free(build->stack);
    return kind;
}

enum err_kind json_parse_bounded(struct json **out, struct view text, size_t values_max,
                                 struct arena *arena, struct err *err)
{
    struct json_build build = {
        .text = text, .arena = arena, .values_left = values_max, .depth_max = JSON_DEPTH_MAX};

    return parse_document(out, &build, err);
}

enum err_kind json_parse_deep(struct json **out, struct view text, struct arena *arena,
                              struct err *err)
{
    struct json_build build = {
        .text = text, .arena = arena, .values_left = SIZE_MAX, .depth_max = JSON_DEEP_MAX};

    return parse_document(out, &build, err);
}

enum err_kind json_parse(struct json **out, struct view text, struct arena *arena, struct err *err)
{
    return json_parse_bounded(out, text, SIZE_MAX, arena, err);
}

const struct json *json_member(const struct json *object, const char *name)
{
    struct view wanted = view_str(name);

    if (object == NULL || object->kind != JSON_OBJECT)
        return NULL;
    for (size_t i = 0; i < object->count; i++)
        if (view_equal(object->items[i].name, wanted))
            return &object->items[i];
    return NULL;
}

static void append_pointer_name(struct buf *out, struct view name)
{
    buf_append_byte(out, '/');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '~')
            buf_append_str(out, "~0");
        else if (name.data[i] == '/')
            buf_append_str(out, "~1");
        else
            buf_append_byte(out, (uint8_t)name.data[i]);
    }
}

/* To the root first, so that the names come out in their order; the depth is bounded by the parser.
 */
static void append_pointer(struct buf *out, const struct json *node)
{
    if (node->parent == NULL)
        return;
    append_pointer(out, node->parent);
    if (node->parent->kind == JSON_OBJECT)
        append_pointer_name(out, node->name);
    else
        buf_printf(out, "/%zu", (size_t)(node - node->parent->items));
}

struct view json_pointer(const struct json *node, struct arena *arena)
{
    AUTO(buf_clear) struct buf pointer = {0};

    append_pointer(&pointer, node);
    return arena_view(arena, buf_view(&pointer));
}

bool json_to_int64(const struct json *node, int64_t *out)
{
    struct view digits;

    if (node == NULL || node->kind != JSON_NUMBER)
        return false;
    digits = node->text;
    if (digits.size > 0 && digits.data[0] == '-') {
        digits.data++;
        digits.size--;
    }
    if (digits.size > 1 && digits.data[0] == '0')
        return false;
    return view_to_int64(node->text, out);
}

const char *json_kind_name(enum json_kind kind)
{
    switch (kind) {
    case JSON_NULL:
        return "null";
    case JSON_BOOL:
        return "a boolean";
    case JSON_NUMBER:
        return "a number";
    case JSON_STRING:
        return "a string";
    case JSON_ARRAY:
        return "an array";
    case JSON_OBJECT:
        return "an object";
    }
    return "unknown";
}

/* --- Reading a document of a known shape ----------------------------------------------------- */

/* The first mistake stays; member is named when it is missing and has no node of its own. */
static void reader_fail(struct json_reader *reader, const struct json *node, const char *member,
                        const char *text)
{
    AUTO(buf_clear) struct buf pointer = {0};

    if (reader->failed)
        return;
    reader->failed = true;
    append_pointer(&pointer, node);
    if (member != NULL)
        append_pointer_name(&pointer, view_str(member));
    reader->pointer = arena_view(reader->arena, buf_view(&pointer));
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

/* --- Writing --------------------------------------------------------------------------------- */

static void put_comma(struct json_writer *writer)
{
    if (writer->need_comma)
        buf_append_byte(writer->out, ',');
    writer->need_comma = true;
}

static void put_start(struct json_writer *writer, char bracket)
{
    put_comma(writer);
    buf_append_byte(writer->out, (uint8_t)bracket);
    writer->need_comma = false;
    writer->depth++;
}

static void put_end(struct json_writer *writer, char bracket)
{
    assert(writer->depth > 0);
    buf_append_byte(writer->out, (uint8_t)bracket);
    writer->need_comma = true;
    writer->depth--;
}

void json_object_start(struct json_writer *writer)
{
    put_start(writer, '{');
}

void json_object_end(struct json_writer *writer)
{
    put_end(writer, '}');
}

void json_array_start(struct json_writer *writer)
{
    put_start(writer, '[');
}

void json_array_end(struct json_writer *writer)
{
    put_end(writer, ']');
}

static void put_quoted(struct buf *out, struct view text)
{
    size_t plain = 0; /* bytes at text.data that can be copied as they are */

    buf_append_byte(out, '"');
    while (plain < text.size) {
        unsigned char c = (unsigned char)text.data[plain];
        size_t length = view_utf8_sequence(view_of(text.data + plain, text.size - plain));

        if (length > 0 && c >= 0x20 && c != '"' && c != '\\') {
            plain += length;
            continue;
        }
        buf_append(out, text.data, plain);
        if (length == 0)
            buf_append_str(out, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            buf_append(out, (const char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            buf_append_str(out, "\\n");
        else
            buf_printf(out, "\\u%04x", c);
        text.data += plain + 1;
        text.size -= plain + 1;
        plain = 0;
    }
    buf_append(out, text.data, plain);
    buf_append_byte(out, '"');
}

static void put_name(struct json_writer *writer, struct view name)
{
    put_comma(writer);
    put_quoted(writer->out, name);
    buf_append_byte(writer->out, ':');
    writer->need_comma = false;
}

void json_key(struct json_writer *writer, const char *name)
{
    put_name(writer, view_str(name));
}

void json_put_text(struct json_writer *writer, struct view text)
{
    if (text.data == NULL) {
        json_put_null(writer);
        return;
    }
    put_comma(writer);
    put_quoted(writer->out, text);
}

void json_put_str(struct json_writer *writer, const char *text)
{
    json_put_text(writer, view_str(text));
}

void json_put_int64(struct json_writer *writer, int64_t value)
{
    put_comma(writer);
    buf_printf(writer->out, "%" PRId64, value);
}

void json_put_double(struct json_writer *writer, double value)
{
    char text[32];

    put_comma(writer);
    if (!isfinite(value)) {
        buf_append_str(writer->out, "null"); /* JSON has no word for it */
        return;
    }
    /* The shorter form when it reads back as the same number. */
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        snprintf(text, sizeof text, "%.17g", value);
    buf_append_str(writer->out, text);
}

void json_put_bool(struct json_writer *writer, bool value)
{
    put_comma(writer);
    buf_append_str(writer->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *writer)
{
    put_comma(writer);
    buf_append_str(writer->out, "null");
}

void json_put_time_us(struct json_writer *writer, int64_t utc_us)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(utc_us, text);
    json_put_str(writer, text);
}

void json_put_base64(struct json_writer *writer, struct view bytes)
{
    if (bytes.data == NULL) {
        json_put_null(writer);
        return;
    }
    put_comma(writer);
    buf_append_byte(writer->out, '"');
    base64_append(writer->out, bytes);
    buf_append_byte(writer->out, '"');
}

void json_put_raw(struct json_writer *writer, struct view json)
{
    put_comma(writer);
    buf_append_view(writer->out, json);
}

void json_put_tree(struct json_writer *writer, const struct json *tree)
{
    bool is_object = tree->kind == JSON_OBJECT;

    switch (tree->kind) {
    case JSON_NULL:
        json_put_null(writer);
        return;
    case JSON_BOOL:
        json_put_bool(writer, tree->boolean);
        return;
    case JSON_NUMBER:
        json_put_raw(writer, tree->text);
        return;
    case JSON_STRING:
        json_put_text(writer, tree->text);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    is_object ? json_object_start(writer) : json_array_start(writer);
    for (size_t i = 0; i < tree->count; i++) {
        if (is_object)
            put_name(writer, tree->items[i].name);
        json_put_tree(writer, &tree->items[i]);
    }
    is_object ? json_object_end(writer) : json_array_end(writer);
}

void json_member_text(struct json_writer *writer, const char *name, struct view text)
{
    json_key(writer, name);
    json_put_text(writer, text);
}

void json_member_str(struct json_writer *writer, const char *name, const char *text)
{
    json_key(writer, name);
    json_put_str(writer, text);
}

void json_member_int64(struct json_writer *writer, const char *name, int64_t value)
{
    json_key(writer, name);
    json_put_int64(writer, value);
}

void json_member_bool(struct json_writer *writer, const char *name, bool value)
{
    json_key(writer, name);
    json_put_bool(writer, value);
}

void json_member_time_us(struct json_writer *writer, const char *name, int64_t utc_us)
{
    json_key(writer, name);
    json_put_time_us(writer, utc_us);
}
