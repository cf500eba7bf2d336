/* The placed orders of a shard that still wait for their verdicts: what deadlines and overload are
 * measured by. Pure: the caller reads the table open_orders and has the clock.
 *
 * The list holds the orders of a shard by the number of their order.created. It is filled by
 * looking into the table once a second, so an order that is decided quickly never comes in here. */
#ifndef TRADEWIND_ORDERS_OPEN_H
#define TRADEWIND_ORDERS_OPEN_H

#include "runtime/bytes.h"

struct open_order {
    uint64_t number;
    int64_t acknowledged_ms; /* when the broker was seen to have it; monotonic, -1: not yet */
    int32_t deadline_ms;
    bool gone;  /* decided meanwhile */
    bool asked; /* its deadline is being carried out */
};

/* Zeroed is one that this instance does not look after. */
struct open_shard {
    bool ours;
    struct open_order *orders; /* ascending numbers */
    size_t count, capacity;
    size_t gone;        /* of count */
    uint64_t looked_at; /* orders up to this number were in the table, or were decided */
    uint64_t young;     /* placed by this instance above looked_at, not decided */
    uint64_t confirmed; /* highest number that was confirmed */
};

/** Begin (again) with nothing: all deadlines run in full from here. */
void open_shard_start(struct open_shard *shard);
/** Look after it no longer. Frees. */
void open_shard_stop(struct open_shard *shard);

/** A row of the table. Numbers up to looked_at are known already. */
void open_shard_add(struct open_shard *shard, uint64_t number, int64_t deadline_ms);
/** The table has nothing below number any more. */
void open_shard_drop_below(struct open_shard *shard, uint64_t number);

/** The table has been read to its end: what is in no row is decided. */
void open_shard_caught_up(struct open_shard *shard);

/** This instance has placed an order, or one was decided here. */
void open_shard_placed(struct open_shard *shard, uint64_t number);
void open_shard_decided(struct open_shard *shard, uint64_t number, bool confirmed);

/** Orders that wait. */
size_t open_shard_count(const struct open_shard *shard);

struct open_order *open_shard_find(struct open_shard *shard, uint64_t number);

/* Now: the clock, and how far the broker has acknowledged the shard. */
struct open_moment {
    int64_t now_ms;
    uint64_t published;
};

/**
 * Note which orders the broker has acknowledged, forget those that are gone, and count those that
 * wait longer than late_ms in vain: more than late_ms acknowledged, and no later one of the shard
 * was confirmed. An order that others overtake waits for a reason of its own and says nothing of
 * load.
 */
size_t open_shard_pulse(struct open_shard *shard, struct open_moment moment, int64_t late_ms);

/**
 * The next order whose deadline has passed and is not being carried out; NULL: none is left.
 * cursor  0 at first; moved on by each call. Good until the next pulse
 */
struct open_order *open_shard_next_due(struct open_shard *shard, int64_t now_ms, size_t *cursor);

/** The moment its time is up, monotonic ms; INT64_MAX: its time does not run yet. */
int64_t open_order_deadline_ms(const struct open_order *order);

#endif
