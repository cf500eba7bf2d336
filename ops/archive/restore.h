/* From an archive back into topics.
 *
 * Only into empty ones. A restore that was interrupted goes on: a mark in the archive's folder says
 * that it was begun on this cluster, and what lies in the topics has to be, record by record, how
 * the archive begins; then the next one is sent. At the end everything is read back and compared.
 */
#ifndef TRADEWIND_OPS_ARCHIVE_RESTORE_H
#define TRADEWIND_OPS_ARCHIVE_RESTORE_H

#include "ops/archive/archive.h"

/* One partition on its way back. */
struct restore_lane {
    const struct archive_place *place;
    bool is_missing;          /* there is no such topic (yet) */
    int64_t low, high;        /* what the broker has of it */
    int64_t present;          /* records that lie there and are the archive's first ones */
    struct archive_walk walk; /* of the archive */
    bool walks;
    int64_t acknowledged; /* the offset behind the last record that the broker took */
};

struct restore {
    const struct archive *archive;
    const char *brokers;
    struct restore_lane *lanes; /* one for each place of the archive */
    void (*say)(void *context, const char *what, int64_t done, int64_t total);
    void *context;
    int64_t sent;
    int64_t zero_times; /* records that came back with ARCHIVED_ZERO_COMES_BACK_AS_MS */
    struct err err;     /* of a callback */
    enum err_kind kind;
};

void restore_init(struct restore *restore, const struct archive *archive, const char *brokers);
void restore_clear(struct restore *restore);

/** Ask the broker what it has of each partition. Errors  ERR_RETRY */
enum err_kind restore_look(struct restore *restore, struct err *err);
/** The first partition that holds records; NULL: all are empty. */
const struct restore_lane *restore_first_held(const struct restore *restore);
/** As many records are there as a restore leaves: comparing them is worth it. */
bool restore_may_be_whole(const struct restore *restore);
/**
 * Compare what lies in the topics with the archive's first records.
 * whole   it has to be all of the archive
 * Errors  ERR_REJECT: a record is another one, or too many, or (whole) missing; ERR_RETRY
 */
enum err_kind restore_compare(struct restore *restore, bool whole, struct err *err);
/** Send what is missing behind what restore_compare has found. Errors  ERR_RETRY, ERR_REJECT */
enum err_kind restore_send(struct restore *restore, struct err *err);

#endif
