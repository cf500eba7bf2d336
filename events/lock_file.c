#include "events/lock_file.h"

#include "runtime/file.h"
#include "runtime/json.h"

#define LOCK_BYTES_MAX (16 << 20)
#define ROWS_MAX 100000

static const char *lock_path(const char *folder, struct arena *arena)
{
    return arena_printf(arena, "%s/ids.lock", folder).data;
}

/* The id was not there before, and the version follows the one before of its type. */
static enum err_kind check_row(const struct lock_file *lock, size_t at, const char *path,
                               struct err *err)
{
    const struct lock_row *row = &lock->rows[at];
    int32_t newest = 0;

    for (size_t i = 0; i < at; i++) {
        if (lock->rows[i].id == row->id)
            return err_set(err, ERR_STOP, "%s: id %d is there twice", path, row->id);
        if (view_equal(lock->rows[i].type, row->type))
            newest = lock->rows[i].version;
    }
    if (row->version != newest + 1)
        return err_set(err, ERR_STOP, "%s: version %d of %.*s, want %d", path, row->version,
                       VIEW_PRINT(row->type), newest + 1);
    return ERR_OK;
}

enum err_kind lock_file_read(struct lock_file *out, const char *folder, struct arena *arena,
                             struct err *err)
{
    const char *path = lock_path(folder, arena);
    struct json_reader reader = {.arena = arena};
    struct lock_file lock = {0};
    const struct json *rows;
    struct json *json;
    struct view text;
    struct err why;

    if (file_read(&text, path, LOCK_BYTES_MAX, arena, err) != ERR_OK)
        return ERR_STOP;
    if (json_parse(&json, text, arena, &why) != ERR_OK)
        return err_set(err, ERR_STOP, "%s: %s", path, why.text);
    rows = json_read_array(&reader, json, "schemas", 0, ROWS_MAX);
    if (rows != NULL)
        lock.rows = arena_array(arena, rows->count, sizeof *lock.rows);
    for (; !reader.failed && lock.count < rows->count; lock.count++) {
        const struct json *row = &rows->items[lock.count];

        lock.rows[lock.count] = (struct lock_row){
            .id = (int32_t)json_read_int64(&reader, row, "id", 1, INT32_MAX),
            .type = json_read_text(&reader, row, "type", 1, 100),
            .version = (int32_t)json_read_int64(&reader, row, "version", 1, INT32_MAX),
            .subject = json_read_text(&reader, row, "subject", 1, 400),
            .fingerprint = json_read_text(&reader, row, "fingerprint", SCHEMA_FINGERPRINT_SIZE - 1,
                                          SCHEMA_FINGERPRINT_SIZE - 1),
            .file = json_read_text(&reader, row, "file", 1, 200),
        };
        if (!reader.failed && check_row(&lock, lock.count, path, err) != ERR_OK)
            return ERR_STOP;
    }
    if (reader.failed)
        return err_set(err, ERR_STOP, "%s: %.*s: %s", path, VIEW_PRINT(reader.pointer),
                       reader.err.text);
    *out = lock;
    return ERR_OK;
}

enum err_kind lock_file_write(const struct lock_file *lock, const char *folder, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer writer = {.out = &text};

    /* One row a line: a change reads well in a diff, and two of them conflict. */
    buf_append_str(&text, "{\"schemas\": [");
    for (size_t i = 0; i < lock->count; i++) {
        const struct lock_row *row = &lock->rows[i];

        buf_append_str(&text, i > 0 ? ",\n" : "\n");
        writer.need_comma = false;
        json_object_start(&writer);
        json_member_int64(&writer, "id", row->id);
        json_member_text(&writer, "type", row->type);
        json_member_int64(&writer, "version", row->version);
        json_member_text(&writer, "subject", row->subject);
        json_member_text(&writer, "fingerprint", row->fingerprint);
        json_member_text(&writer, "file", row->file);
        json_object_end(&writer);
    }
    buf_append_str(&text, "\n]}\n");
    return file_write(lock_path(folder, &arena), buf_view(&text), err);
}

static const char *row_path(const struct lock_row *row, const char *folder, struct arena *arena)
{
    return arena_printf(arena, "%s/%.*s", folder, VIEW_PRINT(row->file)).data;
}

enum err_kind lock_file_text(struct view *out, const struct lock_row *row, const char *folder,
                             struct arena *arena, struct err *err)
{
    return file_read(out, row_path(row, folder, arena), SCHEMA_TEXT_MAX, arena, err);
}

enum err_kind lock_file_schema(const struct schema **out, const struct lock_row *row,
                               const char *folder, struct arena *arena, struct err *err)
{
    const char *path = row_path(row, folder, arena);
    char fingerprint[SCHEMA_FINGERPRINT_SIZE];
    const struct schema *schema;
    struct view text;
    struct err why;

    if (lock_file_text(&text, row, folder, arena, err) != ERR_OK)
        return ERR_STOP;
    if (schema_parse(&schema, text, arena, &why) != ERR_OK)
        return err_set(err, ERR_STOP, "%s: %s", path, why.text);
    schema_fingerprint(fingerprint, schema);
    if (!view_equals(row->fingerprint, fingerprint))
        return err_set(err, ERR_STOP, "%s: its fingerprint is %s, the lock file says %.*s", path,
                       fingerprint, VIEW_PRINT(row->fingerprint));
    *out = schema;
    return ERR_OK;
}
