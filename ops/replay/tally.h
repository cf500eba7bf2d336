/* The stock of a warehouse as sums, for a replay: what struct stock says, but without its order.
 *
 * The part folds its ledger in the one order in which it was written. Its events lie in as many
 * partitions as there are, so a replay meets them in another one: a sale before the receipt. Sums
 * do not mind: at a position that the part has stood at, they are what the part had. What cannot be
 * (a negative number, a sum that is off) is carried on and shows up where two tallies are compared;
 * nothing is refused here.
 *
 * An order is remembered from its first event until it is closed: its state follows from the part's
 * own events, that it is closed from its inputs, and the two may come in any order. */
#ifndef TRADEWIND_REPLAY_TALLY_H
#define TRADEWIND_REPLAY_TALLY_H

#include "consumers/inventory/stock.h"
#include "runtime/arena.h"

#define TALLY_RECEIVED STOCK_OUTSIDE /* in its place of units: all that ever came in */
#define TALLY_UNITS (STOCK_PLACES + 1)

/* An event of the part's own topic that gave something its value. */
struct tally_event {
    enum event_type type; /* EVENT_NONE: not known */
    int32_t partition;
    uint64_t number;
    int64_t offset;
    int64_t time_us;
};

struct tally_sku {
    struct view code;
    int64_t units[TALLY_UNITS];
    struct tally_event by[TALLY_UNITS]; /* the last that changed each */
};

struct tally_order {
    struct view id;
    enum saga_inventory_state state; /* INVENTORY_NONE: its own events are not read yet */
    const struct stock_item *items;  /* as in struct entry */
    size_t item_count;
    struct tally_event by; /* that left it in this state */
    uint64_t cause;        /* number of the order's event that was answered with it */
    uint64_t asked;        /* number of the last input that wants an answer; 0: none */
    enum order_outcome closed;
    void *memory;
};

struct tally_receipt {
    struct view id, sku;
    int64_t quantity, time_us;
    struct tally_event by;
};

struct tally {
    struct lookup skus, orders, receipts; /* of the structs above */
    int64_t since_us;                     /* older receipts are not kept */
};

/** Receipts are remembered by the part for STOCK_RECEIPT_WINDOW_US; now_us says since when. */
void tally_init(struct tally *tally, int64_t now_us);
void tally_clear(struct tally *tally);

/** Carry out an entry. by: the event that it became (of type EVENT_NONE: not known); cause: the
 * number of the input that it answers. */
void tally_apply(struct tally *tally, const struct entry *entry, int64_t time_us,
                 const struct tally_event *by, uint64_t cause);

/** One of the part's own events, which says what entry there was.
 *  Errors  ERR_REJECT: it is none of the part's, or does not say it */
enum err_kind tally_fold(struct tally *tally, enum event_type type, const void *event,
                         const struct tally_event *by, uint64_t cause, struct err *err);
/** The entry of an own event, with items that are the event's, or room: a receipt has no list.
 *  Errors  ERR_REJECT, as tally_fold */
enum err_kind tally_entry_of(struct entry *out, struct stock_item *room, enum event_type type,
                             const void *event, struct err *err);

/** An input of an order: number in its partition. */
void tally_hear(struct tally *tally, enum event_type type, const void *event, uint64_t number);

/** Forget all of an order; its units stay where they are. */
void tally_forget(struct tally *tally, struct view order);

/* Put things in as they are: for who reads them back. They must not be there. */
struct tally_sku *tally_sku(struct tally *tally, struct view code);
struct tally_order *tally_order(struct tally *tally, struct view id);
/** Copies. */
void tally_set_items(struct tally_order *order, const struct stock_item *items, size_t count);
void tally_receive(struct tally *tally, const struct tally_receipt *receipt);

/** Whether an input of the order waits for an answer that the part's topic does not have. */
bool tally_is_asked(const struct tally_order *order);

#endif
