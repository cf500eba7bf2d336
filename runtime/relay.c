#include "runtime/relay.h"

#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/delivery.h"
#include "runtime/kafka_fence.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 20
#define JOURNAL_LOOK_MS 100
#define SECOND_MS 1000
#define MINUTE_MS 60000
#define READ_BACK_RETRY_MS 500
/* How far before the last record the log is read back, at least. */
#define READ_BACK_MS 60000
#define READ_BYTES (256u * 1024u)

struct shard {
    bool owned;
    struct sender sender;
    uint64_t journal_last;
    uint64_t offered_last; /* highest number the worker has committed: newer than journal_last */
};

struct relay {
    struct relay_options options;
    char group[80], name[80];
    pthread_t thread;
    pthread_mutex_t lock; /* over shards and the producer's pointer */
    struct shard *shards;
    rd_kafka_t *producer;
    rd_kafka_t *consumer;
    uint64_t in_flight;
    bool stopping;
    bool failed;
    bool paused;          /* see relay_pause */
    int64_t heard_ms;     /* the broker's last acknowledgement */
    int64_t fenced_at_ms; /* see kafka_judge_fence */
    int64_t journal_at_ms, second_at_ms, minute_at_ms, read_back_at_ms;
    uint64_t *numbers; /* scratch, one a shard */
    uint64_t *known_published;
    int64_t *offsets;
    struct arena arena;
};

/* The shards of the own topic, and behind them the one of the shared topic. */
static int32_t shard_count(const struct relay *relay)
{
    return relay->options.partitions + 1;
}

static bool is_shared(const struct relay *relay, int32_t shard)
{
    return shard == relay->options.partitions;
}

static const char *topic_of(const struct relay *relay, int32_t shard)
{
    return is_shared(relay, shard) ? relay->options.shared_topic : relay->options.topic;
}

static int32_t place_of(const struct relay *relay, int32_t shard)
{
    return is_shared(relay, shard) ? relay->options.shared_partition : shard;
}

/* The shard that a place is; -1: none of ours. */
static int32_t shard_at(const struct relay *relay, const char *topic, int32_t partition)
{
    if (relay->options.topic != NULL && strcmp(topic, relay->options.topic) == 0)
        return partition < relay->options.partitions ? partition : -1;
    return strcmp(topic, relay->options.shared_topic) == 0 &&
                   partition == relay->options.shared_partition
               ? relay->options.partitions
               : -1;
}

static struct metric sent_total = METRIC(METRIC_COUNTER, "tradewind_relay_sent_total",
                                         "Records handed to the broker, resends included");
static struct metric resent_total = METRIC(METRIC_COUNTER, "tradewind_relay_from_journal_total",
                                           "Records read from the journal to be sent");
static struct metric doubts_total =
    METRIC(METRIC_COUNTER, "tradewind_relay_doubts_total", "Times a shard's log was read back");
static struct metric nacks_total = METRIC(METRIC_COUNTER, "tradewind_relay_nacks_obeyed_total",
                                          "Times a shard went back for a number a reader missed");
static struct metric waiting = METRIC(METRIC_GAUGE, "tradewind_relay_unpublished",
                                      "Committed records that the broker has not acknowledged");

/* --- Sending -------------------------------------------------------------------------------- */

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
        relay->producer, RD_KAFKA_V_TOPIC(topic_of(relay, record->shard)),
        RD_KAFKA_V_PARTITION(place_of(relay, record->shard)),
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
    metric_add(&sent_total, 1);
    return true;
}

/* rd_kafka_poll's, on the relay's thread. */
static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct relay *relay = opaque;
    int32_t shard = shard_at(relay, rd_kafka_topic_name(message->rkt), message->partition);
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

/* --- From the journal ----------------------------------------------------------------------- */

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
        metric_add(&resent_total, 1);
    pthread_mutex_unlock(&reading->relay->lock);
}

