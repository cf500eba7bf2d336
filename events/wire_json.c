#include "events/wire_json.h"

struct printer {
    struct json_writer *writer;
    struct cursor *cursor;
    size_t empty_items;
    struct path *path;
};

static bool print_value(struct printer *printer, const struct schema *schema);

static bool print_key(struct printer *printer)
{
    AUTO(buf_clear) struct buf key = {0};
    struct view name;

    if (!wire_get_string(printer->cursor, &name))
        return false;
    buf_append_view(&key, name);
    json_key(printer->writer, buf_cstr(&key));
    return true;
}

static bool print_items(struct printer *printer, const struct schema *schema)
{
    const struct schema *item = schema_item(schema);
    bool is_map = schema->type == SCHEMA_MAP;
    struct wire_block block;
    size_t index = 0;

    do {
        if (!wire_get_block(printer->cursor, item->min_bytes + is_map, &printer->empty_items,
                            &block))
            return false;
        for (size_t i = 0; i < block.count; i++, index++) {
            if ((is_map && !print_key(printer)) || !print_value(printer, item)) {
                path_in_item(printer->path, index);
                return false;
            }
        }
        if (!wire_end_block(printer->cursor, &block))
            return false;
    } while (block.count > 0);
    return true;
}

static bool print_record(struct printer *printer, const struct schema *schema)
{
    json_object_start(printer->writer);
    for (size_t i = 0; i < schema->field_count; i++) {
        json_key(printer->writer, schema->fields[i].name.data);
        if (!print_value(printer, schema->fields[i].type)) {
            path_in_field(printer->path, schema->fields[i].name);
            return false;
        }
    }
    json_object_end(printer->writer);
    return true;
}

static bool print_number(struct printer *printer, const struct schema *schema)
{
    int32_t narrow;
    int64_t whole;
    float single;
    double real;

    if (schema->type == SCHEMA_INT) {
        if (!wire_get_int(printer->cursor, &narrow))
            return false;
        json_put_int64(printer->writer, narrow);
    } else if (schema->type == SCHEMA_LONG) {
        if (!wire_get_long(printer->cursor, &whole))
            return false;
        if (schema->is_timestamp_micros)
            json_put_time_us(printer->writer, whole);
        else
            json_put_int64(printer->writer, whole);
    } else if (schema->type == SCHEMA_FLOAT) {
        if (!wire_get_float(printer->cursor, &single))
            return false;
        json_put_double(printer->writer, (double)single);
    } else {
        if (!wire_get_double(printer->cursor, &real))
            return false;
        json_put_double(printer->writer, real);
    }
    return true;
}

static bool print_bytes(struct printer *printer, const struct schema *schema)
{
    struct view bytes;
    bool good = schema->type == SCHEMA_STRING ? wire_get_string(printer->cursor, &bytes)
                : schema->type == SCHEMA_BYTES
                    ? wire_get_bytes(printer->cursor, &bytes)
                    : wire_get_fixed(printer->cursor, schema->fixed_bytes, &bytes);

    if (good && schema->type == SCHEMA_STRING)
        json_put_text(printer->writer, bytes);
    else if (good)
        json_put_base64(printer->writer, bytes);
    return good;
}

static bool print_value(struct printer *printer, const struct schema *schema)
{
    int64_t which;
    bool boolean;

    switch (schema->type) {
    case SCHEMA_NULL:
        json_put_null(printer->writer);
        return true;
    case SCHEMA_BOOLEAN:
        if (!wire_get_boolean(printer->cursor, &boolean))
            return false;
        json_put_bool(printer->writer, boolean);
        return true;
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
        return print_number(printer, schema);
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
    case SCHEMA_FIXED:
        return print_bytes(printer, schema);
    case SCHEMA_RECORD:
        return print_record(printer, schema);
    case SCHEMA_ENUM:
        if (!wire_get_long(printer->cursor, &which))
            return false;
        if (which < 0 || (uint64_t)which >= schema->symbol_count)
            return cursor_fail(printer->cursor, "has a symbol that its enum does not have");
        json_put_text(printer->writer, schema->symbols[which]);
        return true;
    case SCHEMA_ARRAY:
        json_array_start(printer->writer);
        if (!print_items(printer, schema))
            return false;
        json_array_end(printer->writer);
        return true;
    case SCHEMA_MAP:
        json_object_start(printer->writer);
        if (!print_items(printer, schema))
            return false;
        json_object_end(printer->writer);
        return true;
    case SCHEMA_UNION:
        if (!wire_get_long(printer->cursor, &which))
            return false;
        if (which < 0 || (uint64_t)which >= schema->branch_count)
            return cursor_fail(printer->cursor, "has a branch that its union does not have");
        return print_value(printer, schema->branches[which]);
    }
    return false;
}

bool wire_print_json(struct json_writer *writer, const struct schema *schema, struct cursor *cursor,
                     struct path *path)
{
    struct printer printer = {
        .writer = writer, .cursor = cursor, .path = path, .empty_items = WIRE_EMPTY_ITEMS_MAX};

    return print_value(&printer, schema);
}
