/* The intake: reads a part's input topics and lets through what is next in sequence.
 *
 * It owns the consumer, one receiver (runtime/delivery.h) a partition, and the control topic.
 * Partitions are assigned by the part's consumer group, or all of them to the owner of a lead
 * topic's only partition. Taking over goes through the store, which fences the one before.
 *
 * Everything runs on the worker's thread, inside intake_poll. */
#ifndef TRADEWIND_RUNTIME_INTAKE_H
#define TRADEWIND_RUNTIME_INTAKE_H

#include "runtime/store.h"

#include <librdkafka/rdkafka.h>

struct intake;
struct relay;

/* What the owner of the intake says of a numbered record that is next. */
enum intake_answer {
    INTAKE_TAKE,      /* it is in the batch */
    INTAKE_ASK_AGAIN, /* it does not decode: ask for it once more, then it comes again as
                         last_chance */
    INTAKE_WAIT,      /* its schema is not known yet: show it again in a second, for 30 s */
};

struct intake_record {
    rd_kafka_message_t *message;
    size_t topic; /* index in the options */
    int32_t partition;
    uint64_t number;   /* 0: none, outside the sequence */
    bool waited;       /* its schema was waited for long enough */
    bool last_chance;  /* do not ask again: take it or set it aside */
    struct mark after; /* the position and mark to store with it */
    void *decoded;     /* the owner's */
};

struct intake_options {
    const char *brokers;
    const char *group;
    const char *instance;
    const char *const *topics;
    const char *const *sources; /* the writer of each topic, as in control records */
    size_t topic_count;
    int32_t partitions;
    const char *lead_topic; /* NULL: by the group */
    int wake_fd;            /* an eventfd that is written when records arrive */
    int patience_ms;        /* see struct kafka_consumer_options */
    struct store *store;
    struct relay *relay; /* to say NACK with */
    void *context;
    /* Look at a record before it is taken (decode it). */
    enum intake_answer (*look)(void *context, struct intake_record *record);
    /* Partitions were taken over / lost; records that were not committed are forgotten before. */
    enum err_kind (*assigned)(void *context, const struct mark *marks, size_t count,
                              struct err *err);
    void (*lost)(void *context, const struct mark *marks, size_t count);
    /* True when the process shall end: taking over does not wait any longer then. */
    bool (*stopping)(void *context);
};

enum err_kind intake_start(struct intake **out, const struct intake_options *options,
                           struct err *err);
void intake_stop(struct intake *intake);

/**
 * Fill records with what waits, up to max and max_bytes, without waiting. *more: there is more.
 * The records are given until intake_done.
 * Errors  ERR_STOP: the group refuses this instance, or the client is broken
 */
enum err_kind intake_poll(struct intake *intake, struct intake_record *records, size_t max,
                          size_t max_bytes, size_t *count, bool *more, struct err *err);
/** The records are committed or set aside: free their messages. */
void intake_done(struct intake *intake, struct intake_record *records, size_t count);
/** Positions that were committed, for lag tools. */
void intake_committed(struct intake *intake, const struct mark *marks, size_t count);

/** The epoch that this instance holds of a partition; 0: not ours. */
int64_t intake_epoch(const struct intake *intake, size_t topic, int32_t partition);
/** Somebody else has the partition: read it no more until it is assigned again. */
void intake_fenced(struct intake *intake, size_t topic, int32_t partition);

/** How inputs are read from now on. A pause takes hold at once: what was read and is not in a batch
 * is read again when it ends. */
void intake_set_flow(struct intake *intake, const struct flow *flow);

/** About ten times a second: look back, ask for ends, say NACKs, commit offsets. */
enum err_kind intake_tick(struct intake *intake, int64_t now_ms, struct err *err);

bool intake_read_to_end_since(struct intake *intake, int32_t partition, int64_t since_ms);
int64_t intake_silence_ms(const struct intake *intake, const char *source);
/** True when partitions are assigned (or none is wanted by the group's other members, see count).
 */
bool intake_is_assigned(const struct intake *intake);
/** This instance owns the lead topic's partition. */
bool intake_leads(const struct intake *intake);

#endif
