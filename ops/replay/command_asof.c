/* tradewind asof: an order, a payment, a product or a SKU's stock as it was, each field with the
 * event that gave it its value. The events of the key are folded one by one with the folds of the
 * parts. */
#include "events/sku.h"
#include "ops/out.h"
#include "ops/replay/asof_stock.h"
#include "ops/replay/commands.h"
#include "ops/replay/folds.h"
#include "ops/replay/scratch.h"
#include "ops/replay/stock_compare.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <sodium.h>

#include <inttypes.h>
#include <stdio.h>

/* What can be looked at, and whose fold tells it. */
static const struct subject {
    const char *name, *part;
} SUBJECTS[] = {
    {"order", "orders"}, {"payment", "payment"}, {"product", "catalog"}, {"stock", "inventory"}};

#define SUBJECT_COUNT (sizeof SUBJECTS / sizeof SUBJECTS[0])

struct asof {
    const struct fold *fold;
    struct view key;
    const char *at_text;
    struct until at;
    bool as_json;
    struct schema_ids *ids;
    struct arena arena;
    struct key_event *events; /* up to that moment */
    size_t event_count;
    struct cells cells;
};

/* --- Reading ---------------------------------------------------------------------------------- */

/* Of its own partition the events up to the position, of the others those that are not later. */
static bool is_later(const struct asof *asof, const struct key_event *event)
{
    if (asof->at.topic != TOPIC_NONE && event->topic == asof->at.topic &&
        event->partition == asof->at.partition)
        return event->number > asof->at.number;
    return asof->at.time_ms > 0 && event->stored_ms > asof->at.time_ms;
}

static enum err_kind read_at(struct asof *asof, struct err *err)
{
    struct log_reader reader;
    enum err_kind kind;

    if (asof->at_text == NULL)
        return ERR_OK;
    kind = until_parse(&asof->at, asof->at_text, err);
    if (kind != ERR_OK || asof->at.topic == TOPIC_NONE)
        return kind;
    kind = log_reader_open(&reader, setting_text("TRADEWIND_KAFKA"), &asof->at.topic, 1,
                           (int32_t)setting_integer("TRADEWIND_PARTITIONS"), err);
    if (kind == ERR_OK)
        kind = until_aim(&asof->at, &reader, err);
    log_reader_close(&reader);
    return kind;
}

static enum err_kind read_events(struct asof *asof, struct err *err)
{
    const struct key_events_until until = {0};
    enum topic topics[TOPIC_COUNT];
    size_t topic_count = shadow_topics(asof->fold, topics), kept = 0;
    enum err_kind kind =
        key_events_read(&asof->events, &asof->event_count, setting_text("TRADEWIND_KAFKA"), topics,
                        topic_count, (int32_t)setting_integer("TRADEWIND_PARTITIONS"), &until,
                        &asof->key, 1, asof->ids, &asof->arena, err);

    if (kind != ERR_OK)
        return kind;
    if (asof->event_count == 0)
        return err_set(err, ERR_REJECT, "no topic knows %.*s", VIEW_PRINT(asof->key));
    for (size_t i = 0; i < asof->event_count; i++)
        if (!is_later(asof, &asof->events[i]))
            asof->events[kept++] = asof->events[i];
    asof->event_count = kept;
    for (size_t i = 0; i < kept; i++)
        asof->events[i].event.envelope = &asof->events[i].envelope;
    return ERR_OK;
}

/* A SKU's stock lies in no record of its own key. */
static enum err_kind look_at_stock(struct asof *asof, struct err *err)
{
    enum err_kind kind = schema_ids_open(&asof->ids, setting_text("TRADEWIND_SCHEMAS"), NULL, err);

    if (kind == ERR_OK && asof->at_text != NULL)
        kind = until_parse(&asof->at, asof->at_text, err);
    if (kind == ERR_OK)
        kind = asof_stock(&asof->cells, &asof->event_count, asof->key,
                          asof->at_text != NULL ? &asof->at : NULL, asof->ids, &asof->arena, err);
    if (kind == ERR_OK && asof->event_count == 0 && asof->at_text == NULL)
        return err_set(err, ERR_REJECT, "no topic knows %.*s", VIEW_PRINT(asof->key));
    return kind;
}

static enum err_kind look(struct asof *asof, struct err *err)
{
    const char *database = setting_of_part(asof->fold->part, "DATABASE");
    enum err_kind kind;

    if (database == NULL || database[0] == '\0')
        return err_set(err, ERR_STOP, "TRADEWIND_..._DATABASE of %s is not set", asof->fold->part);
    kind = schema_ids_open(&asof->ids, setting_text("TRADEWIND_SCHEMAS"), NULL, err);
    if (kind == ERR_OK)
        kind = read_at(asof, err);
    if (kind == ERR_OK)
        kind = read_events(asof, err);
    if (kind == ERR_OK)
        kind = scratch_fold(&asof->cells, asof->fold, database, asof->ids,
                            (int32_t)setting_integer("TRADEWIND_PARTITIONS"), NULL, asof->events,
                            asof->event_count, &asof->key, 1, &asof->arena, err);
    return kind;
}

/* --- Saying ----------------------------------------------------------------------------------- */