/* The journal begins above what the log misses: readers keep their gap until an archive is
 * restored. */
static void skip_gone(struct relay *relay, int32_t shard, uint64_t wanted, uint64_t next)
{
    const struct control gone = {
        .type = CONTROL_GONE,
        .source = view_str(relay->options.part),
        .from = view_str(relay->options.instance),
        .shards = &shard,
        .numbers = &wanted,
        .count = 1,
    };
    AUTO(buf_clear) struct buf text = {0};

    control_write(&text, &gone);
    relay_say(relay, buf_view(&text));
    LOG_ERROR("relay_gone",
              "numbers are in neither the log nor the journal: restore them from the archive",
              log_int("shard", shard), log_int("from", (int64_t)wanted),
              log_int("to", (int64_t)next - 1));
    pthread_mutex_lock(&relay->lock);
    sender_skip(&relay->shards[shard].sender, wanted, next);
    pthread_mutex_unlock(&relay->lock);
}

/* Send what one shard's journal has and the worker did not offer in order. */
static enum err_kind fill_shard(struct relay *relay, int32_t shard, struct err *err)
{
    for (;;) {
        struct journal_reading reading = {.relay = relay};
        uint64_t last, after;
        enum err_kind kind;

        pthread_mutex_lock(&relay->lock);
        last = relay->shards[shard].journal_last;
        reading.wanted = relay->shards[shard].owned && relay->in_flight < DELIVERY_IN_FLIGHT_MAX
                             ? sender_wants(&relay->shards[shard].sender, last)
                             : 0;
        pthread_mutex_unlock(&relay->lock);
        if (reading.wanted == 0)
            return ERR_OK;
        kind = relay->options.store->read(relay->options.store->self, shard, reading.wanted,
                                          READ_BYTES, send_from_journal, &reading, err);
        if (kind != ERR_OK)
            return kind;
        if (reading.first == 0)
            skip_gone(relay, shard, reading.wanted, last + 1);
        else if (reading.first > reading.wanted)
            skip_gone(relay, shard, reading.wanted, reading.first);
        pthread_mutex_lock(&relay->lock);
        after = relay->shards[shard].sender.last_sent;
        pthread_mutex_unlock(&relay->lock);
        if (after < reading.wanted)
            return ERR_OK; /* the producer is full, or a doubt came up */
        rd_kafka_poll(relay->producer, 0);
    }
}

static void look_into_journal(struct relay *relay)
{
    struct err err;
    int64_t unpublished = 0;
    enum err_kind kind = relay->options.store->last_numbers(
        relay->options.store->self, relay->numbers, shard_count(relay), &err);

    if (kind == ERR_OK) {
        pthread_mutex_lock(&relay->lock);
        for (int32_t i = 0; i < shard_count(relay); i++) {
            struct shard *shard = &relay->shards[i];

            shard->journal_last = relay->numbers[i];
            if (shard->owned && shard->journal_last > shard->sender.published)
                unpublished += (int64_t)(shard->journal_last - shard->sender.published);
        }
        pthread_mutex_unlock(&relay->lock);
        metric_set(&waiting, unpublished);
    }
    for (int32_t i = 0; i < shard_count(relay) && kind == ERR_OK; i++)
        kind = fill_shard(relay, i, &err);
    if (kind != ERR_OK)
        LOG_WARN("relay_journal", "the journal cannot be read: trying again", log_err(&err));
}

/* --- Reading the log back ------------------------------------------------------------------- */

/* Shards of one topic whose log is read back; arrays of one element a shard. */
struct read_back {
    struct relay *relay;
    const char *topic;
    const int32_t *shards;
    size_t count;
    int32_t *places; /* their partitions */
    int64_t *lows, *ends, *starts, *last_time_ms;
    struct number_run *runs;
};

static size_t index_of(const struct read_back *back, int32_t partition)
{
    size_t i = 0;

    while (back->places[i] != partition)
        i++;
    return i;
}

