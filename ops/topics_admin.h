/* Topics as the broker has them, through librdkafka's Admin API. */
#ifndef TRADEWIND_OPS_TOPICS_ADMIN_H
#define TRADEWIND_OPS_TOPICS_ADMIN_H

#include "ops/topics.h"
#include "runtime/err.h"

/* What the broker says of one declared topic. */
struct found_topic {
    int32_t partitions; /* 0: there is no such topic */
    char retention_ms[24];
    char cleanup_policy[32];
};

struct topics_admin;

/** gives *out (topics_admin_close). Errors  ERR_STOP: the address makes no sense; no broker is
 * asked yet. */
enum err_kind topics_admin_open(struct topics_admin **out, const char *brokers, struct err *err);
void topics_admin_close(struct topics_admin *admin);
CLEANUP(topics_admin_close, struct topics_admin *)

/** Look up topics; found has one entry for each. Errors  ERR_RETRY: no broker answers */
enum err_kind topics_find(struct topics_admin *admin, const struct declared_topic *topics,
                          size_t count, struct found_topic *found, struct err *err);

/**
 * Make topics that are not there. A topic that somebody else made meanwhile is no error.
 * Errors  ERR_RETRY: no broker answers; ERR_REJECT: the broker refused one, named
 */
enum err_kind topics_make(struct topics_admin *admin, const struct declared_topic *topics,
                          size_t count, struct err *err);

#endif
