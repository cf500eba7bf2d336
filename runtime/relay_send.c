#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/log.h"
#include "runtime/relay_parts.h"

#include <inttypes.h>
#include <stdio.h>

#define READ_BYTES (256u * 1024u)
#define LOOK_MS 1000 /* the group, control records and a wish to stop wait as long at most */

/* --- Sending ---------------------------------------------------------------------------------- */

/* What a delivery report needs to know rides in the message's opaque pointer, so that no message
 * costs an allocation: 16 bits of the sender's generation, 48 bits of the number. */
static void *report_tag(uint64_t generation, uint64_t number)
{
    return (void *)(uintptr_t)((generation & 0xffff) << 48 | (number & 0xffffffffffff));
}

static bool tag_is_of(const void *tag, const struct sender *sender)
{
    return (uintptr_t)tag >> 48 == (sender->generation & 0xffff);
}

static uint64_t tag_number(const void *tag)
{
    return (uintptr_t)tag & 0xffffffffffff;
}

/* Under the lock. True when it is on its way. */
static bool send_record(struct relay *relay, const struct journal_record *record)
{
    struct sender *sender = &relay->shards[record->shard].sender;
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t code;

    if (sender->doubt || record->number != sender->last_sent + 1 ||
        relay->in_flight >= DELIVERY_IN_FLIGHT_MAX || relay->producer == NULL)
        return false;
    headers = kafka_headers_from_block(record->headers);
    code = rd_kafka_producev(
        relay->producer, RD_KAFKA_V_TOPIC(relay_topic_of(relay, record->shard)),
        RD_KAFKA_V_PARTITION(relay_place_of(relay, record->shard)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(record->key.data, record->key.size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.data, record->value.size),
        RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(report_tag(sender->generation, record->number)), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (headers != NULL)
            rd_kafka_headers_destroy(headers);
        return false;
    }
    sender_send(sender, record->number);
    relay->in_flight++;
    metric_add(&relay_sent_total, 1);
    return true;
}

/* rd_kafka_poll's, on the relay's thread. */
void relay_on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct relay *relay = opaque;
    int32_t shard = relay_shard_at(relay, rd_kafka_topic_name(message->rkt), message->partition);
    struct sender *sender;

    (void)client;
    pthread_mutex_lock(&relay->lock);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        relay->heard_ms = clock_monotonic_ms();
    if (shard < 0) {
        if (message->_private != NULL)
            *(rd_kafka_resp_err_t *)message->_private = message->err;
    } else {
        bool current;

        sender = &relay->shards[shard].sender;
        current = tag_is_of(message->_private, sender);
        relay->in_flight--;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            sender_acknowledged(sender, current ? sender->generation : sender->generation - 1,
                                tag_number(message->_private), message->offset);
        else
            sender_failed(sender, current ? sender->generation : sender->generation - 1);
    }
    pthread_mutex_unlock(&relay->lock);
}

void relay_offer(struct relay *relay, const struct journal_record *records, size_t count)
{
    pthread_mutex_lock(&relay->lock);
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = &relay->shards[records[i].shard];

        if (records[i].number > shard->offered_last)
            shard->offered_last = records[i].number;
        if (shard->owned)
            send_record(relay, &records[i]);
    }
    pthread_mutex_unlock(&relay->lock);
}

void relay_say(struct relay *relay, struct view control)
{
    pthread_mutex_lock(&relay->lock);
    if (relay->producer != NULL)
        rd_kafka_producev(relay->producer, RD_KAFKA_V_TOPIC(CONTROL_TOPIC), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(relay->options.part, strlen(relay->options.part)),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)control.data, control.size),
                          RD_KAFKA_V_END);
    pthread_mutex_unlock(&relay->lock);
}

void relay_say_number(struct relay *relay, enum control_type type, const char *source,
                      int32_t shard, uint64_t number)
{
    const struct control control = {
        .type = type,
        .source = view_str(source),
        .from = view_str(relay->options.instance),
        .shards = &shard,
        .numbers = &number,
        .count = 1,
    };
    AUTO(buf_clear) struct buf text = {0};

    control_write(&text, &control);
    relay_say(relay, buf_view(&text));
}

/* --- From the journal ------------------------------------------------------------------------- */

struct journal_reading {
    struct relay *relay;
    uint64_t wanted;
    uint64_t first;
};

static void send_from_journal(void *context, const struct journal_record *record)
{
    struct journal_reading *reading = context;

    if (reading->first == 0)
        reading->first = record->number;
    pthread_mutex_lock(&reading->relay->lock);
    if (reading->relay->shards[record->shard].owned && send_record(reading->relay, record))
        metric_add(&relay_resent_total, 1);
    pthread_mutex_unlock(&reading->relay->lock);
}

/* The journal begins above what the log misses: readers keep their gap until an archive is
 * restored. */
static void skip_gone(struct relay *relay, int32_t shard, uint64_t wanted, uint64_t next)
{
    relay_say_number(relay, CONTROL_GONE, relay->options.part, shard, wanted);
    LOG_ERROR("relay_gone",
              "numbers are in neither the log nor the journal: restore them from the archive",
              log_int("shard", shard), log_int("from", (int64_t)wanted),
              log_int("to", (int64_t)next - 1));
    pthread_mutex_lock(&relay->lock);
    sender_skip(&relay->shards[shard].sender, wanted, next);
    pthread_mutex_unlock(&relay->lock);
}

/* One reading of what a shard's journal has and the worker did not offer in order. *sent: there may
 * be more; not when all is sent, the producer is full, or a doubt came up. */