static bool note_last(void *context, const rd_kafka_message_t *message)
{
    struct read_back *back = context;

    back->last_time_ms[index_of(back, message->partition)] =
        rd_kafka_message_timestamp(message, NULL);
    return true;
}

static bool is_from(const rd_kafka_message_t *message, const char *source)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;

    return rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           rd_kafka_header_get_last(headers, "ce_source", &value, &size) ==
               RD_KAFKA_RESP_ERR_NO_ERROR &&
           value != NULL && view_equals(view_of(value, size), source);
}

static bool note_number(void *context, const rd_kafka_message_t *message)
{
    struct read_back *back = context;
    uint64_t number = kafka_record_number(message);

    if (is_shared(back->relay, back->shards[0]) &&
        !is_from(message, back->relay->options.shared_source))
        return true;
    if (number > 0)
        number_run_read(&back->runs[index_of(back, message->partition)], number, message->offset);
    return true;
}

static enum err_kind find_ends(struct read_back *back, struct err *err)
{
    for (size_t i = 0; i < back->count; i++) {
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(back->relay->producer, back->topic, back->places[i],
                                             &back->lows[i], &back->ends[i], 3000);

        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return err_set(err, ERR_RETRY, "kafka: %s/%d: its end: %s", back->topic,
                           back->places[i], rd_kafka_err2str(code));
    }
    return ERR_OK;
}

/* Where to begin: READ_BACK_MS before the last record of each partition. In a shared topic the last
 * records may all be somebody else's; what is in it is little, and is read whole. */
static enum err_kind find_starts(struct read_back *back, struct err *err)
{
    enum err_kind kind;

    for (size_t i = 0; i < back->count; i++)
        back->starts[i] = back->ends[i] > 0 ? back->ends[i] - 1 : 0;
    if (is_shared(back->relay, back->shards[0])) {
        back->starts[0] = back->lows[0];
        return ERR_OK;
    }
    kind = kafka_read_to_end(back->relay->options.brokers, back->topic, back->places, back->starts,
                             back->count, note_last, back, err);
    for (size_t i = 0; i < back->count && kind == ERR_OK; i++) {
        back->starts[i] = 0;
        if (back->ends[i] > 0 && back->last_time_ms[i] > READ_BACK_MS)
            kind = kafka_offset_at(back->relay->producer, back->topic, back->places[i],
                                   back->last_time_ms[i] - READ_BACK_MS, &back->starts[i], err);
        back->starts[i] = read_back_start(back->starts[i], back->ends[i]);
    }
    return kind;
}

/* The run that the log of a shard holds. A shared partition that was read whole and has nothing of
 * ours is to us as an empty one. */
static uint64_t run_of(const struct read_back *back, size_t i, uint64_t published)
{
    bool has_none = is_shared(back->relay, back->shards[i]) && back->lows[i] == 0;

    return number_run_of_log(&back->runs[i], back->lows[i], has_none ? 0 : back->ends[i],
                             published);
}

/* What the log holds above the database's last number was committed by a database that is lost. */
static enum err_kind check_age(struct read_back *back, size_t i, struct err *err)
{
    struct store *store = back->relay->options.store;
    int32_t shard = back->shards[i];
    uint64_t highest = back->runs[i].highest, last = back->relay->numbers[shard];

    if (highest <= last)
        return ERR_OK;
    /* In the shared topic nothing lies that the part's state is made of: go on behind it. */
    if (is_shared(back->relay, shard) && store->raise_last_number != NULL)
        return store->raise_last_number(store->self, shard, highest, err);
    return err_set(err, ERR_STOP,
                   "%s/%d holds number %" PRIu64 ", the database has given out only %" PRIu64
                   ": it is older than its topic (restored or lost); rebuild it with a replay",
                   back->topic, back->places[i], highest, last);
}

