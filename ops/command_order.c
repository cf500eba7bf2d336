/* tradewind order: what happened to one order, over all topics, and what led to what. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/record.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Records may be stored a little before their order's id was made, when clocks differ. */
#define CLOCKS_DIFFER_MS 600000

struct happening {
    struct record record;
    struct buf json; /* the record as JSON: the message itself is gone by then */
    struct buf what;
};

struct timeline {
    const char *order;
    int32_t shard;
    struct schema_ids *ids;
    struct arena *arena;
    struct happening *happenings;
    size_t count, capacity;
};

/* What of a record is kept after its message. */
static void keep_envelope(struct timeline *timeline, struct record *record)
{
    struct envelope *envelope = &record->envelope;

    envelope->source = arena_view(timeline->arena, envelope->source);
    envelope->id = arena_view(timeline->arena, envelope->id);
    envelope->subject = arena_view(timeline->arena, envelope->subject);
    envelope->causation_id = arena_view(timeline->arena, envelope->causation_id);
    record->topic_name = record->topic != TOPIC_NONE ? topic_name(record->topic) : "";
    record->event = NULL;
    record->value = VIEW_NONE;
}

static bool is_known(const struct timeline *timeline, const struct record *record)
{
    for (size_t i = 0; i < timeline->count; i++)
        if (view_equal(timeline->happenings[i].record.envelope.id, record->envelope.id))
            return true;
    return false;
}

static bool each_record(void *context, const rd_kafka_message_t *message)
{
    struct timeline *timeline = context;
    AUTO(arena_clear) struct arena arena = {0};
    struct record record;
    struct happening *happening;

    if (message->key == NULL ||
        !view_equals(view_of(message->key, message->key_len), timeline->order))
        return true;
    record_read(&record, message, timeline->ids, &arena);
    if (record.is_event && is_known(timeline, &record))
        return true; /* sent again: the same event under the same number */
    timeline->happenings = mem_room(timeline->happenings, timeline->count, &timeline->capacity,
                                    sizeof *timeline->happenings);
    happening = &timeline->happenings[timeline->count++];
    *happening = (struct happening){0};
    record_print_json(&happening->json, &record);
    if (record.is_event)
        record_summary(&happening->what, &record, &arena);
    else
        buf_printf(&happening->what, "no event: %s", record.why.text);
    keep_envelope(timeline, &record);
    happening->record = record;
    return true;
}

/* The milliseconds that a ULID begins with; -1: it is none. */
static int64_t ulid_time_ms(const char *id)
{
    static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    int64_t ms = 0;

    if (strlen(id) != 26)
        return -1;
    for (int i = 0; i < 10; i++) {
        const char *found = strchr(ALPHABET, id[i]);

        if (found == NULL)
            return -1;
        ms = ms * 32 + (found - ALPHABET);
    }
    return ms;
}

static enum err_kind read_topic(struct timeline *timeline, enum topic topic, const char *brokers,
                                struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = brokers};
    int64_t since_ms = ulid_time_ms(timeline->order), offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_t *client;
    enum err_kind kind;

    if (since_ms >= 0) {
        if ((kind = kafka_open_consumer(&client, &options, err)) != ERR_OK)
            return kind;
        offset = since_ms - CLOCKS_DIFFER_MS;
        kind = kafka_offsets_at(client, topic_name(topic), &timeline->shard, 1, &offset, 5000, err);
        kafka_close_consumer(client);
        if (kind != ERR_OK)
            return kind;
    }
    return kafka_read_to_end(brokers, topic_name(topic), &timeline->shard, &offset, 1, each_record,
                             timeline, err);
}

static int by_time(const void *left, const void *right)
{
    const struct record *a = &((const struct happening *)left)->record;
    const struct record *b = &((const struct happening *)right)->record;

    if (a->envelope.time_us != b->envelope.time_us)
        return a->envelope.time_us < b->envelope.time_us ? -1 : 1;
    if (a->topic != b->topic)
        return a->topic < b->topic ? -1 : 1;
    return a->envelope.number < b->envelope.number ? -1 : a->envelope.number > b->envelope.number;
}

/* By time, but no event stands before its cause, even when the clocks of two parts say so. */
static void sort(struct timeline *timeline)
{
    struct happening *all = timeline->happenings;

    qsort(all, timeline->count, sizeof *all, by_time);
    for (size_t effect = 0; effect < timeline->count; effect++)
        for (size_t cause = timeline->count; cause-- > effect + 1;)
            if (all[cause].record.envelope.id.size > 0 &&
                view_equal(all[effect].record.envelope.causation_id,
                           all[cause].record.envelope.id)) {
                struct happening moved = all[cause];

                memmove(&all[effect + 1], &all[effect], (cause - effect) * sizeof *all);
                all[effect] = moved;
                break;
            }
}

