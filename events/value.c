#include "events/value.h"

#include "events/wire.h"

/* --- Loads: through memcpy, since one code reads the members of all structs --------------------
 */

static struct view load_view(const char *from)
{
    struct view value;

    memcpy(&value, from, sizeof value);
    return value;
}

static const char *load_pointer(const char *from)
{
    const char *value;

    memcpy(&value, from, sizeof value);
    return value;
}

static int32_t load_int(const char *from)
{
    int32_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

static int64_t load_long(const char *from)
{
    int64_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

static float load_float(const char *from)
{
    float value;

    memcpy(&value, from, sizeof value);
    return value;
}

static double load_double(const char *from)
{
    double value;

    memcpy(&value, from, sizeof value);
    return value;
}

static size_t load_count(const char *array)
{
    size_t value;

    memcpy(&value, array + sizeof(void *), sizeof value);
    return value;
}

/* The value of an optional member, or NULL: then it is null. */
static const char *load_optional(const struct schema *value, const char *from)
{
    if (value->type == SCHEMA_STRING || value->type == SCHEMA_BYTES)
        return load_view(from).data != NULL ? from : NULL;
    return load_pointer(from);
}

/* --- Encoding -------------------------------------------------------------------------------- */

struct encoder {
    struct buf *out;
    struct path *path;
    const char *why;
};

static bool put(struct encoder *encoder, const struct schema *schema, const char *from);

static bool encoder_fail(struct encoder *encoder, const char *why)
{
    encoder->why = why;
    return false;
}

static bool put_view(struct encoder *encoder, const struct schema *schema, const char *from)
{
    struct view value = load_view(from);

    if (value.data == NULL)
        return encoder_fail(encoder, "is not set and has no default");
    if (schema->type == SCHEMA_STRING && !view_is_utf8(value))
        return encoder_fail(encoder, "is not UTF-8");
    wire_put_bytes(encoder->out, value);
    return true;
}

/* What most fields are does without the call of put. */
static bool put_field(struct encoder *encoder, const struct schema_field *field, const char *from)
{
    enum schema_type type = field->type->type;

    if (type == SCHEMA_LONG) {
        wire_put_long(encoder->out, load_long(from));
        return true;
    }
    if (type != SCHEMA_STRING && type != SCHEMA_BYTES)
        return put(encoder, field->type, from);
    if (!field->has_default || load_view(from).data != NULL)
        return put_view(encoder, field->type, from);
    buf_append_view(encoder->out, field->default_bytes);
    return true;
}

static bool put_record(struct encoder *encoder, const struct schema *schema, const char *from)
{
    const struct schema_field *field = schema->fields, *end = field + schema->field_count;

    for (; field < end; field++) {
        if (!put_field(encoder, field, from + field->offset)) {
            path_in_field(encoder->path, field->name);
            return false;
        }
    }
    return true;
}

static bool put_array(struct encoder *encoder, const struct schema *schema, const char *from)
{
    const struct schema *item = schema_item(schema);
    const char *items = load_pointer(from);
    size_t count = load_count(from);

    if (count > 0 && items == NULL)
        return encoder_fail(encoder, "has a count but no items");
    if (count > 0)
        wire_put_long(encoder->out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        if (!put(encoder, item, items + i * item->size)) {
            path_in_item(encoder->path, i);
            return false;
        }
    }
    wire_put_long(encoder->out, 0);
    return true;
}

static bool put_optional(struct encoder *encoder, const struct schema *schema, const char *from)
{
    const struct schema *value = schema_optional(schema);
    const char *at = load_optional(value, from);
    bool null_first = schema->branches[0]->type == SCHEMA_NULL;

    wire_put_long(encoder->out, (at != NULL) == null_first);
    return at == NULL || put(encoder, value, at);
}

static bool put(struct encoder *encoder, const struct schema *schema, const char *from)
{
    int32_t symbol;

    switch (schema->type) {
    case SCHEMA_BOOLEAN:
        buf_append_byte(encoder->out, *from != 0);
        return true;
    case SCHEMA_INT:
        wire_put_long(encoder->out, load_int(from));
        return true;
    case SCHEMA_LONG:
        wire_put_long(encoder->out, load_long(from));
        return true;
    case SCHEMA_FLOAT:
        wire_put_float(encoder->out, load_float(from));
        return true;
    case SCHEMA_DOUBLE:
        wire_put_double(encoder->out, load_double(from));
        return true;
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        return put_view(encoder, schema, from);
    case SCHEMA_RECORD:
        return put_record(encoder, schema, from);
    case SCHEMA_ENUM:
        symbol = load_int(from);
        if (symbol < 0 || (size_t)symbol >= schema->symbol_count)
            return encoder_fail(encoder, "is none of its enum's values");
        wire_put_long(encoder->out, symbol);
        return true;
    case SCHEMA_ARRAY:
        return put_array(encoder, schema, from);
    case SCHEMA_UNION:
        return put_optional(encoder, schema, from);
    case SCHEMA_NULL:
    case SCHEMA_MAP:
    case SCHEMA_FIXED:
        break; /* they have no C type: avro-compile refuses them */
    }
    return encoder_fail(encoder, "has no C type");
}

bool value_encode(struct buf *out, const struct schema *schema, const void *from, struct path *path,
                  const char **why)
{
    struct encoder encoder = {.out = out, .path = path};
    bool good = put(&encoder, schema, from);

    *why = encoder.why;
    return good;
}

/* --- As JSON --------------------------------------------------------------------------------- */

static void print(struct json_writer *writer, const struct schema *schema, const char *from)
{
    const struct schema *item;
    const char *at;
    size_t count;

    switch (schema->type) {
    case SCHEMA_BOOLEAN:
        json_put_bool(writer, *from != 0);
        break;
    case SCHEMA_INT:
        json_put_int64(writer, load_int(from));
        break;
    case SCHEMA_LONG:
        if (schema->is_timestamp_micros)
            json_put_time_us(writer, load_long(from));
        else
            json_put_int64(writer, load_long(from));
        break;
    case SCHEMA_FLOAT:
        json_put_double(writer, (double)load_float(from));
        break;
    case SCHEMA_DOUBLE:
        json_put_double(writer, load_double(from));
        break;
    case SCHEMA_BYTES:
        json_put_base64(writer, load_view(from));
        break;
    case SCHEMA_STRING:
        json_put_text(writer, load_view(from));
        break;
    case SCHEMA_ENUM:
        count = (size_t)load_int(from);
        json_put_text(writer, count < schema->symbol_count ? schema->symbols[count] : VIEW_NONE);
        break;
    case SCHEMA_RECORD:
        json_object_start(writer);
        for (size_t i = 0; i < schema->field_count; i++) {
            json_key(writer, schema->fields[i].name.data);
            print(writer, schema->fields[i].type, from + schema->fields[i].offset);
        }
        json_object_end(writer);
        break;
    case SCHEMA_ARRAY:
        item = schema_item(schema);
        count = load_count(from);
        at = load_pointer(from);
        json_array_start(writer);
        for (size_t i = 0; i < count; i++)
            print(writer, item, at + i * item->size);
        json_array_end(writer);
        break;
    case SCHEMA_UNION:
        at = load_optional(schema_optional(schema), from);
        if (at != NULL)
            print(writer, schema_optional(schema), at);
        else
            json_put_null(writer);
        break;
    case SCHEMA_NULL:
    case SCHEMA_MAP:
    case SCHEMA_FIXED:
        break;
    }
}

void value_print_json(struct json_writer *writer, const struct schema *schema, const void *from)
{
    print(writer, schema, from);
}
