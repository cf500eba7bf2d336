#include "producers/orders/orders_decide.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Taking an order in --------------------------------------------------------------------- */

static bool refuse(struct refusal *refusal, const char *type, struct view pointer,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

static bool refuse(struct refusal *refusal, const char *type, struct view pointer,
                   const char *format, ...)
{
    va_list args;

    refusal->status = 422;
    refusal->type = type;
    refusal->pointer = pointer;
    va_start(args, format);
    vsnprintf(refusal->detail, sizeof refusal->detail, format, args);
    va_end(args);
    return false;
}

static int compare_sku(const void *key, const void *item)
{
    return view_compare(*(const struct view *)key, ((const struct price *)item)->sku);
}

static struct view line_pointer(struct arena *arena, size_t line, const char *member)
{
    return arena_printf(arena, "/lines/%zu/%s", line, member);
}

static enum line_kind kind_of_product(enum product_kind kind)
{
    return kind == PRODUCT_KIND_CHARGE ? LINE_KIND_CHARGE : LINE_KIND_GOODS;
}

/* The line at its price. A stated price comes from no event. */
static struct order_line price_line(const struct request_line *line, const struct price *price)
{
    bool stated = line->unit_price_minor >= 0;

    return (struct order_line){
        .sku = line->sku,
        .code = line->code,
        .kind = line->kind != LINE_KIND_UNKNOWN ? line->kind : kind_of_product(price->kind),
        .quantity = line->quantity,
        .unit_price_minor = stated ? line->unit_price_minor : price->unit_price_minor,
        .price_event = stated ? VIEW_NONE : price->event,
    };
}

static bool add_amount(int64_t *total_minor, const struct order_line *line)
{
    int64_t amount;

    return !__builtin_mul_overflow(line->quantity, line->unit_price_minor, &amount) &&
           !__builtin_add_overflow(*total_minor, amount, total_minor);
}

bool order_decide_place(struct order_created *out, const struct order_request *request,
                        const struct order_terms *terms, const struct price *prices,
                        size_t price_count, struct arena *arena, struct refusal *refusal)
{
    struct order_line *lines = arena_array(arena, request->line_count, sizeof *lines);
    int64_t total_minor = 0;

    for (size_t i = 0; i < request->line_count; i++) {
        const struct request_line *line = &request->lines[i];
        const struct price *price = price_count == 0 ? NULL
                                                     : bsearch(&line->sku, prices, price_count,
                                                               sizeof *prices, compare_sku);

        if (price == NULL || !price->sold)
            return refuse(refusal, "unknown-sku", line_pointer(arena, i, "sku"),
                          "SKU %.*s is not sold here", VIEW_PRINT(line->sku));
        if (!view_equal(price->currency, request->currency))
            return refuse(refusal, "currency-mismatch", line_pointer(arena, i, "sku"),
                          "SKU %.*s is sold in %.*s, the order is in %.*s", VIEW_PRINT(line->sku),
                          VIEW_PRINT(price->currency), VIEW_PRINT(request->currency));
        lines[i] = price_line(line, price);
        if (!add_amount(&total_minor, &lines[i]))
            return refuse(refusal, "amount-too-large", line_pointer(arena, i, "quantity"),
                          "the order's total is beyond %" PRId64 " minor units with this line",
                          INT64_MAX);
    }
    *out = (struct order_created){
        .order_id = terms->order_id,
        .customer_id = request->customer_id,
        .contact = request->contact,
        .country = request->country,
        .currency = request->currency,
        .lines = lines,
        .lines_count = request->line_count,
        .total_minor = total_minor,
        .payment_token = request->payment_token,
        .warehouse = request->warehouse,
        .idempotency_key = request->idempotency_key,
        .request_hash = request->request_hash,
        .deadline_ms = terms->deadline_ms,
        .ordered_at = request->ordered_at_us >= 0 ? request->ordered_at_us : terms->now_us,
        .occurred_at = terms->now_us,
    };
    return true;
}

/* --- Going on with it ----------------------------------------------------------------------- */

static enum cancel_reason reason_of(enum saga_trigger trigger)
{
    switch ((int)trigger) { /* few of all triggers cancel an order */
    case TRIGGER_INVENTORY_REJECTED:
        return CANCEL_REASON_OUT_OF_STOCK;
    case TRIGGER_PAYMENT_DECLINED:
        return CANCEL_REASON_PAYMENT_DECLINED;
    case TRIGGER_PAYMENT_FAILED:
        return CANCEL_REASON_PAYMENT_FAILED;
    case TRIGGER_FRAUD_FLAGGED:
        return CANCEL_REASON_FRAUD;
    case TRIGGER_CUSTOMER_CANCEL:
        return CANCEL_REASON_CUSTOMER;
    case TRIGGER_DEADLINE:
        return CANCEL_REASON_DEADLINE;
    default:
        return CANCEL_REASON_UNKNOWN;
    }
}

bool order_tells_in_full(enum saga_trigger trigger)
{
    return reason_of(trigger) != CANCEL_REASON_UNKNOWN || trigger == TRIGGER_OPERATOR_NUDGE;
}

static enum order_stage stage_of(enum saga_orders_state state)
{
    switch (state) {
    case ORDERS_PLACED:
        return ORDER_STAGE_PLACED;
    case ORDERS_CONFIRMED:
        return ORDER_STAGE_CONFIRMED;
    case ORDERS_FULFILLED:
        return ORDER_STAGE_FULFILLED;
    case ORDERS_NONE:
    case ORDERS_CANCELLED:
    case ORDERS_CLOSED:
        break;
    }
    return ORDER_STAGE_UNKNOWN;
}

static struct view shortage_detail(const struct inventory_rejected *rejected, struct arena *arena)
{
    const struct shortage *first = rejected->shortages;

    if (rejected->shortages_count == 0)
        return VIEW_LITERAL("");
    if (rejected->shortages_count == 1)
        return arena_printf(arena, "SKU %.*s: wanted %" PRId64 ", available %" PRId64,
                            VIEW_PRINT(first->sku), first->wanted, first->available);
    return arena_printf(arena, "SKU %.*s: wanted %" PRId64 ", available %" PRId64 " and %zu more",
                        VIEW_PRINT(first->sku), first->wanted, first->available,
                        rejected->shortages_count - 1);
}

static struct view fraud_detail(const struct fraud_flagged *flagged, struct arena *arena)
{
    return arena_printf(arena, "score %" PRId32 ", threshold %" PRId32, flagged->score,
                        flagged->threshold);
}

static struct view deadline_detail(const struct order *order, struct arena *arena)
{
    unsigned missing = order_progress_waits_for(order->progress);
    struct view text = VIEW_LITERAL("no answer in time from");

    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        if ((missing & 1u << part) != 0)
            text = arena_printf(arena, "%.*s %s", VIEW_PRINT(text), saga_part_name(part));
    }
    return text;
}

