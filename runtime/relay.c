#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/kafka_fence.h"
#include "runtime/log.h"
#include "runtime/relay_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 20
#define JOURNAL_LOOK_MS 100
#define SECOND_MS 1000
#define MINUTE_MS 60000

struct metric relay_sent_total = METRIC(METRIC_COUNTER, "tradewind_relay_sent_total",
                                        "Records handed to the broker, resends included");
struct metric relay_resent_total = METRIC(METRIC_COUNTER, "tradewind_relay_from_journal_total",
                                          "Records read from the journal to be sent");
struct metric relay_doubts_total =
    METRIC(METRIC_COUNTER, "tradewind_relay_doubts_total", "Times a shard's log was read back");
struct metric relay_nacks_total = METRIC(METRIC_COUNTER, "tradewind_relay_nacks_obeyed_total",
                                         "Times a shard went back for a number a reader missed");
struct metric relay_waiting = METRIC(METRIC_GAUGE, "tradewind_relay_unpublished",
                                     "Committed records that the broker has not acknowledged");

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
        control.shards[0] >= relay_shard_count(relay))
        return;
    pthread_mutex_lock(&relay->lock);
    if (relay->shards[control.shards[0]].owned)
        obeyed = sender_nack(&relay->shards[control.shards[0]].sender, control.numbers[0],
                             clock_monotonic_ms());
    pthread_mutex_unlock(&relay->lock);
    if (!obeyed)
        return;
    metric_add(&relay_nacks_total, 1);
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
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(relay_shard_count(relay));

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < relay_shard_count(relay); i++)
        if (relay->shards[i].owned && !relay->shards[i].sender.doubt)
            rd_kafka_topic_partition_list_add(list, relay_topic_of(relay, i),
                                              relay_place_of(relay, i));
    pthread_mutex_unlock(&relay->lock);
    if (list->cnt > 0 && kafka_ends(relay->producer, list, 500, NULL) == ERR_OK)
        for (int i = 0; i < list->cnt; i++) {
            int32_t shard = relay_shard_at(relay, list->elems[i].topic, list->elems[i].partition);
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
    for (int32_t i = 0; i < relay_shard_count(relay); i++) {
        const struct shard *shard = &relay->shards[i];
        bool known = shard->owned && !shard->sender.doubt;

        relay->numbers[i] = known ? shard->sender.published : 0;
        relay->offsets[i] = known ? shard->sender.published_offset : -1;
    }
    pthread_mutex_unlock(&relay->lock);
    store->note_published(store->self, relay->numbers, relay->offsets, relay_shard_count(relay),
                          NULL);
}

static void each_second(struct relay *relay, int64_t now_ms)
{
    struct store *store = relay->options.store;

    say_published(relay);
    check_ends(relay);
    note_published(relay);
    if (relay_is_connected(relay))
        store->copy_dead_letters(store->self, relay_copy_dead_letter, relay, NULL);
    if (now_ms >= relay->upkeep_at_ms) {
        struct err err;

        relay->upkeep_at_ms = now_ms + relay->options.upkeep_ms;
        if (store->maintain(store->self, relay_prove, relay, &err) != ERR_OK)
            LOG_WARN("journal_upkeep", "the journal could not be tended: trying again in a minute",
                     log_err(&err));
    }
}

/* --- The thread ----------------------------------------------------------------------------- */

static bool all_published(struct relay *relay)
{
    bool all = true;

    pthread_mutex_lock(&relay->lock);
    for (int32_t i = 0; i < relay_shard_count(relay); i++) {
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
        relay_renew_producer(relay);
        now_ms = clock_monotonic_ms();
        if (now_ms >= relay->read_back_at_ms)
            relay_resolve_doubts(relay);
        if (now_ms >= relay->journal_at_ms) {
            relay->journal_at_ms = now_ms + JOURNAL_LOOK_MS;
            relay_look_into_journal(relay);
        }
        relay_proof_read(relay);
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
    for (int32_t i = 0; i < relay_shard_count(relay); i++)
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
    relay_proof_free(relay);
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
    static struct metric *const metrics[] = {&relay_sent_total, &relay_resent_total,
                                             &relay_doubts_total, &relay_nacks_total,
                                             &relay_waiting};
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
    relay_proof_init(relay);
    if (options->topic == NULL) /* it has no group: each instance sends it, readers drop repeats */
        own_shard(relay, options->partitions, true);
    if (options->upkeep_ms == 0)
        relay->options.upkeep_ms = MINUTE_MS;
    relay->upkeep_at_ms = clock_monotonic_ms() + relay->options.upkeep_ms;
    kind = kafka_open_producer(&relay->producer, options->brokers, relay_on_delivered, relay, err);
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
