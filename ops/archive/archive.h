/* An archive: a folder of Avro files and a manifest that says what has to be in them.
 *
 * The manifest is the only truth. A file counts when the manifest names it, and the manifest is
 * written when the file is whole and on the disk; whatever else lies there was begun and not
 * finished. So a run that was killed goes on from the manifest, and one that is started again
 * later adds what came since.
 *
 * The records of each partition are bound by a hash chain: of a record's link, the SHA-256 of the
 * link before and the record's bytes. The manifest has the link behind each file, and a hash of
 * itself. Whoever keeps that one hash can tell whether anything was changed. */
#ifndef TRADEWIND_OPS_ARCHIVE_ARCHIVE_H
#define TRADEWIND_OPS_ARCHIVE_ARCHIVE_H

#include "ops/archive/container.h"
#include "runtime/arena.h"
#include "runtime/ulid.h"

#define ARCHIVE_MANIFEST "manifest.json"
#define ARCHIVE_LINK_BYTES 32

struct archive_link {
    uint8_t hash[ARCHIVE_LINK_BYTES];
};

/* The numbers that one writer has given, as far as they lie in one partition. */
struct archive_numbers {
    struct view source;
    int32_t shard;
    uint64_t first, last;
    int64_t records;
};

struct archive_file {
    const char *name; /* in the archive's folder */
    int64_t records, first_offset, last_offset, bytes;
    struct archive_link link; /* behind its last record */
};

/* What is known of a partition's records up to some record. */
struct archive_count {
    int64_t records, first_offset, last_offset;
    struct archive_link link;   /* behind the last record */
    struct archive_link before; /* in front of it */
    struct archive_numbers *numbers;
    size_t number_count;
};

struct archive_place {
    const char *topic;
    int32_t partition;
    struct archive_count count;
    struct archive_file *files; /* in the order of their records */
    size_t file_count;
};

/* The last run that has added something: it is told on shop.ops.v1 (ops/tell.h). */
struct archive_run {
    const char *id; /* a ULID, lower case; NULL: there was none */
    int64_t time_us;
    const char *actor, *because;
    int64_t records; /* that it has added */
    bool told;
};

struct archive {
    const char *folder;
    int lock;                              /* the folder, open; -1: none */
    char seal[2 * ARCHIVE_LINK_BYTES + 1]; /* the hash of the manifest as it is on the disk */
    struct archive_place
        *places; /* sorted as they came in: a topic's partitions follow each other */
    size_t place_count;
    struct archive_run run;
    struct arena arena;
};

/**
 * Take the folder for oneself and read its manifest.
 *
 * make    the folder may be missing or empty: then it becomes an archive of nothing
 * Errors  ERR_REJECT: there is no archive, or its manifest is damaged
 *         ERR_STOP: somebody else works in it; it cannot be read
 */
enum err_kind archive_open(struct archive *archive, const char *folder, bool make, struct err *err);
void archive_close(struct archive *archive);
CLEANUP_IN_PLACE(archive_close, struct archive)

/** Make what is in memory the manifest on the disk. Errors  ERR_STOP: it cannot be written */
enum err_kind archive_commit(struct archive *archive, struct err *err);

/** The partition's place, or NULL. */
struct archive_place *archive_find(const struct archive *archive, const char *topic,
                                   int32_t partition);
/** A place for a partition that has none; what archive_find gave before is not valid any more. */
struct archive_place *archive_add_place(struct archive *archive, const char *topic,
                                        int32_t partition);
int64_t archive_records(const struct archive *archive);
/** "FOLDER/NAME", in the arena. */
const char *archive_path(struct arena *arena, const struct archive *archive, const char *name);

/* --- The manifest's text (manifest.c) --------------------------------------------------------- */

void manifest_write(struct buf *out, const struct archive *archive);
/** Errors  ERR_REJECT: it is damaged, or of a version that this program does not know */
enum err_kind manifest_read(struct archive *archive, struct view text, struct err *err);

/* --- Counting (count.c) ----------------------------------------------------------------------- */

/** Begin to count the partition's records; gives back its memory with archive_count_clear. */
void archive_count_start(struct archive_count *count, const char *topic, int32_t partition);
void archive_count_copy(struct archive_count *out, const struct archive_count *count);
void archive_count_clear(struct archive_count *count);
/** Count the next record. Errors  ERR_REJECT: its offset is not above the last one's */
enum err_kind archive_count_add(struct archive_count *count, const struct archived *record,
                                const char *topic, struct arena *arena, struct err *err);
/** The link behind these bytes. */
struct archive_link archive_link_after(const struct archive_link *before, struct view bytes);
bool archive_link_equal(const struct archive_link *a, const struct archive_link *b);
/** Bytes as hexadecimal digits, out has two for each and a NUL. */
void archive_hex(char *out, const uint8_t *bytes, size_t size);
/** What a file of this place says of itself when it begins behind such a link. */
struct container_head archive_head(const struct archive_place *place,
                                   const struct archive_link *before);

/* --- Reading the records of a place (walk.c) -------------------------------------------------- */

struct archive_walk {
    const struct archive *archive;
    const struct archive_place *place;
    size_t file;                /* the one that is open, or the next */
    struct archive_count count; /* of what was read */
    int64_t file_records;       /* read of the open file */
    struct container_reader reader;
    struct arena arena;
};

void archive_walk_start(struct archive_walk *walk, const struct archive *archive,
                        const struct archive_place *place);
/**
 * The next record of the place, checked against the manifest file by file and, at the end, as a
 * whole. *end: there is none any more.
 * Errors  ERR_REJECT: a file is missing or damaged, named; ERR_STOP: it cannot be read
 */
enum err_kind archive_walk_next(struct archive_walk *walk, struct archived *out, bool *end,
                                struct err *err);
void archive_walk_clear(struct archive_walk *walk);
CLEANUP_IN_PLACE(archive_walk_clear, struct archive_walk)

/** Read every record of the archive. each is called now and then with how many were read. */
enum err_kind archive_verify(const struct archive *archive,
                             void (*each)(void *context, int64_t records), void *context,
                             struct err *err);

#endif
