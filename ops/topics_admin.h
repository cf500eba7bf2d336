/* Topics as the broker has them, through librdkafka's Admin API. */
#ifndef TRADEWIND_OPS_TOPICS_ADMIN_H
#define TRADEWIND_OPS_TOPICS_ADMIN_H

#include "ops/topics.h"
#include "runtime/err.h"

struct found_setting {
    const char *name, *value;
    bool is_own; /* given for this topic, no default of the broker's */
};

/* What the broker says of one declared topic. */
struct found_topic {
    int32_t partitions; /* 0: there is no such topic */
    const struct found_setting *settings;
    size_t setting_count;
};

/** NULL: the broker knows no setting of this name. */
const char *found_setting(const struct found_topic *found, const char *name);

struct topics_admin;

/** gives *out (topics_admin_close). Errors  ERR_STOP: the address makes no sense; no broker is
 * asked yet. */
enum err_kind topics_admin_open(struct topics_admin **out, const char *brokers, struct err *err);
void topics_admin_close(struct topics_admin *admin);
CLEANUP(topics_admin_close, struct topics_admin *)

/** Look up topics; found has one entry for each, with its settings in arena. Errors  ERR_RETRY: no
 * broker answers */
enum err_kind topics_find(struct topics_admin *admin, const struct declared_topic *topics,
                          size_t count, struct found_topic *found, struct arena *arena,
                          struct err *err);

/**
 * Make topics that are not there. A topic that somebody else made meanwhile is no error.
 * Errors  ERR_RETRY: no broker answers; ERR_REJECT: the broker refused one, named
 */
enum err_kind topics_make(struct topics_admin *admin, const struct declared_topic *topics,
                          size_t count, struct err *err);

/** Give a topic the settings that are declared; others that it has stay. Errors  as topics_make */
enum err_kind topics_set(struct topics_admin *admin, const struct declared_topic *topic,
                         const struct found_topic *found, struct err *err);
/** Add the partitions that are declared and not there. Errors  as topics_make */
enum err_kind topics_grow(struct topics_admin *admin, const struct declared_topic *topic,
                          struct err *err);

#endif
