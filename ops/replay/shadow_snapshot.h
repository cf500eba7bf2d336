/* A shadow in a file, and a shadow made of one (ops/replay/snapshot_file.h): each table that has
 * rows, with its rows as JSON by the names of their columns. */
#ifndef TRADEWIND_REPLAY_SHADOW_SNAPSHOT_H
#define TRADEWIND_REPLAY_SHADOW_SNAPSHOT_H

#include "ops/replay/shadow.h"

/** Errors  ERR_REJECT: the file is there already; ERR_STOP: it cannot be written */
enum err_kind shadow_save(struct shadow *shadow, const char *path, struct err *err);

/**
 * Make the shadow of what the file holds, at its position, in the place of one that is there.
 *
 * dry     only look whether it could be, and set the reader's places
 * Errors  as snapshot_open; then nothing has changed
 */
enum err_kind shadow_make_from(struct shadow *shadow, const char *path, bool dry, struct err *err);

#endif
