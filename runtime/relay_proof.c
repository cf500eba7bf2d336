#include "runtime/log.h"
#include "runtime/relay_parts.h"

#include <inttypes.h>
#include <stdlib.h>

#define RECORDS_AT_ONCE 1000 /* then the relay has other things to do: some 50,000 a second */
#define ANSWER_MS 3000
#define CLOCKS_MS 60000 /* as far apart may a store's clock and a broker's be */

struct proof_shard {
    struct journal_range range; /* last 0: not asked for */
    struct number_run run;
    int64_t low;     /* the log's first offset */
    uint64_t behind; /* numbers below are in neither the log nor the journal */
    bool open;       /* it has records left to read */
};

struct relay_proof {
    rd_kafka_t *reader; /* NULL: not reading */
    struct proof_shard *shards;
    size_t open; /* how many of them */
    int64_t since_ms;
    bool wanted; /* the store has asked, and nothing is being read yet */
    bool whole;  /* the logs are read from their beginnings */
    bool proven; /* all that was asked for is in the log; told once */
};

void relay_proof_init(struct relay *relay)
{
    relay->proof = mem_alloc(sizeof *relay->proof);
    relay->proof->shards =
        mem_alloc((size_t)relay_shard_count(relay) * sizeof *relay->proof->shards);
}

static void close_reader(struct relay_proof *proof)
{
    if (proof->reader != NULL)
        kafka_close_consumer(proof->reader);
    proof->reader = NULL;
}

void relay_proof_free(struct relay *relay)
{
    close_reader(relay->proof);
    free(relay->proof->shards);
    free(relay->proof);
}

static bool is_asked_for(const struct proof_shard *shard)
{
    return shard->range.last > 0;
}

static bool is_seen(const struct proof_shard *shard)
{
    return shard->run.run >= shard->range.last;
}

/* --- Reading -------------------------------------------------------------------------------- */

/* Where to begin in the logs of those shards, all of one topic. */
static enum err_kind find_starts(struct relay *relay, const int32_t *shards, size_t count,
                                 rd_kafka_topic_partition_list_t *starts, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct relay_proof *proof = relay->proof;
    int32_t *places = arena_array(&arena, count, sizeof *places);
    int64_t *lows = arena_array(&arena, count, sizeof *lows);
    int64_t *offsets = arena_array(&arena, count, sizeof *offsets);
    const char *topic = relay_topic_of(relay, shards[0]);
    enum err_kind kind;

    for (size_t i = 0; i < count; i++) {
        places[i] = relay_place_of(relay, shards[i]);
        lows[i] = RD_KAFKA_OFFSET_BEGINNING;
        offsets[i] = proof->since_ms > CLOCKS_MS ? proof->since_ms - CLOCKS_MS : 0;
    }
    kind = kafka_offsets_at(relay->producer, topic, places, count, lows, ANSWER_MS, err);
    if (kind == ERR_OK && !proof->whole)
        kind = kafka_offsets_at(relay->producer, topic, places, count, offsets, ANSWER_MS, err);
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        struct proof_shard *shard = &proof->shards[shards[i]];

        shard->low = lows[i];
        shard->open = true;
        proof->open++;
        rd_kafka_topic_partition_list_add(starts, topic, places[i])->offset =
            proof->whole ? lows[i] : offsets[i];
    }
    return kind;
}

static enum err_kind find_all_starts(struct relay *relay, rd_kafka_topic_partition_list_t *starts,
                                     struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct relay_proof *proof = relay->proof;
    int32_t *shards = arena_array(&arena, (size_t)relay_shard_count(relay), sizeof *shards);
    int32_t shared = relay->options.partitions;
    size_t count = 0;
    enum err_kind kind = ERR_OK;

    proof->open = 0;
    for (int32_t i = 0; i < relay_shard_count(relay); i++) {
        struct proof_shard *shard = &proof->shards[i];
        uint64_t first = shard->behind > shard->range.first ? shard->behind : shard->range.first;

        shard->open = false;
        if (!is_asked_for(shard))
            continue;
        if (!proof->whole || !is_seen(shard))
            shard->run = number_run_from(first);
        if (i < shared && !is_seen(shard))
            shards[count++] = i;
    }
    if (count > 0)
        kind = find_starts(relay, shards, count, starts, err);
    if (kind == ERR_OK && is_asked_for(&proof->shards[shared]) && !is_seen(&proof->shards[shared]))
        kind = find_starts(relay, &shared, 1, starts, err);
    return kind;
}

static void begin(struct relay *relay, bool whole)
{
    const struct kafka_consumer_options options = {
        .brokers = relay->options.brokers,
        .fetch_bytes = 1u << 20,
    };
    struct relay_proof *proof = relay->proof;
    rd_kafka_topic_partition_list_t *starts =
        rd_kafka_topic_partition_list_new(relay_shard_count(relay));
    struct err err;
    enum err_kind kind;

    proof->whole = whole;
    kind = find_all_starts(relay, starts, &err);
    if (kind == ERR_OK)
        kind = kafka_open_consumer(&proof->reader, &options, &err);
    if (kind == ERR_OK)
        rd_kafka_assign(proof->reader, starts);
    else
        LOG_WARN("journal_upkeep",
                 "what the log holds cannot be looked at: trying again in a minute", log_err(&err));
    rd_kafka_topic_partition_list_destroy(starts);
}

