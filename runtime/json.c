/* JSON through yajl's SAX interface.
 *
 * yajl 2.1.0 is kept to what it does well. Before it sees a byte we check the whole text for UTF-8
 * (its own check lets overlong forms and surrogates pass) and every \u escape (it turns a lone high
 * surrogate into '?', and reads past the end of a cut one: CVE-2017-16516). Its callbacks fill a
 * stack of values; a container that closes moves its values into an array of the arena. */
#include "runtime/json.h"

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

struct view json_pointer(const struct json *node, const char *member, struct arena *arena)
{
    AUTO(buf_clear) struct buf pointer = {0};

    append_pointer(&pointer, node);
    if (member != NULL)
        append_pointer_name(&pointer, view_str(member));
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
