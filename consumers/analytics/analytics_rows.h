/* Events as rows of the star: which event becomes which row of which table.
 *
 * Facts are only ever added, so nothing has to be read, and rows go into the arrays of their
 * statement as soon as their event is seen. */
#ifndef TRADEWIND_ANALYTICS_ROWS_H
#define TRADEWIND_ANALYTICS_ROWS_H

#include "events/part.h"
#include "runtime/pg_batch.h"

enum fact {
    FACT_ORDERS,
    FACT_LINES,
    FACT_CONFIRMATIONS,
    FACT_CANCELLATIONS,
    FACT_CLOSURES,
    FACT_PAYMENTS,
    FACT_COUNT,
};

struct rows {
    struct pg_batch facts[FACT_COUNT];
    struct pg_batch products;
    struct pg_batch withdrawals;
};

/** Begin with no rows. */
void rows_start(struct rows *rows);
void rows_clear(struct rows *rows); /* frees; a zeroed one is valid */

/** The rows of an order's or a payment's event; any other event has none. arena is for the call. */
void rows_add_fact(struct rows *rows, const struct event *event, struct arena *arena);
/** What product.upserted or product.withdrawn made of its SKU; each SKU of each kind once. */
void rows_add_product(struct rows *rows, const struct event *event, struct arena *arena);

/** Queue the statements of all tables that have rows. */
void rows_queue(const struct rows *rows, struct pg *pg);

#endif
