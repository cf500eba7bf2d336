/* A tally as it is kept in a database of its own beside the ledger's, with the position it is at:
 * what a replay has built, and what a swap has put away.
 *
 * Each is a collection save_<number>: parts of lines, then the document `valid`, without which
 * there is none. The newest valid one counts; older ones are dropped. */
#ifndef TRADEWIND_REPLAY_TALLY_FILE_H
#define TRADEWIND_REPLAY_TALLY_FILE_H

#include "ops/replay/log_reader.h"
#include "ops/replay/tally_lines.h"
#include "runtime/mongo.h"

/** Write it behind those that are there, at the position of the reader's places.
 *  Errors  ERR_RETRY: unreachable */
enum err_kind tally_save(struct mongo *mongo, const struct tally *tally,
                         const struct log_reader *reader, const struct tally_about *about,
                         struct err *err);
/** Drop all but the newest valid one. */
enum err_kind tally_drop_older(struct mongo *mongo, struct err *err);

/**
 * Read the newest into an empty tally, and set the reader's places.
 *
 * found   false: there is none; all else is as it was
 * counts  may be NULL; says of each, the newest first, whether it counts
 * Errors  ERR_RETRY: unreachable. ERR_REJECT: it is of another version or number of partitions
 */
enum err_kind tally_load(bool *found, struct mongo *mongo, struct tally *tally,
                         struct log_reader *reader, struct tally_about *about, struct arena *arena,
                         enum err_kind (*counts)(void *context, const struct tally_about *about,
                                                 bool *yes, struct err *err),
                         void *context, struct err *err);

/** Drop all that lies there; dropped: may be NULL, becomes true when something did. */
enum err_kind tally_drop(struct mongo *mongo, bool *dropped, struct err *err);

#endif