static enum err_kind settle(struct read_back *back, struct err *err)
{
    struct relay *relay = back->relay;
    struct store *store = relay->options.store;
    enum err_kind kind =
        store->published(store->self, relay->known_published, shard_count(relay), err);

    /* Read after the log: whatever the log holds was committed before. */
    if (kind == ERR_OK)
        kind = store->last_numbers(store->self, relay->numbers, shard_count(relay), err);
    for (size_t i = 0; i < back->count && kind == ERR_OK; i++) {
        int32_t shard = back->shards[i];
        uint64_t run = run_of(back, i, relay->known_published[shard]);

        kind = check_age(back, i, err);
        if (kind != ERR_OK)
            return kind;
        if (run < relay->known_published[shard])
            LOG_WARN("log_tail_lost",
                     "the log lost records that were acknowledged: sending them again",
                     log_str("topic", back->topic), log_int("shard", shard),
                     log_int("from", (int64_t)run + 1),
                     log_int("to", (int64_t)relay->known_published[shard]));
        pthread_mutex_lock(&relay->lock);
        if (relay->shards[shard].owned && sender_may_read_back(&relay->shards[shard].sender))
            sender_read_back(&relay->shards[shard].sender, run,
                             number_run_end(&back->runs[i], back->ends[i]));
        pthread_mutex_unlock(&relay->lock);
        metric_add(&doubts_total, 1);
    }
    return kind;
}

/* Shards of one topic, at least one. */
static enum err_kind read_back_shards(struct relay *relay, const int32_t *shards, size_t count,
                                      struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct read_back back = {
        .relay = relay,
        .topic = topic_of(relay, shards[0]),
        .shards = shards,
        .count = count,
        .places = arena_array(&arena, count, sizeof *back.places),
        .lows = arena_array(&arena, count, sizeof *back.lows),
        .ends = arena_array(&arena, count, sizeof *back.ends),
        .starts = arena_array(&arena, count, sizeof *back.starts),
        .last_time_ms = arena_array(&arena, count, sizeof *back.last_time_ms),
        .runs = arena_array(&arena, count, sizeof *back.runs),
    };
    enum err_kind kind;

    for (size_t i = 0; i < count; i++)
        back.places[i] = place_of(relay, shards[i]);
    kind = find_ends(&back, err);
    if (kind == ERR_OK)
        kind = find_starts(&back, err);
    for (size_t i = 0; i < count && kind == ERR_OK; i++)
        back.runs[i].whole = back.lows[i] == 0 && back.starts[i] == 0;
    if (kind == ERR_OK)
        kind = kafka_read_to_end(relay->options.brokers, back.topic, back.places, back.starts,
                                 count, note_number, &back, err);
    return kind == ERR_OK ? settle(&back, err) : kind;
}

static void read_back_or_wait(struct relay *relay, const int32_t *shards, size_t count)
{
    struct err err;

    switch (read_back_shards(relay, shards, count, &err)) {
    case ERR_OK:
        LOG_INFO("relay_read_back", "the log was read back: sending goes on",
                 log_str("topic", topic_of(relay, shards[0])), log_int("shards", (int64_t)count));
        relay->journal_at_ms = 0;
        return;
    case ERR_STOP:
        relay->failed = true;
        relay->options.stop(relay->options.context, &err);
        return;
    case ERR_RETRY:
    case ERR_REJECT:
        LOG_WARN("relay_doubt", "the log cannot be read back yet: nothing is sent until then",
                 log_err(&err));
        relay->read_back_at_ms = clock_monotonic_ms() + READ_BACK_RETRY_MS;
    }
}

