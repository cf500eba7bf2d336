#include "consumers/payment/payment_decide.h"

#include <assert.h>

const char *payment_call_name(enum payment_call call)
{
    static const char *const names[CALL_COUNT] = {
        [CALL_NONE] = "",     [CALL_AUTHORIZE] = "authorize", [CALL_CAPTURE] = "capture",
        [CALL_VOID] = "void", [CALL_REFUND] = "refund",
    };

    return call < CALL_COUNT ? names[call] : "unknown";
}

enum saga_payment_state payment_state(const struct payment_memory *memory)
{
    bool cancelled = (memory->seen & SEEN_CANCELLED) != 0;

    switch (memory->owed) {
    case CALL_AUTHORIZE:
        return cancelled ? PAYMENT_WITHDRAWING : PAYMENT_ASKING;
    case CALL_CAPTURE:
        return cancelled ? PAYMENT_REVERSING : PAYMENT_CAPTURING;
    case CALL_VOID:
        return PAYMENT_VOIDING;
    case CALL_REFUND:
        return PAYMENT_REFUNDING;
    case CALL_NONE:
    case CALL_COUNT:
        break;
    }
    return memory->settled;
}

enum saga_trigger payment_trigger_of_answer(enum payment_call call, bool yes)
{
    if (call == CALL_VOID || call == CALL_REFUND)
        return TRIGGER_PROVIDER_DONE;
    return yes ? TRIGGER_PROVIDER_YES : TRIGGER_PROVIDER_NO;
}

static bool is_answer(enum saga_trigger trigger)
{
    return trigger == TRIGGER_PROVIDER_YES || trigger == TRIGGER_PROVIDER_NO ||
           trigger == TRIGGER_PROVIDER_DONE;
}

unsigned payment_seen_by(enum saga_trigger trigger)
{
    switch ((int)trigger) {
    case TRIGGER_ORDER_CREATED:
        return SEEN_CREATED;
    case TRIGGER_ORDER_CONFIRMED:
        return SEEN_CONFIRMED;
    case TRIGGER_ORDER_CANCELLED:
        return SEEN_CANCELLED;
    default:
        return 0; /* order.closed and order.reminded ask for nothing that has to be remembered */
    }
}

static enum payment_call call_of(enum saga_action action)
{
    switch ((int)action) {
    case ACTION_ASK:
        return CALL_AUTHORIZE;
    case ACTION_CAPTURE:
        return CALL_CAPTURE;
    case ACTION_VOID:
        return CALL_VOID;
    case ACTION_REFUND:
        return CALL_REFUND;
    default:
        return CALL_NONE;
    }
}

/* What has been published is the state, but for an order.cancelled without its order.created: its
 * payment.voided leaves a tombstone. */
static enum saga_payment_state settled_by(const struct saga_step *step)
{
    switch ((int)step->publishes) {
    case EVENT_PAYMENT_AUTHORIZED:
        return PAYMENT_AUTHORIZED;
    case EVENT_PAYMENT_DECLINED:
        return PAYMENT_DECLINED;
    case EVENT_PAYMENT_CAPTURED:
        return PAYMENT_CAPTURED;
    case EVENT_PAYMENT_FAILED:
        return PAYMENT_FAILED;
    case EVENT_PAYMENT_REFUNDED:
        return PAYMENT_REFUNDED;
    case EVENT_PAYMENT_VOIDED:
        return step->next == PAYMENT_TOMBSTONE ? PAYMENT_TOMBSTONE : PAYMENT_VOIDED;
    default:
        return PAYMENT_NONE;
    }
}

enum err_kind payment_decide(struct payment_decision *out, const struct payment_memory *memory,
                             enum saga_trigger trigger, struct view order_id, struct err *err)
{
    enum saga_payment_state state = payment_state(memory);
    const struct saga_step *step = saga_step(PART_PAYMENT, (int)state, trigger, GUARD_ALWAYS);

    if (step == NULL) {
        const struct saga_impossible *why = saga_impossible(PART_PAYMENT, (int)state, trigger);

        return err_set(err, ERR_REJECT, "payment of order %.*s is %s: %s is impossible (%s)",
                       VIEW_PRINT(order_id), saga_state_name(PART_PAYMENT, (int)state),
                       saga_trigger_name(trigger),
                       why != NULL ? why->because : "the saga table does not know it");
    }
    *out = (struct payment_decision){.step = step, .next = *memory, .call = call_of(step->action)};
    out->next.seen |= payment_seen_by(trigger);
    if (is_answer(trigger))
        out->next.owed = CALL_NONE;
    if (out->call != CALL_NONE)
        out->next.owed = out->call;
    if (out->call == CALL_AUTHORIZE) /* asked by order.created, or by the reminder of it */
        out->next.seen |= SEEN_CREATED;
    if (step->publishes != EVENT_NONE)
        out->next.settled = settled_by(step);
    assert((int)payment_state(&out->next) == step->next);
    return ERR_OK;
}