/* What a number stands for; NULL: it is one. */
static const char *name_of(const struct asof *asof, const struct cell *cell)
{
    int64_t number;

    if (asof->fold->name_of == NULL || cell->value == NULL ||
        !view_to_int64(view_str(cell->value), &number) || number < 0 || number > INT16_MAX)
        return NULL;
    return asof->fold->name_of(cell->column, (int)number);
}

static const char *short_value(const struct asof *asof, const struct cell *cell,
                               struct arena *arena)
{
    const char *name = name_of(asof, cell);

    if (cell->value == NULL)
        return "nothing";
    if (name != NULL)
        return arena_printf(arena, "%s (%s)", name, cell->value).data;
    if (strlen(cell->value) <= 48)
        return cell->value;
    return arena_printf(arena, "%.40s... (%zu)", cell->value, strlen(cell->value)).data;
}

/* None has changed what is still as it began. */
static void print_event(struct out_table *table, const struct key_event *event)
{
    if (event == NULL) {
        for (int i = 0; i < 3; i++)
            out_cell(table, "-");
        return;
    }
    out_cell(table, "%.*s", VIEW_PRINT(event->envelope.id));
    out_cell(table, "%s", event_type_name(event->event.type));
    out_cell(table, "%s/%d offset %" PRId64, topic_name(event->topic), event->partition,
             event->offset);
}

static void print_people(struct asof *asof)
{
    static const char *const COLUMNS[] = {"table", "field", "value", "by", "event", "where", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, &asof->arena);
    for (size_t i = 0; i < asof->cells.count; i++) {
        const struct cell *cell = &asof->cells.list[i];

        out_cell(&table, "%s", cell->table->name);
        out_cell(&table, "%s", cell->column);
        out_cell(&table, "%s", short_value(asof, cell, &asof->arena));
        print_event(&table, cell->event);
    }
    if (asof->cells.count == 0)
        printf("%.*s was not there yet\n", VIEW_PRINT(asof->key));
    else
        out_table_print(&table, stdout);
}

static void write_event(struct json_writer *json, const struct key_event *event)
{
    json_key(json, "event");
    json_object_start(json);
    json_member_text(json, "id", event->envelope.id);
    json_member_str(json, "type", event_type_name(event->event.type));
    json_member_time_us(json, "time", event->envelope.time_us);
    json_member_str(json, "topic", topic_name(event->topic));
    json_member_int64(json, "partition", event->partition);
    json_member_int64(json, "offset", event->offset);
    json_object_end(json);
}

static void write_cell(struct json_writer *json, const struct asof *asof, const struct cell *cell)
{
    const char *name = name_of(asof, cell);

    json_object_start(json);
    json_member_str(json, "table", cell->table->name);
    json_member_str(json, "row", cell->row);
    json_member_str(json, "field", cell->column);
    json_member_text(json, "value", view_str(cell->value));
    if (name != NULL)
        json_member_str(json, "name", name);
    if (cell->event != NULL)
        write_event(json, cell->event);
    json_object_end(json);
}

static void print_json(const struct asof *asof)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_member_text(&json, "key", asof->key);
    json_member_str(&json, "part", asof->fold->part);
    json_member_int64(&json, "events", (int64_t)asof->event_count);
    json_key(&json, "fields");
    json_array_start(&json);
    for (size_t i = 0; i < asof->cells.count; i++)
        write_cell(&json, asof, &asof->cells.list[i]);
    json_array_end(&json);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

/* --- The command ------------------------------------------------------------------------------ */

static const struct fold *fold_of_subject(const char *name)
{
    for (size_t i = 0; i < SUBJECT_COUNT; i++)
        if (strcmp(SUBJECTS[i].name, name) == 0)
            return fold_of_part(SUBJECTS[i].part);
    return NULL;
}

int command_asof(const struct command *command, int argc, char **argv)
{
    struct asof asof = {.at = {.topic = TOPIC_NONE}};
    const struct arg args[] = {
        {"at", ARG_TEXT, &asof.at_text, "TIME|POSITION",
         "2026-11-21T10:00:00Z, or behind an event like orders/7/42; else now"},
        {"json", ARG_FLAG, &asof.as_json, .help = "for programs"},
    };
    struct err err = {0};
    enum err_kind kind;
    int code = args_parse(command, args, sizeof args / sizeof args[0], 2, 2, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if ((asof.fold = fold_of_subject(argv[0])) == NULL)
        return args_refuse(command, "%s: want order, payment, product or stock", argv[0]);
    asof.key = view_str(argv[1]);
    if (asof.fold == &stock_fold)
        asof.key = sku_fold(asof.key, &asof.arena);
    if (asof.key.size == 0 || asof.key.size > 255 || !view_is_utf8(asof.key))
        return args_refuse(command, "want an id of 1 to 255 bytes of text");
    if ((code = ops_settings(command)) != OPS_OK)
        return code;
    kind = sodium_init() < 0          ? err_set(&err, ERR_STOP, "libsodium does not start")
           : asof.fold == &stock_fold ? look_at_stock(&asof, &err)
                                      : look(&asof, &err);
    if (kind != ERR_OK) {
        code = ops_failed(command, &err);
    } else if (asof.as_json) {
        print_json(&asof);
    } else {
        print_people(&asof);
    }
    schema_ids_free(asof.ids);
    arena_clear(&asof.arena);
    return code;
}
