#include "ops/archive/container.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 65536 /* a block is written when it is larger */

/* Magic, schema, codec and whose records these are. Source: Avro 1.11, "Object Container Files". */
static void put_head(struct buf *out, const struct container_head *head)
{
    char partition[16];

    snprintf(partition, sizeof partition, "%" PRId32, head->partition);
    buf_append(out, "Obj\1", 4);
    wire_put_long(out, 4);
    wire_put_bytes(out, VIEW_LITERAL("avro.schema"));
    wire_put_bytes(out, view_str(ARCHIVED_SCHEMA));
    wire_put_bytes(out, VIEW_LITERAL("avro.codec"));
    wire_put_bytes(out, VIEW_LITERAL("null"));
    wire_put_bytes(out, VIEW_LITERAL("tradewind.topic"));
    wire_put_bytes(out, view_str(head->topic));
    wire_put_bytes(out, VIEW_LITERAL("tradewind.partition"));
    wire_put_bytes(out, view_str(partition));
    wire_put_long(out, 0);
    buf_append(out, head->sync, sizeof head->sync);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static enum err_kind cannot_write(struct container_writer *writer, struct err *err)
{
    return err_set(err, ERR_STOP, "%s: %s" CONTAINER_GOES_ON, buf_cstr(&writer->partial),
                   strerror(errno));
}

static enum err_kind put(struct container_writer *writer, struct view bytes, struct err *err)
{
    if (fwrite(bytes.data, 1, bytes.size, writer->file) != bytes.size)
        return cannot_write(writer, err);
    writer->bytes += (int64_t)bytes.size;
    return ERR_OK;
}

enum err_kind container_create(struct container_writer *writer, const char *path,
                               const struct container_head *head, struct err *err)
{
    AUTO(buf_clear) struct buf text = {0};

    writer->head = *head;
    writer->block_records = writer->bytes = 0;
    buf_reset(&writer->block);
    buf_reset(&writer->path);
    buf_reset(&writer->partial);
    buf_append_str(&writer->path, path);
    buf_printf(&writer->partial, "%s" CONTAINER_PARTIAL, path);
    writer->file = fopen(buf_cstr(&writer->partial), "we");
    if (writer->file == NULL)
        return cannot_write(writer, err);
    put_head(&text, head);
    return put(writer, buf_view(&text), err);
}

static enum err_kind end_block(struct container_writer *writer, struct err *err)
{
    AUTO(buf_clear) struct buf head = {0};
    enum err_kind kind;

    if (writer->block_records == 0)
        return ERR_OK;
    wire_put_long(&head, writer->block_records);
    wire_put_long(&head, (int64_t)writer->block.size);
    kind = put(writer, buf_view(&head), err);
    if (kind == ERR_OK)
        kind = put(writer, buf_view(&writer->block), err);
    if (kind == ERR_OK)
        kind = put(writer, view_of(writer->head.sync, sizeof writer->head.sync), err);
    buf_reset(&writer->block);
    writer->block_records = 0;
    return kind;
}

enum err_kind container_append(struct container_writer *writer, struct view record, struct err *err)
{
    buf_append_view(&writer->block, record);
    writer->block_records++;
    return writer->block.size >= BLOCK_BYTES ? end_block(writer, err) : ERR_OK;
}

enum err_kind container_finish(struct container_writer *writer, struct err *err)
{
    enum err_kind kind = end_block(writer, err);
    FILE *file = writer->file;

    if (kind != ERR_OK)
        return kind;
    if (fflush(file) != 0 || fsync(fileno(file)) != 0)
        return cannot_write(writer, err);
    writer->file = NULL;
    if (fclose(file) != 0 || rename(buf_cstr(&writer->partial), buf_cstr(&writer->path)) != 0) {
        kind = cannot_write(writer, err);
        unlink(buf_cstr(&writer->partial));
    }
    return kind;
}

void container_clear(struct container_writer *writer)
{
    if (writer->file != NULL) {
        fclose(writer->file);
        unlink(buf_cstr(&writer->partial));
    }
    buf_clear(&writer->path);
    buf_clear(&writer->partial);
    buf_clear(&writer->block);
    *writer = (struct container_writer){0};
}

/* --- Reading ---------------------------------------------------------------------------------- */

static enum err_kind damaged(struct container_reader *reader, const char *why, struct err *err)
{
    return err_set(err, ERR_REJECT, "%s is damaged in front of byte %" PRId64 ": %s",
                   buf_cstr(&reader->path), reader->bytes - reader->bytes_left, why);
}

/* Exactly size bytes into the block buffer, behind what is there. */
static enum err_kind get(struct container_reader *reader, size_t size, struct err *err)
{
    if ((int64_t)size > reader->bytes_left)
        return damaged(reader, "it is cut off", err);
    if (fread(buf_reserve(&reader->block, size), 1, size, reader->file) != size)
        return ferror(reader->file) != 0
                   ? err_set(err, ERR_STOP, "%s: %s", buf_cstr(&reader->path), strerror(errno))
                   : damaged(reader, "it is cut off", err);
    reader->block.size += size;
    reader->bytes_left -= (int64_t)size;
    return ERR_OK;
}

static enum err_kind check_head(struct container_reader *reader, struct err *err)
{
    AUTO(buf_clear) struct buf want = {0};
    enum err_kind kind;

    put_head(&want, &reader->head);
    kind = get(reader, want.size, err);
    if (kind == ERR_OK && !view_equal(buf_view(&want), buf_view(&reader->block)))
        kind = damaged(reader, "it does not begin as the archive wrote it", err);
    reader->cursor = cursor_over(VIEW_LITERAL(""));
    return kind;
}

enum err_kind container_open(struct container_reader *reader, const char *path,
                             const struct container_head *head, int64_t bytes, struct err *err)
{
    struct stat about;

    buf_reset(&reader->path);
    buf_reset(&reader->block);
    buf_append_str(&reader->path, path);
    reader->head = *head;
    reader->block_records = 0;
    reader->bytes = reader->bytes_left = bytes;
    reader->file = fopen(path, "re");
    if (reader->file == NULL && errno == ENOENT)
        return err_set(err, ERR_REJECT, "%s is missing", path);
    if (reader->file == NULL || fstat(fileno(reader->file), &about) != 0)
        return err_set(err, ERR_STOP, "%s: %s", path, strerror(errno));
    if (about.st_size != bytes)
        return err_set(err, ERR_REJECT, "%s has %jd bytes, and the manifest says %" PRId64, path,
                       (intmax_t)about.st_size, bytes);
    return check_head(reader, err);
}

/* A long, byte by byte: how long it is shows only while it is read. */
static enum err_kind get_long(struct container_reader *reader, int64_t *out, struct err *err)
{
    struct cursor cursor;
    enum err_kind kind;

    buf_reset(&reader->block);
    do {
        kind = get(reader, 1, err);
        if (kind != ERR_OK)
            return kind;
    } while ((reader->block.data[reader->block.size - 1] & 0x80) != 0 &&
             reader->block.size < WIRE_LONG_BYTES_MAX);
    cursor = cursor_over(buf_view(&reader->block));
    return wire_get_long(&cursor, out) && *out >= 0 ? ERR_OK
                                                    : damaged(reader, "a block's head", err);
}

static enum err_kind next_block(struct container_reader *reader, struct err *err)
{
    int64_t size = 0;
    enum err_kind kind = get_long(reader, &reader->block_records, err);

    if (kind == ERR_OK)
        kind = get_long(reader, &size, err);
    if (kind != ERR_OK)
        return kind;
    if (reader->block_records == 0 || size > reader->bytes_left)
        return damaged(reader, "a block's head", err);
    buf_reset(&reader->block);
    kind = get(reader, (size_t)size + CONTAINER_SYNC_BYTES, err);
    if (kind != ERR_OK)
        return kind;
    if (memcmp(reader->block.data + size, reader->head.sync, CONTAINER_SYNC_BYTES) != 0)
        return damaged(reader, "the mark behind a block", err);
    reader->cursor = cursor_over(view_of(reader->block.data, (size_t)size));
    return ERR_OK;
}

enum err_kind container_next(struct container_reader *reader, struct archived *out, bool *end,
                             struct err *err)
{
    enum err_kind kind = ERR_OK;

    *end = false;
    if (reader->block_records == 0) {
        if (cursor_left(&reader->cursor) > 0)
            return damaged(reader, "bytes behind a block's last record", err);
        *end = reader->bytes_left == 0;
        if (!*end)
            kind = next_block(reader, err);
    }
    if (kind != ERR_OK || *end)
        return kind;
    reader->block_records--;
    return archived_read(out, &reader->cursor) ? ERR_OK : damaged(reader, "a record", err);
}

void container_close(struct container_reader *reader)
{
    if (reader->file != NULL)
        fclose(reader->file);
    buf_clear(&reader->path);
    buf_clear(&reader->block);
    *reader = (struct container_reader){0};
}
