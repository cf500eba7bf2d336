/* A consumer group as an operator sees it: who is in it, and where it stands.
 *
 * The group of a part stands in two places. Kafka has the offsets it has committed, for tools; the
 * part has the highest number that it applied of each source and shard, and that is the truth. A
 * group of somebody else has offsets only. */
#ifndef TRADEWIND_OPS_GROUP_H
#define TRADEWIND_OPS_GROUP_H

#include "ops/parts.h"
#include "runtime/arena.h"
#include "runtime/err.h"

#include <librdkafka/rdkafka.h>

struct group_member {
    const char *name; /* its instance; else what it calls itself */
    const char *host;
    size_t partitions;
};

/* One partition of a topic that the group reads. */
struct group_place {
    const char *topic;
    int32_t partition;
    const char *member; /* NULL: nobody has it */
    int64_t low, end;   /* offsets of the log */
    int64_t committed;  /* offset; -1: none */
    /* Of a part that answers: */
    bool is_counted;
    uint64_t applied;    /* number */
    uint64_t published;  /* highest number in the log */
    int64_t next_offset; /* where the part reads on; -1: from the beginning */
    /* Of all: */
    int64_t lag;       /* records that are not applied, or not committed */
    int64_t behind_us; /* how long the first of them lies there; 0: none does */
};

struct group {
    const char *name;
    const struct ops_part *part; /* NULL: not the group of a part */
    const char *state;           /* in Kafka's words: "Stable", "Empty", "Dead" (there is none) */
    struct group_member *members;
    size_t member_count;
    struct group_place *places; /* sorted by topic, partition */
    size_t place_count, place_capacity;
    /* Of a part that answers: */
    bool is_known;
    bool paused;
    int64_t rate_per_s; /* 0: as many as come */
    const char *changed_at;
    const char *unknown; /* why it is not known */
};

struct groups; /* a client of the broker */

/** gives *out (groups_close). Errors  ERR_STOP: the brokers' address makes no sense */
enum err_kind groups_open(struct groups **out, const char *brokers, int32_t partitions,
                          const char *token, struct err *err);
void groups_close(struct groups *groups);
CLEANUP(groups_close, struct groups *)

/** Its client, for what is asked of the broker beside. */
rd_kafka_t *groups_client(struct groups *groups);

/** The names of all groups of the cluster, sorted, those of parts among them also when the broker
 * does not know them. Errors  ERR_RETRY */
enum err_kind groups_names(struct groups *groups, const char ***names, size_t *count,
                           struct arena *arena, struct err *err);

/** Its members and what it has committed, without asking its part. Errors as group_read. */
enum err_kind group_read_offsets(struct group *out, struct groups *groups, const char *name,
                                 struct arena *arena, struct err *err);
/** Where a group stands: members, offsets, and what its part says. Errors  ERR_RETRY: no broker
 * answers. A part that does not answer is no error. */
enum err_kind group_read(struct group *out, struct groups *groups, const char *name,
                         struct arena *arena, struct err *err);

/** Somebody knows it: the broker, or the list of parts. */
bool group_exists(const struct group *group);
bool group_is_active(const struct group *group);
int64_t group_lag(const struct group *group);
int64_t group_behind_us(const struct group *group);

#endif
