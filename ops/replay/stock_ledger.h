/* The live side of inventory's replay: the ledger as a part that takes over would read it, from its
 * newest snapshot on, but added up as it stands there (tally.h): an entry that cannot be makes a
 * difference that has a name, where the part would stop. */
#ifndef TRADEWIND_REPLAY_STOCK_LEDGER_H
#define TRADEWIND_REPLAY_STOCK_LEDGER_H

#include "consumers/inventory/chain.h"
#include "ops/replay/stock_shadow.h"

struct stock_ledger {
    struct mongo *mongo;
    struct ledger *standing; /* all of the last reading but its stock */
    struct tally tally;
    struct asides asides; /* its numbered dead letters */
    uint64_t documents;   /* read behind the snapshot */
};

enum err_kind stock_ledger_open(struct stock_ledger *ledger, const char *uri, struct err *err);
void stock_ledger_close(struct stock_ledger *ledger);

/** Read it anew, as of one document. Errors  ERR_RETRY: unreachable, or it was trimmed meanwhile */
enum err_kind stock_ledger_read(struct stock_ledger *ledger, int32_t partitions, struct err *err);

/** Its place in the vector of positions: the last own number of a shard, or the last that was
 * applied of an input. */
uint64_t stock_ledger_number(const struct stock_ledger *ledger, const struct log_place *place);
/** The first place where it is behind the shadow; NULL: nowhere. */
const struct log_place *stock_ledger_is_behind(const struct stock_ledger *ledger,
                                               const struct stock_shadow *shadow);
/** It is older than its part's topic (restored, lost), or nothing ever came into it. */
bool stock_ledger_is_lost(const struct stock_ledger *ledger, const struct stock_shadow *shadow);

/**
 * Bring the shadow to the ledger's position, without what it has set aside.
 * Errors  ERR_REJECT: the shadow is ahead of it, and how; or a number is not in the log
 */
enum err_kind stock_ledger_follow(const struct stock_ledger *ledger, struct stock_shadow *shadow,
                                  struct err *err);

#endif
