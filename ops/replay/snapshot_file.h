/* A state that a replay has built, in a file of its own: `replay PART --save FILE` writes it,
 * `--from FILE` begins there instead of at the beginning of the topics (docs/decisions/replay.md).
 *
 * It is text, a line each (runtime/lines.h):
 *
 *     tradewind-replay  format  part  made by  partitions
 *     place             topic  partition  next offset  number  fresh  witness
 *     ...               what the state is made of, as the part's kind of store writes it
 *     end               SHA-256 of all bytes before
 *
 * Whoever opens it reads all of it against that sum first. */
#ifndef TRADEWIND_REPLAY_SNAPSHOT_FILE_H
#define TRADEWIND_REPLAY_SNAPSHOT_FILE_H

#include "ops/replay/log_reader.h"

#include <sodium.h>

#include <stdio.h>

/* What it is of. */
struct snapshot_of {
    const char *part;
    const char *made_by; /* another one has other tables: their scripts' sum, or a number */
};

struct snapshot_writer {
    const char *path;
    FILE *file;
    struct buf partial; /* its name until it is whole */
    struct buf line;
    crypto_hash_sha256_state sum;
};

/** ERR_REJECT: a file of that name is there; for who would rather know before the work. */
enum err_kind snapshot_is_free(const char *path, struct err *err);

/**
 * Begin a file at the position of the reader's places. Borrows path.
 * Errors  ERR_REJECT: it is there already; ERR_STOP: it cannot be written; ERR_RETRY: the broker
 */
enum err_kind snapshot_create(struct snapshot_writer *writer, const char *path,
                              const struct snapshot_of *of, struct log_reader *reader,
                              struct err *err);
/** Write a line (without its newline in it), or several with the newlines between. */
enum err_kind snapshot_put(struct snapshot_writer *writer, struct view lines, struct err *err);
/** The file is whole, and has its name. */
enum err_kind snapshot_finish(struct snapshot_writer *writer, struct err *err);
/** What was not finished is gone. */
void snapshot_writer_clear(struct snapshot_writer *writer);

struct snapshot_reader {
    const char *path;
    FILE *file;
    off_t end; /* where its last line is */
    char *line;
    size_t line_room;
};

/**
 * Read it through, see whether the topics hold what it stands behind, and set the reader's places.
 * Borrows path.
 *
 * Errors  ERR_REJECT: it is not whole, of another part, version or number of partitions, or the
 *         topics do not fit it; ERR_STOP: it cannot be read; ERR_RETRY: the broker
 */
enum err_kind snapshot_open(struct snapshot_reader *snapshot, const char *path,
                            const struct snapshot_of *of, struct log_reader *reader,
                            struct err *err);
/** The next line of the state, a view until the next call; false: there is none, or it cannot be
 * read. */
bool snapshot_next(struct snapshot_reader *snapshot, struct view *line);
/** To be asked behind the last line. ERR_STOP: there was more of it when it was opened. */
enum err_kind snapshot_is_read(const struct snapshot_reader *snapshot, struct err *err);
/** ERR_REJECT: a line that says nothing. */
enum err_kind snapshot_refuse(const struct snapshot_reader *snapshot, struct view line,
                              struct err *err);
void snapshot_close(struct snapshot_reader *snapshot);

#endif
