/* The live view: what flows, counted from the moment it began to look. */
#ifndef TRADEWIND_OPS_WATCH_H
#define TRADEWIND_OPS_WATCH_H

#include "ops/status.h"

struct watch_options {
    bool until_idle; /* end when nothing is under way and nothing has changed for a while */
    int64_t seconds; /* end after so many; 0: never */
    bool as_json;
};

/** Show it on standard output until it ends or is interrupted. */
enum err_kind watch_run(struct lag *lag, const struct watch_options *options, struct err *err);

#endif
