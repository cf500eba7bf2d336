#include "ops/replay/row_sql.h"

static const struct pg_statement COLUMNS = {
    "replay_columns", "select attname::text from pg_attribute where attrelid = $1::text::regclass"
                      " and attnum > 0 and not attisdropped order by attnum"};

const char *row_name_sql(const struct fold_table *table, struct arena *arena)
{
    AUTO(buf_clear) struct buf sql = {0};
    const char *at = table->id;

    buf_append_str(&sql, "concat_ws(' '");
    while (*at != '\0') {
        size_t length = strcspn(at, ", ");

        buf_printf(&sql, ", '%.*s=' || %.*s::text", (int)length, at, (int)length, at);
        at += length;
        at += strspn(at, ", ");
    }
    buf_append_str(&sql, ")");
    return arena_strdup(arena, buf_cstr(&sql));
}

enum err_kind row_hash_sql(const char **out, struct pg *pg, const struct fold_table *table,
                           struct arena *arena, struct err *err)
{
    AUTO(buf_clear) struct buf sql = {0};
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_str(&args, table->name);
    kind = pg_run(pg, &COLUMNS, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    buf_append_str(&sql, "hash_record_extended(row(");
    for (int row = 0; row < rows.count; row++) {
        const char *name = pg_text(&rows, row, 0);
        bool is_loose = table->loose_column != NULL && strcmp(name, table->loose_column) == 0;

        buf_printf(&sql, "%s%s", row > 0 ? ", " : "", is_loose ? table->loose_same : name);
    }
    buf_append_str(&sql, "), 0)");
    *out = arena_strdup(arena, buf_cstr(&sql));
    return ERR_OK;
}

enum err_kind row_sum(int64_t *rows, uint64_t *checksum, struct pg *pg,
                      const struct fold_table *table, struct arena *arena, struct err *err)
{
    struct pg_statement *statement = arena_alloc(arena, sizeof *statement);
    struct pg_rows found;
    const char *hash;
    enum err_kind kind = row_hash_sql(&hash, pg, table, arena, err);

    if (kind != ERR_OK)
        return kind;
    *statement = (struct pg_statement){
        arena_printf(arena, "replay_whole_%s", table->name).data,
        arena_printf(
            arena,
            "select count(*), (coalesce(sum(%s::numeric), 0) %% 9223372036854775808)::bigint"
            " from %s",
            hash, table->name)
            .data};
    kind = pg_run(pg, statement, NULL, &found, err);
    if (kind != ERR_OK)
        return kind;
    *rows = pg_int(&found, 0, 0);
    *checksum = (uint64_t)pg_int(&found, 0, 1);
    return ERR_OK;
}
