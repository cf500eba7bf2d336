/* Our codec against avro-c, an implementation that shares no code with it: random events of every
 * schema, written by one and read by the other. */
#include "tests/unit/events/random_event.h"

#include <avro.h>
#include <criterion/criterion.h>

#include <stdlib.h>

#define ROUNDS 60
#define HEAD_BYTES 5

static bool same(const struct schema *schema, const char *from, avro_value_t *value);

static bool same_bytes(const struct schema *schema, const char *from, avro_value_t *value)
{
    struct view ours, theirs;
    const void *bytes;
    const char *text;
    size_t size;

    memcpy(&ours, from, sizeof ours);
    if (schema->type == SCHEMA_BYTES) {
        avro_value_get_bytes(value, &bytes, &size);
        theirs = view_of(bytes, size);
    } else {
        avro_value_get_string(value, &text, &size);
        theirs = view_of(text, size - 1); /* it counts the NUL */
    }
    return view_equal(ours, theirs);
}

static bool same_items(const struct schema *schema, const char *from, avro_value_t *value)
{
    const struct schema *item = schema_item(schema);
    const char *items;
    size_t count, theirs;
    avro_value_t element;

    memcpy(&items, from, sizeof items);
    memcpy(&count, from + sizeof items, sizeof count);
    avro_value_get_size(value, &theirs);
    if (count != theirs)
        return false;
    for (size_t i = 0; i < count; i++) {
        avro_value_get_by_index(value, i, &element, NULL);
        if (!same(item, items + i * item->size, &element))
            return false;
    }
    return true;
}

static bool same_optional(const struct schema *schema, const char *from, avro_value_t *value)
{
    const struct schema *part = schema_optional(schema);
    bool is_view = part->type == SCHEMA_STRING || part->type == SCHEMA_BYTES;
    const char *at; /* a view begins with its pointer too */
    avro_value_t branch;

    memcpy(&at, from, sizeof at);
    avro_value_get_current_branch(value, &branch);
    if (avro_value_get_type(&branch) == AVRO_NULL)
        return at == NULL;
    return at != NULL && same(part, is_view ? from : at, &branch);
}

static bool same(const struct schema *schema, const char *from, avro_value_t *value)
{
    int32_t narrow, their_narrow;
    int64_t whole, their_whole;
    avro_value_t field;
    int symbol;

    switch (schema->type) {
    case SCHEMA_INT:
        memcpy(&narrow, from, sizeof narrow);
        return avro_value_get_int(value, &their_narrow) == 0 && narrow == their_narrow;
    case SCHEMA_LONG:
        memcpy(&whole, from, sizeof whole);
        return avro_value_get_long(value, &their_whole) == 0 && whole == their_whole;
    case SCHEMA_ENUM:
        memcpy(&narrow, from, sizeof narrow);
        return avro_value_get_enum(value, &symbol) == 0 && narrow == symbol;
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return same_bytes(schema, from, value);
    case SCHEMA_RECORD:
        for (size_t i = 0; i < schema->field_count; i++)
            if (avro_value_get_by_name(value, schema->fields[i].name.data, &field, NULL) != 0 ||
                !same(schema->fields[i].type, from + schema->fields[i].offset, &field))
                return false;
        return true;
    case SCHEMA_ARRAY:
        return same_items(schema, from, value);
    case SCHEMA_UNION:
        return same_optional(schema, from, value);
    case SCHEMA_BOOLEAN:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
    case SCHEMA_NULL:
    case SCHEMA_MAP:
    case SCHEMA_FIXED:
        break;
    }
    return false;
}

/* Our bytes as avro-c reads them, and its bytes of the same value as we read them. */
static void check(enum event_type type, const void *event, avro_value_t *value,
                  const struct schema_ids *ids, struct arena *arena)
{
    static char theirs[1 << 16];
    AUTO(buf_clear) struct buf ours = {0};
    const char *name = event_type_name(type);
    enum event_type read_type;
    const void *read;
    avro_reader_t reader;
    avro_writer_t writer;
    struct err err;
    size_t size;

    cr_assert_eq(event_encode(&ours, type, event, ids, &err), ERR_OK, "%s", err.text);
    reader = avro_reader_memory(ours.data + HEAD_BYTES, (int64_t)(ours.size - HEAD_BYTES));
    cr_assert_eq(avro_value_read(reader, value), 0, "%s: %s", name, avro_strerror());
    avro_reader_free(reader);
    cr_assert(same(event_schema(type), event, value), "%s: avro-c reads something else", name);

    memcpy(theirs, ours.data, HEAD_BYTES);
    writer = avro_writer_memory(theirs + HEAD_BYTES, sizeof theirs - HEAD_BYTES);
    cr_assert_eq(avro_value_write(writer, value), 0, "%s: %s", name, avro_strerror());
    size = HEAD_BYTES + (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    cr_assert_eq(event_decode(&read_type, &read, view_of(theirs, size), ids, arena, &err), ERR_OK,
                 "%s", err.text);
    cr_assert_eq(read_type, type);
    cr_assert(same(event_schema(type), read, value), "%s: we read something else", name);
}

Test(oracle, avro_c_reads_what_we_write_and_we_what_it_writes)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    struct dice dice = {.state = 20101201};

    cr_assert_eq(schema_ids_open(&ids, SCHEMAS, NULL, NULL), ERR_OK);
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        struct view text = event_schema_text(type);
        avro_value_iface_t *class;
        avro_schema_t schema;
        avro_value_t value;

        cr_assert_eq(avro_schema_from_json_length(text.data, text.size, &schema), 0, "%s",
                     avro_strerror());
        class = avro_generic_class_from_schema(schema);
        avro_generic_value_new(class, &value);
        for (int i = 0; i < ROUNDS; i++) {
            check(type, random_event(&dice, type, &arena), &value, ids, &arena);
            avro_value_reset(&value);
            arena_reset(&arena);
        }
        avro_value_decref(&value);
        avro_value_iface_decref(class);
        avro_schema_decref(schema);
    }
}
