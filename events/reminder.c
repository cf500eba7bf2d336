#include "events/reminder.h"

const struct order_created *order_told_by(enum event_type type, const void *event)
{
    const struct order_reminded *reminded = event;

    if (type == EVENT_ORDER_CREATED)
        return event;
    return type == EVENT_ORDER_REMINDED ? &reminded->order : NULL;
}
