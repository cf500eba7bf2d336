/* The rules of fraud: what stands out about an order, and how many points each of it is worth.
 *
 * The sum of the points is the score; an order at the threshold is flagged. Rules come in pairs of
 * "much" and "very much", so that one thing very much out of the ordinary is enough, and two or
 * three a bit out of it together. All pure: the same order, history and limits give the same score.
 */
#ifndef TRADEWIND_FRAUD_RULES_H
#define TRADEWIND_FRAUD_RULES_H

#include "events/events_generated.h"
#include "runtime/arena.h"
#include "runtime/err.h"

/* RULE(name, points, meaning): names are published with each verdict and never change. */
#define FRAUD_RULES                                                                                \
    RULE(amount, 60, "the total is large for its currency")                                        \
    RULE(amount_extreme, 40, "the total is five times that")                                       \
    RULE(quantity, 50, "a line has many pieces")                                                   \
    RULE(quantity_extreme, 50, "a line has twice as many")                                         \
    RULE(orders, 40, "the customer ordered often within the window")                               \
    RULE(orders_extreme, 60, "the customer ordered twenty times as often")                         \
    RULE(guest, 40, "nobody knows who ordered")                                                    \
    RULE(country, 60, "it goes to a country that is watched")

enum fraud_rule {
#define RULE(name, points, meaning) FRAUD_RULE_##name,
    FRAUD_RULES
#undef RULE
        FRAUD_RULE_COUNT,
};

/* Where a rule begins to meet; set by the shop. */
struct fraud_limits {
    int32_t threshold;
    const char *amounts; /* "GBP=500000 *=500000": minor units by currency, * for any other */
    int64_t quantity;    /* pieces of a line */
    int64_t orders;      /* earlier ones within the window */
    int64_t window_us;
    const char *countries; /* separated by commas */
};

enum { FRAUD_ORDERS_EXTREME = 20 }; /* times limits.orders */

struct fraud_score {
    int32_t score;
    struct fraud_reason reasons[FRAUD_RULE_COUNT]; /* in the table's order */
    size_t reason_count;
};

/** Errors  ERR_STOP: amounts is no such list (names the entry) */
enum err_kind fraud_amounts_check(const char *amounts, struct err *err);

/** The amount from which on an order in this currency is large; INT64_MAX: never. */
int64_t fraud_amount_limit(const char *amounts, struct view currency);

bool fraud_is_guest(struct view customer_id);

/**
 * earlier_orders  of this customer, within the window before the order; counting may stop at
 *                 limits->orders * FRAUD_ORDERS_EXTREME
 * Details live in the arena.
 */
void fraud_score_order(struct fraud_score *out, const struct order_created *order,
                       int64_t earlier_orders, const struct fraud_limits *limits,
                       struct arena *arena);

#endif
