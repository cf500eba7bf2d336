/* Whether the ledger and its shadow say the same: SKUs, orders and receipts, range by range of
 * their keys, down to the rows and fields that differ. Both are in memory and at one position. */
#ifndef TRADEWIND_REPLAY_STOCK_COMPARE_H
#define TRADEWIND_REPLAY_STOCK_COMPARE_H

#include "ops/replay/compare.h"
#include "ops/replay/report.h"
#include "ops/replay/stock_ledger.h"

/* What is told of the ledger, as of other parts' tables: skus, orders, receipts. */
extern const struct fold stock_fold;

/** "on_hand": how a place of units is called (enum stock_place, or TALLY_RECEIVED). */
const char *stock_unit_name(int place);
/** As others tell of an event; NULL: it is not known. In the arena. */
const struct key_event *stock_event(const struct tally_event *event, struct arena *arena);

/** Fill compare's results: tables, differences, differing. */
void stock_compare(struct compare *compare, const struct stock_ledger *ledger,
                   const struct stock_shadow *shadow);

/** Rows and checksum of each table of a tally; tables: one each of stock_fold's. */
void stock_sums(struct report_table *tables, const struct tally *tally);

#endif
