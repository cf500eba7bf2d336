#include "ops/world_read.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PROGRESS_MS 2000

struct reading {
    struct world *world;
    const struct schema_ids *ids;
    struct arena arena; /* of one record */
    int64_t said_ms;
};

static void say_progress(struct reading *reading, const char *topic)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms - reading->said_ms < PROGRESS_MS)
        return;
    reading->said_ms = now_ms;
    fprintf(stderr, "%sreading %s: %" PRIu64 " records of all topics so far%s",
            isatty(STDERR_FILENO) ? "\r\x1b[K" : "", topic, reading->world->record_count,
            isatty(STDERR_FILENO) ? "" : "\n");
}

static bool each_record(void *context, const rd_kafka_message_t *message)
{
    struct reading *reading = context;
    struct record record;

    arena_reset(&reading->arena);
    record_read(&record, message, reading->ids, &reading->arena);
    world_feed(reading->world, &record, world_fingerprint(message));
    if (reading->world->record_count % 1024 == 0)
        say_progress(reading, record.topic_name);
    return true;
}

enum err_kind world_read(struct world *world, const char *brokers, const struct schema_ids *ids,
                         struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct reading reading = {.world = world, .ids = ids, .said_ms = clock_monotonic_ms()};
    size_t count = (size_t)world->partitions;
    int32_t *partitions = arena_array(&arena, count, sizeof *partitions);
    int64_t *offsets = arena_array(&arena, count, sizeof *offsets);
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count; i++) {
        partitions[i] = (int32_t)i;
        offsets[i] = RD_KAFKA_OFFSET_BEGINNING;
    }
    for (int topic = 0; kind == ERR_OK && topic < TOPIC_COUNT; topic++)
        kind = kafka_read_to_end(brokers, topic_name((enum topic)topic), partitions, offsets, count,
                                 each_record, &reading, err);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\x1b[K");
    arena_clear(&reading.arena);
    return kind;
}
