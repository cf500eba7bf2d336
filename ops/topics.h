/* The topics that have to be there, and how: what `tradewind topics` plans, applies and verifies.
 *
 * Declared are the event topics of events/catalog.def, the topics that parts use among themselves,
 * and a dead-letter topic for each topic that a part consumes (docker/compose.yaml). A file may
 * take their place, to add to them and to say more of them; `topics list --json` writes it. */
#ifndef TRADEWIND_OPS_TOPICS_H
#define TRADEWIND_OPS_TOPICS_H

#include "runtime/arena.h"
#include "runtime/err.h"

#define TOPIC_FOREVER "-1"
#define TOPIC_SETTINGS_MAX 16

struct topic_setting {
    const char *name, *value; /* "retention.ms", "-1" */
};

struct declared_topic {
    const char *name;
    int32_t partitions;
    struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t setting_count;
    const char *fixed; /* why partitions are never added in place; NULL: they may be */
    const char *holds; /* for people */
};

/** All of them; *out lives in the arena. partitions: of each event topic. */
size_t topics_declared(struct declared_topic **out, int32_t partitions, struct arena *arena);

/** A topic of events of this name, not yet said with how many partitions. */
struct declared_topic topic_kept_for_ever(const char *name);

/** NULL: it has no such setting. */
const char *topic_setting(const struct declared_topic *topic, const char *name);

/** What a file declares instead, in the form that `topics list --json` writes.
 *  Errors  ERR_STOP: the file cannot be read; ERR_REJECT: it is none, and where */
enum err_kind topics_from_file(struct declared_topic **out, size_t *count, const char *path,
                               int32_t partitions, struct arena *arena, struct err *err);

#endif
