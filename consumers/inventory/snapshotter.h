/* Writes snapshots on a thread of its own, so that the worker only has to make the documents.
 * One at a time; one that fails is logged and left: the next one comes. */
#ifndef TRADEWIND_INVENTORY_SNAPSHOTTER_H
#define TRADEWIND_INVENTORY_SNAPSHOTTER_H

#include "consumers/inventory/chain.h"

struct snapshotter;

/** run makes the names of its snapshots unique. out gives: snapshotter_stop. Errors  ERR_STOP */
enum err_kind snapshotter_start(struct snapshotter **out, const char *uri, const char *application,
                                const char *run, struct err *err);
/** Ends the thread; one that is being written is finished first. NULL does nothing. */
void snapshotter_stop(struct snapshotter *snapshotter);

/** Whether the one before is still being written. */
bool snapshotter_is_busy(struct snapshotter *snapshotter);
/** Write the ledger as it is now; not while it is busy. Returns the bytes that will be written. */
size_t snapshotter_take(struct snapshotter *snapshotter, const struct ledger *ledger);

#endif
