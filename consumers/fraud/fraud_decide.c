#include "consumers/fraud/fraud_decide.h"

static enum err_kind impossible(const struct fraud_question *question, struct err *err)
{
    enum saga_trigger trigger = saga_trigger_of(question->type);
    const struct saga_impossible *why = saga_impossible(PART_FRAUD, (int)question->state, trigger);

    return err_set(err, ERR_REJECT, "fraud has order %.*s as %s: %s is impossible (%s)",
                   VIEW_PRINT(question->order_id),
                   saga_state_name(PART_FRAUD, (int)question->state), saga_trigger_name(trigger),
                   why != NULL ? why->because : "the saga table does not know the pair");
}

static void make_event(struct fraud_decision *out, const struct fraud_question *question,
                       int32_t threshold)
{
    const struct fraud_cleared cleared = {
        .order_id = question->order_id,
        .customer_id = question->created->customer_id,
        .score = out->score.score,
        .threshold = threshold,
        .reasons = out->score.reasons,
        .reasons_count = out->score.reason_count,
        .occurred_at = question->now_us,
    };

    if (out->publishes == EVENT_FRAUD_CLEARED)
        out->event.cleared = cleared;
    else
        out->event.flagged = (struct fraud_flagged){
            .order_id = cleared.order_id,
            .customer_id = cleared.customer_id,
            .score = cleared.score,
            .threshold = cleared.threshold,
            .reasons = cleared.reasons,
            .reasons_count = cleared.reasons_count,
            .occurred_at = cleared.occurred_at,
        };
}

enum err_kind fraud_decide(struct fraud_decision *out, const struct fraud_question *question,
                           const struct fraud_limits *limits, struct arena *arena, struct err *err)
{
    enum saga_guard guard = GUARD_ALWAYS;
    const struct saga_step *step;

    if (question->created != NULL) {
        fraud_score_order(&out->score, question->created, question->earlier_orders, limits, arena);
        guard = out->score.score >= limits->threshold ? GUARD_SCORE_REACHED : GUARD_SCORE_BELOW;
    }
    step = saga_step(PART_FRAUD, (int)question->state, saga_trigger_of(question->type), guard);
    if (step == NULL || (step->publishes != EVENT_NONE && question->created == NULL))
        return impossible(question, err); /* a verdict is about an order that was seen */
    out->next = (enum saga_fraud_state)step->next;
    out->publishes = step->publishes;
    if (step->publishes != EVENT_NONE)
        make_event(out, question, limits->threshold);
    return ERR_OK;
}
