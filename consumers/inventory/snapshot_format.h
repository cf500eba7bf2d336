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

/**
 * Put one part into stock; parts come in the order in which they were written. each_letter gets the
 * dead letters, as views.
 * Errors  ERR_STOP: it is none, or does not fit
 */
enum err_kind snapshot_read_part(struct stock *stock, const bson_t *document,
                                 void (*each_letter)(void *context, const struct letter *letter),
                                 void *context, struct arena *arena, struct err *err);

#endif