static void shut(struct relay_proof *proof, struct proof_shard *shard)
{
    proof->open -= shard->open;
    shard->open = false;
}

static void read_message(struct relay *relay, const rd_kafka_message_t *message)
{
    struct relay_proof *proof = relay->proof;
    int32_t i = message->rkt != NULL
                    ? relay_shard_at(relay, rd_kafka_topic_name(message->rkt), message->partition)
                    : -1;
    struct proof_shard *shard = i >= 0 ? &proof->shards[i] : NULL;
    bool may_begin_later;
    uint64_t number;

    if (shard == NULL || !shard->open)
        return;
    /* What retention has taken was there. */
    may_begin_later = proof->whole && shard->low > 0 && shard->run.end == 0;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && may_begin_later)
            shard->run.run = shard->range.last;
        shut(proof, shard);
        return;
    }
    number = kafka_record_number(message, relay_source_of(relay, i));
    if (number == 0)
        return;
    if (may_begin_later && number > shard->run.first)
        shard->run = number_run_from(number);
    number_run_read(&shard->run, number, message->offset);
    if (is_seen(shard))
        shut(proof, shard);
}

/* --- What is not there ---------------------------------------------------------------------- */

static void keep_first(void *context, const struct journal_record *record)
{
    uint64_t *first = context;

    if (*first == 0)
        *first = record->number;
}

/* Ask the shard's relay, which may be another one, as a reader does that misses a number. */
static void ask_for(struct relay *relay, int32_t i, uint64_t number)
{
    LOG_WARN("log_hole", "the log lacks a record that readers have had: asking for it again",
             log_str("topic", relay_topic_of(relay, i)), log_int("shard", i),
             log_int("number", (int64_t)number));
    relay_say_number(relay, CONTROL_NACK, relay->options.part, i, number);
}

static void ask_for_missing(struct relay *relay)
{
    struct store *store = relay->options.store;

    for (int32_t i = 0; i < relay_shard_count(relay); i++) {
        struct proof_shard *shard = &relay->proof->shards[i];
        uint64_t wanted = shard->run.run + 1, first = 0;
        struct err err;

        if (!is_asked_for(shard) || is_seen(shard))
            continue;
        if (store->read(store->self, i, wanted, 1, keep_first, &first, &err) != ERR_OK)
            LOG_WARN("relay_journal", "the journal cannot be read: trying again", log_err(&err));
        else if (first == wanted)
            ask_for(relay, i, wanted);
        else /* told when the shard went on behind it (relay_gone) */
            shard->behind = first > 0 ? first : shard->range.last + 1;
    }
}

static void finish(struct relay *relay)
{
    struct relay_proof *proof = relay->proof;

    close_reader(proof);
    proof->proven = true;
    for (int32_t i = 0; i < relay_shard_count(relay); i++)
        if (is_asked_for(&proof->shards[i]) && !is_seen(&proof->shards[i]))
            proof->proven = false;
    if (proof->proven)
        return;
    /* Clocks may be further apart. */
    if (!proof->whole)
        begin(relay, true);
    else
        ask_for_missing(relay);
}

void relay_proof_read(struct relay *relay)
{
    struct relay_proof *proof = relay->proof;

    if (proof->wanted && relay_is_connected(relay)) {
        proof->wanted = false;
        begin(relay, false);
    }
    for (int i = 0; proof->reader != NULL && proof->open > 0 && i < RECORDS_AT_ONCE; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(proof->reader, 0);

        if (message == NULL)
            break;
        read_message(relay, message);
        rd_kafka_message_destroy(message);
    }
    if (proof->reader != NULL && proof->open == 0)
        finish(relay);
}

/* --- The store asks ------------------------------------------------------------------------- */

void relay_prove(void *context, struct journal_range *ranges, size_t count, int64_t since_ms)
{
    struct relay *relay = context;
    struct relay_proof *proof = relay->proof;
    bool answers = false;

    for (size_t i = 0; i < count; i++) {
        const struct journal_range *seen = &proof->shards[ranges[i].shard].range;
        bool knows =
            proof->proven && seen->first <= ranges[i].first && seen->last >= ranges[i].first;

        ranges[i].seen = knows ? seen->last : ranges[i].first - 1;
        answers = answers || knows;
    }
    if (proof->reader != NULL)
        return;
    proof->proven = false;
    proof->wanted = !answers;
    for (int32_t i = 0; i < relay_shard_count(relay); i++)
        proof->shards[i].range = (struct journal_range){0};
    for (size_t i = 0; i < count; i++)
        proof->shards[ranges[i].shard].range = ranges[i];
    proof->since_ms = since_ms;
}
