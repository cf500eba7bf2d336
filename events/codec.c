#include "events/codec.h"

#include "events/events_generated.h"
#include "events/path.h"
#include "events/plan.h"
#include "events/value.h"
#include "events/wire_json.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES 5 /* a zero byte and the id */

/* --- Our schemas ----------------------------------------------------------------------------- */

static const struct schema *schemas[EVENT_COUNT];

/* Parsed once and kept for the life of the process. What is embedded was compiled: it parses. */
static void parse_schemas(void)
{
    static struct arena arena;
    struct err err;

    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        if (schema_parse(&schemas[type], event_schema_texts[type], &arena, &err) != ERR_OK) {
            fprintf(stderr, "schema of %s: %s\n", event_type_name(type), err.text);
            abort();
        }
    }
}

const struct schema *event_schema(enum event_type type)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    assert(type > EVENT_NONE && type < EVENT_COUNT);
    pthread_once(&once, parse_schemas);
    return schemas[type];
}

struct view event_schema_text(enum event_type type)
{
    assert(type > EVENT_NONE && type < EVENT_COUNT);
    return event_schema_texts[type];
}

/* --- Encoding -------------------------------------------------------------------------------- */

enum err_kind event_encode(struct buf *out, enum event_type type, const void *event,
                           const struct schema_ids *ids, struct err *err)
{
    struct path path = {0};
    const char *why;
    size_t start = out->size;
    int32_t id;

    if (type == EVENT_NONE || type >= EVENT_COUNT)
        return err_set(err, ERR_REJECT, "event type %d: no such event", (int)type);
    id = schema_ids_for(ids, type);
    if (id < 0)
        return err_set(err, ERR_STOP, "%s: no schema id for the version of this program; %s",
                       event_type_name(type), "is schemas/ids.lock older than it?");
    buf_append_byte(out, 0);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_append_byte(out, (uint8_t)((uint32_t)id >> shift));
    if (value_encode(out, event_schema(type), event, &path, &why))
        return ERR_OK;
    out->size = start;
    return err_set(err, ERR_REJECT, "%s: %s %s", event_type_name(type), path_text(&path), why);
}

/* --- Decoding -------------------------------------------------------------------------------- */

int32_t event_schema_id(struct view value)
{
    const unsigned char *head = (const unsigned char *)value.data;

    return value.size < HEAD_BYTES ? -1
                                   : (int32_t)((uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 |
                                               (uint32_t)head[3] << 8 | head[4]);
}

/* The schema of a value and a cursor behind its head. */
static enum err_kind read_head(struct cursor *cursor, const struct schema_id **schema,
                               struct view value, const struct schema_ids *ids, struct err *err)
{
    const unsigned char *head = (const unsigned char *)value.data;

    if (value.size < HEAD_BYTES)
        return err_set(err, ERR_REJECT, "value of %zu bytes, want a head of %d", value.size,
                       HEAD_BYTES);
    if (head[0] != 0)
        return err_set(err, ERR_REJECT, "value begins with byte %d, want 0 and a schema id",
                       head[0]);
    *schema = schema_ids_find(ids, event_schema_id(value));
    if (*schema == NULL)
        return err_set(err, ERR_RETRY,
                       "schema id %d: neither the lock file nor the registry "
                       "knows it",
                       event_schema_id(value));
    *cursor = cursor_over(view_of(value.data + HEAD_BYTES, value.size - HEAD_BYTES));
    return ERR_OK;
}

static enum err_kind left_over(const struct schema_id *schema, const struct cursor *cursor,
                               struct err *err)
{
    return err_set(err, ERR_REJECT, "%.*s: %zu bytes behind its end",
                   VIEW_PRINT(schema->schema->name), cursor_left(cursor));
}

enum err_kind event_decode(enum event_type *type, const void **event, struct view value,
                           const struct schema_ids *ids, struct arena *arena, struct err *err)
{
    const struct schema_id *schema;
    struct path path = {0};
    struct cursor cursor;
    enum err_kind kind = read_head(&cursor, &schema, value, ids, err);
    void *into;

    if (kind != ERR_OK)
        return kind;
    if (schema->plan == NULL)
        return err_set(err, ERR_REJECT, "schema id %d, %.*s: %s", schema->id,
                       VIEW_PRINT(schema->schema->name), schema->why);
    into = arena_alloc(arena, event_schema(schema->type)->size);
    if (!plan_run(schema->plan, &cursor, into, arena, &path))
        return err_set(err, ERR_REJECT, "%s (schema id %d): %s %s", event_type_name(schema->type),
                       schema->id, path_text(&path), cursor.why);
    if (cursor_left(&cursor) > 0)
        return left_over(schema, &cursor, err);
    *type = schema->type;
    *event = into;
    return ERR_OK;
}

enum err_kind event_decode_kept(enum event_type *type, const void **event, struct view value,
                                struct schema_ids *ids, struct arena *arena, struct err *err)
{
    enum err_kind kind = event_decode(type, event, value, ids, arena, err);

    if (kind == ERR_RETRY && schema_ids_refresh(ids, event_schema_id(value), NULL) == ERR_OK)
        kind = event_decode(type, event, value, ids, arena, err);
    return kind;
}

/* --- As JSON --------------------------------------------------------------------------------- */

void event_print_json(struct json_writer *writer, enum event_type type, const void *event)
{
    value_print_json(writer, event_schema(type), event);
}

enum err_kind event_print_any_json(struct json_writer *writer, struct view value,
                                   const struct schema_ids *ids, struct err *err)
{
    const struct schema_id *schema;
    struct path path = {0};
    struct cursor cursor;
    enum err_kind kind = read_head(&cursor, &schema, value, ids, err);

    if (kind != ERR_OK)
        return kind;
    if (!wire_print_json(writer, schema->schema, &cursor, &path))
        return err_set(err, ERR_REJECT, "%.*s (schema id %d): %s %s",
                       VIEW_PRINT(schema->schema->name), schema->id, path_text(&path), cursor.why);
    if (cursor_left(&cursor) > 0)
        return left_over(schema, &cursor, err);
    return ERR_OK;
}
