/* What the order service decides. Pure: no clock, no I/O, all that is needed comes in; the saga
 * table says what follows, this makes the events of it. */
#ifndef TRADEWIND_ORDERS_DECIDE_H
#define TRADEWIND_ORDERS_DECIDE_H

#include "events/events_generated.h"
#include "runtime/arena.h"
#include "runtime/err.h"
#include "saga/order_progress.h"

#define ORDER_LINES_MAX 1000
#define ORDER_QUANTITY_MAX 1000000000
#define ORDER_UNIT_PRICE_MAX 1000000000000

/* --- Taking an order in --------------------------------------------------------------------- */

/* A product as the order service has heard of it. */
struct price {
    struct view sku;
    int64_t unit_price_minor;
    struct view currency;
    enum product_kind kind;
    bool sold;         /* false: withdrawn */
    struct view event; /* ce_id of the product.upserted that says so */
};

/* A line as it was asked for: well-formed, nothing more. */
struct request_line {
    struct view sku;          /* upper case */
    struct view code;         /* as it was written */
    int64_t quantity;         /* 1..ORDER_QUANTITY_MAX */
    int64_t unit_price_minor; /* -1: the product's */
    enum line_kind kind;      /* LINE_KIND_UNKNOWN: the product's */
};

/* An order as it was asked for. */
struct order_request {
    struct view customer_id;
    const struct sealed *contact; /* NULL: none */
    struct view country;
    struct view currency;
    struct view payment_token;
    struct view warehouse;
    struct view idempotency_key; /* with the caller before it; VIEW_NONE: none */
    struct view request_hash;
    int64_t ordered_at_us; /* -1: now */
    const struct request_line *lines;
    size_t line_count;
};

/* What of an order is not the request's. */
struct order_terms {
    struct view order_id;
    int64_t deadline_ms;
    int64_t now_us;
};

/* Why a request is refused, as the problem document says it. */
struct refusal {
    int status;
    const char *type;
    struct view pointer; /* VIEW_NONE: the request as a whole */
    char detail[200];
};

/**
 * The order.created of a request.
 *
 * prices  sorted by SKU, each once; those of the request's SKUs that are known
 * out     its lines live in the arena, the rest are the views given
 *
 * Returns false, and why, when a SKU is not sold, a currency is another one or an amount is too
 * large.
 */
bool order_decide_place(struct order_created *out, const struct order_request *request,
                        const struct order_terms *terms, const struct price *prices,
                        size_t price_count, struct arena *arena, struct refusal *refusal);

/* --- Going on with it ----------------------------------------------------------------------- */

/* What is remembered of an order. */
struct order {
    struct view id;
    struct order_progress progress;
    struct view customer_id;
    int64_t total_minor;
    struct view currency;
    const struct order_created *created; /* must be there when order_tells_in_full the trigger */
};

/* What happened. */
struct order_trigger {
    enum saga_trigger trigger;
    const void *event;  /* the generated struct of an event; NULL: it comes from outside */
    const char *caller; /* of CUSTOMER_CANCEL: who asked, in one word */
    int64_t now_us;
};

/* What follows. */
struct order_decision {
    const struct saga_step *step;
    struct order_progress after;
    enum event_type publishes; /* EVENT_NONE: nothing; else the member of its name below */
    union {
        struct order_confirmed confirmed;
        struct order_cancelled cancelled;
        struct order_closed closed;
        struct order_reminded reminded;
    };
};

/** Whether order_decide may answer with order.cancelled or order.reminded, which tell what
 * order.created told, and so needs it. */
bool order_tells_in_full(enum saga_trigger trigger);

/**
 * What an event, a request to cancel, a nudge or the deadline does to an order.
 *
 * out     texts are views of order and event, or live in the arena
 * Errors  ERR_REJECT: the saga table knows no such step, and why
 */
enum err_kind order_decide(struct order_decision *out, const struct order *order,
                           const struct order_trigger *trigger, struct arena *arena,
                           struct err *err);

/**
 * Whether an order may be nudged now.
 *
 * reminded_us  when the last order.reminded was published; 0: none was
 *
 * Returns false, and why, for an order that waits for nobody, and when less than every_us has
 * passed.
 */
bool order_may_be_nudged(const struct order *order, int64_t reminded_us, int64_t every_us,
                         int64_t now_us, struct refusal *refusal);

#endif
