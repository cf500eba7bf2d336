/* Where a group's offsets would be set to: every way that Kafka's own kafka-consumer-groups
 * --reset-offsets knows, planned first and then done. */
#ifndef TRADEWIND_OPS_GROUP_RESET_H
#define TRADEWIND_OPS_GROUP_RESET_H

#include "ops/args.h"
#include "ops/group.h"

enum reset_to {
    RESET_EARLIEST,
    RESET_LATEST,
    RESET_CURRENT,  /* what is committed; the end where nothing is */
    RESET_DATETIME, /* the first record at or after time_ms; the end when there is none */
    RESET_SHIFT,    /* what is committed, moved by number */
    RESET_OFFSET,   /* number */
    RESET_FILE,     /* rows of csv */
};

/* Beyond the log's ends there is nothing to read: an offset is moved to the nearer end. */
struct reset_wish {
    enum reset_to to;
    int64_t time_ms;
    int64_t number;
    const char *file;
    struct arg_list topics; /* "shop.orders.v1" or "shop.orders.v1:0,3"; none: see all_topics */
    bool all_topics;        /* those that the group has offsets of, or its part reads */
};

struct reset_step {
    const char *topic;
    int32_t partition;
    int64_t from; /* -1: nothing was committed */
    int64_t to;
};

struct reset_plan {
    const char *group;
    struct reset_step *steps; /* sorted by topic, partition */
    size_t count;
};

/**
 * What the wish means for a group.
 * Errors  ERR_REJECT: there is no such group, topic or partition, it has members, nothing is
 * chosen, the file is none; ERR_RETRY: no broker answers
 */
enum err_kind reset_plan(struct reset_plan *out, struct groups *groups, const char *group,
                         const struct reset_wish *wish, struct arena *arena, struct err *err);

/** Do it. Errors  ERR_REJECT: somebody joined meanwhile, and what the broker says */
enum err_kind reset_carry_out(struct groups *groups, const struct reset_plan *plan,
                              struct err *err);

#endif
