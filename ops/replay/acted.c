#include "ops/replay/acted.h"

#include "events/codec.h"
#include "events/envelope.h"
#include "events/events_generated.h"
#include "ops/actor.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"

#include <stdio.h>

static int32_t partition_of_part(const char *part, int32_t partitions)
{
    return (int32_t)partition_of(view_str(part), (uint32_t)partitions);
}

enum err_kind acted_record(struct journal_record *out, const struct acted *acted, uint64_t number,
                           struct arena *arena, struct err *err)
{
    AUTO(buf_clear) struct buf headers = {0};
    AUTO(buf_clear) struct buf value = {0};
    int64_t now_us = clock_utc_us();
    const struct ops_acted event = {
        .part = view_str(acted->part),
        .action = view_str(acted->action),
        .subject = view_str(acted->part),
        .actor = view_str(ops_actor()),
        .reason = view_str(acted->reason != NULL ? acted->reason : ""),
        .before = acted->before,
        .after = acted->after,
        .occurred_at = now_us,
    };
    const struct envelope envelope = {
        .type = EVENT_OPS_ACTED,
        .source = arena_printf(arena, "ops/%s", acted->part),
        .shard = partition_of_part(acted->part, acted->partitions),
        .number = number,
        .time_us = now_us,
        .subject = view_str(acted->part),
    };
    enum err_kind kind = envelope_write(&headers, &envelope, err);

    if (kind == ERR_OK)
        kind = event_encode(&value, EVENT_OPS_ACTED, &event, acted->ids, err);
    if (kind == ERR_OK)
        *out = (struct journal_record){
            .shard = acted->partitions, /* behind those of the part's own topic */
            .number = number,
            .key = arena_view(arena, view_str(acted->part)),
            .headers = arena_view(arena, buf_view(&headers)),
            .value = arena_view(arena, buf_view(&value)),
        };
    return kind;
}

struct last_told {
    struct view source;
    uint64_t number;
    int64_t offset;
};

static bool note_number(void *context, const rd_kafka_message_t *message)
{
    AUTO(buf_clear) struct buf headers = {0};
    struct last_told *last = context;
    struct envelope envelope;

    kafka_headers_to_block(message, &headers);
    if (envelope_read_block(&envelope, TOPIC_OPS, buf_view(&headers), NULL) == ERR_OK &&
        view_equal(envelope.source, last->source) && envelope.number > last->number) {
        last->number = envelope.number;
        last->offset = message->offset;
    }
    return true;
}

enum err_kind acted_last_number(uint64_t *out, int64_t *offset, const char *brokers,
                                const char *part, int32_t partitions, struct err *err)
{
    const int32_t partition = partition_of_part(part, partitions);
    const int64_t beginning = RD_KAFKA_OFFSET_BEGINNING;
    char source[64];
    struct last_told last = {.offset = -1};
    enum err_kind kind;

    snprintf(source, sizeof source, "ops/%s", part);
    last.source = view_str(source);
    kind = kafka_read_to_end(brokers, topic_name(TOPIC_OPS), &partition, &beginning, 1, note_number,
                             &last, err);
    if (kind == ERR_OK) {
        *out = last.number;
        *offset = last.offset;
    }
    return kind;
}
