/* The events of a few keys, read from the beginning of their partitions. */
#ifndef TRADEWIND_REPLAY_KEY_EVENTS_H
#define TRADEWIND_REPLAY_KEY_EVENTS_H

#include "ops/replay/shadow.h"

/* A record that is kept, with its event. */
struct key_event {
    enum topic topic;
    int32_t partition;
    int64_t offset;
    int64_t stored_ms;
    uint64_t number;
    struct view headers, value; /* as they lie in the topic */
    struct envelope envelope;
    struct event event;
};

/* How far each topic is read: up to the shadow's position, or to the end now. */
struct key_events_until {
    const struct log_reader *position; /* NULL: to the ends */
    int64_t time_ms;                   /* no record later than that; 0: any */
};

/**
 * All events of the keys, key by key, each key's in the order of their time; one never stands
 * before an earlier one of its topic, nor before its cause. What is no event is left out.
 *
 * *out  array in arena
 */
enum err_kind key_events_read(struct key_event **out, size_t *count, const char *brokers,
                              const enum topic *topics, size_t topic_count, int32_t partitions,
                              const struct key_events_until *until, const struct view *keys,
                              size_t key_count, const struct schema_ids *ids, struct arena *arena,
                              struct err *err);

/** Make the shadow's rows of these keys anew, at its position, without what is set aside now. */
enum err_kind key_events_fold_again(struct shadow *shadow, const struct view *keys, size_t count,
                                    struct err *err);

#endif
