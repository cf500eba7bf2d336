/* The invariants of Tradewind as a table: each is a sentence and a function that looks for what
 * breaks it.
 *
 * Pure: an audit is a world (the topics) with what the stores say put beside, and what is down. So
 * each check is tested by planting one violation.
 *
 * What is still going on is no violation. Each order stands in one of the places below; checks of
 * an order's end look at settled ones only. */
#ifndef TRADEWIND_OPS_AUDIT_H
#define TRADEWIND_OPS_AUDIT_H

#include "ops/world.h"

enum audit_standing {
    AUDIT_SETTLED, /* final, and nothing happened to it since the audit began */
    AUDIT_MOVING,  /* something happened to it while the audit read */
    AUDIT_YOUNG,   /* not final, and younger than its deadline */
    AUDIT_WAITS,   /* not final: waits for a part or the provider that is down */
    AUDIT_PARKED,  /* not final: a part has a dead letter of it */
    AUDIT_STUCK,   /* not final, and nothing excuses it */
    AUDIT_STANDINGS,
};

/* The last numbers that a part's database says it gave, before and after the topics were read. */
struct audit_numbers {
    const char *part;
    enum topic topic;
    struct view source;
    const uint64_t *before, *after; /* of each shard; NULL: not known */
};

struct audit_dead_letters {
    const char *part;
    uint64_t count, impossible;
    const char *impossible_example;
};

/* What a part's database says it has applied of one partition. */
struct audit_position {
    const char *part;
    enum topic topic;
    int32_t partition;
    uint64_t number;
};

#define AUDIT_PARTS_MAX 32

/* Which stores were read: a check without its store is not made, and says so. */
struct audit_stores {
    bool orders, payment, provider, fraud, analytics, email, ledger;
};

#define AUDIT_EXAMPLES 5

struct audit_finding {
    uint64_t checked, violations;
    const char *examples[AUDIT_EXAMPLES];
    size_t example_count;
    const char *not_checked; /* why; NULL: it was */
};

struct audit {
    struct world *world;
    struct arena *arena;
    int64_t started_us, now_us; /* UTC */
    struct audit_stores stores;
    const char
        *why_not[7]; /* in the order of struct audit_stores' members: why a store was not read */
    bool part_is_down[PART_COUNT];
    bool provider_is_down;
    bool stock_is_moving; /* the ledger and the topic were not read at one moment */
    struct audit_numbers numbers[AUDIT_PARTS_MAX];
    size_t number_count;
    struct audit_dead_letters dead_letters[AUDIT_PARTS_MAX];
    size_t dead_letter_count;
    struct audit_position *positions;
    size_t position_count, position_capacity;
    uint64_t ledger_entries, ledger_negative, ledger_holes;
    const char *ledger_negative_example, *ledger_hole_example;
    uint64_t book_violations; /* attempts to take or give too much, booked by the provider */
    uint64_t standings[AUDIT_STANDINGS];
    struct audit_finding *findings; /* of audit_invariants */
    struct audit_finding *current;
};

struct audit_invariant {
    const char *id;       /* "money.fulfilled" */
    const char *sentence; /* what is true of a healthy system */
    void (*check)(struct audit *audit);
};

extern const struct audit_invariant audit_invariants[];
extern const size_t audit_invariant_count;

const char *audit_standing_name(enum audit_standing standing);

/** Where each order stands, then all checks. Gives the sum of violations. */
uint64_t audit_run(struct audit *audit);

/* --- What the stores say of themselves; texts are copied
 * ------------------------------------------- */

void audit_note_numbers(struct audit *audit, const struct audit_numbers *numbers);
void audit_note_position(struct audit *audit, const char *part, const char *topic,
                         int32_t partition, uint64_t number);
void audit_note_dead_letter(struct audit *audit, const char *part, struct view key,
                            const char *reason, bool has_number, const char *error);
/** Events in the topics that a part had not applied when its store was read, before the topics. */
uint64_t audit_behind(const struct audit *audit, const char *part);
/** What is not in the arena. */
void audit_clear(struct audit *audit);
CLEANUP_IN_PLACE(audit_clear, struct audit)

/* --- For the checks
 * ------------------------------------------------------------------------------- */

void audit_checked(struct audit *audit);
void audit_violated(struct audit *audit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** The invariant cannot be checked now; the first reason stays. */
void audit_skip(struct audit *audit, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** One order after the other; *place begins as 0. */
struct world_order *audit_next(const struct audit *audit, size_t *place);
/** The next settled one. */
struct world_order *audit_next_settled(const struct audit *audit, size_t *place);
/** Minor units with currency, for messages. */
const char *audit_money(struct audit *audit, int64_t minor, const struct world_order *order);

/* audit_orders.c */
void audit_orders_end(struct audit *audit);
void audit_orders_kept(struct audit *audit);
void audit_orders_totals(struct audit *audit);
/* audit_log.c */
void audit_log_numbers(struct audit *audit);
void audit_log_bytes(struct audit *audit);
void audit_log_events(struct audit *audit);
void audit_saga_words(struct audit *audit);
void audit_saga_impossible(struct audit *audit);
/* audit_stock.c */
void audit_stock_fulfilled(struct audit *audit);
void audit_stock_cancelled(struct audit *audit);
void audit_stock_balance(struct audit *audit);
void audit_stock_entries(struct audit *audit);
/* audit_money.c */
void audit_money_fulfilled(struct audit *audit);
void audit_money_cancelled(struct audit *audit);
void audit_money_balance(struct audit *audit);
void audit_money_book(struct audit *audit);
void audit_money_once(struct audit *audit);
/* audit_copies.c */
void audit_payment_kept(struct audit *audit);
void audit_fraud_kept(struct audit *audit);
void audit_analytics_orders(struct audit *audit);
void audit_analytics_money(struct audit *audit);
void audit_mails_once(struct audit *audit);
void audit_mails_kept(struct audit *audit);
void audit_mails_owed(struct audit *audit);

#endif
