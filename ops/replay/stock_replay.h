/* tradewind replay inventory: as of other parts, but its state is a ledger and not tables. */
#ifndef TRADEWIND_REPLAY_STOCK_REPLAY_H
#define TRADEWIND_REPLAY_STOCK_REPLAY_H

#include "ops/args.h"
#include "ops/replay/stock_compare.h"

/* What the command line asks for. */
struct replay_options {
    const char *until_text, *because;
    const char *from, *save; /* files: ops/replay/snapshot_file.h */
    bool fresh, compare, swap, undo, drop, dry_run;
    int64_t rate;
};

/** Returns the exit code; settings are loaded. */
int stock_replay(const struct command *command, const struct replay_options *options,
                 struct report *report);

#endif
