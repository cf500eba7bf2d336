/* May this schema follow those? FULL_TRANSITIVE: a replay reads every version there ever was, and a
 * consumer that was not upgraded yet reads the newest. */
#ifndef TRADEWIND_EVENTS_COMPAT_H
#define TRADEWIND_EVENTS_COMPAT_H

#include "events/schema.h"

/**
 * Can everything written with writer be read as reader?
 * Errors  ERR_REJECT: names the field and the rule that forbids it
 */
enum err_kind compat_can_read(const struct schema *reader, const struct schema *writer,
                              struct err *err);

/** Both directions. Errors  ERR_REJECT: which direction, the field, the rule. */
enum err_kind compat_full(const struct schema *newer, const struct schema *older, struct err *err);

/**
 * Check a schemas folder (events/, history/, ids.lock): every schema against all versions of its
 * history, the newest version against the current schema, fingerprints and ids in the lock file.
 * Appends one line per mistake to report; returns how many there are.
 */
size_t compat_check_folder(const char *folder, struct buf *report);

#endif
