/* The rows of one statement, column by column: `insert ... select from unnest($1::text[], ...)`.
 *
 *     PG_BATCH_START(batch, PG_TEXT, PG_INT8);
 *     for each row: pg_column_bytes(&batch->columns[0], id), pg_column_int8(&batch->columns[1], n);
 *     pg_batch_queue(batch, pg, &INSERT);
 *
 * A batch is good for one statement after the other and keeps its memory. */
#ifndef TRADEWIND_RUNTIME_PG_BATCH_H
#define TRADEWIND_RUNTIME_PG_BATCH_H

#include "runtime/pg.h"

#define PG_BATCH_COLUMNS 20

struct pg_batch {
    struct pg_column columns[PG_BATCH_COLUMNS];
    int column_count;
};

/** Begin with no rows. */
void pg_batch_start(struct pg_batch *batch, const enum pg_element *elements, int count);
#define PG_BATCH_START(batch, ...)                                                                 \
    pg_batch_start(                                                                                \
        batch, (const enum pg_element[]){__VA_ARGS__},                                             \
        (int)(sizeof((const enum pg_element[]){__VA_ARGS__}) / sizeof(enum pg_element)))

/** Queue the statement with the columns as $1, $2, ...; without rows it is left out. All columns
 * have the same number of rows. */
void pg_batch_queue(const struct pg_batch *batch, struct pg *pg,
                    const struct pg_statement *statement);

/** Frees; a zeroed batch is a valid empty one. */
void pg_batch_clear(struct pg_batch *batch);

#endif
