/* Fuzz: bytes as a record's value. What is accepted comes back the same when it is written again,
 * by us and by avro-c, which shares no code with us. */
#include "events/codec.h"
#include "tests/fuzz/fuzz.h"

#include <avro.h>

#define HEAD_BYTES 5 /* what stands before the Avro bytes: a zero and the schema's id */

static struct schema_ids *ids;
static avro_value_iface_t *classes[EVENT_COUNT];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    ids = fuzz_schema_ids();
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        struct view text = event_schema_text(type);
        avro_schema_t schema;

        HOLDS(avro_schema_from_json_length(text.data, text.size, &schema) == 0, avro_strerror());
        classes[type] = avro_generic_class_from_schema(schema);
    }
    return 0;
}

/* Ours through avro-c and back. */
static void look_at_avro_c(enum event_type type, struct view ours, struct arena *arena)
{
    AUTO(buf_clear) struct buf theirs = {0}, again = {0};
    avro_reader_t reader =
        avro_reader_memory(ours.data + HEAD_BYTES, (int64_t)(ours.size - HEAD_BYTES));
    avro_writer_t writer;
    avro_value_t value;
    const void *event;
    struct err err = {0};
    size_t size;

    avro_generic_value_new(classes[type], &value);
    HOLDS(avro_value_read(reader, &value) == 0, avro_strerror());
    avro_reader_free(reader);
    avro_value_sizeof(&value, &size);
    buf_append(&theirs, ours.data, HEAD_BYTES);
    writer = avro_writer_memory(buf_reserve(&theirs, size + 1), (int64_t)size + 1);
    HOLDS(avro_value_write(writer, &value) == 0, avro_strerror());
    theirs.size += (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    avro_value_decref(&value);
    HOLDS(event_decode(&type, &event, buf_view(&theirs), ids, arena, &err) == ERR_OK, err.text);
    HOLDS(event_encode(&again, type, event, ids, &err) == ERR_OK, err.text);
    HOLDS(view_equal(buf_view(&again), ours), "avro-c read something else");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf once = {0}, twice = {0}, json = {0};
    struct json_writer writer = {.out = &json};
    struct view value = view_of(data, size);
    enum event_type type;
    const void *event;
    struct err err = {0};
    enum err_kind kind;

    event_print_any_json(&writer, value, ids, &err);
    err = (struct err){0};
    kind = event_decode(&type, &event, value, ids, &arena, &err);
    if (kind == ERR_RETRY) {
        HOLDS(strstr(err.text, "schema id") != NULL, err.text); /* one that may be known later */
        return 0;
    }
    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return 0;
    }
    event_print_json(&writer, type, event);
    HOLDS(event_encode(&once, type, event, ids, &err) == ERR_OK, err.text);
    HOLDS(event_decode(&type, &event, buf_view(&once), ids, &arena, &err) == ERR_OK, err.text);
    HOLDS(event_encode(&twice, type, event, ids, &err) == ERR_OK, err.text);
    HOLDS(view_equal(buf_view(&once), buf_view(&twice)), "what was written is read as another");
    look_at_avro_c(type, buf_view(&once), &arena);
    return 0;
}
