/* Payment's tables: what one order's rows hold in a unit of work, and how they are read and
 * written, one statement a table and batch. schemas/postgres/payment/ says what the tables are.
 * Worker only. */
#ifndef TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_STORE_H
#define TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_STORE_H

#include "consumers/payment/payment_provider.h"
#include "events/part.h"

/* A row of payment_events. */
struct payment_event {
    enum saga_payment_state state;
    uint64_t number;
    int64_t amount_minor;
    struct view currency;
    struct view provider;
    struct view provider_ref;
    struct view code;
};

#define PAYMENT_EVENTS_MAX 3 /* of an order: a verdict, a capture, an undoing */

/* The state of a key in a unit. Texts live as long as the unit. */
struct payment {
    struct payment_memory memory;
    uint64_t last_number; /* of the event that memory.settled comes from */

    int64_t amount_minor; /* payment_requests */
    struct view currency;
    struct view payment_token;
    bool request_changed;

    struct view authorization_ref; /* payment_events */
    struct view capture_ref;
    struct payment_event published[PAYMENT_EVENTS_MAX]; /* in this unit */
    size_t published_count;

    struct view call_ref; /* owed_calls */
    struct view call_cause;
    struct view cancelled_by;
    int64_t asked_at_us;
    bool was_owed; /* a row is there */
    bool call_changed;
    bool is_hurried; /* an operator asks for the answer to it */
};

/* The parameters of the statements; memory is kept from unit to unit. */
struct payment_store {
    struct pg_column columns[11];
};
void payment_store_clear(struct payment_store *store);

/** Queue the reads of the unit's keys, and read their rows into unit_state. */
void payment_store_load(struct unit *unit);
enum err_kind payment_store_loaded(struct unit *unit, struct err *err);
/** Queue the writes of what has changed. */
void payment_store_save(struct payment_store *store, struct unit *unit);

/** Queue the read of up to limit calls that a shard owes, of the orders after `after`. */
void payment_store_look(struct unit *unit, int32_t shard, struct view after, int limit);
/** Read them: *calls in the unit's arena. */
enum err_kind payment_store_looked(struct unit *unit, int32_t shard, struct owed_call **calls,
                                   size_t *count, struct err *err);

#endif
