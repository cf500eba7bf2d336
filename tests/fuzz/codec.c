/* Fuzz: bytes as a record's value, as a header block, as a schema, and as what a schema wrote.
 *
 * The first byte of the input says which. What is accepted has to come back the same when it is
 * written again; the sanitizers see the rest. */
#include "events/codec.h"

#include "events/envelope.h"
#include "events/plan.h"
#include "events/value.h"
#include "events/wire_json.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct schema_ids *ids;

static void broken(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("TRADEWIND_SCHEMAS");
    struct err err;

    (void)argc;
    (void)argv;
    if (schema_ids_open(&ids, folder != NULL ? folder : "schemas", NULL, &err) != ERR_OK)
        broken("schemas", &err);
    return 0;
}

/* What decodes, encodes; and what was encoded decodes and encodes to the same bytes. */
static void fuzz_value(struct view value, struct arena *arena)
{
    AUTO(buf_clear) struct buf once = {0}, twice = {0}, json = {0};
    struct json_writer writer = {.out = &json};
    enum event_type type;
    const void *event;
    struct err err;

    event_print_any_json(&writer, value, ids, &err);
    if (event_decode(&type, &event, value, ids, arena, &err) != ERR_OK)
        return;
    event_print_json(&writer, type, event);
    if (event_encode(&once, type, event, ids, &err) != ERR_OK)
        broken("what was read is not written", &err);
    if (event_decode(&type, &event, buf_view(&once), ids, arena, &err) != ERR_OK ||
        event_encode(&twice, type, event, ids, &err) != ERR_OK)
        broken("what was written is not read", &err);
    if (!view_equal(buf_view(&once), buf_view(&twice)))
        abort();
}

static void fuzz_headers(struct view block)
{
    AUTO(buf_clear) struct buf again = {0};
    struct envelope envelope, read;
    struct err err;

    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        if (envelope_read_block(&envelope, topic, block, &err) != ERR_OK)
            continue;
        if (envelope_write(&again, &envelope, &err) != ERR_OK ||
            envelope_read_block(&read, topic, buf_view(&again), &err) != ERR_OK)
            broken("an envelope that was read is not written", &err);
        if (read.number != envelope.number || read.time_us != envelope.time_us ||
            !view_equal(read.id, envelope.id))
            abort();
    }
}

/* A schema's text up to a zero byte, then bytes that it may have written: read as itself. */
static void fuzz_schema(struct view input, struct arena *arena)
{
    const char *zero = input.size > 0 ? memchr(input.data, 0, input.size) : NULL;
    size_t text_size = zero != NULL ? (size_t)(zero - input.data) : input.size;
    AUTO(buf_clear) struct buf text = {0}, json = {0};
    struct json_writer writer = {.out = &json};
    const struct schema *schema, *again;
    const struct plan *plan;
    struct path path = {0};
    struct cursor cursor;
    struct view bytes;
    struct err err;
    void *value;

    if (schema_parse(&schema, view_of(input.data, text_size), arena, &err) != ERR_OK)
        return;
    schema_print_canonical(&text, schema);
    if (schema_parse(&again, buf_view(&text), arena, &err) != ERR_OK)
        broken("a canonical form is not read", &err);
    if (zero == NULL)
        return;
    bytes = view_of(zero + 1, input.size - text_size - 1);
    cursor = cursor_over(bytes);
    wire_print_json(&writer, schema, &cursor, &path);
    if (plan_make(&plan, schema, schema, PLAN_STRICT, arena, &err) != ERR_OK)
        return; /* no C type */
    value = arena_alloc(arena, schema->size);
    cursor = cursor_over(bytes);
    if (plan_run(plan, &cursor, value, arena, &path))
        value_print_json(&writer, schema, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view input;

    if (size == 0)
        return 0;
    input = view_of(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        fuzz_value(input, &arena);
        break;
    case 1:
        fuzz_headers(input);
        break;
    case 2:
        fuzz_schema(input, &arena);
        break;
    }
    return 0;
}
