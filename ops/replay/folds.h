/* The parts that can be replayed, by name. */
#ifndef TRADEWIND_REPLAY_FOLDS_H
#define TRADEWIND_REPLAY_FOLDS_H

#include "events/fold.h"

/** NULL: this part has no fold. */
const struct fold *fold_of_part(const char *name);
/** "payment, orders": for messages. */
const char *fold_names(void);

#endif
