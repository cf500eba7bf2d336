#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/relay_parts.h"

#include <inttypes.h>
#include <stdlib.h>

#define READ_BACK_RETRY_MS 500
#define ANSWER_MS 3000
/* How far before the last record the log is read back, at least. */
#define READ_BACK_MS 60000

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

static bool note_number(void *context, const rd_kafka_message_t *message)
{
    struct read_back *back = context;
    size_t i = index_of(back, message->partition);
    uint64_t number = kafka_record_number(message, relay_source_of(back->relay, back->shards[i]));

    if (number > 0)
        number_run_read(&back->runs[i], number, message->offset);
    return true;
}

/* Where to begin: READ_BACK_MS before the last record of each partition. In a shared topic the last
 * records may all be somebody else's; what is in it is little, and is read whole. */
static enum err_kind find_starts(struct read_back *back, struct err *err)
{
    enum err_kind kind;

    for (size_t i = 0; i < back->count; i++)
        back->starts[i] = back->ends[i] > 0 ? back->ends[i] - 1 : 0;
    if (relay_is_shared(back->relay, back->shards[0])) {
        back->starts[0] = back->lows[0];
        return ERR_OK;
    }
    kind = kafka_read_to_end(back->relay->options.brokers, back->topic, back->places, back->starts,
                             back->count, note_last, back, err);
    if (kind != ERR_OK)
        return kind;
    for (size_t i = 0; i < back->count; i++)
        back->starts[i] = back->ends[i] > 0 && back->last_time_ms[i] > READ_BACK_MS
                              ? back->last_time_ms[i] - READ_BACK_MS
                              : RD_KAFKA_OFFSET_BEGINNING;
    kind = kafka_offsets_at(back->relay->producer, back->topic, back->places, back->count,
                            back->starts, ANSWER_MS, err);
    for (size_t i = 0; i < back->count; i++)
        back->starts[i] = read_back_start(back->starts[i], back->ends[i]);
    return kind;
}

/* The run that the log of a shard holds. A shared partition that was read whole and has nothing of
 * ours is to us as an empty one. */
static uint64_t run_of(const struct read_back *back, size_t i, uint64_t published)
{
    bool has_none = relay_is_shared(back->relay, back->shards[i]) && back->lows[i] == 0;

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
    if (relay_is_shared(back->relay, shard) && store->raise_last_number != NULL)
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
        store->published(store->self, relay->known_published, relay_shard_count(relay), err);

    /* Read after the log: whatever the log holds was committed before. */
    if (kind == ERR_OK)
        kind = store->last_numbers(store->self, relay->numbers, relay_shard_count(relay), err);
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
        metric_add(&relay_doubts_total, 1);
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
        .topic = relay_topic_of(relay, shards[0]),
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
        back.places[i] = relay_place_of(relay, shards[i]);
    kind = kafka_bounds(relay->producer, back.topic, back.places, count, back.lows, back.ends,
                        ANSWER_MS, err);
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
                 log_str("topic", relay_topic_of(relay, shards[0])),
                 log_int("shards", (int64_t)count));
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

void relay_resolve_doubts(struct relay *relay)
{
    int32_t *shards = mem_alloc((size_t)relay_shard_count(relay) * sizeof *shards);
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
