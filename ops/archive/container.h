/* An archive's file: an Avro object container of consecutive records of one partition.
 *
 * Any Avro reader reads it. Ours is stricter: what stands in the file follows from its records and
 * from `sync`, so each byte that is not as the writer made it is found. Not compressed: archives
 * are stored where that is done. */
#ifndef TRADEWIND_OPS_ARCHIVE_CONTAINER_H
#define TRADEWIND_OPS_ARCHIVE_CONTAINER_H

#include "ops/archive/archived.h"

#include <stdio.h>

#define CONTAINER_SYNC_BYTES 16
#define CONTAINER_PARTIAL ".partial" /* ends the name of a file that is being written */
/* What is said behind an error of the disk. */
#define CONTAINER_GOES_ON "; what is complete stays, and the same command goes on from there"

/* What a file says of itself, beside its schema. */
struct container_head {
    const char *topic;
    int32_t partition;
    uint8_t sync[CONTAINER_SYNC_BYTES];
};

struct container_writer {
    FILE *file; /* NULL: nothing is open */
    struct buf path, partial, block;
    struct container_head head;
    int64_t block_records, bytes;
};

/** Begin a file under the name path + CONTAINER_PARTIAL. Errors  ERR_STOP: it cannot be written */
enum err_kind container_create(struct container_writer *writer, const char *path,
                               const struct container_head *head, struct err *err);
/** Errors  ERR_STOP: names the file: the disk is full, ... */
enum err_kind container_append(struct container_writer *writer, struct view record,
                               struct err *err);
/** Everything is on the disk, and the file has its name. */
enum err_kind container_finish(struct container_writer *writer, struct err *err);
/** Give back what it holds; what was not finished is removed. */
void container_clear(struct container_writer *writer);

struct container_reader {
    FILE *file;
    struct buf path, block;
    struct container_head head;
    struct cursor cursor;
    int64_t block_records, bytes, bytes_left;
};

/**
 * Open a file of so many bytes.
 * Errors  ERR_REJECT: it is missing, has another size or another head; ERR_STOP: it cannot be read
 */
enum err_kind container_open(struct container_reader *reader, const char *path,
                             const struct container_head *head, int64_t bytes, struct err *err);
/** The next record, until the call after it; *end: there is none any more. Errors  as
 * container_open */
enum err_kind container_next(struct container_reader *reader, struct archived *out, bool *end,
                             struct err *err);
void container_close(struct container_reader *reader);

#endif