static void resolve_doubts(struct relay *relay)
{
    int32_t *shards = mem_alloc((size_t)shard_count(relay) * sizeof *shards);
    int32_t shared = relay->options.partitions;
    size_t count = 0;
    bool in_doubt;

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < shared; i++)
        if (relay->shards[i].owned && sender_may_read_back(&relay->shards[i].sender))
            shards[count++] = i;
    in_doubt = relay->shards[shared].owned && sender_may_read_back(&relay->shards[shared].sender);
    pthread_mutex_unlock(&relay->lock);
    if (count > 0)
        read_back_or_wait(relay, shards, count);
    if (in_doubt && !relay->failed)
        read_back_or_wait(relay, &shared, 1);
    free(shards);
}

/* --- Group and control topic ---------------------------------------------------------------- */

static void own_shard(struct relay *relay, int32_t shard, bool owned)
{
    if (owned && !relay->shards[shard].owned)
        sender_start(&relay->shards[shard].sender);
    relay->shards[shard].owned = owned;
}

static void assign_control(rd_kafka_t *client)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, CONTROL_TOPIC, 0)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* rd_kafka_consumer_poll's, on the relay's thread. The own topic is never consumed: its partitions
 * only say who relays which shard. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct relay *relay = opaque;

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < relay->options.partitions; i++) {
        bool ours = false;

        for (int j = 0; event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && j < partitions->cnt; j++)
            ours = ours || partitions->elems[j].partition == i;
        own_shard(relay, i, ours);
    }
    own_shard(relay, relay->options.partitions, relay->shards[0].owned);
    pthread_mutex_unlock(&relay->lock);
    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        assign_control(client);
    else
        rd_kafka_assign(client, NULL);
    LOG_INFO(
        "relay_shards", "shards to relay were assigned anew",
        log_int("shards", event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? partitions->cnt : 0));
}

static void obey(struct relay *relay, struct view text)
{
    struct control control;
    bool obeyed = false;

    arena_reset(&relay->arena);
    if (control_parse(&control, text, &relay->arena, NULL) != ERR_OK ||
        control.type != CONTROL_NACK || !view_equals(control.source, relay->options.part) ||
        control.shards[0] >= relay->options.partitions)
        return;
    pthread_mutex_lock(&relay->lock);
    if (relay->shards[control.shards[0]].owned)
        obeyed = sender_nack(&relay->shards[control.shards[0]].sender, control.numbers[0],
                             clock_monotonic_ms());
    pthread_mutex_unlock(&relay->lock);
    if (!obeyed)
        return;
    metric_add(&nacks_total, 1);
    LOG_WARN("relay_nack", "a reader misses a record: sending from there again",
             log_view("from", control.from), log_int("shard", control.shards[0]),
             log_int("number", (int64_t)control.numbers[0]));
    relay->journal_at_ms = 0;
}

static enum err_kind open_consumer(struct relay *relay, struct err *err)
{
    struct kafka_consumer_options options = {
        .brokers = relay->options.brokers,
        .group = relay->options.follows_lead ? NULL : relay->group,
        .instance = relay->options.follows_lead ? NULL : relay->name,
        .fetch_bytes = 256u << 10,
        .opaque = relay,
        .rebalance = relay->options.follows_lead ? NULL : on_rebalance,
    };
    rd_kafka_topic_partition_list_t *topics;
    rd_kafka_resp_err_t code;
    enum err_kind kind = kafka_open_consumer(&relay->consumer, &options, err);

    if (kind != ERR_OK || relay->options.follows_lead) {
        if (kind == ERR_OK)
            assign_control(relay->consumer);
        return kind;
    }
    topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, relay->options.topic, RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(relay->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_STOP, "kafka: subscribe to %s: %s", relay->options.topic,
                       rd_kafka_err2str(code));
    return ERR_OK;
}

static void own_nothing(struct relay *relay)
{
    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < relay->options.partitions; i++)
        own_shard(relay, i, false);
    pthread_mutex_unlock(&relay->lock);
}

static enum err_kind join_again(struct relay *relay, struct err *err)
{
    own_nothing(relay);
    kafka_drop_consumer(relay->consumer);
    relay->consumer = NULL;
    return open_consumer(relay, err);
}

