/* What stands around an event: CloudEvents 1.0 in the Kafka binding's binary mode.
 *
 *     content-type      application/avro
 *     ce_specversion    1.0
 *     ce_id             orders/7/42: source, shard, number. A repeat has the same one
 *     ce_type           order.created
 *     ce_source         /tradewind/orders, /tradewind/inventory/main
 *     ce_time           RFC 3339, UTC, microseconds
 *     ce_subject        the record's key
 *     ce_sequence       the number in 20 digits
 *     ce_causationid    ce_id of the event that led to this one; left out when there was none
 *     ce_correlationid  what belongs together: the order's id
 *     traceparent       W3C trace context; left out when there is none
 *
 * Headers we do not know are passed over: foreign writers add their own. */
#ifndef TRADEWIND_EVENTS_ENVELOPE_H
#define TRADEWIND_EVENTS_ENVELOPE_H

#include "events/catalog.h"
#include "runtime/arena.h"
#include "runtime/err.h"
#include "runtime/headers.h"

#define ENVELOPE_CONTENT_TYPE "application/avro"
#define ENVELOPE_ID_SIZE 128 /* an id with its NUL: names are bounded */

struct envelope {
    enum event_type type;
    struct view source; /* "orders", "inventory/main": ce_source without /tradewind/ */
    int32_t shard;      /* the partition the event belongs to */
    uint64_t number;    /* from 1, without a gap per source and shard */
    struct view id;     /* ce_id; not read by envelope_write, which makes it */
    int64_t time_us;    /* UTC */
    struct view subject;
    struct view causation_id;   /* VIEW_NONE: none */
    struct view correlation_id; /* envelope_write: VIEW_NONE becomes the subject */
    struct view traceparent;    /* VIEW_NONE: none */
};

/* What an id names. */
struct event_ref {
    struct view source; /* a piece of the id */
    int32_t shard;
    uint64_t number;
};

/** "orders/7/42" into its pieces; false: it is no id. */
bool event_ref_read(struct event_ref *out, struct view id);
/** The topic that its source writes; TOPIC_NONE: a stranger's. */
enum topic event_ref_topic(const struct event_ref *ref);

/** "orders/7/42" into out; returns its length. source is at most 64 bytes. */
size_t envelope_id(char out[ENVELOPE_ID_SIZE], struct view source, int32_t shard, uint64_t number);

/**
 * Make the header block (runtime/headers.h) of an event; what block held is gone.
 * Errors  ERR_REJECT: a value that envelope_read would refuse, named
 */
enum err_kind envelope_write(struct buf *block, const struct envelope *envelope, struct err *err);

/**
 * Read and check the headers of a record of topic. next gives one header after the other and false
 * at the end. Views in out point at what next gave.
 * Errors  ERR_REJECT: names the header: missing, twice, malformed, or not what another one or the
 *         topic says (type of another topic, source of another writer, sequence other than the
 * id's)
 */
enum err_kind envelope_read(struct envelope *out, enum topic topic,
                            bool (*next)(void *context, struct header *header), void *context,
                            struct err *err);

/** The same from a header block. */
enum err_kind envelope_read_block(struct envelope *out, enum topic topic, struct view block,
                                  struct err *err);

#endif
