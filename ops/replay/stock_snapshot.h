/* Inventory's shadow in a file, and one made of it (ops/replay/snapshot_file.h): the lines of its
 * tally. */
#ifndef TRADEWIND_REPLAY_STOCK_SNAPSHOT_H
#define TRADEWIND_REPLAY_STOCK_SNAPSHOT_H

#include "ops/replay/stock_shadow.h"

/** Errors  ERR_REJECT: the file is there already; ERR_STOP: it cannot be written */
enum err_kind stock_snapshot_save(struct stock_shadow *shadow, const char *path, struct err *err);

/**
 * Fill a shadow that holds nothing with what the file holds, at its position; it is saved in its
 * place when it is moved next.
 *
 * dry     only look whether it could be, and set the reader's places
 * Errors  as snapshot_open
 */
enum err_kind stock_snapshot_load(struct stock_shadow *shadow, const char *path, bool dry,
                                  struct err *err);

#endif
