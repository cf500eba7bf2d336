/* What the broker says of groups and logs: librdkafka's admin calls, each made to wait for its
 * answer. */
#ifndef TRADEWIND_OPS_GROUP_KAFKA_H
#define TRADEWIND_OPS_GROUP_KAFKA_H

#include "ops/group.h"

/** The names of the groups that the broker knows. Errors  ERR_RETRY, as of all here */
enum err_kind group_kafka_names(rd_kafka_t *client, const char ***names, size_t *count,
                                struct arena *arena, struct err *err);
/** State and members into out, and who has which of out's places. */
enum err_kind group_kafka_describe(rd_kafka_t *client, struct group *out, struct arena *arena,
                                   struct err *err);
/** What the group has committed: gives a list (rd_kafka_topic_partition_list_destroy). */
enum err_kind group_kafka_committed(rd_kafka_t *client, const char *group,
                                    rd_kafka_topic_partition_list_t **out, struct err *err);
/** Commit offsets for a group that has no members. Errors  ERR_REJECT: it has, or the broker
 * refuses otherwise */
enum err_kind group_kafka_alter(rd_kafka_t *client, const char *group,
                                const rd_kafka_topic_partition_list_t *offsets, struct err *err);
/** Ends and beginnings of the logs of places. */
enum err_kind group_kafka_ends(rd_kafka_t *client, struct group_place *places, size_t count,
                               struct err *err);

/* Some records of one partition, to be looked at. */
struct group_look {
    const char *topic;
    const char *writer; /* the part whose topic it is */
    int32_t partition;
    int64_t from, until; /* offsets; nothing when from is not below until */
    uint64_t highest;    /* number among them */
    int64_t time_ms;     /* of the first of them; -1: none was there */
    bool done;
};

enum err_kind group_kafka_look(rd_kafka_t *client, struct group_look *looks, size_t count,
                               struct err *err);

#endif
