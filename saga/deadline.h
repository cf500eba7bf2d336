/* When a placed order's time is up. Pure: the caller has the clock, which is monotonic.
 *
 * That the time has passed is not enough: a verdict may lie unread behind an outage of the broker
 * or a backlog of ours, and cancelling then would punish the customer for our delay. So the
 * deadline fires only when every verdict partition was read to its end *after* the moment of the
 * deadline. */
#ifndef TRADEWIND_SAGA_DEADLINE_H
#define TRADEWIND_SAGA_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* The parts whose verdict an order waits for. Their answers lie in one partition each. */
enum { DEADLINE_VERDICTS = 3 };

/**
 * The moment after which the verdicts are late; INT64_MAX: never.
 *
 * acknowledged_at_ms  when the broker acknowledged order.created to this process; after a takeover,
 *                     when it took over, so that the deadline runs in full again. Below 0: not yet
 * deadline_ms         order.created's, >= 0
 */
static inline int64_t deadline_moment_ms(int64_t acknowledged_at_ms, int64_t deadline_ms)
{
    if (acknowledged_at_ms < 0 || deadline_ms > INT64_MAX - acknowledged_at_ms)
        return INT64_MAX;
    return acknowledged_at_ms + deadline_ms;
}

/**
 * Whether a placed order is to be cancelled for its deadline.
 *
 * read_to_end_ms  the last moment at which each of the shard's verdict partitions was known to be
 *                 read to its end
 */
static inline bool deadline_has_passed(int64_t moment_ms,
                                       const int64_t read_to_end_ms[DEADLINE_VERDICTS])
{
    for (int i = 0; i < DEADLINE_VERDICTS; i++) {
        if (read_to_end_ms[i] <= moment_ms)
            return false;
    }
    return true;
}

#endif
