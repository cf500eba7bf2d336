#include "ops/replay/shadow_snapshot.h"

#include "ops/replay/snapshot_file.h"
#include "runtime/lines.h"

#include <stdio.h>

#define TABLE "table"
#define ROWS 5000
#define ROWS_BYTES (8u << 20)

/* A shadow's own position goes into the file's head; what its scripts are, too. */
static const struct pg_statement TABLES = {
    "replay_snapshot_tables",
    "select relname::text from pg_class where relnamespace = $1::text::regnamespace"
    " and relkind = 'r' and not relispartition"
    " and relname not in ('replay_about', 'replay_position') order by relname"};
static const struct pg_statement FETCH = {"replay_snapshot_fetch",
                                          "fetch 5000 from replay_snapshot_rows"};
_Static_assert(ROWS == 5000, "as the statement says");

/* Names of the shadow's tables. */
struct tables {
    const char **names;
    size_t count;
};

static enum err_kind find_tables(struct tables *out, struct shadow *shadow, struct arena *arena,
                                 struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_str(&args, shadow->schema);
    kind = pg_run(shadow->pg, &TABLES, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    out->count = (size_t)rows.count;
    out->names = arena_array(arena, out->count + 1, sizeof *out->names);
    for (size_t i = 0; i < out->count; i++)
        out->names[i] = arena_strdup(arena, pg_text(&rows, (int)i, 0));
    return ERR_OK;
}

/* --- Saving ----------------------------------------------------------------------------------- */

static enum err_kind save_table(struct snapshot_writer *writer, struct shadow *shadow,
                                const char *table, struct err *err)
{
    char text[200];
    struct pg_rows rows = {.count = ROWS};
    enum err_kind kind;

    snprintf(text, sizeof text,
             "begin; declare replay_snapshot_rows no scroll cursor for"
             " select row_to_json(t)::text from %s t",
             table);
    kind = pg_script(shadow->pg, text, err);
    snprintf(text, sizeof text, TABLE "\t%s", table);
    if (kind == ERR_OK)
        kind = snapshot_put(writer, view_str(text), err);
    while (kind == ERR_OK && rows.count == ROWS) {
        kind = pg_run(shadow->pg, &FETCH, NULL, &rows, err);
        for (int row = 0; kind == ERR_OK && row < rows.count; row++)
            kind = snapshot_put(writer, pg_bytes(&rows, row, 0), err);
    }
    return kind == ERR_OK ? pg_script(shadow->pg, "commit", err) : kind;
}

static enum err_kind save_tables(struct snapshot_writer *writer, struct shadow *shadow,
                                 struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct tables tables = {0};
    enum err_kind kind = find_tables(&tables, shadow, &arena, err);

    for (size_t i = 0; kind == ERR_OK && i < tables.count; i++)
        kind = save_table(writer, shadow, tables.names[i], err);
    return kind;
}

enum err_kind shadow_save(struct shadow *shadow, const char *path, struct err *err)
{
    char made_by[SHADOW_MADE_BY_SIZE];
    const struct snapshot_of of = {shadow->fold->part, made_by};
    struct snapshot_writer writer;
    enum err_kind kind;

    shadow_made_by(shadow, made_by);
    kind = snapshot_create(&writer, path, &of, &shadow->reader, err);
    if (kind == ERR_OK)
        kind = save_tables(&writer, shadow, err);
    if (kind == ERR_OK)
        kind = snapshot_finish(&writer, err);
    snapshot_writer_clear(&writer);
    return kind;
}

/* --- Making ----------------------------------------------------------------------------------- */

/* Rows of one table on their way in. */
struct loading {
    struct shadow *shadow;
    struct tables tables;
    struct arena arena;
    struct pg_statement *insert; /* NULL: before the first table */
    struct pg_column rows;
};

static enum err_kind store_rows(struct loading *loading, struct err *err)
{
    struct pg_args args = {0};
    enum err_kind kind;

    if (loading->rows.count == 0)
        return ERR_OK;
    pg_arg_column(&args, &loading->rows);
    kind = pg_run(loading->shadow->pg, loading->insert, &args, NULL, err);
    pg_column_start(&loading->rows, PG_TEXT);
    return kind;
}

/* False: the shadow has no such table. */
static bool begin_table(struct loading *loading, struct view name)
{
    struct arena *arena = &loading->arena;

    for (size_t i = 0; i < loading->tables.count; i++) {
        const char *table = loading->tables.names[i];

        if (!view_equals(name, table))
            continue;
        loading->insert = arena_alloc(arena, sizeof *loading->insert);
        *loading->insert = (struct pg_statement){
            arena_printf(arena, "replay_snapshot_insert_%zu", i).data,
            arena_printf(arena,
                         "insert into %s select r.* from unnest($1::text[]) x,"
                         " json_populate_record(null::%s, x::json) r",
                         table, table)
                .data};
        return true;
    }
    return false;
}

static enum err_kind load_rows(struct loading *loading, struct snapshot_reader *snapshot,
                               struct err *err)
{
    enum err_kind kind = ERR_OK;
    struct view line;

    pg_column_start(&loading->rows, PG_TEXT);
    while (kind == ERR_OK && snapshot_next(snapshot, &line)) {
        struct view rest = line;

        if (line.size > 0 && line.data[0] == '{' && loading->insert != NULL) {
            pg_column_bytes(&loading->rows, line);
            if (loading->rows.count == ROWS || loading->rows.bytes.size >= ROWS_BYTES)
                kind = store_rows(loading, err);
            continue;
        }
        kind = store_rows(loading, err);
        if (kind == ERR_OK &&
            (!view_equals(line_next_text(&rest), TABLE) || !begin_table(loading, rest)))
            kind = snapshot_refuse(snapshot, line, err);
    }
    return kind == ERR_OK ? store_rows(loading, err) : kind;
}

/* All in one transaction: who is killed leaves what was there before. */
static enum err_kind make(struct shadow *shadow, struct snapshot_reader *snapshot, struct err *err)
{
    struct loading loading = {.shadow = shadow};
    enum err_kind kind = shadow_begin(shadow, err);

    if (kind == ERR_OK)
        kind = find_tables(&loading.tables, shadow, &loading.arena, err);
    if (kind == ERR_OK)
        kind = load_rows(&loading, snapshot, err);
    if (kind == ERR_OK)
        kind = snapshot_is_read(snapshot, err);
    if (kind == ERR_OK)
        kind = shadow_flush(shadow, true, err); /* the position, and the commit */
    if (kind != ERR_OK)
        pg_rollback(shadow->pg);
    pg_column_clear(&loading.rows);
    arena_clear(&loading.arena);
    return kind == ERR_OK ? shadow_load(shadow, err) : kind;
}

enum err_kind shadow_make_from(struct shadow *shadow, const char *path, bool dry, struct err *err)
{
    char made_by[SHADOW_MADE_BY_SIZE];
    const struct snapshot_of of = {shadow->fold->part, made_by};
    struct snapshot_reader snapshot;
    enum err_kind kind;

    shadow_made_by(shadow, made_by);
    kind = snapshot_open(&snapshot, path, &of, &shadow->reader, err);
    if (kind == ERR_OK && !dry)
        kind = make(shadow, &snapshot, err);
    snapshot_close(&snapshot);
    return kind;
}
