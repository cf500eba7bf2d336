/* The codec for other programs' tests: a JSON request a line in, a JSON answer a line out. Bytes
 * are in base64url.
 *
 *     avro-lines SCHEMAS
 *
 *     {"value": bytes}                      a record's value: what event it is, its fields as our
 *                                           version has them, and its bytes written again
 *     {"writer": schema, "reader": schema, "bytes": bytes}
 *                                           bytes of one schema read as another
 *
 * The answer is {"type", "event", "again"}, {"read"} or {"error"}. */
#include "events/codec.h"
#include "events/plan.h"
#include "events/value.h"
#include "runtime/base64.h"

#include <stdio.h>
#include <stdlib.h>

struct lines {
    struct schema_ids *ids;
    struct arena arena;
    struct buf bytes, again, answer;
    struct json_writer writer;
    struct err err;
};

static struct view text_of(const struct json *request, const char *name)
{
    const struct json *member = json_member(request, name);

    return member != NULL && member->kind == JSON_STRING ? member->text : view_str("");
}

/* Bytes that end where their memory ends, so that the sanitizer sees who reads on. */
static struct view exact_copy(const struct buf *bytes, char **owned)
{
    *owned = malloc(bytes->size > 0 ? bytes->size : 1);
    if (bytes->size > 0)
        memcpy(*owned, bytes->data, bytes->size);
    return view_of(*owned, bytes->size);
}

static enum err_kind answer_event(struct lines *lines, struct view value)
{
    enum event_type type;
    const void *event;

    if (event_decode(&type, &event, value, lines->ids, &lines->arena, &lines->err) != ERR_OK ||
        event_encode(&lines->again, type, event, lines->ids, &lines->err) != ERR_OK)
        return lines->err.kind;
    json_member_str(&lines->writer, "type", event_type_name(type));
    json_key(&lines->writer, "event");
    event_print_json(&lines->writer, type, event);
    json_key(&lines->writer, "again");
    json_put_base64(&lines->writer, buf_view(&lines->again));
    return ERR_OK;
}

static enum err_kind answer_read(struct lines *lines, const struct json *request, struct view bytes)
{
    const struct schema *reader, *writer;
    struct cursor cursor = cursor_over(bytes);
    struct path path = {0};
    const struct plan *plan;
    struct err *err = &lines->err;
    void *value;

    if (schema_parse(&reader, text_of(request, "reader"), &lines->arena, err) != ERR_OK ||
        schema_parse(&writer, text_of(request, "writer"), &lines->arena, err) != ERR_OK ||
        plan_make(&plan, reader, writer, PLAN_LENIENT, &lines->arena, err) != ERR_OK)
        return err->kind;
    value = arena_alloc(&lines->arena, reader->size);
    if (!plan_run(plan, &cursor, value, &lines->arena, &path))
        return err_set(err, ERR_REJECT, "%s %s", path_text(&path), cursor.why);
    if (cursor_left(&cursor) > 0)
        return err_set(err, ERR_REJECT, "%zu bytes behind the end", cursor_left(&cursor));
    json_key(&lines->writer, "read");
    value_print_json(&lines->writer, reader, value);
    return ERR_OK;
}

static void answer(struct lines *lines, struct view line)
{
    struct json *request = NULL;
    enum err_kind kind;
    char *owned = NULL;

    buf_reset(&lines->bytes);
    buf_reset(&lines->again);
    buf_reset(&lines->answer);
    lines->writer = (struct json_writer){.out = &lines->answer};
    json_object_start(&lines->writer);
    kind = json_parse(&request, line, &lines->arena, &lines->err);
    if (kind == ERR_OK) {
        bool is_event = json_member(request, "value") != NULL;

        if (!base64url_decode(&lines->bytes, text_of(request, is_event ? "value" : "bytes")))
            kind = err_set(&lines->err, ERR_REJECT, "request without bytes in base64url");
        else if (is_event)
            kind = answer_event(lines, exact_copy(&lines->bytes, &owned));
        else
            kind = answer_read(lines, request, exact_copy(&lines->bytes, &owned));
    }
    if (kind != ERR_OK)
        json_member_str(&lines->writer, "error", lines->err.text);
    json_object_end(&lines->writer);
    printf("%s\n", buf_cstr(&lines->answer));
    free(owned);
    arena_reset(&lines->arena);
}

int main(int argc, char **argv)
{
    struct lines lines = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    if (argc != 2) {
        fprintf(stderr, "usage: avro-lines SCHEMAS\n");
        return 2;
    }
    if (schema_ids_open(&lines.ids, argv[1], NULL, &lines.err) != ERR_OK) {
        fprintf(stderr, "avro-lines: %s\n", lines.err.text);
        return 1;
    }
    while ((size = getline(&line, &capacity, stdin)) > 0)
        answer(&lines, view_of(line, (size_t)size));
    free(line);
    buf_clear(&lines.bytes);
    buf_clear(&lines.again);
    buf_clear(&lines.answer);
    arena_clear(&lines.arena);
    schema_ids_free(lines.ids);
    return 0;
}
