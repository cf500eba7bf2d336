/* Put the stock that the topics give in the place of the ledger's, by one document of the ledger.
 *
 * A part that serves is asked to wait for that moment (stock_edit.h). The shadow is moved up to the
 * ledger's end, what the ledger says is put away as STOCK_OLD, the shadow is written as a state
 * (chain.h) into the ledger's database, and the document that names it is the swap: whoever reads
 * the chain takes the stock from there. Numbers, positions and dead letters go on as they were.
 *
 * Of a ledger that was lost they are made from the topics too, and inputs whose outcome the loss
 * has taken become dead letters with the reason `undecided`, which the part decides again when it
 * starts. */
#ifndef TRADEWIND_REPLAY_STOCK_SWAP_H
#define TRADEWIND_REPLAY_STOCK_SWAP_H

#include "ops/replay/stock_edit.h"
#include "ops/replay/swap.h"

struct stock_swap {
    struct stock_ledger *ledger; /* as it was read last */
    struct stock_shadow *shadow;
    struct mongo *old; /* STOCK_OLD */
    struct acted acted;
    struct swap_result *result;
};

/** The ledger serves, or could. Errors  ERR_REJECT: the topics give a stock that cannot be, or the
 * shadow cannot follow; ERR_RETRY: the part did not wait. Nothing has changed then. */
enum err_kind stock_swap(struct stock_swap *swap, struct err *err);

/** The ledger was lost: the part does not run on it. */
enum err_kind stock_swap_into_lost(struct stock_swap *swap, struct err *err);

/** Of a state that was put away: whether the document that did it stands (for tally_load). */
enum err_kind stock_swap_stands(void *ledger, const struct tally_about *about, bool *stands,
                                struct err *err);

/** Tell with a document of its own what an operator did. Errors  as stock_swap */
enum err_kind stock_swap_tell(struct stock_ledger *ledger, const struct acted *acted,
                              struct err *err);

/* For stock_swap_lost.c: write the shadow and these letters as the state of the document of that
 * standing; name: its collection. */
enum err_kind stock_write_state(char name[LEDGER_NAME_SIZE], const struct stock_edit *edit,
                                const struct stock_shadow *shadow,
                                const struct letter *const *letters, size_t letter_count,
                                const struct standing *standing, struct err *err);

#endif
