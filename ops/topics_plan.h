/* What lies between the topics that are declared and those that the broker has: pure. */
#ifndef TRADEWIND_OPS_TOPICS_PLAN_H
#define TRADEWIND_OPS_TOPICS_PLAN_H

#include "ops/topics_admin.h"

enum topic_step_kind {
    TOPIC_STEP_MAKE,
    TOPIC_STEP_SET,     /* a setting */
    TOPIC_STEP_GROW,    /* partitions are added */
    TOPIC_STEP_REFUSED, /* it will not be done: why says why */
};

struct topic_step {
    enum topic_step_kind kind;
    const struct declared_topic *topic;
    const struct found_topic *found;
    const char *what;      /* "partitions", "retention.ms", "the topic" */
    const char *is, *want; /* as texts */
    const char *why;       /* of a refusal */
};

/** The steps in the order of the topics; *out lives in the arena. */
size_t topics_plan(struct topic_step **out, const struct declared_topic *topics,
                   const struct found_topic *found, size_t count, struct arena *arena);

/** "make", "set", "grow", "refused". */
const char *topic_step_name(enum topic_step_kind kind);

#endif
