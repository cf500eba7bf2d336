#include "runtime/kafka.h"

#include "runtime/arena.h"
#include "runtime/clock.h"
#include "runtime/headers.h"
#include "runtime/log.h"
#include "runtime/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_SILENCE_MS 10000
#define DISTRUST_AGAIN_MS 60000

/* It comes back with every try of every client. */
static atomic_int_least64_t distrust_said_ms = -DISTRUST_AGAIN_MS;

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    if (strstr(text, "certificate verify failed") != NULL) {
        if (clock_monotonic_ms() - atomic_load(&distrust_said_ms) < DISTRUST_AGAIN_MS)
            return;
        atomic_store(&distrust_said_ms, clock_monotonic_ms());
        LOG_ERROR("kafka_not_trusted",
                  "a broker's certificate is not trusted: TRADEWIND_CA has to name a file with the "
                  "certificate of who signed it",
                  log_str("err", text));
        return;
    }
    /* Broken connections are reported by whoever could not go on; here they are the rest. */
    LOG_AT(level <= 2 ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "kafka_client", text,
           log_str("facility", facility));
}

static enum err_kind set_all(rd_kafka_conf_t *conf, const char *const (*pairs)[2], size_t count,
                             struct err *err)
{
    char why[256];

    for (size_t i = 0; i < count; i++)
        if (pairs[i][1] != NULL &&
            rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], why, sizeof why) != RD_KAFKA_CONF_OK)
            return err_set(err, ERR_STOP, "kafka: setting %s: %s", pairs[i][0], why);
    return ERR_OK;
}

/* The broker sees at most 16 characters of us: longer ids have made brokers slow. */
static const char *client_id(char out[17])
{
    snprintf(out, 17, "%.16s", program_invocation_short_name);
    return out;
}

enum err_kind kafka_common_conf(rd_kafka_conf_t *conf, const char *brokers, struct err *err)
{
    bool tls = strncmp(brokers, SETTING_TLS, strlen(SETTING_TLS)) == 0;
    const char *ca = tls ? setting_text("TRADEWIND_CA") : "";
    char id[17];
    const char *const pairs[][2] = {
        {"bootstrap.servers", brokers},
        {"security.protocol", tls ? "ssl" : NULL},
        {"ssl.ca.location", ca[0] != '\0' ? ca : NULL},
        {"client.id", client_id(id)},
        {"socket.nagle.disable", "true"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "1000"},
        /* A question for a coordinator may be put to a connection that has just been lost, and is
         * not put to another before this (2.0): half of the time a shop stood still after a broker
         * died. */
        {"socket.timeout.ms", "5000"},
        {"log_level", "4"},
        /* A group that joins while a broker that has just come back knows no topics yet is given
         * nothing until the topics are looked at again. */
        {"topic.metadata.refresh.interval.ms", "3000"},
    };

    rd_kafka_conf_set_log_cb(conf, on_log);
    return set_all(conf, pairs, sizeof pairs / sizeof pairs[0], err);
}

enum err_kind kafka_new(rd_kafka_t **out, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                        struct err *err)
{
    char why[256];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);

    if (client == NULL) {
        bool is_ca = strstr(why, "ssl.ca.location") != NULL;

        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_STOP, "kafka: %s%s", why,
                       is_ca ? ": TRADEWIND_CA has to name a PEM file with certificates" : "");
    }
    *out = client;
    return ERR_OK;
}

enum err_kind kafka_open_consumer(rd_kafka_t **out, const struct kafka_consumer_options *options,
                                  struct err *err)
{
    char fetch_kbytes[32], fetch_bytes[32], wait_ms[16];
    /* Without a group the library still wants a name to keep offsets under. */
    const char *const pairs[][2] = {
        {"group.id", options->group != NULL ? options->group : "tradewind.none"},
        {"group.instance.id", options->instance},
        {"partition.assignment.strategy", "range"},
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "1500"},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"},
        {"check.crcs", "true"},
        {"fetch.wait.max.ms", wait_ms},
        {"fetch.min.bytes", options->patience_ms > 0 ? "65536" : "1"},
        {"fetch.error.backoff.ms", "100"},
        {"queued.max.messages.kbytes", fetch_kbytes},
        /* Only bytes bound what is fetched ahead: at either bound this version stands still for a
         * second (the wait has a setting only from 2.2 on). */
        {"queued.min.messages", "10000000"},
        {"fetch.message.max.bytes", fetch_bytes},
    };
    size_t bytes = options->fetch_bytes > 0 ? options->fetch_bytes : 2u << 20;
    size_t of_partition = options->partition_bytes > 0 ? options->partition_bytes : bytes / 4;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *client;
    enum err_kind kind;

    snprintf(fetch_kbytes, sizeof fetch_kbytes, "%zu", bytes / 1024);
    snprintf(fetch_bytes, sizeof fetch_bytes, "%zu", of_partition);
    snprintf(wait_ms, sizeof wait_ms, "%d", options->patience_ms > 0 ? options->patience_ms : 100);
    kind = kafka_common_conf(conf, options->brokers, err);
    if (kind == ERR_OK)
        kind = set_all(conf, pairs, sizeof pairs / sizeof pairs[0], err);
    if (kind != ERR_OK) {
        rd_kafka_conf_destroy(conf);
        return kind;
    }
    rd_kafka_conf_set_opaque(conf, options->opaque);
    if (options->rebalance != NULL)
        rd_kafka_conf_set_rebalance_cb(conf, options->rebalance);
    if ((kind = kafka_new(&client, RD_KAFKA_CONSUMER, conf, err)) != ERR_OK)
        return kind;
    rd_kafka_poll_set_consumer(client);
    *out = client;
    return ERR_OK;
}

