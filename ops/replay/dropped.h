/* Dead letters that an operator has dropped: the part does without them for ever, and its state
 * shows nothing of that. Its topic of what operators do tells which they were. */
#ifndef TRADEWIND_REPLAY_DROPPED_H
#define TRADEWIND_REPLAY_DROPPED_H

#include "ops/replay/shadow.h"

/** Add to inputs what was dropped of a part's numbered inputs, to strangers what had no number.
 *  Either may be NULL.
 *  Errors  ERR_RETRY: the broker is silent */
enum err_kind dropped_read(struct asides *inputs, struct asides *strangers, const char *brokers,
                           const char *part, int32_t partitions, const struct schema_ids *ids,
                           struct err *err);

/** What stands for the number of a stranger's record at that offset. */
static inline uint64_t dropped_stranger(int64_t offset)
{
    return (uint64_t)offset + 1;
}

#endif
