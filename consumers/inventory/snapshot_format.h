/* A snapshot's documents: a collection of parts, and one document that makes them valid.
 *
 * A part holds lines (runtime/lines.h) of one kind: skus, orders or receipts; or one dead letter.
 */
#ifndef TRADEWIND_INVENTORY_SNAPSHOT_FORMAT_H
#define TRADEWIND_INVENTORY_SNAPSHOT_FORMAT_H

#include "consumers/inventory/ledger_format.h"

#define SNAPSHOT_VALID "valid" /* the `_id` of the last document */

/** One part after the other (each gives: bson_destroy), last the one that makes them valid. */
void snapshot_write(const struct stock *stock, const struct letter *const *letters,
                    size_t letter_count, const struct standing *standing,
                    void (*each)(void *context, bson_t *document), void *context);

/** What the valid document says. Errors  ERR_STOP: it is none */
enum err_kind snapshot_read_valid(struct standing *out, int64_t *parts, const bson_t *document,
                                  struct arena *arena, struct err *err);

/* Who reads a snapshot's parts, in the order in which they were written. What they get are views;
 * NULL: that is not asked for.
 * Errors are their own; ERR_REJECT comes out as ERR_STOP: it does not fit. */
struct snapshot_visitor {
    enum err_kind (*sku)(void *context, const struct stock_sku *sku, struct err *err);
    enum err_kind (*order)(void *context, struct view id, enum saga_inventory_state state,
                           const struct stock_item *items, size_t item_count, struct err *err);
    enum err_kind (*receipt)(void *context, struct view id, const struct stock_item *item,
                             int64_t time_us, struct err *err);
    void (*letter)(void *context, const struct letter *letter);
    void *context;
};

/** Give one part to the visitor. Errors  ERR_STOP: it is none; and what the visitor says */
enum err_kind snapshot_read_part(const struct snapshot_visitor *visitor, const bson_t *document,
                                 struct arena *arena, struct err *err);

#endif