void kafka_close_consumer(rd_kafka_t *client)
{
    if (client == NULL)
        return;
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

enum err_kind kafka_open_producer(rd_kafka_t **out, const char *brokers,
                                  void (*delivered)(rd_kafka_t *client,
                                                    const rd_kafka_message_t *message,
                                                    void *opaque),
                                  void *opaque, struct err *err)
{
    const char *const pairs[][2] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"linger.ms", "1"},
        {"message.timeout.ms", "30000"},
        {"request.timeout.ms", "10000"},
        {"retry.backoff.ms", "50"},
        {"queue.buffering.max.messages", "20000"},
        {"queue.buffering.max.kbytes", "16384"},
        {"batch.size", "262144"},
        {"message.max.bytes", "4000000"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum err_kind kind = kafka_common_conf(conf, brokers, err);

    if (kind == ERR_OK)
        kind = set_all(conf, pairs, sizeof pairs / sizeof pairs[0], err);
    if (kind != ERR_OK) {
        rd_kafka_conf_destroy(conf);
        return kind;
    }
    rd_kafka_conf_set_opaque(conf, opaque);
    if (delivered != NULL)
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    return kafka_new(out, RD_KAFKA_PRODUCER, conf, err);
}

enum err_kind kafka_err_kind(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return ERR_OK;
    if (code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return ERR_STOP;
    return ERR_RETRY;
}

/* --- Headers -------------------------------------------------------------------------------- */

static struct view header_of(const rd_kafka_headers_t *headers, const char *name)
{
    const void *value;
    size_t size;

    return rd_kafka_header_get_last(headers, name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                   value != NULL
               ? view_of(value, size)
               : VIEW_NONE;
}

/* The integer behind the last '/', which is cut off with it. */
static bool take_last(struct view *id, int64_t *out)
{
    size_t at = id->size;

    while (at > 0 && id->data[at - 1] != '/')
        at--;
    if (at == 0 || !view_to_int64(view_of(id->data + at, id->size - at), out))
        return false;
    id->size = at - 1;
    return true;
}

static bool is_of(struct view text, const char *source)
{
    size_t size = strlen(source);

    return text.size >= size && memcmp(text.data, source, size) == 0 &&
           (text.size == size || text.data[size] == '/');
}

uint64_t kafka_record_number(const rd_kafka_message_t *message, const char *source)
{
    rd_kafka_headers_t *headers;
    struct view id;
    int64_t number, place, sequence;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    id = header_of(headers, "ce_id");
    if (!take_last(&id, &number) || number < 1 || !take_last(&id, &place) ||
        place != message->partition || !is_of(id, source) ||
        !view_to_int64(header_of(headers, "ce_sequence"), &sequence) || sequence != number)
        return 0;
    return (uint64_t)number;
}

void kafka_headers_to_block(const rd_kafka_message_t *message, struct buf *out)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    headers_start(out);
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        headers_append(out, name, view_of(value, size));
}

rd_kafka_headers_t *kafka_headers_from_block(struct view block)
{
    struct headers reader;
    struct header header;
    rd_kafka_headers_t *headers;

    if (headers_read(&reader, block, NULL) != ERR_OK)
        return NULL;
    headers = rd_kafka_headers_new(reader.left);
    while (headers_next(&reader, &header))
        rd_kafka_header_add(headers, header.name.data, (ssize_t)header.name.size, header.value.data,
                            (ssize_t)header.value.size);
    return headers;
}

/* --- Offsets and reading -------------------------------------------------------------------- */

enum err_kind kafka_ends(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout_ms,
                         struct err *err)
{
    rd_kafka_resp_err_t code;

    /* ListOffsets takes RD_KAFKA_OFFSET_END, and _BEGINNING, for a time. */
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    code = rd_kafka_offsets_for_times(client, list, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "kafka: ends of partitions: %s", rd_kafka_err2str(code));
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            list->elems[i].offset = -1000;
    return ERR_OK;
}

enum err_kind kafka_offsets_at(rd_kafka_t *client, const char *topic, const int32_t *partitions,
                               size_t count, int64_t *offsets, int timeout_ms, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    rd_kafka_resp_err_t code;
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, partitions[i])->offset = offsets[i];
    code = rd_kafka_offsets_for_times(client, list, timeout_ms);
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        rd_kafka_resp_err_t failed = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : list->elems[i].err;

        if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
            kind = err_set(err, ERR_RETRY, "kafka: %s/%d: its offsets: %s", topic, partitions[i],
                           rd_kafka_err2str(failed));
        offsets[i] = list->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return kind;
}

enum err_kind kafka_bounds(rd_kafka_t *client, const char *topic, const int32_t *partitions,
                           size_t count, int64_t *lows, int64_t *ends, int timeout_ms,
                           struct err *err)
{
    enum err_kind kind;

    for (size_t i = 0; i < count; i++) {
        lows[i] = RD_KAFKA_OFFSET_BEGINNING;
        ends[i] = RD_KAFKA_OFFSET_END;
    }
    kind = kafka_offsets_at(client, topic, partitions, count, lows, timeout_ms, err);
    if (kind == ERR_OK)
        kind = kafka_offsets_at(client, topic, partitions, count, ends, timeout_ms, err);
    return kind;
}

struct range {
    int64_t next, end;
};

/* One poll of a reading. Returns false when the caller's each() said stop. */
static bool read_one(rd_kafka_t *client, const int32_t *partitions, struct range *ranges,
                     size_t count, size_t *open,
                     bool (*each)(void *context, const rd_kafka_message_t *message), void *context,
                     int64_t *heard_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 100);
    bool go_on = true;

    if (message == NULL)
        return true;
    for (size_t i = 0; i < count; i++) {
        struct range *range = &ranges[i];

        if (message->partition != partitions[i] || range->next >= range->end)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *heard_ms = clock_monotonic_ms();
            if (message->offset < range->end)
                go_on = each(context, message);
            range->next = message->offset + 1;
        } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            range->next = range->end;
        }
        if (range->next >= range->end)
            (*open)--;
        break;
    }
    rd_kafka_message_destroy(message);
    return go_on;
}

