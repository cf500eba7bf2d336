/* From topics into an archive. */
#ifndef TRADEWIND_OPS_ARCHIVE_MAKE_H
#define TRADEWIND_OPS_ARCHIVE_MAKE_H

#include "ops/archive/archive.h"
#include "ops/topics.h"

struct archive_make_options {
    const char *brokers;
    const struct declared_topic *topics; /* partitions as the broker has them */
    size_t topic_count;
    int64_t file_bytes; /* a file is finished when its records are more */
};

struct archive_made {
    int64_t records; /* that were added */
    size_t files;
};

/**
 * Add what the topics hold beyond the archive, up to the ends that they have at the call. The
 * manifest is written each time files are finished.
 *
 * Errors  ERR_RETRY: no broker answers
 *         ERR_REJECT: a topic is not the one that was archived before, or has lost records since
 *         ERR_STOP: the archive cannot be written
 */
enum err_kind archive_make(struct archive *archive, const struct archive_make_options *options,
                           struct archive_made *out, struct err *err);

#endif
