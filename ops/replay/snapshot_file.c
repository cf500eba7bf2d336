#include "ops/replay/snapshot_file.h"

#include "ops/replay/log_witness.h"
#include "runtime/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "tradewind-replay"
#define PLACE "place"
#define END "end"
#define FORMAT 1
#define SUM_HEX (2 * crypto_hash_sha256_BYTES)
#define END_BYTES ((off_t)(sizeof END - 1 + 1 + SUM_HEX + 1)) /* end, tab, sum, newline */
#define READ_BYTES 65536

/* --- Writing ---------------------------------------------------------------------------------- */

static enum err_kind cannot_write(const struct snapshot_writer *writer, struct err *err)
{
    return err_set(err, ERR_STOP, "%s: %s", writer->path, strerror(errno));
}

static enum err_kind put(struct snapshot_writer *writer, struct view bytes, struct err *err)
{
    crypto_hash_sha256_update(&writer->sum, (const unsigned char *)bytes.data, bytes.size);
    return fwrite(bytes.data, 1, bytes.size, writer->file) == bytes.size
               ? ERR_OK
               : cannot_write(writer, err);
}

static enum err_kind put_line(struct snapshot_writer *writer, struct err *err)
{
    enum err_kind kind;

    line_end(&writer->line);
    kind = put(writer, buf_view(&writer->line), err);
    buf_reset(&writer->line);
    return kind;
}

static enum err_kind put_head(struct snapshot_writer *writer, const struct snapshot_of *of,
                              struct log_reader *reader, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct log_witness *witnesses = arena_array(&arena, reader->place_count, sizeof *witnesses);
    struct buf *line = &writer->line;
    enum err_kind kind = log_witness_read(witnesses, reader, err);

    if (kind != ERR_OK)
        return kind;
    line_text(line, VIEW_LITERAL(HEAD));
    line_int64(line, FORMAT);
    line_text(line, view_str(of->part));
    line_text(line, view_str(of->made_by));
    line_int64(line, reader->partitions);
    kind = put_line(writer, err);
    for (size_t i = 0; kind == ERR_OK && i < reader->place_count; i++) {
        line_text(line, VIEW_LITERAL(PLACE));
        log_place_put(line, &reader->places[i]);
        line_text(line, view_str(witnesses[i].hex));
        kind = put_line(writer, err);
    }
    return kind;
}

enum err_kind snapshot_is_free(const char *path, struct err *err)
{
    return access(path, F_OK) == 0 ? err_set(err, ERR_REJECT, "%s is there already", path) : ERR_OK;
}

enum err_kind snapshot_create(struct snapshot_writer *writer, const char *path,
                              const struct snapshot_of *of, struct log_reader *reader,
                              struct err *err)
{
    *writer = (struct snapshot_writer){.path = path};
    if (snapshot_is_free(path, err) != ERR_OK)
        return err->kind;
    crypto_hash_sha256_init(&writer->sum);
    buf_printf(&writer->partial, "%s.partial", path);
    writer->file = fopen(buf_cstr(&writer->partial), "we");
    return writer->file != NULL ? put_head(writer, of, reader, err) : cannot_write(writer, err);
}

enum err_kind snapshot_put(struct snapshot_writer *writer, struct view lines, struct err *err)
{
    enum err_kind kind = put(writer, lines, err);

    return kind == ERR_OK ? put(writer, VIEW_LITERAL("\n"), err) : kind;
}

enum err_kind snapshot_finish(struct snapshot_writer *writer, struct err *err)
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    char hex[SUM_HEX + 1];
    FILE *file = writer->file;
    bool is_good;

    crypto_hash_sha256_final(&writer->sum, sum);
    sodium_bin2hex(hex, sizeof hex, sum, sizeof sum);
    is_good = fprintf(file, END "\t%s\n", hex) == (int)END_BYTES && fflush(file) == 0 &&
              fsync(fileno(file)) == 0;
    writer->file = is_good ? NULL : file;
    if (is_good && fclose(file) == 0 && rename(buf_cstr(&writer->partial), writer->path) == 0)
        return ERR_OK;
    return cannot_write(writer, err);
}

