/* `tradewind saga`: the table that the parts live by, and the orders that live by it. */
#ifndef TRADEWIND_OPS_SAGA_H
#define TRADEWIND_OPS_SAGA_H

#include "ops/args.h"

/** `saga explain [PART|ORDER] | stuck | nudge ORDER | cancel ORDER`; argv[0] is "saga". */
int ops_saga(const struct command *command, int argc, char **argv);

#endif
