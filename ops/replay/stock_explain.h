/* Which event made the ledger differ from its topics: each document of the ledger holds its entries
 * and the events that they became, so an entry that was changed no longer says what its event says.
 */
#ifndef TRADEWIND_REPLAY_STOCK_EXPLAIN_H
#define TRADEWIND_REPLAY_STOCK_EXPLAIN_H

#include "ops/replay/stock_compare.h"

/**
 * For each difference that one of the documents explains, name its event in place of the last that
 * touched the field. What lies in the ledger's snapshot no document explains.
 * Errors  ERR_RETRY: a server does not answer
 */
enum err_kind stock_explain(struct compare *compare, struct mongo *mongo,
                            const struct stock_shadow *shadow, struct err *err);

#endif
