#include "saga/order_progress.h"

/* What each wait is for. A wait ends when every part it names has said one of its words. */
struct wait {
    uint32_t inventory;
    uint32_t payment;
    uint32_t fraud; /* 0: this wait does not ask fraud */
};

static const struct wait verdicts = {
    .inventory = HEARD_INVENTORY_RESERVED,
    .payment = HEARD_PAYMENT_AUTHORIZED,
    .fraud = HEARD_FRAUD_CLEARED,
};

static const struct wait fulfilment = {
    .inventory = HEARD_INVENTORY_COMMITTED,
    .payment = HEARD_PAYMENT_CAPTURED,
};

static const struct wait undoing = {
    .inventory = HEARD_INVENTORY_REJECTED | HEARD_INVENTORY_RELEASED,
    .payment = HEARD_PAYMENT_DECLINED | HEARD_PAYMENT_VOIDED | HEARD_PAYMENT_REFUNDED,
};

static unsigned waits_for(const struct wait *wait, uint32_t heard)
{
    unsigned parts = 0;

    if ((wait->inventory & heard) == 0)
        parts |= 1u << PART_INVENTORY;
    if ((wait->payment & heard) == 0)
        parts |= 1u << PART_PAYMENT;
    if (wait->fraud != 0 && (wait->fraud & heard) == 0)
        parts |= 1u << PART_FRAUD;
    return parts;
}

unsigned order_progress_waits_for(struct order_progress progress)
{
    switch (progress.state) {
    case ORDERS_PLACED:
        return waits_for(&verdicts, progress.heard);
    case ORDERS_CONFIRMED:
        return waits_for(&fulfilment, progress.heard);
    case ORDERS_CANCELLED:
        return waits_for(&undoing, progress.heard);
    case ORDERS_NONE:
    case ORDERS_FULFILLED:
    case ORDERS_CLOSED:
        return 0;
    }
    return 0;
}

static enum saga_guard guard_of(struct order_progress progress)
{
    bool all = order_progress_waits_for(progress) == 0;

    switch (progress.state) {
    case ORDERS_PLACED:
        return all ? GUARD_ALL_YES : GUARD_VERDICT_MISSING;
    case ORDERS_CONFIRMED:
        return all ? GUARD_ALL_FULFILLED : GUARD_HALF_FULFILLED;
    case ORDERS_CANCELLED:
        return all ? GUARD_ALL_UNDONE : GUARD_HALF_UNDONE;
    case ORDERS_NONE:
    case ORDERS_FULFILLED:
    case ORDERS_CLOSED:
        return GUARD_ALWAYS;
    }
    return GUARD_ALWAYS;
}

uint32_t order_progress_hear(uint32_t heard, enum event_type type)
{
    static const uint32_t bits[EVENT_COUNT] = {
#define HEARD(bit, event) [EVENT_##event] = HEARD_##event,
#include "saga/table.def"
    };

    return type < EVENT_COUNT ? heard | bits[type] : heard;
}

struct order_move order_progress_step(struct order_progress before, enum saga_trigger trigger)
{
    struct order_progress after = {
        .state = before.state,
        .heard = order_progress_hear(before.heard, saga_event_of(trigger)),
    };
    const struct saga_step *step = saga_step(PART_ORDERS, before.state, trigger, guard_of(after));

    if (step == NULL)
        return (struct order_move){.step = NULL, .after = before};
    after.state = (enum saga_orders_state)step->next;
    return (struct order_move){.step = step, .after = after};
}
