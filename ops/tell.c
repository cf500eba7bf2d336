#include "ops/tell.h"

#include "events/codec.h"
#include "events/envelope.h"
#include "events/events_generated.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"
#include "runtime/settings.h"

#include <sodium.h>

#include <ctype.h>

#define BECAUSE_BYTES_MAX 1000
#define WAIT_MS 35000 /* longer than the producer tries */

const char *tell_new_run(struct arena *arena)
{
    uint8_t random[ULID_RANDOM_BYTES];
    char id[ULID_SIZE];

    randombytes_buf(random, sizeof random);
    ulid_make(id, clock_utc_us() / 1000, random);
    for (char *c = id; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return arena_strdup(arena, id);
}

bool tell_takes(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return view_is_utf8(view_str(text)) && strlen(text) <= BECAUSE_BYTES_MAX;
}

/* The key of its records, and what stands where the part's name does: "archive". */
static struct view key_of(const struct telling *telling)
{
    return view_str(strrchr(telling->teller, '/') + 1);
}

static enum err_kind make_record(const struct telling *telling, int32_t partition,
                                 const struct schema_ids *ids, struct buf *headers,
                                 struct buf *value, struct err *err)
{
    const struct ops_acted event = {
        .part = key_of(telling),
        .action = view_str(telling->action),
        .subject = view_str(telling->subject),
        .actor = view_str(telling->actor),
        .reason = view_str(telling->because),
        .before = view_str(telling->before),
        .after = view_str(telling->after),
        .occurred_at = telling->time_us,
    };
    AUTO(buf_clear) struct buf source = {0};
    struct envelope envelope = {
        .type = EVENT_OPS_ACTED,
        .shard = partition,
        .number = telling->number,
        .time_us = telling->time_us,
        .subject = key_of(telling),
    };
    enum err_kind kind;

    buf_printf(&source, "%s/%s", telling->teller, telling->run);
    envelope.source = buf_view(&source);
    kind = envelope_write(headers, &envelope, err);
    return kind == ERR_OK ? event_encode(value, EVENT_OPS_ACTED, &event, ids, err) : kind;
}

/* The first error stays. */
static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    rd_kafka_resp_err_t *code = opaque;

    (void)client;
    if (*code == RD_KAFKA_RESP_ERR_NO_ERROR)
        *code = message->err;
}

static enum err_kind produce(rd_kafka_t *client, const struct telling *telling,
                             const struct schema_ids *ids, rd_kafka_resp_err_t *code,
                             struct err *err)
{
    uint32_t partitions = (uint32_t)setting_integer("TRADEWIND_PARTITIONS");
    struct view key = key_of(telling);
    int32_t partition = (int32_t)partition_of(key, partitions);
    AUTO(buf_clear) struct buf headers = {0};
    AUTO(buf_clear) struct buf value = {0};
    enum err_kind kind = make_record(telling, partition, ids, &headers, &value, err);

    if (kind == ERR_OK)
        *code = rd_kafka_producev(
            client, RD_KAFKA_V_TOPIC(topic_name(TOPIC_OPS)), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(value.data, value.size),
            RD_KAFKA_V_HEADERS(kafka_headers_from_block(buf_view(&headers))),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    return kind;
}

static enum err_kind publish(rd_kafka_t *client, const struct telling *tellings, size_t count,
                             const struct schema_ids *ids, rd_kafka_resp_err_t *delivered,
                             struct err *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count && kind == ERR_OK && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        kind = produce(client, &tellings[i], ids, &code, err);
    if (kind != ERR_OK)
        return kind;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = rd_kafka_flush(client, WAIT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = *delivered;
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? ERR_OK
               : err_set(err, ERR_RETRY, "%s: it cannot be told there: %s", topic_name(TOPIC_OPS),
                         rd_kafka_err2str(code));
}

enum err_kind tell(const struct telling *tellings, size_t count, struct err *err)
{
    rd_kafka_resp_err_t delivered = RD_KAFKA_RESP_ERR_NO_ERROR;
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    rd_kafka_t *client;
    enum err_kind kind = schema_ids_open(&ids, setting_text("TRADEWIND_SCHEMAS"),
                                         setting_text("TRADEWIND_REGISTRY"), err);

    if (kind == ERR_OK)
        kind = kafka_open_producer(&client, setting_text("TRADEWIND_KAFKA"), on_delivered,
                                   &delivered, err);
    if (kind != ERR_OK)
        return kind;
    kind = publish(client, tellings, count, ids, &delivered, err);
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(client);
    return kind;
}
