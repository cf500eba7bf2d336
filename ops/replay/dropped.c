#include "ops/replay/dropped.h"

#include "runtime/json.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"

struct reading {
    struct asides *inputs, *strangers;
    struct view part;
    const struct schema_ids *ids;
    struct arena arena;
};

/* {"outcome": "dropped"}: the letter itself is the first of them. */
static bool was_dropped(const struct ops_acted *event, struct arena *arena)
{
    struct json_reader reader = {.arena = arena};
    struct json *after;

    return json_parse(&after, event->after, arena, NULL) == ERR_OK && after->kind == JSON_ARRAY &&
           after->count > 0 &&
           view_equals(json_read_text(&reader, &after->items[0], "outcome", 1, 32), "dropped");
}

static void take_letter(struct reading *reading, const struct ops_acted *event)
{
    struct json_reader reader = {.arena = &reading->arena};
    struct json *before;
    struct view topic_text, key;
    enum topic topic;
    int64_t partition, offset, number;
    struct asides *out;

    if (json_parse(&before, event->before, &reading->arena, NULL) != ERR_OK)
        return;
    topic_text = json_read_text(&reader, before, "topic", 1, 128);
    partition = json_read_int64(&reader, before, "partition", 0, INT32_MAX);
    offset = json_read_int64(&reader, before, "offset", 0, INT64_MAX - 1);
    number = json_read_int64(&reader, before, "number", 0, INT64_MAX);
    key = number > 0 ? json_read_text(&reader, before, "key", 1, 255) : VIEW_LITERAL("");
    if (reader.failed) /* it was told before numbers were */
        return;
    topic = topic_from_name(arena_view(&reading->arena, topic_text).data);
    out = number > 0 ? reading->inputs : reading->strangers;
    if (topic != TOPIC_NONE && out != NULL)
        asides_add(out, topic, (int32_t)partition,
                   number > 0 ? (uint64_t)number : dropped_stranger(offset), key, true);
}

static bool each_record(void *context, const rd_kafka_message_t *message)
{
    struct reading *reading = context;
    struct record record;
    const struct ops_acted *event;

    arena_reset(&reading->arena);
    record_read(&record, message, reading->ids, &reading->arena);
    if (!record.is_event || record.type != EVENT_OPS_ACTED)
        return true;
    event = record.event;
    if (view_equal(event->part, reading->part) && view_equals(event->action, "dead_letter.drop") &&
        was_dropped(event, &reading->arena))
        take_letter(reading, event);
    return true;
}

enum err_kind dropped_read(struct asides *inputs, struct asides *strangers, const char *brokers,
                           const char *part, int32_t partitions, const struct schema_ids *ids,
                           struct err *err)
{
    struct reading reading = {
        .inputs = inputs, .strangers = strangers, .part = view_str(part), .ids = ids};
    const int32_t partition = (int32_t)partition_of(view_str(part), (uint32_t)partitions);
    const int64_t beginning = RD_KAFKA_OFFSET_BEGINNING;
    enum err_kind kind = kafka_read_to_end(brokers, topic_name(TOPIC_OPS), &partition, &beginning,
                                           1, each_record, &reading, err);

    arena_clear(&reading.arena);
    return kind;
}