void snapshot_writer_clear(struct snapshot_writer *writer)
{
    if (writer->file != NULL) {
        fclose(writer->file);
        unlink(buf_cstr(&writer->partial));
    }
    buf_clear(&writer->partial);
    buf_clear(&writer->line);
    writer->file = NULL;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static enum err_kind not_whole(const struct snapshot_reader *snapshot, struct err *err)
{
    return err_set(err, ERR_REJECT, "%s is not whole, or was changed since it was written",
                   snapshot->path);
}

static enum err_kind cannot_read(const struct snapshot_reader *snapshot, struct err *err)
{
    return err_set(err, ERR_STOP, "%s: %s", snapshot->path, strerror(errno));
}

/* All bytes before the last line against the sum that it has. */
static enum err_kind check_sum(struct snapshot_reader *snapshot, struct err *err)
{
    unsigned char bytes[READ_BYTES], sum[crypto_hash_sha256_BYTES];
    char hex[SUM_HEX + 1], wanted[END_BYTES + 1], said[END_BYTES + 1] = "";
    crypto_hash_sha256_state state;
    off_t left = snapshot->end;

    crypto_hash_sha256_init(&state);
    while (left > 0) {
        size_t size = left < READ_BYTES ? (size_t)left : READ_BYTES;

        if (fread(bytes, 1, size, snapshot->file) != size)
            return cannot_read(snapshot, err);
        crypto_hash_sha256_update(&state, bytes, size);
        left -= (off_t)size;
    }
    crypto_hash_sha256_final(&state, sum);
    sodium_bin2hex(hex, sizeof hex, sum, sizeof sum);
    snprintf(wanted, sizeof wanted, END "\t%s\n", hex);
    if (fread(said, 1, (size_t)END_BYTES, snapshot->file) != (size_t)END_BYTES ||
        memcmp(wanted, said, (size_t)END_BYTES) != 0)
        return not_whole(snapshot, err);
    rewind(snapshot->file);
    return ERR_OK;
}

enum err_kind snapshot_refuse(const struct snapshot_reader *snapshot, struct view line,
                              struct err *err)
{
    return err_set(err, ERR_REJECT, "%s: a line that says nothing: %.40s", snapshot->path,
                   line.size > 0 ? line.data : "(an empty one)");
}

/* For other tables than those of today there is no way on. */
static enum err_kind check_head(struct snapshot_reader *snapshot, const struct snapshot_of *of,
                                const struct log_reader *reader, struct err *err)
{
    struct view line, part, made_by;
    int64_t format, partitions;

    if (!snapshot_next(snapshot, &line) || !view_equals(line_next_text(&line), HEAD) ||
        !line_next_int64(&line, &format))
        return err_set(err, ERR_REJECT, "%s is no snapshot of a replay", snapshot->path);
    part = line_next_text(&line);
    made_by = line_next_text(&line);
    if (!view_equals(part, of->part))
        return err_set(err, ERR_REJECT, "%s is of %.*s, not of %s", snapshot->path,
                       VIEW_PRINT(part), of->part);
    if (format != FORMAT || !view_equals(made_by, of->made_by))
        return err_set(err, ERR_REJECT,
                       "%s was made by another version of %s: begin at the beginning of the topics",
                       snapshot->path, of->part);
    if (!line_next_int64(&line, &partitions) || partitions != reader->partitions)
        return err_set(err, ERR_REJECT, "%s is of topics with %" PRId64 " partitions, not %d",
                       snapshot->path, partitions, reader->partitions);
    return ERR_OK;
}

static bool read_place(struct log_reader *reader, struct log_witness *witnesses, struct view line)
{
    bool is_place = view_equals(line_next_text(&line), PLACE);
    const struct log_place *place = is_place ? log_place_take(reader, &line) : NULL;
    struct view witness = line_next_text(&line);

    if (place == NULL || witness.size >= sizeof witnesses->hex)
        return false;
    memcpy(witnesses[place - reader->places].hex, witness.data, witness.size);
    return true;
}

/* Each of the reader's places has a line: a snapshot is of all topics of its part. */
static enum err_kind read_places(struct snapshot_reader *snapshot, struct log_reader *reader,
                                 struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct log_witness *witnesses = arena_array(&arena, reader->place_count, sizeof *witnesses);

    for (size_t i = 0; i < reader->place_count; i++) {
        struct view line;

        if (!snapshot_next(snapshot, &line))
            return not_whole(snapshot, err);
        if (!read_place(reader, witnesses, line))
            return snapshot_refuse(snapshot, line, err);
    }
    return log_witness_check(witnesses, reader, err);
}

enum err_kind snapshot_open(struct snapshot_reader *snapshot, const char *path,
                            const struct snapshot_of *of, struct log_reader *reader,
                            struct err *err)
{
    struct stat about;
    enum err_kind kind;

    *snapshot = (struct snapshot_reader){.path = path, .file = fopen(path, "re")};
    if (snapshot->file == NULL || fstat(fileno(snapshot->file), &about) != 0)
        return cannot_read(snapshot, err);
    snapshot->end = about.st_size - END_BYTES;
    if (snapshot->end <= 0)
        return not_whole(snapshot, err);
    kind = check_sum(snapshot, err);
    if (kind == ERR_OK)
        kind = check_head(snapshot, of, reader, err);
    return kind == ERR_OK ? read_places(snapshot, reader, err) : kind;
}

bool snapshot_next(struct snapshot_reader *snapshot, struct view *line)
{
    ssize_t size;

    if (ftello(snapshot->file) >= snapshot->end)
        return false;
    size = getline(&snapshot->line, &snapshot->line_room, snapshot->file);
    if (size <= 0)
        return false;
    snapshot->line[size - 1] = '\0'; /* each ends with a newline, as the sum tells */
    *line = view_of(snapshot->line, (size_t)size - 1);
    return true;
}

enum err_kind snapshot_is_read(const struct snapshot_reader *snapshot, struct err *err)
{
    if (ftello(snapshot->file) == snapshot->end)
        return ERR_OK;
    return err_set(err, ERR_STOP, "%s could be read once, and not again to its end",
                   snapshot->path);
}

void snapshot_close(struct snapshot_reader *snapshot)
{
    if (snapshot->file != NULL)
        fclose(snapshot->file);
    free(snapshot->line);
    *snapshot = (struct snapshot_reader){0};
}
