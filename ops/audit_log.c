#include "ops/audit.h"

#include <inttypes.h>

/* How many of 1..highest are not there, and the first of them. */
static uint64_t missing(const struct world_stream *stream, uint64_t *first)
{
    uint64_t count = 0;

    for (uint64_t i = stream->highest; i-- > 0;)
        if (stream->fingerprints[i] == 0) {
            *first = i + 1;
            count++;
        }
    return count;
}

static const struct world_stream *find_stream(const struct audit *audit,
                                              const struct audit_numbers *numbers, int32_t shard)
{
    for (size_t i = 0; i < audit->world->stream_count; i++) {
        const struct world_stream *stream = &audit->world->streams[i];

        if (stream->topic == numbers->topic && stream->partition == shard &&
            view_equal(stream->source, numbers->source))
            return stream;
    }
    return NULL;
}

/* What the writer's database says it has numbered: before the reading at least that much had to be
 * in the topic (unless the writer is down and owes it), after it at most that much can be. */
static void compare_with_store(struct audit *audit, const struct audit_numbers *numbers)
{
    enum saga_part part = saga_part_from_name(numbers->part);
    bool may_owe = part != PART_NONE && audit->part_is_down[part];

    for (int32_t shard = 0; shard < audit->world->partitions; shard++) {
        const struct world_stream *stream = find_stream(audit, numbers, shard);
        uint64_t highest = stream != NULL ? stream->highest : 0;

        if (numbers->before != NULL && highest < numbers->before[shard] && !may_owe)
            audit_violated(
                audit,
                "%s ends at number %" PRIu64 " in shard %d, %s has given numbers up to %" PRIu64,
                topic_name(numbers->topic), highest, shard, numbers->part, numbers->before[shard]);
        if (numbers->after != NULL && highest > numbers->after[shard])
            audit_violated(audit,
                           "%s has number %" PRIu64 " in shard %d, %s has given only %" PRIu64
                           ": its database is older than the topic",
                           topic_name(numbers->topic), highest, shard, numbers->part,
                           numbers->after[shard]);
    }
}

void audit_log_numbers(struct audit *audit)
{
    for (size_t i = 0; i < audit->world->stream_count; i++) {
        const struct world_stream *stream = &audit->world->streams[i];
        uint64_t first = 0, count = missing(stream, &first);

        audit_checked(audit);
        if (count > 0)
            audit_violated(
                audit,
                "%.*s/%d: %" PRIu64 " numbers of 1..%" PRIu64 " are missing, the first is %" PRIu64,
                VIEW_PRINT(stream->source), stream->partition, count, stream->highest, first);
        if (stream->leaps > 0)
            audit_violated(
                audit,
                "%.*s/%d: number %" PRIu64 " has no neighbour, the highest but that is %" PRIu64,
                VIEW_PRINT(stream->source), stream->partition, stream->leap, stream->highest);
    }
    for (size_t i = 0; i < audit->number_count; i++)
        compare_with_store(audit, &audit->numbers[i]);
}

void audit_log_bytes(struct audit *audit)
{
    for (size_t i = 0; i < audit->world->stream_count; i++) {
        const struct world_stream *stream = &audit->world->streams[i];

        audit_checked(audit);
        if (stream->conflicts > 0)
            audit_violated(audit,
                           "%.*s/%d: %" PRIu64
                           " records repeat a number with other bytes, the first is %" PRIu64,
                           VIEW_PRINT(stream->source), stream->partition, stream->conflicts,
                           stream->conflict);
    }
}

void audit_log_events(struct audit *audit)
{
    struct world *world = audit->world;

    audit->current->checked = world->record_count;
    if (world->undecodable > 0)
        audit_violated(audit, "%" PRIu64 " numbered records are no events, the first is %s",
                       world->undecodable, world->undecodable_example);
    if (world->misplaced > 0)
        audit_violated(audit, "%" PRIu64 " events lie in a partition that is not their key's: %s",
                       world->misplaced, world->misplaced_example);
}

void audit_saga_words(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next(audit, &place)) != NULL) {
        audit_checked(audit);
        for (int part = 0; part < PART_COUNT; part++)
            if ((order->broken_words & 1 << part) != 0)
                audit_violated(audit,
                               "order %s: the table knows no order in which %s says what it said "
                               "(tradewind order %s)",
                               order->id, saga_part_name((enum saga_part)part), order->id);
    }
}

void audit_saga_impossible(struct audit *audit)
{
    for (size_t i = 0; i < audit->dead_letter_count; i++) {
        const struct audit_dead_letters *dead = &audit->dead_letters[i];

        audit_checked(audit);
        if (dead->impossible > 0)
            audit_violated(audit, "%s set %" PRIu64 " aside: %s (tradewind dlq ls %s)", dead->part,
                           dead->impossible, dead->impossible_example, dead->part);
    }
}
