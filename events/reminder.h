/* order.reminded tells an order in full, as order.created did: who decides on an order decides by
 * either. */
#ifndef TRADEWIND_EVENTS_REMINDER_H
#define TRADEWIND_EVENTS_REMINDER_H

#include "events/catalog.h"
#include "events/events_generated.h"

/** The order that an event tells in full; a view of the event. NULL: it is another event. */
const struct order_created *order_told_by(enum event_type type, const void *event);

#endif
