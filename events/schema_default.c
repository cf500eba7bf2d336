/* Defaults: from the JSON of a schema's text to Avro binary, so that to read a default is to read a
 * value, whatever its type. */
#include "events/schema_parser.h"
#include "events/wire.h"

#include <errno.h>
#include <stdlib.h>

static enum err_kind bad_default(struct schema_parser *parser, const struct json *json,
                                 const struct schema *schema)
{
    return SCHEMA_FAIL(parser, json, "the default is %s%s%.*s, which is no %s",
                       json_kind_name(json->kind), json->text.size > 0 ? " " : "",
                       VIEW_PRINT(json->text), schema_type_name(schema->type));
}

static enum err_kind encode_number(struct schema_parser *parser, const struct json *json,
                                   const struct schema *schema, struct buf *out)
{
    int64_t whole;
    double real;

    if (json->kind != JSON_NUMBER)
        return bad_default(parser, json, schema);
    if (schema->type == SCHEMA_INT || schema->type == SCHEMA_LONG) {
        if (!json_to_int64(json, &whole) ||
            (schema->type == SCHEMA_INT && (whole < INT32_MIN || whole > INT32_MAX)))
            return bad_default(parser, json, schema);
        wire_put_long(out, whole);
        return ERR_OK;
    }
    errno = 0;
    real = strtod(arena_view(parser->arena, json->text).data, NULL);
    if (errno == ERANGE)
        return bad_default(parser, json, schema);
    if (schema->type == SCHEMA_FLOAT)
        wire_put_float(out, (float)real);
    else
        wire_put_double(out, real);
    return ERR_OK;
}

/* In JSON a byte is the code point of its value: U+0000 to U+00FF. */
static bool bytes_of_text(struct buf *bytes, struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < 0x80) {
            buf_append_byte(bytes, c);
        } else if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size) {
            buf_append_byte(bytes, (uint8_t)((c & 3) << 6 | (text.data[++i] & 0x3f)));
        } else {
            return false;
        }
    }
    return true;
}

static enum err_kind encode_bytes(struct schema_parser *parser, const struct json *json,
                                  const struct schema *schema, struct buf *out)
{
    AUTO(buf_clear) struct buf bytes = {0};

    if (json->kind != JSON_STRING || !bytes_of_text(&bytes, json->text) ||
        (schema->type == SCHEMA_FIXED && bytes.size != schema->fixed_bytes))
        return bad_default(parser, json, schema);
    if (schema->type == SCHEMA_FIXED)
        buf_append_view(out, buf_view(&bytes));
    else
        wire_put_bytes(out, buf_view(&bytes));
    return ERR_OK;
}

static enum err_kind encode_record(struct schema_parser *parser, const struct json *json,
                                   const struct schema *schema, struct buf *out)
{
    if (json->kind != JSON_OBJECT)
        return bad_default(parser, json, schema);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        const struct json *value = json_member(json, arena_view(parser->arena, field->name).data);

        if (value == NULL && !field->has_default)
            return SCHEMA_FAIL(parser, json, "the default lacks %.*s", VIEW_PRINT(field->name));
        if (value == NULL)
            buf_append_view(out, field->default_bytes);
        else if (schema_encode_default(parser, value, field->type, out) != ERR_OK)
            return ERR_REJECT;
    }
    return ERR_OK;
}

static enum err_kind encode_items(struct schema_parser *parser, const struct json *json,
                                  const struct schema *schema, struct buf *out)
{
    if (json->kind != (schema->type == SCHEMA_MAP ? JSON_OBJECT : JSON_ARRAY))
        return bad_default(parser, json, schema);
    if (json->count > 0)
        wire_put_long(out, (int64_t)json->count);
    for (size_t i = 0; i < json->count; i++) {
        if (schema->type == SCHEMA_MAP)
            wire_put_bytes(out, json->items[i].name);
        if (schema_encode_default(parser, &json->items[i], schema_item(schema), out) != ERR_OK)
            return ERR_REJECT;
    }
    wire_put_long(out, 0);
    return ERR_OK;
}

static enum err_kind encode_symbol(struct schema_parser *parser, const struct json *json,
                                   const struct schema *schema, struct buf *out)
{
    for (size_t i = 0; json->kind == JSON_STRING && i < schema->symbol_count; i++) {
        if (view_equal(schema->symbols[i], json->text)) {
            wire_put_long(out, (int64_t)i);
            return ERR_OK;
        }
    }
    return bad_default(parser, json, schema);
}

/* The first branch that the default fits: up to 1.11 that had to be the first of all. */
static enum err_kind encode_union(struct schema_parser *parser, const struct json *json,
                                  const struct schema *schema, struct buf *out)
{
    size_t start = out->size;

    for (size_t i = 0; i < schema->branch_count; i++) {
        wire_put_long(out, (int64_t)i);
        if (schema_encode_default(parser, json, schema->branches[i], out) == ERR_OK)
            return ERR_OK;
        out->size = start;
    }
    return bad_default(parser, json, schema);
}

enum err_kind schema_encode_default(struct schema_parser *parser, const struct json *json,
                                    const struct schema *schema, struct buf *out)
{
    switch (schema->type) {
    case SCHEMA_NULL:
        return json->kind == JSON_NULL ? ERR_OK : bad_default(parser, json, schema);
    case SCHEMA_BOOLEAN:
        if (json->kind != JSON_BOOL)
            return bad_default(parser, json, schema);
        buf_append_byte(out, json->boolean);
        return ERR_OK;
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
        return encode_number(parser, json, schema, out);
    case SCHEMA_STRING:
        if (json->kind != JSON_STRING)
            return bad_default(parser, json, schema);
        wire_put_bytes(out, json->text);
        return ERR_OK;
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
        return encode_bytes(parser, json, schema, out);
    case SCHEMA_RECORD:
        return encode_record(parser, json, schema, out);
    case SCHEMA_ENUM:
        return encode_symbol(parser, json, schema, out);
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        return encode_items(parser, json, schema, out);
    case SCHEMA_UNION:
        return encode_union(parser, json, schema, out);
    }
    return ERR_STOP;
}
