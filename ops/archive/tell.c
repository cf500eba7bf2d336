#include "ops/archive/tell.h"

#include "events/codec.h"
#include "events/envelope.h"
#include "events/events_generated.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"
#include "runtime/settings.h"

#include <sodium.h>

#include <ctype.h>
#include <pwd.h>
#include <unistd.h>

#define KEY "archive" /* of the record, and what stands where the part's name does */
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

const char *tell_actor(struct arena *arena)
{
    const struct passwd *user = getpwuid(getuid());

    return arena_strdup(arena, user != NULL ? user->pw_name : "tradewind");
}

bool tell_takes(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    return view_is_utf8(view_str(text)) && strlen(text) <= BECAUSE_BYTES_MAX;
}

static enum err_kind make_record(const struct telling *telling, int32_t partition,
                                 struct buf *headers, struct buf *value, struct err *err)
{
    const struct ops_acted event = {
        .part = VIEW_LITERAL(KEY),
        .action = view_str(telling->action),
        .subject = view_str(telling->subject),
        .actor = view_str(telling->actor),
        .reason = view_str(telling->because),
        .before = view_str(telling->before),
        .after = view_str(telling->after),
        .occurred_at = telling->time_us,
    };
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    AUTO(buf_clear) struct buf source = {0};
    struct envelope envelope = {
        .type = EVENT_OPS_ACTED,
        .shard = partition,
        .number = 1,
        .time_us = telling->time_us,
        .subject = VIEW_LITERAL(KEY),
    };
    enum err_kind kind;

    buf_printf(&source, TELL_SOURCE "%s", telling->run);
    envelope.source = buf_view(&source);
    kind = schema_ids_open(&ids, setting_text("TRADEWIND_SCHEMAS"),
                           setting_text("TRADEWIND_REGISTRY"), err);
    if (kind == ERR_OK)
        kind = envelope_write(headers, &envelope, err);
    return kind == ERR_OK ? event_encode(value, EVENT_OPS_ACTED, &event, ids, err) : kind;
}

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    rd_kafka_resp_err_t *code = opaque;

    (void)client;
    *code = message->err;
}

static enum err_kind publish(int32_t partition, struct view headers, struct view value,
                             struct err *err)
{
    rd_kafka_resp_err_t delivered = RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_t *client;
    enum err_kind kind = kafka_open_producer(&client, setting_text("TRADEWIND_KAFKA"), on_delivered,
                                             &delivered, err);
    rd_kafka_resp_err_t code;

    if (kind != ERR_OK)
        return kind;
    code = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic_name(TOPIC_OPS)),
                             RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(KEY, sizeof KEY - 1),
                             RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.size),
                             RD_KAFKA_V_HEADERS(kafka_headers_from_block(headers)),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_flush(client, WAIT_MS);
        code = delivered;
    }
    rd_kafka_destroy(client);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? ERR_OK
               : err_set(err, ERR_RETRY, "%s: what was done cannot be told there: %s",
                         topic_name(TOPIC_OPS), rd_kafka_err2str(code));
}

enum err_kind tell(const struct telling *telling, struct err *err)
{
    uint32_t partitions = (uint32_t)setting_integer("TRADEWIND_PARTITIONS");
    int32_t partition = (int32_t)partition_of(VIEW_LITERAL(KEY), partitions);
    AUTO(buf_clear) struct buf headers = {0};
    AUTO(buf_clear) struct buf value = {0};
    enum err_kind kind = make_record(telling, partition, &headers, &value, err);

    return kind == ERR_OK ? publish(partition, buf_view(&headers), buf_view(&value), err) : kind;
}
