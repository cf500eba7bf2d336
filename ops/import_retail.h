/* The UCI "Online Retail" file as orders, products and opening stock.
 *
 * Pure: text in, plan out. Every line of the file falls into exactly one bucket, by rules:
 *
 *   An invoice whose number starts with C takes back: its lines are returns (a discount taken back
 *   is told apart), quantities negative. An invoice without any price is an adjustment of the
 * stock. Every other invoice is a sale and becomes one order. What no rule knows is set aside with
 * its reason.
 *
 * Which orders are to be declined or cancelled is decided by a hash of the invoice's number, so a
 * run is the same each time. */
#ifndef TRADEWIND_OPS_IMPORT_RETAIL_H
#define TRADEWIND_OPS_IMPORT_RETAIL_H

#include "runtime/arena.h"
#include "runtime/err.h"

/* BUCKET(symbol, name, is sent, what becomes of it) */
#define RETAIL_BUCKETS                                                                             \
    BUCKET(ORDERED_GOODS, "ordered goods", true, "sent as lines of orders")                        \
    BUCKET(ORDERED_FREE, "ordered free", true, "sent at price 0")                                  \
    BUCKET(ORDERED_CHARGE, "ordered charge", true, "sent as charges, which hold no stock")         \
    BUCKET(RETURNED, "return", false, "reported only: returns are not taken yet")                  \
    BUCKET(DISCOUNT_REVERSED, "discount reversed", false, "reported only")                         \
    BUCKET(ADJUSTED_OUT, "stock adjustment out", false, "reported only")                           \
    BUCKET(ADJUSTED_IN, "stock adjustment in", false, "reported only")                             \
    BUCKET(SET_ASIDE, "set aside", false, "reported only: no rule knows it")

enum retail_bucket {
#define BUCKET(symbol, name, is_sent, fate) BUCKET_##symbol,
    RETAIL_BUCKETS
#undef BUCKET
        BUCKET_COUNT,
};

const char *retail_bucket_name(enum retail_bucket bucket);
bool retail_bucket_is_sent(enum retail_bucket bucket);
const char *retail_bucket_fate(enum retail_bucket bucket);

#define RETAIL_CURRENCY "GBP"
#define RETAIL_PRICE_SCALE 10000 /* prices are read with up to 4 decimals */
#define RETAIL_LINES_MAX 1000    /* of one order */

struct retail_line {
    size_t line; /* of the file */
    struct view invoice;
    struct view code; /* as it is written */
    struct view sku;  /* in capitals */
    struct view description;
    struct view customer; /* "17850"; VIEW_NONE: a guest */
    struct view country;
    int64_t quantity;
    int64_t price;         /* of one unit, in RETAIL_PRICE_SCALE-ths of the currency */
    int64_t ordered_at_us; /* UTC */
    enum retail_bucket bucket;
    const char *why; /* set aside: the reason */
};

enum retail_cancel { RETAIL_KEEP, RETAIL_CANCEL_AT_ONCE, RETAIL_CANCEL_CONFIRMED };

struct retail_order {
    struct view invoice;
    struct view customer; /* "17850" or "guest:536414" */
    struct view country;
    int64_t ordered_at_us; /* of its earliest line */
    size_t *lines;         /* indexes into retail.lines, in file order: those that are sent */
    size_t line_count;
    int64_t total_minor;
    bool is_guest;
    bool only_charges;
    const char *payment_token; /* "tok_approve", "tok_decline", "tok_capture_fail" */
    enum retail_cancel cancel;
};

struct retail_product {
    struct view sku;
    struct view name;
    bool is_charge;
    int64_t price_minor; /* of its first sale that has one */
    int64_t units_sold;  /* goods only */
    int64_t opening;     /* stock to begin with; 0 for charges */
};

struct retail_total {
    size_t lines;
    int64_t units;
    int64_t amount; /* in RETAIL_PRICE_SCALE-ths of the currency */
};

struct retail_shares { /* in millionths */
    int64_t stock_cover;
    int64_t decline;
    int64_t capture_fail;
    int64_t cancel;
};

struct retail {
    struct retail_line *lines;
    size_t line_count;
    struct retail_order *orders; /* in file order */
    size_t order_count;
    struct retail_product *products; /* in the order of their first sale */
    size_t product_count;
    size_t customer_count; /* with an account, that ordered */
    struct retail_total totals[BUCKET_COUNT];
};

/**
 * Read the file's text. The plan lives in the arena and points into text.
 * Errors  ERR_REJECT: no CSV, a column is missing, a field cannot be read: one sentence
 */
enum err_kind retail_read(struct retail *out, struct view text, const struct retail_shares *shares,
                          struct arena *arena, struct err *err);

/** A price or amount in RETAIL_PRICE_SCALE-ths as minor units; exact for what is sent. */
int64_t retail_minor(int64_t amount);

/** "2010-12-01 08:26:00" in London to UTC microseconds; false when it is no such time (from 1996
 * on). */
bool retail_london_time(struct view text, int64_t *utc_us);

#endif
