/* The stock of one warehouse in memory: how many units of each SKU lie where, and what each open
 * order has of them.
 *
 * Nothing in here waits, reads a clock or decides. What changes is an entry, and stock_apply is the
 * only thing that carries one out: live, and when the ledger is read back. So reading the ledger
 * gives the state that its writer had.
 *
 * For every SKU and after every entry: received = on hand + held + sold, and none of them negative.
 * An entry that would break that is refused.
 *
 * Entries of a unit of work are applied at once, because the next event of the unit has to see
 * them, and are taken back (stock_undo) when the unit is not committed. Against a second, overlaid
 * state that is one lookup instead of two for everything that is read, and costs something only in
 * the rare unit that fails. */
#ifndef TRADEWIND_INVENTORY_STOCK_H
#define TRADEWIND_INVENTORY_STOCK_H

#include "events/events_generated.h"
#include "runtime/err.h"
#include "runtime/lookup.h"
#include "saga/saga.h"

/* One process keeps one warehouse's ledger. */
#define INVENTORY_WAREHOUSE "main"

#define STOCK_SKU_MAX 64     /* bytes of a SKU */
#define STOCK_ID_MAX 128     /* bytes of an order's or a receipt's id */
#define STOCK_ITEMS_MAX 1000 /* SKUs of an order */
/* A receipt's id is remembered this long, by the ledger's times: within it, a repeat counts once.
 */
#define STOCK_RECEIPT_WINDOW_US (INT64_C(7) * 24 * 3600 * 1000000)

/* Where a unit can be. */
enum stock_place {
    STOCK_ON_HAND, /* free to be ordered */
    STOCK_HELD,    /* for an order that is not decided */
    STOCK_SOLD,
    STOCK_PLACES,
    STOCK_OUTSIDE = STOCK_PLACES, /* not here yet */
};

struct stock_sku {
    struct view code;
    int64_t units[STOCK_PLACES];
    int64_t received; /* all that ever came in */
};

struct stock_order {
    struct view id;
    enum saga_inventory_state state;
    uint32_t item_count;
    struct stock_order_item {
        struct stock_sku *sku;
        int64_t quantity;
    } items[]; /* sorted by SKU, each once; kept until the order is forgotten */
};

struct stock_receipt {
    struct view id;
    const struct stock_sku *sku;
    int64_t quantity;
    int64_t time_us; /* of the batch that counted it */
    struct stock_receipt *older, *newer;
};

/* What the ledger's entries say happened; the table in stock.c has what each of them does. */
enum entry_kind {
    ENTRY_RECEIVE,   /* units came in */
    ENTRY_HOLD,      /* every line of the order is held */
    ENTRY_REJECT,    /* a line was short: nothing is held */
    ENTRY_SELL,      /* what was held is sold */
    ENTRY_UNHOLD,    /* what was held is free again */
    ENTRY_TAKE_BACK, /* what was sold is free again */
    ENTRY_REMEMBER,  /* cancelled before it was heard of */
    ENTRY_FORGET,    /* nothing more can come for the order */
    ENTRY_KINDS,
};

struct entry {
    enum entry_kind kind;
    struct view id;                 /* the order's; the receipt's for ENTRY_RECEIVE */
    const struct stock_item *items; /* strictly ascending by SKU (view_compare), quantities >= 1 */
    size_t item_count; /* ENTRY_RECEIVE: 1; ENTRY_REJECT, ENTRY_REMEMBER, ENTRY_FORGET: 0 */
};

/** "receive", "hold", ...: stored, so they never change. */
const char *entry_kind_name(enum entry_kind kind);
/** ENTRY_KINDS: there is no such kind. */
enum entry_kind entry_kind_from_name(struct view name);

/* What an entry of a kind moves, and how it leaves its order. */
struct entry_effect {
    enum stock_place from, to; /* the same: nothing moves */
    enum saga_inventory_state after;
};
struct entry_effect entry_effect(enum entry_kind kind);

struct stock_undo; /* how to take one entry back */

struct stock {
    int64_t time_us; /* of the batch that the entries belong to: set it before they are applied */
    struct stock_sku **skus; /* in the order in which they were first received; never removed */
    size_t sku_count, sku_capacity;
    struct lookup sku_by_code, order_by_id, receipt_by_id;
    struct stock_receipt *oldest, *newest;
    struct stock_undo *undo;
    size_t undo_count, undo_capacity;
};

void stock_init(struct stock *stock);
void stock_clear(struct stock *stock); /* frees; stock_init makes it usable again */

/** NULL: never received, not remembered, not counted (or longer ago than the window). */
const struct stock_sku *stock_find_sku(const struct stock *stock, struct view code);
const struct stock_order *stock_find_order(const struct stock *stock, struct view id);
const struct stock_receipt *stock_find_receipt(const struct stock *stock, struct view id);

/**
 * Carry out one entry, so that it can be taken back until stock_keep.
 * Errors  ERR_REJECT: it does not fit the state (text says why); nothing has changed
 */
enum err_kind stock_apply(struct stock *stock, const struct entry *entry, struct err *err);

/** How many entries have been applied since stock_keep: where stock_undo may go back to. */
size_t stock_applied(const struct stock *stock);
/** Take back all entries behind the first `applied` ones; no trace of them is left. */
void stock_undo(struct stock *stock, size_t applied);
/** The batch of time_us is committed: its entries stand. Receipts that are too old are forgotten.
 */
void stock_keep(struct stock *stock);

/* --- Reading a snapshot: what it says is put in as it is, after the same checks -----------------
 */

enum err_kind stock_restore_sku(struct stock *stock, const struct stock_sku *sku, struct err *err);
/** items as in struct entry; their SKUs have been restored. */
enum err_kind stock_restore_order(struct stock *stock, struct view id,
                                  enum saga_inventory_state state, const struct stock_item *items,
                                  size_t item_count, struct err *err);
/** Oldest first. */
enum err_kind stock_restore_receipt(struct stock *stock, struct view id,
                                    const struct stock_item *item, int64_t time_us,
                                    struct err *err);

#endif
