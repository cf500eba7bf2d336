/* Writing into the ledger of a part that serves. The chain is the fence, for a replay as for any
 * writer: it may only put a document where none is. A part that is busy writes faster than anybody
 * could prepare a document behind it, so the replay first takes one number with a document that
 * asks the part to wait (LEDGER_WAIT_MS); what comes next is the replay's, or, when it is too slow,
 * the part's. */
#ifndef TRADEWIND_REPLAY_STOCK_EDIT_H
#define TRADEWIND_REPLAY_STOCK_EDIT_H

#include "ops/replay/acted.h"
#include "ops/replay/stock_ledger.h"

struct stock_edit {
    struct stock_ledger *ledger; /* as it is read to its end */
    int32_t partitions;
    char run[17]; /* of this process: random hex */
    uint64_t documents;
    bool holds;
};

void stock_edit_init(struct stock_edit *edit, struct stock_ledger *ledger, int32_t partitions);

/** Ask the part to wait, and read the ledger up to there. Errors  ERR_RETRY: it was not to be had
 */
enum err_kind stock_edit_hold(struct stock_edit *edit, struct err *err);

/** The standing of the document behind the last, and room for its own numbers. In the arena. */
struct standing stock_edit_next(const struct stock_edit *edit, struct arena *arena);

/** Write the document behind the last: it stands, and the part need not wait any more.
 *  Errors  ERR_RETRY: the number is taken, or nobody knows; ERR_REJECT: it is too large */
enum err_kind stock_edit_append(struct stock_edit *edit, struct batch *batch, struct err *err);

/** Let the part go on, when nothing came of it. */
void stock_edit_release(struct stock_edit *edit);

/** Tell what an operator did with a document of its own, or with one that does it: its number and
 * record go into the batch, whose standing is of stock_edit_next. */
enum err_kind stock_edit_tell(struct batch *batch, const struct acted *acted, struct arena *arena,
                              struct err *err);

#endif
