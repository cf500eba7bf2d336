/* "Up to where": a time, or the position of an event. */
#ifndef TRADEWIND_REPLAY_UNTIL_H
#define TRADEWIND_REPLAY_UNTIL_H

#include "ops/replay/log_reader.h"

struct until {
    int64_t time_ms;  /* 0: none; inclusive */
    enum topic topic; /* of a position; TOPIC_NONE: a time */
    int32_t partition;
    uint64_t number;
};

/** "2026-11-21T10:00:00Z", or "orders/7/42": that event and, elsewhere, all that is not later.
 *  Errors  ERR_REJECT: neither, or a time to come */
enum err_kind until_parse(struct until *out, const char *text, struct err *err);

/** Set the ends of a reader's places.
 *  Errors  ERR_REJECT: the position is past the topic's end, or before where a place stands */
enum err_kind until_aim(struct until *until, struct log_reader *reader, struct err *err);

#endif
