/* What a command does with no part in between (archives, offsets of groups, topics), told on
 * shop.ops.v1 like everything that operators do, and in the same form.
 *
 * Each run is a source of its own, ops/<teller>/<run>, with numbers from 1: nobody shares its
 * sequence, so no number can be given twice, and no part has to be up
 * (docs/decisions/what-operators-do.md). */
#ifndef TRADEWIND_OPS_TELL_H
#define TRADEWIND_OPS_TELL_H

#include "runtime/arena.h"
#include "runtime/err.h"
#include "runtime/ulid.h"

#include <stddef.h>

/* ce_source of what archives and restores do, without its prefix, is this, / and the run's id. */
#define TELLER_ARCHIVE "ops/archive"
/* ... and of what is changed past the parts: told before it is done and again after it. */
#define TELLER_COMMAND "ops/command"

struct telling {
    const char *teller;
    const char *run; /* ULID, lower case */
    uint64_t number; /* from 1 */
    const char *action, *subject, *actor, *because;
    const char *before, *after; /* JSON documents */
    int64_t time_us;
};

/** A new run's id, in the arena. */
const char *tell_new_run(struct arena *arena);

/** May text be told as the reason? One line, no control characters. */
bool tell_takes(const char *text);

/** Publish them, in this order, all of one teller. Errors  ERR_RETRY: no broker takes them */
enum err_kind tell(const struct telling *tellings, size_t count, struct err *err);

#endif
