/* Events as rows of the star: which event becomes which row of which table.
 *
 * Facts are only ever added, so nothing has to be read, and rows go into the arrays of their
 * statement as soon as their event is seen. */
#ifndef TRADEWIND_ANALYTICS_ROWS_H
#define TRADEWIND_ANALYTICS_ROWS_H

#include "events/fold.h"

/* One each table of facts, then the two ways a product changes. */
enum analytics_rows {
    ROWS_ORDERS,
    ROWS_LINES,
    ROWS_CONFIRMATIONS,
    ROWS_CANCELLATIONS,
    ROWS_CLOSURES,
    ROWS_PAYMENTS,
    ROWS_PRODUCTS,
    ROWS_WITHDRAWALS,
    ROWS_COUNT,
};

extern const struct fold_write analytics_writes[ROWS_COUNT];

/** Begin with no rows. */
void rows_start(struct pg_batch rows[ROWS_COUNT]);
void rows_clear(struct pg_batch rows[ROWS_COUNT]); /* frees; a zeroed one is valid */

/** The rows of an order's or a payment's event; any other event has none. arena is for the call. */
void rows_add_fact(struct pg_batch rows[ROWS_COUNT], const struct event *event,
                   struct arena *arena);
/** What product.upserted or product.withdrawn made of its SKU; each SKU of each kind once. */
void rows_add_product(struct pg_batch rows[ROWS_COUNT], const struct event *event,
                      struct arena *arena);

/** Queue the statements of all tables that have rows. */
void rows_queue(const struct pg_batch rows[ROWS_COUNT], struct pg *pg);

#endif
