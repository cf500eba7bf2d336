#include "runtime/kafka_fence.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#define FENCE_FORGIVEN_MS 60000

void kafka_drop_consumer(rd_kafka_t *client)
{
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

enum kafka_fence kafka_judge_fence(rd_kafka_t *client, const rd_kafka_message_t *message,
                                   const char *group, int64_t *fenced_at_ms)
{
    int64_t now_ms = clock_monotonic_ms(), before_ms = *fenced_at_ms;
    rd_kafka_resp_err_t code = message->err;
    char why[256];

    if (code == RD_KAFKA_RESP_ERR__FATAL)
        code = rd_kafka_fatal_error(client, why, sizeof why);
    if (code != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return KAFKA_NOT_FENCED;
    *fenced_at_ms = now_ms;
    if (before_ms > 0 && now_ms - before_ms < FENCE_FORGIVEN_MS)
        return KAFKA_FENCED;
    LOG_WARN("group_fenced", "the group has another member under our name: joining it anew",
             log_str("group", group));
    return KAFKA_FENCE_FORGIVEN;
}