static enum err_kind fill_shard(struct relay *relay, int32_t shard, bool *sent, struct err *err)
{
    struct journal_reading reading = {.relay = relay};
    uint64_t last;
    enum err_kind kind;

    *sent = false;
    pthread_mutex_lock(&relay->lock);
    last = relay->shards[shard].journal_last;
    reading.wanted = relay->shards[shard].owned && relay->in_flight < DELIVERY_IN_FLIGHT_MAX
                         ? sender_wants(&relay->shards[shard].sender, last)
                         : 0;
    pthread_mutex_unlock(&relay->lock);
    if (reading.wanted == 0)
        return ERR_OK;
    kind = relay->options.store->read(relay->options.store->self, shard, reading.wanted, READ_BYTES,
                                      send_from_journal, &reading, err);
    if (kind != ERR_OK)
        return kind;
    if (reading.first == 0)
        skip_gone(relay, shard, reading.wanted, last + 1);
    else if (reading.first > reading.wanted)
        skip_gone(relay, shard, reading.wanted, reading.first);
    pthread_mutex_lock(&relay->lock);
    *sent = relay->shards[shard].sender.last_sent >= reading.wanted;
    pthread_mutex_unlock(&relay->lock);
    rd_kafka_poll(relay->producer, 0);
    return ERR_OK;
}

/* In turn, so that none waits for another's end; the next look goes on where this one ends. */
static enum err_kind fill_shards(struct relay *relay, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + LOOK_MS;
    int32_t idle = 0; /* shards in a row that had nothing to send */

    while (idle < relay_shard_count(relay) && clock_monotonic_ms() < until_ms) {
        bool sent;
        enum err_kind kind = fill_shard(relay, relay->turn, &sent, err);

        if (kind != ERR_OK)
            return kind;
        idle = sent ? 0 : idle + 1;
        relay->turn = (relay->turn + 1) % relay_shard_count(relay);
    }
    return ERR_OK;
}

void relay_look_into_journal(struct relay *relay)
{
    struct err err;
    int64_t unpublished = 0;
    enum err_kind kind = relay->options.store->last_numbers(
        relay->options.store->self, relay->numbers, relay_shard_count(relay), &err);

    if (kind == ERR_OK) {
        pthread_mutex_lock(&relay->lock);
        for (int32_t i = 0; i < relay_shard_count(relay); i++) {
            struct shard *shard = &relay->shards[i];

            shard->journal_last = relay->numbers[i];
            if (shard->owned && shard->journal_last > shard->sender.published)
                unpublished += (int64_t)(shard->journal_last - shard->sender.published);
        }
        pthread_mutex_unlock(&relay->lock);
        metric_set(&relay_waiting, unpublished);
    }
    if (kind == ERR_OK)
        kind = fill_shards(relay, &err);
    if (kind != ERR_OK)
        LOG_WARN("relay_journal", "the journal cannot be read: trying again", log_err(&err));
}

/* --- Copies of dead letters ------------------------------------------------------------------- */

static void add_text_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
}

/* A copy for tools: the record as it was, with where it lay and why it is here. */
bool relay_copy_dead_letter(void *context, const struct dead_letter *dead)
{
    struct relay *relay = context;
    rd_kafka_headers_t *headers = kafka_headers_from_block(dead->headers);
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__IN_PROGRESS;
    char topic[256], number[32];

    if (headers == NULL)
        headers = rd_kafka_headers_new(8);
    snprintf(topic, sizeof topic, "%s.%s.dlq", dead->topic, relay->options.part);
    add_text_header(headers, "dlq_reason", dead_reason_name(dead->reason));
    add_text_header(headers, "dlq_error", dead->error);
    add_text_header(headers, "dlq_topic", dead->topic);
    snprintf(number, sizeof number, "%d", dead->partition);
    add_text_header(headers, "dlq_partition", number);
    snprintf(number, sizeof number, "%" PRId64, dead->offset);
    add_text_header(headers, "dlq_offset", number);
    snprintf(number, sizeof number, "%" PRId64, dead->id);
    add_text_header(headers, "dlq_id", number);
    if (rd_kafka_producev(relay->producer, RD_KAFKA_V_TOPIC(topic),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(dead->key.data, dead->key.size),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)dead->value.data, dead->value.size),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(&result),
                          RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
        return false;
    }
    /* result is on this stack: wait for its report however long it takes (message.timeout.ms). */
    while (result == RD_KAFKA_RESP_ERR__IN_PROGRESS)
        rd_kafka_poll(relay->producer, 100);
    return result == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- Another producer ------------------------------------------------------------------------- */

/* After a fatal error the library's producer is of no use: another one goes on from the log. */
void relay_renew_producer(struct relay *relay)
{
    char why[256];
    struct err err;
    rd_kafka_t *old = relay->producer, *fresh;

    if (rd_kafka_fatal_error(old, why, sizeof why) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    LOG_WARN("relay_producer", "the producer failed for good: starting another one",
             log_str("err", why));
    if (kafka_open_producer(&fresh, relay->options.brokers, relay_on_delivered, relay, &err) !=
        ERR_OK) {
        LOG_ERROR("relay_producer", "no new producer can be made: trying again", log_err(&err));
        return;
    }
    pthread_mutex_lock(&relay->lock);
    relay->producer = fresh;
    for (int32_t i = 0; i < relay_shard_count(relay); i++)
        sender_doubt(&relay->shards[i].sender);
    pthread_mutex_unlock(&relay->lock);
    rd_kafka_purge(old, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(old, 5000);
    rd_kafka_destroy(old);
}