/* A message of the consumer that is no record. */
static void handle_event(struct relay *relay, rd_kafka_message_t *message)
{
    enum err_kind kind = kafka_err_kind(message->err);
    struct err err;

    if (kind == ERR_STOP)
        err_set(&err, ERR_STOP, "kafka: %s: %s", relay->group, rd_kafka_message_errstr(message));
    switch (kafka_judge_fence(relay->consumer, message, relay->group, &relay->fenced_at_ms)) {
    case KAFKA_FENCE_FORGIVEN:
        rd_kafka_message_destroy(message);
        kind = join_again(relay, &err);
        break;
    case KAFKA_NOT_FENCED:
    case KAFKA_FENCED:
        rd_kafka_message_destroy(message);
        break;
    }
    if (kind == ERR_STOP) {
        relay->failed = true;
        relay->options.stop(relay->options.context, &err);
    }
}

static void consume(struct relay *relay)
{
    rd_kafka_message_t *message;

    if (relay->consumer == NULL) {
        rd_kafka_poll(relay->producer, POLL_MS);
        return;
    }
    message = rd_kafka_consumer_poll(relay->consumer, POLL_MS);
    if (message == NULL)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        handle_event(relay, message);
        return;
    }
    obey(relay, view_of(message->payload, message->len));
    rd_kafka_message_destroy(message);
}

/* --- Once a second, once a minute ----------------------------------------------------------- */

static void say_published(struct relay *relay)
{
    AUTO(buf_clear) struct buf text = {0};
    int32_t *shards = mem_alloc((size_t)relay->options.partitions * sizeof *shards);
    struct control control = {
        .type = CONTROL_PUBLISHED,
        .source = view_str(relay->options.part),
        .from = view_str(relay->options.instance),
        .shards = shards,
        .numbers = relay->numbers,
    };

    pthread_mutex_lock(&relay->lock);
    control.paused = relay->paused;
    for (int32_t i = 0; i < relay->options.partitions; i++)
        if (relay->shards[i].owned && !relay->shards[i].sender.doubt) {
            shards[control.count] = i;
            relay->numbers[control.count++] = relay->shards[i].sender.published;
        }
    pthread_mutex_unlock(&relay->lock);
    control_write(&text, &control);
    relay_say(relay, buf_view(&text));
    free(shards);
}

/* The record that was acknowledged last must still be in the log. */
static void check_ends(struct relay *relay)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(shard_count(relay));

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < shard_count(relay); i++)
        if (relay->shards[i].owned && !relay->shards[i].sender.doubt)
            rd_kafka_topic_partition_list_add(list, topic_of(relay, i), place_of(relay, i));
    pthread_mutex_unlock(&relay->lock);
    if (list->cnt > 0 && kafka_ends(relay->producer, list, 500, NULL) == ERR_OK)
        for (int i = 0; i < list->cnt; i++) {
            int32_t shard = shard_at(relay, list->elems[i].topic, list->elems[i].partition);
            bool lost;

            if (list->elems[i].offset < 0)
                continue;
            pthread_mutex_lock(&relay->lock);
            lost = relay->shards[shard].owned &&
                   sender_end_is(&relay->shards[shard].sender, list->elems[i].offset);
            pthread_mutex_unlock(&relay->lock);
            if (lost)
                LOG_WARN("relay_doubt",
                         "the log is shorter than what was acknowledged: reading it back",
                         log_int("shard", shard), log_int("end", list->elems[i].offset));
        }
    rd_kafka_topic_partition_list_destroy(list);
}

static void note_published(struct relay *relay)
{
    struct store *store = relay->options.store;

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < shard_count(relay); i++) {
        const struct shard *shard = &relay->shards[i];
        bool known = shard->owned && !shard->sender.doubt;

        relay->numbers[i] = known ? shard->sender.published : 0;
        relay->offsets[i] = known ? shard->sender.published_offset : -1;
    }
    pthread_mutex_unlock(&relay->lock);
    store->note_published(store->self, relay->numbers, relay->offsets, shard_count(relay), NULL);
}

