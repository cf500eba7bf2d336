/* librdkafka, set up the one way this project uses it (design "delivery", last paragraph).
 *
 * Clients are made after all forks. The library's own log lines become ours. */
#ifndef TRADEWIND_RUNTIME_KAFKA_H
#define TRADEWIND_RUNTIME_KAFKA_H

#include "runtime/bytes.h"
#include "runtime/err.h"

#include <librdkafka/rdkafka.h>

struct kafka_consumer_options {
    const char *brokers;
    const char *group;      /* NULL: no group, only assign() */
    const char *instance;   /* group.instance.id; NULL: none */
    size_t fetch_bytes;     /* bound of what is fetched ahead */
    size_t partition_bytes; /* of one partition in one answer; 0: a fourth of that */
    /* A record may come as late as this: the broker then answers less often, with more. 0: at once
     */
    int patience_ms;
    void *opaque; /* rebalance callback's */
    void (*rebalance)(rd_kafka_t *client, rd_kafka_resp_err_t event,
                      rd_kafka_topic_partition_list_t *partitions, void *opaque);
};

/**
 * What all clients are told: brokers (TRADEWIND_KAFKA), TLS, time-outs, our log. For a client that
 * is neither of those below. Errors ERR_STOP: a setting the library refuses
 */
enum err_kind kafka_common_conf(rd_kafka_conf_t *conf, const char *brokers, struct err *err);

/** rd_kafka_new, which takes conf. gives *out (rd_kafka_destroy). Errors ERR_STOP: as above, and
 * TRADEWIND_CA */
enum err_kind kafka_new(rd_kafka_t **out, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                        struct err *err);

/** gives *out (kafka_close_consumer). Errors ERR_STOP: a setting the library refuses */
enum err_kind kafka_open_consumer(rd_kafka_t **out, const struct kafka_consumer_options *options,
                                  struct err *err);
void kafka_close_consumer(rd_kafka_t *client);

/**
 * An idempotent producer, acks=all. delivered runs in rd_kafka_poll, once per message.
 * gives *out (rd_kafka_destroy after a flush).
 */
enum err_kind kafka_open_producer(rd_kafka_t **out, const char *brokers,
                                  void (*delivered)(rd_kafka_t *client,
                                                    const rd_kafka_message_t *message,
                                                    void *opaque),
                                  void *opaque, struct err *err);

/** Which kind a library error is. */
enum err_kind kafka_err_kind(rd_kafka_resp_err_t code);

/**
 * The number of a record in the sequence that source ("orders"; of a ledger, "inventory/main", the
 * part is enough) has in this partition: the last of its ce_id "orders/7/42", said again by
 * ce_sequence. 0: it has none here. What somebody has copied from another partition or topic takes
 * nobody's number.
 */
uint64_t kafka_record_number(const rd_kafka_message_t *message, const char *source);

/** Append the headers of a message as a header block (runtime/headers.h). */
void kafka_headers_to_block(const rd_kafka_message_t *message, struct buf *out);
/** And back. NULL when the block is malformed. gives headers (rd_kafka_headers_destroy or a
 * message). */
rd_kafka_headers_t *kafka_headers_from_block(struct view block);

/** The ends of partitions, one request per broker. Fills offsets of list (negative: that partition
 * failed). */
enum err_kind kafka_ends(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout_ms,
                         struct err *err);

/**
 * First offsets of partitions of one topic whose records are at or after a time. offsets, of count
 * elements: in, the times in ms (RD_KAFKA_OFFSET_BEGINNING, _END: those); out, the offsets
 * (RD_KAFKA_OFFSET_END: no record is that late). Waits timeout_ms, whatever is away.
 * Errors  ERR_RETRY: names the partition
 */
enum err_kind kafka_offsets_at(rd_kafka_t *client, const char *topic, const int32_t *partitions,
                               size_t count, int64_t *offsets, int timeout_ms, struct err *err);

/**
 * First offsets and ends of partitions of one topic, into arrays of count elements. Waits
 * timeout_ms for each of the two answers. (rd_kafka_query_watermark_offsets waits, before
 * librdkafka 2.3, until a broker that led a partition comes back: its issue 2588.) Errors  as
 * kafka_offsets_at's
 */
enum err_kind kafka_bounds(rd_kafka_t *client, const char *topic, const int32_t *partitions,
                           size_t count, int64_t *lows, int64_t *ends, int timeout_ms,
                           struct err *err);

/**
 * Read partitions of one topic from given offsets (-1, -2 as librdkafka's END, BEGINNING are
 * allowed) to the ends they have at the start of the call, without a group. each gets every record
 * in partition order; return false to stop early. The message is a view. Errors  ERR_RETRY: broker
 * unreachable or silent for 10 s
 */
enum err_kind kafka_read_to_end(const char *brokers, const char *topic, const int32_t *partitions,
                                const int64_t *offsets, size_t count,
                                bool (*each)(void *context, const rd_kafka_message_t *message),
                                void *context, struct err *err);

#endif
