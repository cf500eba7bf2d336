/* The mark of a restore that has begun: a file in the archive's folder, one for each cluster.
 * It goes when the restore has ended and was told, so a restore that was interrupted is known. */
#ifndef TRADEWIND_OPS_ARCHIVE_MARK_H
#define TRADEWIND_OPS_ARCHIVE_MARK_H

#include "ops/archive/archive.h"

struct restore_mark {
    const char *path;
    bool found; /* it was there already */
    const char *run, *actor, *because;
    int64_t time_us;
};

/**
 * Find the mark of this archive and the cluster behind brokers. Everything in *out lives in the
 * arena. Errors  ERR_RETRY: no broker answers; ERR_REJECT: the mark cannot be read
 */
enum err_kind mark_find(struct restore_mark *out, const struct archive *archive,
                        const char *brokers, struct arena *arena, struct err *err);
/** Set one that was not found. Errors  ERR_STOP: the folder cannot be written */
enum err_kind mark_set(struct restore_mark *mark, const struct archive *archive, struct err *err);
enum err_kind mark_remove(const struct restore_mark *mark, const struct archive *archive,
                          struct err *err);

#endif