static void add_text_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
}

/* A copy for tools: the record as it was, with where it lay and why it is here. */
static bool copy_dead_letter(void *context, const struct dead_letter *dead)
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

static void each_second(struct relay *relay, int64_t now_ms)
{
    struct store *store = relay->options.store;

    say_published(relay);
    check_ends(relay);
    note_published(relay);
    if (relay_is_connected(relay))
        store->copy_dead_letters(store->self, copy_dead_letter, relay, NULL);
    if (now_ms >= relay->minute_at_ms) {
        struct err err;

        relay->minute_at_ms = now_ms + MINUTE_MS;
        if (store->maintain(store->self, &err) != ERR_OK)
            LOG_WARN("journal_upkeep", "the journal could not be tended: trying again in a minute",
                     log_err(&err));
    }
}

/* --- The thread ----------------------------------------------------------------------------- */

/* After a fatal error the library's producer is of no use: another one goes on from the log. */
static void renew_producer(struct relay *relay)
{
    char why[256];
    struct err err;
    rd_kafka_t *old = relay->producer, *fresh;

    if (rd_kafka_fatal_error(old, why, sizeof why) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    LOG_WARN("relay_producer", "the producer failed for good: starting another one",
             log_str("err", why));
    if (kafka_open_producer(&fresh, relay->options.brokers, on_delivered, relay, &err) != ERR_OK) {
        LOG_ERROR("relay_producer", "no new producer can be made: trying again", log_err(&err));
        return;
    }
    pthread_mutex_lock(&relay->lock);
    relay->producer = fresh;
    for (int32_t i = 0; i < shard_count(relay); i++)
        sender_doubt(&relay->shards[i].sender);
    pthread_mutex_unlock(&relay->lock);
    rd_kafka_purge(old, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(old, 5000);
    rd_kafka_destroy(old);
}

static bool all_published(struct relay *relay)
{
    bool all = true;

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < shard_count(relay); i++) {
        const struct shard *shard = &relay->shards[i];
        uint64_t last =
            shard->offered_last > shard->journal_last ? shard->offered_last : shard->journal_last;

        all = all && (!shard->owned || (!shard->sender.doubt && shard->sender.published >= last));
    }
    pthread_mutex_unlock(&relay->lock);
    return all;
}

static bool is_stopping(struct relay *relay)
{
    bool stopping;

    pthread_mutex_lock(&relay->lock);
    stopping = relay->stopping;
    pthread_mutex_unlock(&relay->lock);
    return stopping;
}

static void *relay_main(void *context)
{
    struct relay *relay = context;

    while (!is_stopping(relay) && !relay->failed) {
        int64_t now_ms;

        consume(relay);
        rd_kafka_poll(relay->producer, 0);
        renew_producer(relay);
        now_ms = clock_monotonic_ms();
        if (now_ms >= relay->read_back_at_ms)
            resolve_doubts(relay);
        if (now_ms >= relay->journal_at_ms) {
            relay->journal_at_ms = now_ms + JOURNAL_LOOK_MS;
            look_into_journal(relay);
        }
        if (now_ms >= relay->second_at_ms) {
            relay->second_at_ms = now_ms + SECOND_MS;
            each_second(relay, now_ms);
        }
    }
    return NULL;
}

/* --- From other threads --------------------------------------------------------------------- */

void relay_lead(struct relay *relay, bool leads)
{
    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < shard_count(relay); i++)
        own_shard(relay, i, leads);
    pthread_mutex_unlock(&relay->lock);
}

void relay_pause(struct relay *relay, bool paused)
{
    pthread_mutex_lock(&relay->lock);
    relay->paused = paused;
    pthread_mutex_unlock(&relay->lock);
}

