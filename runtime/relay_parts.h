/* Inside the relay: what its files share. Elsewhere runtime/relay.h is enough.
 *
 *     relay.c            its thread, its group, what it says and hears, what other threads ask
 *     relay_send.c       records to the broker: as they are offered, or out of the journal
 *     relay_read_back.c  what the log really holds, when that is in doubt
 *     relay_proof.c      that it holds what the journal is about to forget */
#ifndef TRADEWIND_RUNTIME_RELAY_PARTS_H
#define TRADEWIND_RUNTIME_RELAY_PARTS_H

#include "runtime/delivery.h"
#include "runtime/kafka.h"
#include "runtime/metrics.h"
#include "runtime/relay.h"

#include <pthread.h>

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
    int64_t journal_at_ms, second_at_ms, upkeep_at_ms, read_back_at_ms;
    int32_t turn;      /* the shard whose journal is read next */
    uint64_t *numbers; /* scratch, one a shard */
    uint64_t *known_published;
    int64_t *offsets;
    struct arena arena;
    struct relay_proof *proof;
};

/* The shards of the own topic, and behind them the one of the shared topic. */
static inline int32_t relay_shard_count(const struct relay *relay)
{
    return relay->options.partitions + 1;
}

static inline bool relay_is_shared(const struct relay *relay, int32_t shard)
{
    return shard == relay->options.partitions;
}

static inline const char *relay_topic_of(const struct relay *relay, int32_t shard)
{
    return relay_is_shared(relay, shard) ? relay->options.shared_topic : relay->options.topic;
}

static inline const char *relay_source_of(const struct relay *relay, int32_t shard)
{
    return relay_is_shared(relay, shard) ? relay->options.shared_source : relay->options.part;
}

static inline int32_t relay_place_of(const struct relay *relay, int32_t shard)
{
    return relay_is_shared(relay, shard) ? relay->options.shared_partition : shard;
}

/* The shard that a place is; -1: none of ours. */
static inline int32_t relay_shard_at(const struct relay *relay, const char *topic,
                                     int32_t partition)
{
    if (relay->options.topic != NULL && strcmp(topic, relay->options.topic) == 0)
        return partition < relay->options.partitions ? partition : -1;
    return strcmp(topic, relay->options.shared_topic) == 0 &&
                   partition == relay->options.shared_partition
               ? relay->options.partitions
               : -1;
}

extern struct metric relay_sent_total, relay_resent_total, relay_doubts_total, relay_nacks_total,
    relay_waiting;

/* --- relay_send.c, all on the relay's thread -------------------------------------------------- */

/** A record for the control topic. Any thread. */
void relay_say(struct relay *relay, struct view control);
/** rd_kafka_poll's. */
void relay_on_delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque);
/** Send what the journal has and nobody offered in order. */
void relay_look_into_journal(struct relay *relay);
/** store.copy_dead_letters': a copy for tools. */
bool relay_copy_dead_letter(void *context, const struct dead_letter *dead);
/** Another producer, when the one there has failed for good. */
void relay_renew_producer(struct relay *relay);

/* --- relay_read_back.c ------------------------------------------------------------------------ */

/** Read back the logs of the shards that are in doubt, so that they may be sent to again. */
void relay_resolve_doubts(struct relay *relay);

/* --- relay_proof.c ---------------------------------------------------------------------------- */

/* A record that was acknowledged, and applied by all, may be lost afterwards without anybody's
 * notice: the log loses its tail, and what another relay had under way is written in its place
 * before this one looks at the log's end. So before a journal forgets numbers, the log is read once
 * more, and what a new reader would miss is asked for again. */

void relay_proof_init(struct relay *relay);
void relay_proof_free(struct relay *relay);
/** store.maintain's, with the relay. */
journal_prove_fn relay_prove;
/** Go on reading, for some milliseconds at most. */
void relay_proof_read(struct relay *relay);

#endif
