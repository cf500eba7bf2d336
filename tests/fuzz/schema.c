/* Fuzz: a schema's text up to a NUL, then bytes that it may have written, read as itself. */
#include "events/plan.h"
#include "events/value.h"
#include "events/wire_json.h"
#include "tests/fuzz/fuzz.h"

static void look_at_canonical(const struct schema *schema, struct arena *arena)
{
    AUTO(buf_clear) struct buf once = {0}, twice = {0};
    const struct schema *again;
    struct err err = {0};

    schema_print_canonical(&once, schema);
    HOLDS(schema_parse(&again, buf_view(&once), arena, &err) == ERR_OK, err.text);
    schema_print_canonical(&twice, again);
    HOLDS(view_equal(buf_view(&once), buf_view(&twice)), "not canonical");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf json = {0};
    struct json_writer writer = {.out = &json};
    struct view bytes = view_of(data, size), text = fuzz_until_nul(&bytes);
    const struct schema *schema;
    const struct plan *plan;
    struct path path = {0};
    struct cursor cursor = cursor_over(bytes);
    struct err err = {0};
    enum err_kind kind = schema_parse(&schema, text, &arena, &err);
    void *value;

    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return 0;
    }
    HOLDS(schema->nodes <= SCHEMA_NODES_MAX && schema->height <= SCHEMA_DEPTH_MAX, "its bounds");
    look_at_canonical(schema, &arena);
    wire_print_json(&writer, schema, &cursor, &path);
    kind = plan_make(&plan, schema, schema, PLAN_STRICT, &arena, &err);
    if (kind != ERR_OK) {
        fuzz_refused(kind, &err); /* no C type */
        return 0;
    }
    value = arena_alloc(&arena, schema->size);
    cursor = cursor_over(bytes);
    if (plan_run(plan, &cursor, value, &arena, &path))
        value_print_json(&writer, schema, value);
    return 0;
}