size_t relay_shards(struct relay *relay, int32_t *shards)
{
    size_t count = 0;

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < relay->options.partitions; i++)
        if (relay->shards[i].owned)
            shards[count++] = i;
    pthread_mutex_unlock(&relay->lock);
    return count;
}

uint64_t relay_published(struct relay *relay, int32_t shard)
{
    uint64_t published = 0;

    pthread_mutex_lock(&relay->lock);
    if (shard >= 0 && shard < relay->options.partitions && relay->shards[shard].owned &&
        !relay->shards[shard].sender.doubt)
        published = relay->shards[shard].sender.published;
    pthread_mutex_unlock(&relay->lock);
    return published;
}

bool relay_is_connected(struct relay *relay)
{
    bool connected;

    pthread_mutex_lock(&relay->lock);
    connected = relay->heard_ms > 0 && clock_monotonic_ms() - relay->heard_ms < 5 * SECOND_MS;
    pthread_mutex_unlock(&relay->lock);
    return connected;
}

static void relay_free(struct relay *relay)
{
    kafka_close_consumer(relay->consumer);
    if (relay->producer != NULL)
        rd_kafka_destroy(relay->producer);
    pthread_mutex_destroy(&relay->lock);
    arena_clear(&relay->arena);
    free(relay->shards);
    free(relay->numbers);
    free(relay->known_published);
    free(relay->offsets);
    free(relay);
}

enum err_kind relay_start(struct relay **out, const struct relay_options *options, struct err *err)
{
    static struct metric *const metrics[] = {&sent_total, &resent_total, &doubts_total,
                                             &nacks_total, &waiting};
    struct relay *relay = mem_alloc(sizeof *relay);
    size_t shards = (size_t)options->partitions + 1;
    enum err_kind kind;

    relay->options = *options;
    snprintf(relay->group, sizeof relay->group, "%s.relay", options->part);
    snprintf(relay->name, sizeof relay->name, "%s", options->instance);
    pthread_mutex_init(&relay->lock, NULL);
    relay->shards = mem_alloc(shards * sizeof *relay->shards);
    relay->numbers = mem_alloc(shards * sizeof *relay->numbers);
    relay->known_published = mem_alloc(shards * sizeof *relay->known_published);
    relay->offsets = mem_alloc(shards * sizeof *relay->offsets);
    if (options->topic == NULL) /* it has no group: each instance sends it, readers drop repeats */
        own_shard(relay, options->partitions, true);
    relay->minute_at_ms = clock_monotonic_ms() + MINUTE_MS;
    kind = kafka_open_producer(&relay->producer, options->brokers, on_delivered, relay, err);
    if (kind == ERR_OK && options->topic != NULL)
        kind = open_consumer(relay, err);
    if (kind == ERR_OK && pthread_create(&relay->thread, NULL, relay_main, relay) != 0)
        kind = err_set(err, ERR_STOP, "relay: no thread: %s", strerror(errno));
    if (kind != ERR_OK) {
        relay_free(relay);
        return kind;
    }
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        metric_register(metrics[i]);
    *out = relay;
    return ERR_OK;
}

void relay_stop(struct relay *relay, int64_t grace_ms)
{
    int64_t until_ms = clock_monotonic_ms() + grace_ms;

    if (relay == NULL)
        return;
    while (!relay->failed && !all_published(relay) && clock_monotonic_ms() < until_ms) {
        const struct timespec pause = {.tv_nsec = 10000000};

        nanosleep(&pause, NULL);
    }
    pthread_mutex_lock(&relay->lock);
    relay->stopping = true;
    pthread_mutex_unlock(&relay->lock);
    pthread_join(relay->thread, NULL);
    rd_kafka_flush(relay->producer, 1000);
    rd_kafka_purge(relay->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(relay->producer, 1000);
    relay_free(relay);
}
