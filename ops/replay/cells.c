#include "ops/replay/cells.h"

#include "ops/replay/row_sql.h"

#include <stdio.h>
#include <stdlib.h>

void cell_reader_init(struct cell_reader *reader, const struct fold *fold)
{
    struct arena *arena = &reader->arena;

    *reader = (struct cell_reader){.fold = fold};
    reader->statements = arena_array(arena, fold->table_count, sizeof *reader->statements);
    for (size_t i = 0; i < fold->table_count; i++) {
        const struct fold_table *table = &fold->tables[i];

        reader->statements[i].by_key = (struct pg_statement){
            arena_printf(arena, "replay_cells_%zu", i).data,
            arena_printf(arena,
                         "select t.row, t.key, e.key, e.value from (select %s as row, %s as key,"
                         "  to_jsonb(t) as doc from %s t where %s = any($1::text[])) t,"
                         " jsonb_each_text(t.doc) e",
                         row_name_sql(table, arena), table->key, table->name, table->key)
                .data};
    }
}

void cell_reader_clear(struct cell_reader *reader)
{
    pg_column_clear(&reader->keys);
    arena_clear(&reader->arena);
}

static int compare(const struct cell *a, const struct cell *b)
{
    int order = (a->table > b->table) - (a->table < b->table);

    if (order == 0)
        order = strcmp(a->row, b->row);
    return order != 0 ? order : strcmp(a->column, b->column);
}

static int compare_cells(const void *a, const void *b)
{
    return compare(a, b);
}

static void take_rows(struct cells *out, const struct fold_table *table, const struct pg_rows *rows,
                      struct arena *arena)
{
    struct cell *list = arena_array(arena, out->count + (size_t)rows->count + 1, sizeof *list);

    if (out->count > 0)
        memcpy(list, out->list, out->count * sizeof *list);
    out->list = list;
    for (int row = 0; row < rows->count; row++)
        out->list[out->count++] = (struct cell){
            .table = table,
            .row = arena_strdup(arena, pg_text(rows, row, 0)),
            .key = arena_view(arena, pg_bytes(rows, row, 1)),
            .column = arena_strdup(arena, pg_text(rows, row, 2)),
            .value = pg_null(rows, row, 3) ? NULL : arena_strdup(arena, pg_text(rows, row, 3)),
        };
}

enum err_kind cells_read(struct cells *out, struct cell_reader *reader, struct pg *pg,
                         const struct view *keys, size_t key_count, struct arena *arena,
                         struct err *err)
{
    struct pg_args args = {0};

    *out = (struct cells){0};
    pg_column_start(&reader->keys, PG_TEXT);
    for (size_t i = 0; i < key_count; i++)
        pg_column_bytes(&reader->keys, keys[i]);
    pg_arg_column(&args, &reader->keys);
    for (size_t i = 0; i < reader->fold->table_count; i++) {
        struct pg_rows rows;
        enum err_kind kind = pg_run(pg, &reader->statements[i].by_key, &args, &rows, err);

        if (kind != ERR_OK)
            return kind;
        take_rows(out, &reader->fold->tables[i], &rows, arena);
    }
    if (out->count > 0)
        qsort(out->list, out->count, sizeof *out->list, compare_cells);
    return ERR_OK;
}

const struct cell *cells_find(const struct cells *cells, const struct fold_table *table,
                              const char *row, const char *column)
{
    const struct cell key = {.table = table, .row = row, .column = column};

    return cells->count == 0 ? NULL
                             : bsearch(&key, cells->list, cells->count, sizeof key, compare_cells);
}
