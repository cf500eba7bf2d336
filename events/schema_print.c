/* A schema as text again: the Parsing Canonical Form of the specification, and our longer form. */
#include "events/schema.h"

#include <sodium.h>

#include <stdlib.h>

struct printer {
    struct buf *out;
    bool full;
    const struct schema **seen; /* named types: written whole once, by name after that */
    size_t seen_count;
};

static void print_type(struct printer *printer, const struct schema *schema);

static void print_aliases(struct printer *printer, const struct view *aliases, size_t count)
{
    if (!printer->full || count == 0)
        return;
    buf_append_str(printer->out, ",\"aliases\":[");
    for (size_t i = 0; i < count; i++)
        buf_printf(printer->out, "%s\"%.*s\"", i > 0 ? "," : "", VIEW_PRINT(aliases[i]));
    buf_append_str(printer->out, "]");
}

static void print_field(struct printer *printer, const struct schema_field *field)
{
    buf_printf(printer->out, "{\"name\":\"%.*s\",\"type\":", VIEW_PRINT(field->name));
    print_type(printer, field->type);
    print_aliases(printer, field->aliases, field->alias_count);
    if (printer->full && field->has_default) {
        buf_append_str(printer->out, ",\"default\":\"");
        for (size_t i = 0; i < field->default_bytes.size; i++)
            buf_printf(printer->out, "%02x", (unsigned char)field->default_bytes.data[i]);
        buf_append_str(printer->out, "\"");
    }
    buf_append_str(printer->out, "}");
}

static void print_named(struct printer *printer, const struct schema *schema)
{
    struct buf *out = printer->out;

    for (size_t i = 0; i < printer->seen_count; i++) {
        if (view_equal(printer->seen[i]->name, schema->name)) {
            buf_printf(out, "\"%.*s\"", VIEW_PRINT(schema->name));
            return;
        }
    }
    printer->seen = mem_grow(printer->seen, printer->seen_count + 1, sizeof *printer->seen);
    printer->seen[printer->seen_count++] = schema;
    buf_printf(out, "{\"name\":\"%.*s\",\"type\":\"%s\"", VIEW_PRINT(schema->name),
               schema_type_name(schema->type));
    if (schema->type == SCHEMA_RECORD) {
        buf_append_str(out, ",\"fields\":[");
        for (size_t i = 0; i < schema->field_count; i++) {
            buf_append_str(out, i > 0 ? "," : "");
            print_field(printer, &schema->fields[i]);
        }
        buf_append_str(out, "]");
    } else if (schema->type == SCHEMA_ENUM) {
        buf_append_str(out, ",\"symbols\":[");
        for (size_t i = 0; i < schema->symbol_count; i++)
            buf_printf(out, "%s\"%.*s\"", i > 0 ? "," : "", VIEW_PRINT(schema->symbols[i]));
        buf_append_str(out, "]");
        if (printer->full && schema->default_symbol >= 0)
            buf_printf(out, ",\"default\":%d", schema->default_symbol);
    } else {
        buf_printf(out, ",\"size\":%zu", schema->fixed_bytes);
    }
    print_aliases(printer, schema->aliases, schema->alias_count);
    buf_append_str(out, "}");
}

static void print_type(struct printer *printer, const struct schema *schema)
{
    struct buf *out = printer->out;

    if (schema->name.data != NULL) {
        print_named(printer, schema);
    } else if (schema->type == SCHEMA_ARRAY || schema->type == SCHEMA_MAP) {
        buf_printf(out, "{\"type\":\"%s\",\"%s\":", schema_type_name(schema->type),
                   schema->type == SCHEMA_ARRAY ? "items" : "values");
        print_type(printer, schema_item(schema));
        buf_append_str(out, "}");
    } else if (schema->type == SCHEMA_UNION) {
        buf_append_str(out, "[");
        for (size_t i = 0; i < schema->branch_count; i++) {
            buf_append_str(out, i > 0 ? "," : "");
            print_type(printer, schema->branches[i]);
        }
        buf_append_str(out, "]");
    } else if (printer->full && schema->is_timestamp_micros) {
        buf_append_str(out, "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}");
    } else {
        buf_printf(out, "\"%s\"", schema_type_name(schema->type));
    }
}

static void print_schema(struct buf *out, const struct schema *schema, bool full)
{
    struct printer printer = {.out = out, .full = full};

    print_type(&printer, schema);
    free(printer.seen);
}

void schema_print_canonical(struct buf *out, const struct schema *schema)
{
    print_schema(out, schema, false);
}

bool schema_same(const struct schema *one, const struct schema *other)
{
    AUTO(buf_clear) struct buf a = {0}, b = {0};

    print_schema(&a, one, true);
    print_schema(&b, other, true);
    return view_equal(buf_view(&a), buf_view(&b));
}

void schema_fingerprint(char out[SCHEMA_FINGERPRINT_SIZE], const struct schema *schema)
{
    AUTO(buf_clear) struct buf text = {0};
    unsigned char hash[crypto_hash_sha256_BYTES];

    schema_print_canonical(&text, schema);
    crypto_hash_sha256(hash, (const unsigned char *)buf_view(&text).data, text.size);
    sodium_bin2hex(out, SCHEMA_FINGERPRINT_SIZE, hash, sizeof hash);
}
