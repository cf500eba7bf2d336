/* Reading the topics into a world. */
#ifndef TRADEWIND_OPS_WORLD_READ_H
#define TRADEWIND_OPS_WORLD_READ_H

#include "ops/world.h"

/**
 * Read all event topics from their beginnings to their present ends. The orders topic comes first:
 * what it says is final, the others have said before. Progress goes to standard error.
 * Errors  ERR_RETRY: no broker answers
 */
enum err_kind world_read(struct world *world, const char *brokers, const struct schema_ids *ids,
                         struct err *err);

#endif
