/* `tradewind saga stuck`, `explain ORDER`, `nudge ORDER` and `cancel ORDER`: about orders that run,
 * asked of the order service through the door. */
#ifndef TRADEWIND_OPS_SAGA_ORDERS_H
#define TRADEWIND_OPS_SAGA_ORDERS_H

#include "ops/args.h"

/* The options that these have. */
struct saga_call {
    const struct command *command;
    bool json, dry_run;
    const char *longer_than; /* a duration; NULL: than is usual */
    const char *because;
    int64_t limit;
};

/** Whether the word has the shape of an order's id. */
bool saga_is_order(const char *word);

int saga_stuck(const struct saga_call *call);
int saga_explain_order(const struct saga_call *call, const char *order);
int saga_nudge(const struct saga_call *call, const char *order);
int saga_cancel(const struct saga_call *call, const char *order);

#endif
