/* Records without a number: somebody else's, outside the sequence. They change no state, so a
 * shadow knows nothing of them; the part has set them aside, and after a loss they are dead letters
 * again, but for those that an operator has dropped. */
#ifndef TRADEWIND_REPLAY_STRANGERS_H
#define TRADEWIND_REPLAY_STRANGERS_H

#include "ops/replay/dropped.h"

struct stranger {
    enum topic topic;
    int32_t partition;
    int64_t offset, time_ms;
    struct view key, headers, value;
    const char *error; /* why it is none of ours */
};

struct strangers {
    struct stranger *list; /* in arena */
    size_t count, capacity;
    struct arena *arena;
};

/**
 * Those that lie before the position in a part's inputs. Reads these topics from their beginnings.
 *
 * out      its arena is set; the rest is zero
 * Errors   as log_reader_run
 */
enum err_kind strangers_read(struct strangers *out, const struct log_reader *position,
                             const char *part, const enum topic *inputs, size_t input_count,
                             const struct schema_ids *ids, struct err *err);

#endif
