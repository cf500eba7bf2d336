#include "ops/replay/key_events.h"

#include "runtime/kafka.h"
#include "runtime/murmur2.h"

#include <stdlib.h>

struct collect {
    struct lookup keys; /* struct view */
    int64_t time_ms;
    const struct schema_ids *ids;
    struct arena *arena;
    struct key_event *events;
    size_t count, capacity;
};

static struct view view_itself(const void *thing)
{
    return *(const struct view *)thing;
}

static struct key_event *add(struct collect *collect)
{
    collect->events = arena_room(collect->arena, collect->events, collect->count,
                                 &collect->capacity, sizeof *collect->events);
    return &collect->events[collect->count];
}

static bool read_event(struct key_event *event, const struct collect *collect)
{
    enum event_type type;

    if (envelope_read_block(&event->envelope, event->topic, event->headers, NULL) != ERR_OK ||
        event_decode(&type, &event->event.data, event->value, collect->ids, collect->arena, NULL) !=
            ERR_OK ||
        type != event->envelope.type)
        return false;
    event->event.type = type;
    event->event.shard = event->partition;
    return true;
}

static enum err_kind collect_record(void *context, struct log_place *place,
                                    const rd_kafka_message_t *message, struct err *err)
{
    struct collect *collect = context;
    AUTO(buf_clear) struct buf headers = {0};
    struct key_event *event;

    (void)err;
    if (message == NULL ||
        lookup_find(&collect->keys, view_of(message->key, message->key_len)) == NULL)
        return ERR_OK;
    event = add(collect);
    kafka_headers_to_block(message, &headers);
    *event = (struct key_event){
        .topic = place->topic,
        .partition = place->partition,
        .offset = message->offset,
        .stored_ms = rd_kafka_message_timestamp(message, NULL),
        .number = place->receiver.high_water,
        .headers = arena_view(collect->arena, buf_view(&headers)),
        .value =
            arena_view(collect->arena,
                       view_of(message->payload != NULL ? message->payload : "", message->len)),
    };
    if (collect->time_ms == 0 || event->stored_ms <= collect->time_ms)
        collect->count += read_event(event, collect);
    return ERR_OK;
}

/* Each place ends at once but those where the keys are. */
static enum err_kind aim(struct log_reader *reader, const struct key_events_until *until,
                         const struct view *keys, size_t key_count, struct err *err)
{
    enum err_kind kind = until->position == NULL ? log_reader_aim_at_ends(reader, err) : ERR_OK;

    for (size_t i = 0; kind == ERR_OK && i < reader->place_count; i++) {
        struct log_place *place = &reader->places[i];
        const struct log_place *stand =
            until->position == NULL
                ? NULL
                : log_reader_place(until->position, place->topic, place->partition);
        bool wanted = false;

        for (size_t k = 0; k < key_count && !wanted; k++)
            wanted =
                (int32_t)partition_of(keys[k], (uint32_t)reader->partitions) == place->partition;
        if (stand != NULL)
            place->until_number = stand->high_water;
        if (!wanted)
            place->until_offset = 0;
    }
    return kind;
}

static bool is_cause_of(const struct key_event *cause, const struct key_event *event)
{
    return event->envelope.causation_id.data != NULL &&
           view_equal(cause->envelope.id, event->envelope.causation_id);
}

static bool goes_before(const struct key_event *a, const struct key_event *b)
{
    if (a->topic == b->topic && a->partition == b->partition)
        return a->number < b->number;
    if (is_cause_of(a, b) || is_cause_of(b, a))
        return is_cause_of(a, b);
    return a->envelope.time_us != b->envelope.time_us ? a->envelope.time_us < b->envelope.time_us
                                                      : a->topic < b->topic;
}

static int compare_by_key(const void *a, const void *b)
{
    const struct key_event *left = a, *right = b;
    int order = view_compare(left->envelope.subject, right->envelope.subject);

    if (order == 0)
        order = (left->topic > right->topic) - (left->topic < right->topic);
    return order != 0 ? order : (left->number > right->number) - (left->number < right->number);
}

/* Those of one key are few. */
static void sort_key(struct key_event *events, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct key_event event = events[i];
        size_t at = i;

        for (; at > 0 && goes_before(&event, &events[at - 1]); at--)
            events[at] = events[at - 1];
        events[at] = event;
    }
}

static void sort(struct key_event *events, size_t count)
{
    if (count > 0)
        qsort(events, count, sizeof *events, compare_by_key);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && view_equal(events[first].envelope.subject,
                                                          events[next].envelope.subject);
             next++)
            ;
        sort_key(events + first, next - first);
    }
    for (size_t i = 0; i < count; i++)
        events[i].event.envelope = &events[i].envelope;
}

enum err_kind key_events_read(struct key_event **out, size_t *count, const char *brokers,
                              const enum topic *topics, size_t topic_count, int32_t partitions,
                              const struct key_events_until *until, const struct view *keys,
                              size_t key_count, const struct schema_ids *ids, struct arena *arena,
                              struct err *err)
{
    struct collect collect = {
        .keys = {.key_of = view_itself}, .time_ms = until->time_ms, .ids = ids, .arena = arena};
    struct log_reader reader;
    enum err_kind kind = log_reader_open(&reader, brokers, topics, topic_count, partitions, err);

    for (size_t i = 0; i < key_count; i++)
        if (lookup_find(&collect.keys, keys[i]) == NULL)
            lookup_add(&collect.keys, (void *)(uintptr_t)&keys[i]);
    if (kind == ERR_OK)
        kind = aim(&reader, until, keys, key_count, err);
    if (kind == ERR_OK)
        kind = log_reader_run(&reader, collect_record, &collect, err);
    log_reader_close(&reader);
    lookup_clear(&collect.keys);
    if (kind != ERR_OK)
        return kind;
    sort(collect.events, collect.count);
    *out = collect.events;
    *count = collect.count;
    return ERR_OK;
}

enum err_kind key_events_fold_again(struct shadow *shadow, const struct view *keys, size_t count,
                                    struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct key_events_until until = {.position = &shadow->reader};
    enum topic topics[TOPIC_COUNT];
    size_t topic_count = shadow_topics(shadow->fold, topics), event_count = 0;
    struct key_event *events = NULL;
    enum err_kind kind =
        key_events_read(&events, &event_count, shadow->reader.brokers, topics, topic_count,
                        shadow->reader.partitions, &until, keys, count, shadow->ids, &arena, err);

    for (size_t i = 0; kind == ERR_OK && i < event_count; i++) {
        const struct aside *aside =
            asides_find(&shadow->asides, events[i].topic, events[i].partition, events[i].number);

        if (aside == NULL)
            kind = shadow_fold(shadow, &events[i].event, events[i].value, err);
        else if (aside->by_live)
            shadow_keep_aside(shadow, &(struct aside_record){.topic = events[i].topic,
                                                             .partition = events[i].partition,
                                                             .offset = events[i].offset,
                                                             .time_ms = events[i].stored_ms,
                                                             .number = events[i].number,
                                                             .key = events[i].envelope.subject,
                                                             .headers = events[i].headers,
                                                             .value = events[i].value,
                                                             .reason = "by_live",
                                                             .error = "",
                                                             .by_live = true});
    }
    shadow_forget_keys(shadow, keys, count);
    return kind == ERR_OK ? shadow_flush(shadow, false, err) : kind;
}
