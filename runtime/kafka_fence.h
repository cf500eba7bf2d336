/* A member of a group that is told that somebody else has its name. */
#ifndef TRADEWIND_RUNTIME_KAFKA_FENCE_H
#define TRADEWIND_RUNTIME_KAFKA_FENCE_H

#include "runtime/kafka.h"

/** Drop a client at once, without a word to its group. */
void kafka_drop_consumer(rd_kafka_t *client);

/**
 * Whether message says that the group has another member under our instance name. The client is of
 * no use then: drop it.
 *
 * That member may be ourselves (docs/decisions/a-fence-of-our-own.md): a broker that went down with
 * its answer to our joining keeps a member that we never heard of. Joining anew puts an end to it,
 * so the first fence is forgiven; a second within a minute is another process.
 *
 * fenced_at_ms   of this member of the group, 0 at first
 */
enum kafka_fence {
    KAFKA_NOT_FENCED,
    KAFKA_FENCE_FORGIVEN, /* make another client; it is logged */
    KAFKA_FENCED,         /* leave */
};
enum kafka_fence kafka_judge_fence(rd_kafka_t *client, const rd_kafka_message_t *message,
                                   const char *group, int64_t *fenced_at_ms);

#endif