/* What a person who asks "why" is told behind the reason. */
static struct view detail_of(const struct order *order, const struct order_trigger *trigger,
                             struct arena *arena)
{
    switch ((int)trigger->trigger) {
    case TRIGGER_INVENTORY_REJECTED:
        return shortage_detail(trigger->event, arena);
    case TRIGGER_PAYMENT_DECLINED:
        return ((const struct payment_declined *)trigger->event)->decline_code;
    case TRIGGER_PAYMENT_FAILED:
        return ((const struct payment_failed *)trigger->event)->failure_code;
    case TRIGGER_FRAUD_FLAGGED:
        return fraud_detail(trigger->event, arena);
    case TRIGGER_CUSTOMER_CANCEL:
        return arena_printf(arena, "asked for by the %s", trigger->caller);
    case TRIGGER_DEADLINE:
        return deadline_detail(order, arena);
    default:
        return VIEW_LITERAL("");
    }
}

static struct order_cancelled
make_cancelled(const struct order *order, const struct order_trigger *trigger, struct arena *arena)
{
    assert(order->created != NULL);
    return (struct order_cancelled){
        .order_id = order->id,
        .customer_id = order->customer_id,
        .reason = reason_of(trigger->trigger),
        .detail = detail_of(order, trigger, arena),
        .was = stage_of(order->progress.state),
        .lines = order->created->lines,
        .lines_count = order->created->lines_count,
        .total_minor = order->total_minor,
        .currency = order->currency,
        .warehouse = order->created->warehouse,
        .occurred_at = trigger->now_us,
    };
}

