#include "runtime/base64.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
