/* Inside the intake: what its files share. Elsewhere runtime/intake.h is enough.
 *
 *     intake.c          its client, polling, what others ask and tell it
 *     intake_lanes.c    partitions that come and go, and from where each is fetched
 *     intake_records.c  one message: a record that is next, a repeat, a gap, something else
 *     intake_tick.c     what time brings: looking back, asking the writer, telling the group */
#ifndef TRADEWIND_RUNTIME_INTAKE_PARTS_H
#define TRADEWIND_RUNTIME_INTAKE_PARTS_H

#include "runtime/delivery.h"
#include "runtime/intake.h"
#include "runtime/kafka.h"
#include "runtime/metrics.h"

#define SPEAKERS_MAX 16

/* One input partition. */
struct lane {
    bool assigned;
    int64_t epoch;
    struct receiver receiver;
    int64_t stored_offset;  /* what lies below is in the store */
    int64_t told_offset;    /* that the group has of it, for lag tools; -1: none of ours */
    int64_t strangers_from; /* records without a number below it were set aside before */
    int64_t fenced_at_ms;   /* 0: not fenced */
    bool ask_end;
    struct metric *high_water;
};

struct speaker {
    char name[64];
    int64_t heard_ms;
};

struct intake {
    struct intake_options options;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct lane *lanes; /* topic_count * partitions */
    bool leads, assigned;
    uint64_t assignment;  /* counts rebalances: records of an older one are forgotten */
    bool assign_again;    /* a partition has to be fetched from somewhere else */
    bool join_again;      /* the client is fenced: another one has to join the group */
    int64_t fenced_at_ms; /* see kafka_judge_fence */
    struct speaker speakers[SPEAKERS_MAX];
    int64_t commit_at_ms, ends_at_ms;
    struct flow flow;
    int64_t credit, credit_at_ms; /* thousandths of records that a throttle lets through */
    struct arena arena;
    struct err failed;
};

extern struct metric intake_read_total, intake_duplicates_total, intake_gaps_total,
    intake_nacks_total;

static inline struct lane *lane_of(const struct intake *intake, size_t topic, int32_t partition)
{
    return &intake->lanes[topic * (size_t)intake->options.partitions + (size_t)partition];
}

/** The index of the input topic of this name; false: it is none. */
bool intake_topic(const struct intake *intake, const char *name, size_t *out);

/* --- intake_lanes.c --------------------------------------------------------------------------- */

/** rd_kafka_consumer_poll calls it, on the worker's thread. opaque is the intake. */
void intake_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque);
/** None is ours any more; the worker hears which they were. */
void intake_forget_lanes(struct intake *intake);
/**
 * Fetch all lanes again from where they stand; during a pause none. A partition whose offset was
 * out of range is no longer fetched at all and refuses a seek; only an assignment starts it again.
 */
void intake_assign_positions(struct intake *intake);

/* --- intake_records.c ------------------------------------------------------------------------- */

/**
 * One message. *taken: it became *record; else it is the caller's to destroy.
 *
 * Errors  ERR_STOP: this instance cannot go on
 */
enum err_kind intake_take_message(struct intake *intake, rd_kafka_message_t *message,
                                  struct intake_record *record, bool *taken, struct err *err);

/* --- intake_tick.c ---------------------------------------------------------------------------- */

/** Tell the group how far the store is, for lag tools. */
void intake_commit_offsets(struct intake *intake);

#endif
