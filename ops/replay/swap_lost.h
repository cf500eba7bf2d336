/* What a part's database needs beside the folded tables when it was lost: all of it is made from
 * the topics (ops/replay/swap.h). */
#ifndef TRADEWIND_REPLAY_SWAP_LOST_H
#define TRADEWIND_REPLAY_SWAP_LOST_H

#include "ops/replay/strangers.h"
#include "ops/replay/swap.h"

struct lost {
    struct shadow *shadow;
    struct live *live;
    const char *database;
    struct arena *arena;
    struct swap_result *result;
    struct strangers strangers;
};

/** Before the transaction: make the part's tables when they are not there, and set aside in the
 * shadow what has to be decided again. */
enum err_kind lost_prepare(struct lost *lost, struct err *err);
/** Inside the transaction of live->pg. */
enum err_kind lost_fill(struct lost *lost, struct err *err);

#endif