static enum err_kind read_ranges(rd_kafka_t *client, const char *topic, const int32_t *partitions,
                                 const int64_t *offsets, struct range *ranges, size_t count,
                                 bool (*each)(void *context, const rd_kafka_message_t *message),
                                 void *context, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    int64_t *lows = arena_array(&arena, count, sizeof *lows);
    int64_t *ends = arena_array(&arena, count, sizeof *ends);
    rd_kafka_topic_partition_list_t *list;
    int64_t heard_ms;
    size_t open = 0;
    enum err_kind kind = kafka_bounds(client, topic, partitions, count, lows, ends, 5000, err);

    if (kind != ERR_OK)
        return kind;
    list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        ranges[i].next = offsets[i] < lows[i] ? lows[i] : offsets[i];
        if (offsets[i] == RD_KAFKA_OFFSET_END)
            ranges[i].next = ends[i];
        ranges[i].end = ends[i];
        if (ranges[i].next >= ends[i])
            continue;
        open++;
        rd_kafka_topic_partition_list_add(list, topic, partitions[i])->offset = ranges[i].next;
    }
    heard_ms = clock_monotonic_ms();
    if (open > 0)
        rd_kafka_assign(client, list);
    while (open > 0) {
        if (!read_one(client, partitions, ranges, count, &open, each, context, &heard_ms))
            break;
        if (clock_monotonic_ms() - heard_ms > READ_SILENCE_MS) {
            kind = err_set(err, ERR_RETRY, "kafka: %s: no record for %d s while reading", topic,
                           READ_SILENCE_MS / 1000);
            break;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return kind;
}

enum err_kind kafka_read_to_end(const char *brokers, const char *topic, const int32_t *partitions,
                                const int64_t *offsets, size_t count,
                                bool (*each)(void *context, const rd_kafka_message_t *message),
                                void *context, struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = brokers, .fetch_bytes = 8u << 20};
    struct range *ranges;
    rd_kafka_t *client;
    enum err_kind kind = kafka_open_consumer(&client, &options, err);

    if (kind != ERR_OK)
        return kind;
    ranges = mem_alloc(count * sizeof *ranges);
    kind = read_ranges(client, topic, partitions, offsets, ranges, count, each, context, err);
    free(ranges);
    kafka_close_consumer(client);
    return kind;
}
