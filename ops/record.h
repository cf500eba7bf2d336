/* A record of a topic as it lies there: its envelope and its event, or why it is none. */
#ifndef TRADEWIND_OPS_RECORD_H
#define TRADEWIND_OPS_RECORD_H

#include "events/codec.h"
#include "events/envelope.h"
#include "events/events_generated.h"

#include <librdkafka/rdkafka.h>

struct record {
    const char *topic_name;
    enum topic topic; /* TOPIC_NONE: none of ours */
    int32_t partition;
    int64_t offset;
    int64_t stored_ms; /* the record's own time stamp */
    struct view key, value;
    bool is_event; /* envelope, type and event are good; else why says what is wrong */
    struct envelope envelope;
    enum event_type type;
    const void *event;
    struct err why;
};

/** Everything in *out lives as long as message and arena. */
void record_read(struct record *out, const rd_kafka_message_t *message,
                 const struct schema_ids *ids, struct arena *arena);

/** The envelope alone, for those who read many: is_event is true when it is good; event stays NULL.
 */
void record_read_envelope(struct record *out, const rd_kafka_message_t *message,
                          struct arena *arena);

/** What happened in a few words: "14 lines, 139.12 GBP, 17850, United Kingdom". The event must be
 * there. */
void record_summary(struct buf *out, const struct record *record, struct arena *arena);

/** One JSON object with what stands around the event, and the event as "data". */
void record_print_json(struct buf *out, const struct record *record);

/** "out of stock": a symbol of an enum for people. Lives in the arena. */
const char *record_symbol(struct arena *arena, const char *symbol);

#endif
