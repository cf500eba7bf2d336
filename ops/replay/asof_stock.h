/* A SKU's stock as it was: its units lie in the events of many orders, in every partition of
 * inventory's topic, so the whole topic is read, and added up (tally.h). */
#ifndef TRADEWIND_REPLAY_ASOF_STOCK_H
#define TRADEWIND_REPLAY_ASOF_STOCK_H

#include "ops/replay/cells.h"
#include "ops/replay/until.h"

/**
 * The fields of a SKU; none when nothing of it had come in yet.
 *
 * at      NULL: now
 * events  how many were of that SKU
 * Errors  ERR_REJECT: the position is past the topic's end, or a number is missing
 */
enum err_kind asof_stock(struct cells *out, size_t *events, struct view sku, struct until *at,
                         const struct schema_ids *ids, struct arena *arena, struct err *err);

#endif
