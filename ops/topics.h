/* The topics that have to be there, and how: what `tradewind topics` makes and checks.
 *
 * Declared are the event topics of events/catalog.def, the topics that parts use among themselves,
 * and a dead-letter topic for each topic that a part consumes (docker/compose.yaml). */
#ifndef TRADEWIND_OPS_TOPICS_H
#define TRADEWIND_OPS_TOPICS_H

#include "runtime/arena.h"

#define TOPIC_FOREVER "-1"

struct declared_topic {
    const char *name;
    int32_t partitions;
    const char *retention_ms; /* TOPIC_FOREVER, or milliseconds */
    const char *holds;        /* for people */
};

/** All of them; *out lives in the arena. partitions: of each event topic. */
size_t topics_declared(struct declared_topic **out, int32_t partitions, struct arena *arena);

#endif
