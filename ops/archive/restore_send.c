/* The sending half of a restore. A record goes to the partition that it came from, and has to
 * come to lie right behind the one before: anything else means that somebody else writes. */
#include "ops/archive/restore.h"
#include "runtime/kafka.h"

#include <inttypes.h>

#define FLUSH_MS 60000
#define POLL_MS 100
#define SAY_EVERY 1024

/* --- Acknowledgements ------------------------------------------------------------------------- */

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct restore *restore = opaque;
    struct restore_lane *lane = message->_private;

    (void)client;
    if (restore->kind != ERR_OK)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        restore->kind =
            err_set(&restore->err, ERR_RETRY, "kafka: %s/%" PRId32 ": %s", lane->place->topic,
                    lane->place->partition, rd_kafka_err2str(message->err));
    else if (message->offset != lane->acknowledged)
        restore->kind = err_set(
            &restore->err, ERR_REJECT,
            "%s/%" PRId32 ": a record came to lie at offset %" PRId64 ", want %" PRId64
            ": somebody else writes into it; stop that, empty the topics and begin again",
            lane->place->topic, lane->place->partition, message->offset, lane->acknowledged);
    lane->acknowledged = message->offset + 1;
}

/* --- A record --------------------------------------------------------------------------------- */

static rd_kafka_headers_t *headers_of(const struct archived *record)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    struct archived_headers walk;
    struct header header;

    archived_headers(&walk, record);
    while (archived_next_header(&walk, &header))
        rd_kafka_header_add(headers, header.name.data, (ssize_t)header.name.size, header.value.data,
                            (ssize_t)header.value.size);
    return headers;
}

static rd_kafka_resp_err_t produce(rd_kafka_t *client, struct restore_lane *lane,
                                   const struct archived *record)
{
    rd_kafka_headers_t *headers = headers_of(record);
    int64_t time_ms = record->time_ms != 0 ? record->time_ms : ARCHIVED_ZERO_COMES_BACK_AS_MS;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(lane->place->topic), RD_KAFKA_V_PARTITION(lane->place->partition),
        RD_KAFKA_V_KEY(record->key.data, record->key.size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.data, record->value.size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_TIMESTAMP(time_ms),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(lane), RD_KAFKA_V_END);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_headers_destroy(headers); /* it takes them on success only */
    return code;
}

static enum err_kind send_record(struct restore *restore, rd_kafka_t *client,
                                 struct restore_lane *lane, const struct archived *record,
                                 struct err *err)
{
    rd_kafka_resp_err_t code;

    while ((code = produce(client, lane, record)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           restore->kind == ERR_OK)
        rd_kafka_poll(client, POLL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "kafka: %s/%" PRId32 ": %s", lane->place->topic,
                       lane->place->partition, rd_kafka_err2str(code));
    rd_kafka_poll(client, 0);
    restore->sent++;
    return ERR_OK;
}

/* --- All of them ------------------------------------------------------------------------------ */

static enum err_kind send_lane(struct restore *restore, rd_kafka_t *client,
                               struct restore_lane *lane, int64_t total, struct err *err)
{
    AUTO(archive_walk_clear) struct archive_walk walk;
    struct archived record;
    enum err_kind kind = ERR_OK;
    bool end = false;

    archive_walk_start(&walk, restore->archive, lane->place);
    while (kind == ERR_OK && restore->kind == ERR_OK && !end) {
        kind = archive_walk_next(&walk, &record, &end, err);
        if (kind == ERR_OK && !end && walk.count.records > lane->present)
            kind = send_record(restore, client, lane, &record, err);
        if (restore->sent % SAY_EVERY == 0)
            restore->say(restore->context, "records restored", restore->sent, total);
    }
    return kind;
}

/* One partition after the other: memory is bounded by the producer's queue. */
static enum err_kind send_all(struct restore *restore, rd_kafka_t *client, struct err *err)
{
    int64_t total = 0;
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < restore->archive->place_count; i++)
        total += restore->lanes[i].place->count.records - restore->lanes[i].present;
    for (size_t i = 0; i < restore->archive->place_count && kind == ERR_OK; i++)
        kind = send_lane(restore, client, &restore->lanes[i], total, err);
    if (kind == ERR_OK && rd_kafka_flush(client, FLUSH_MS) != RD_KAFKA_RESP_ERR_NO_ERROR &&
        restore->kind == ERR_OK)
        kind = err_set(err, ERR_RETRY, "kafka: records are not acknowledged for %d s",
                       FLUSH_MS / 1000);
    restore->say(restore->context, "records restored", restore->sent, total);
    return kind;
}

enum err_kind restore_send(struct restore *restore, struct err *err)
{
    rd_kafka_t *client;
    enum err_kind kind = kafka_open_producer(&client, restore->brokers, on_delivered, restore, err);

    if (kind != ERR_OK)
        return kind;
    restore->kind = ERR_OK;
    kind = send_all(restore, client, err);
    if (kind == ERR_OK && restore->kind != ERR_OK) {
        kind = restore->kind;
        *err = restore->err;
    }
    rd_kafka_destroy(client);
    return kind;
}
