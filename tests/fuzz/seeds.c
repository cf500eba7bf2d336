/* What the fuzzer begins with: an event of each type, its headers, and its schema.
 *
 *     fuzz-seeds SCHEMAS FOLDER
 *
 * FOLDER has a folder for each target: value, record, schema. */
#include "events/envelope.h"
#include "runtime/file.h"
#include "tests/unit/events/random_event.h"

#include <stdio.h>

static enum err_kind write_seed(const char *folder, const char *target, enum event_type type,
                                struct view seed, struct err *err)
{
    AUTO(buf_clear) struct buf path = {0};

    buf_printf(&path, "%s/%s/%s", folder, target, event_type_name(type));
    return file_write(buf_cstr(&path), seed, err);
}

static enum err_kind write_seeds(const char *folder, enum event_type type,
                                 const struct schema_ids *ids, struct err *err)
{
    struct dice dice = {.state = (uint64_t)type};
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf value = {0}, headers = {0}, record = {0}, schema = {0};
    const struct envelope envelope = {
        .type = type,
        .source = view_str(topic_writer(event_topic(type))),
        .shard = 7,
        .number = 42,
        .subject = VIEW_LITERAL("01ARYZ6S410000000000000000"),
        .causation_id = VIEW_LITERAL("orders/7/41"),
        .traceparent = VIEW_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    };
    enum err_kind kind;

    if ((kind = event_encode(&value, type, random_event(&dice, type, &arena), ids, err)) !=
            ERR_OK ||
        (kind = envelope_write(&headers, &envelope, err)) != ERR_OK)
        return kind;
    buf_append_byte(&record, 'h');
    buf_append_view(&record, buf_view(&headers));
    schema_print_canonical(&schema, event_schema(type));
    buf_append_byte(&schema, 0);
    buf_append(&schema, value.data + 5, value.size - 5); /* without the id */
    if ((kind = write_seed(folder, "value", type, buf_view(&value), err)) != ERR_OK ||
        (kind = write_seed(folder, "record", type, buf_view(&record), err)) != ERR_OK)
        return kind;
    return write_seed(folder, "schema", type, buf_view(&schema), err);
}

int main(int argc, char **argv)
{
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    enum err_kind kind;
    struct err err;

    if (argc != 3) {
        fprintf(stderr, "usage: fuzz-seeds SCHEMAS FOLDER\n");
        return 2;
    }
    kind = schema_ids_open(&ids, argv[1], NULL, &err);
    for (enum event_type type = EVENT_NONE + 1; kind == ERR_OK && type < EVENT_COUNT; type++)
        kind = write_seeds(argv[2], type, ids, &err);
    if (kind != ERR_OK)
        fprintf(stderr, "fuzz-seeds: %s\n", err.text);
    return kind == ERR_OK ? 0 : 1;
}
