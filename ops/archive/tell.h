/* What archive and restore did, told on shop.ops.v1 like everything that operators do.
 *
 * No part does it, so the command tells it itself, under a source of its own for each run:
 * ops/archive/<run>, with the one number 1. The text follows from what the run keeps on the disk,
 * so telling it again is the same record, and a run that died is told by the next
 * (docs/decisions/archives.md). */
#ifndef TRADEWIND_OPS_ARCHIVE_TELL_H
#define TRADEWIND_OPS_ARCHIVE_TELL_H

#include "runtime/arena.h"
#include "runtime/err.h"
#include "runtime/ulid.h"

/* ce_source of a run's record, without its prefix, is this and the run's id. */
#define TELL_SOURCE "ops/archive/"

struct telling {
    const char *run; /* ULID, lower case */
    const char *action, *subject, *actor, *because;
    const char *before, *after; /* JSON documents */
    int64_t time_us;
};

/** A new run's id, in the arena. */
const char *tell_new_run(struct arena *arena);
/** Who runs this program. In the arena. */
const char *tell_actor(struct arena *arena);

/** May text be told as the reason? One line, no control characters. */
bool tell_takes(const char *text);

/** Publish it. Errors  ERR_RETRY: no broker takes it */
enum err_kind tell(const struct telling *telling, struct err *err);

#endif
