/* An event as those see it who react to it or fold it. */
#ifndef TRADEWIND_EVENTS_EVENT_H
#define TRADEWIND_EVENTS_EVENT_H

#include "events/envelope.h"
#include "events/events_generated.h"

/* data is the generated struct of its type. Lives as long as what it was read from: in a part, the
 * unit of work. */
struct event {
    enum event_type type;
    const void *data;
    const struct envelope *envelope; /* id, subject (the key), number, time, correlation */
    int32_t shard;
    bool redriven; /* out of the dead letters: later than its neighbours */
};

#endif