static struct order_confirmed make_confirmed(const struct order *order, int64_t now_us)
{
    return (struct order_confirmed){
        .order_id = order->id,
        .customer_id = order->customer_id,
        .total_minor = order->total_minor,
        .currency = order->currency,
        .occurred_at = now_us,
    };
}

static struct order_closed make_closed(const struct order *order, enum saga_orders_state after,
                                       int64_t now_us)
{
    return (struct order_closed){
        .order_id = order->id,
        .outcome = after == ORDERS_FULFILLED ? ORDER_OUTCOME_FULFILLED : ORDER_OUTCOME_CANCELLED,
        .occurred_at = now_us,
    };
}

static struct order_reminded make_reminded(const struct order *order, int64_t now_us)
{
    assert(order->created != NULL);
    return (struct order_reminded){
        .order_id = order->id,
        .order = *order->created,
        .occurred_at = now_us,
    };
}

static enum err_kind impossible(const struct order *order, enum saga_trigger trigger,
                                struct err *err)
{
    const struct saga_impossible *why =
        saga_impossible(PART_ORDERS, (int)order->progress.state, trigger);

    return err_set(err, ERR_REJECT, "order %.*s is %s: %s is impossible (%s)",
                   VIEW_PRINT(order->id), saga_state_name(PART_ORDERS, (int)order->progress.state),
                   saga_trigger_name(trigger),
                   why != NULL ? why->because : "the saga table does not know the pair");
}

enum err_kind order_decide(struct order_decision *out, const struct order *order,
                           const struct order_trigger *trigger, struct arena *arena,
                           struct err *err)
{
    struct order_move move = order_progress_step(order->progress, trigger->trigger);

    if (move.step == NULL)
        return impossible(order, trigger->trigger, err);
    *out = (struct order_decision){
        .step = move.step,
        .after = move.after,
        .publishes = move.step->publishes,
    };
    switch ((int)move.step->publishes) { /* the events of our own topic, but for order.created */
    case EVENT_ORDER_CONFIRMED:
        out->confirmed = make_confirmed(order, trigger->now_us);
        break;
    case EVENT_ORDER_CANCELLED:
        out->cancelled = make_cancelled(order, trigger, arena);
        break;
    case EVENT_ORDER_CLOSED:
        out->closed = make_closed(order, move.after.state, trigger->now_us);
        break;
    case EVENT_ORDER_REMINDED:
        out->reminded = make_reminded(order, trigger->now_us);
        break;
    default:
        assert(move.step->publishes == EVENT_NONE);
        break;
    }
    return ERR_OK;
}

bool order_may_be_nudged(const struct order *order, int64_t reminded_us, int64_t every_us,
                         int64_t now_us, struct refusal *refusal)
{
    if (order_progress_waits_for(order->progress) == 0)
        refuse(refusal, "waits-for-nobody", VIEW_NONE, "order %.*s is %s: it waits for nobody",
               VIEW_PRINT(order->id), saga_state_name(PART_ORDERS, (int)order->progress.state));
    else if (reminded_us > 0 && now_us - reminded_us < every_us)
        refuse(refusal, "nudged-lately", VIEW_NONE,
               "order %.*s was nudged %" PRId64 " ms ago: want %" PRId64 " ms between two nudges",
               VIEW_PRINT(order->id), (now_us - reminded_us) / 1000, every_us / 1000);
    else
        return true;
    refusal->status = 409;
    return false;
}