static const char *cause_of(const struct timeline *timeline, size_t index, struct arena *arena)
{
    struct view cause = timeline->happenings[index].record.envelope.causation_id;

    if (cause.size == 0)
        return timeline->happenings[index].record.is_event ? "a request, or the clock" : "";
    for (size_t i = 0; i < timeline->count; i++)
        if (view_equal(timeline->happenings[i].record.envelope.id, cause))
            return arena_printf(arena, "<- %zu", i + 1).data;
    return arena_printf(arena, "<- %.*s", VIEW_PRINT(cause)).data;
}

static const char *state_of(const struct timeline *timeline)
{
    const char *state = "without order.created";

    for (size_t i = 0; i < timeline->count; i++) {
        enum event_type type = timeline->happenings[i].record.type;

        if (type == EVENT_ORDER_CREATED)
            state = "placed";
        else if (type == EVENT_ORDER_CONFIRMED)
            state = "confirmed";
        else if (type == EVENT_ORDER_CANCELLED)
            state = "cancelled, not closed yet";
        else if (type == EVENT_ORDER_CLOSED)
            state = strcmp(state, "confirmed") == 0 ? "fulfilled" : "cancelled and closed";
    }
    return state;
}

static void print_people(const struct timeline *timeline, struct arena *arena)
{
    static const char *const COLUMNS[] = {">#",   ">after",     "by", "event",
                                          "what", "because of", "id", NULL};
    struct out_table table;
    int64_t start_us = timeline->happenings[0].record.envelope.time_us;
    char time[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(start_us, time);
    printf("order %s: %s; began %.19sZ, shard %d\n\n", timeline->order, state_of(timeline), time,
           timeline->shard);
    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < timeline->count; i++) {
        const struct happening *happening = &timeline->happenings[i];
        const struct record *record = &happening->record;

        out_cell(&table, "%zu", i + 1);
        out_cell(&table, "%s",
                 record->is_event ? out_duration_us(arena, record->envelope.time_us - start_us)
                                  : "-");
        out_cell(&table, "%s", record->topic != TOPIC_NONE ? topic_writer(record->topic) : "?");
        out_cell_in(&table, record->is_event ? OUT_BOLD : OUT_RED, "%s",
                    record->is_event ? event_type_name(record->type) : "?");
        out_cell(&table, "%.*s", VIEW_PRINT(buf_view(&happening->what)));
        out_cell_in(&table, OUT_CYAN, "%s", cause_of(timeline, i, arena));
        out_cell_in(&table, OUT_DIM, "%.*s", VIEW_PRINT(record->envelope.id));
    }
    out_table_print(&table, stdout);
}

static void print_json(const struct timeline *timeline)
{
    printf("{\"order_id\":\"%s\",\"shard\":%d,\"state\":\"%s\",\"events\":[", timeline->order,
           timeline->shard, state_of(timeline));
    for (size_t i = 0; i < timeline->count; i++)
        printf("%s%s", i > 0 ? ",\n" : "\n", buf_cstr(&timeline->happenings[i].json));
    printf("\n]}\n");
}

static void clear(struct timeline *timeline)
{
    for (size_t i = 0; i < timeline->count; i++) {
        buf_clear(&timeline->happenings[i].json);
        buf_clear(&timeline->happenings[i].what);
    }
    free(timeline->happenings);
}

static bool is_id(const char *id)
{
    size_t size = strlen(id);

    return size > 0 && size <= 64 &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == size;
}

int command_order(const struct command *command, int argc, char **argv)
{
    bool as_json = false;
    const struct arg args[] = {
        {"json", ARG_FLAG, &as_json, .help = "for programs, each event with its data"}};
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    struct timeline timeline = {.arena = &arena};
    struct err err = {0};
    enum err_kind kind;
    int code = args_parse(command, args, 1, 1, 1, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if (!is_id(argv[0]))
        return args_refuse(command, "%s: want an order's id", argv[0]);
    if ((code = ops_settings(command)) != OPS_OK)
        return code;
    timeline.order = argv[0];
    timeline.shard =
        (int32_t)partition_of(view_str(argv[0]), (uint32_t)setting_integer("TRADEWIND_PARTITIONS"));
    kind = schema_ids_open(&ids, setting_text("TRADEWIND_SCHEMAS"),
                           setting_text("TRADEWIND_REGISTRY"), &err);
    timeline.ids = ids;
    for (int topic = 0; kind == ERR_OK && topic < TOPIC_COUNT; topic++)
        if (topic != TOPIC_PRODUCTS && topic != TOPIC_OPS)
            kind = read_topic(&timeline, (enum topic)topic, setting_text("TRADEWIND_KAFKA"), &err);
    if (kind == ERR_OK && timeline.count > 0) {
        sort(&timeline);
        if (as_json)
            print_json(&timeline);
        else
            print_people(&timeline, &arena);
    }
    if (kind != ERR_OK)
        code = ops_failed(command, &err);
    else if (timeline.count == 0)
        fprintf(stderr, "tradewind order: no topic has an event of order %s\n", argv[0]),
            code = OPS_FOUND;
    clear(&timeline);
    return code;
}
