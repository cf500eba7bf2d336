/* What an operator does past the parts (offsets of groups, topics) is told by a part that is asked
 * to: an event like those of what parts do themselves, but in a commit of its own, after the deed.
 */
#ifndef TRADEWIND_OPS_TELL_H
#define TRADEWIND_OPS_TELL_H

#include "ops/part_client.h"

struct told {
    const char *action; /* "offsets.reset" */
    const char *subject;
    const char *because;       /* NULL: not said */
    struct view before, after; /* JSON documents */
};

/**
 * Have it told by the first part that answers, other than `except` (NULL: by any).
 * Errors  ERR_RETRY: no part does; the text says that it was done all the same
 */
enum err_kind ops_tell(const struct told *told, const char *except, const char *token,
                       struct arena *arena, struct err *err);

#endif
