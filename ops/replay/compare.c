#include "ops/replay/compare.h"

#include "ops/replay/row_sql.h"
#include "ops/replay/scratch.h"

#include <stdlib.h>

#define RANGE_ROWS 100000 /* hashed in a snapshot of some 200 ms */
#define NAMED_ROWS 500    /* so many are compared one by one */

/* --- Statements of one table ------------------------------------------------------------------ */

struct statements {
    struct pg_statement bound; /* where a range that begins behind $1 ends */
    struct pg_statement sum;   /* rows and checksum of ($1, $2] */
    struct pg_statement rows;  /* the same row by row: name, key, hash */
};

struct range {
    struct view after, until; /* VIEW_NONE: from the first, to the last */
};

struct side {
    int64_t rows;
    const char *sum; /* the hashes of the rows added up */
};

static enum err_kind make_statements(struct statements *out, struct compare *compare, size_t i,
                                     struct err *err)
{
    const struct fold_table *table = &compare->shadow->fold->tables[i];
    struct arena *arena = &compare->arena;
    AUTO(buf_clear) struct buf where = {0};
    const char *hash;
    enum err_kind kind = row_hash_sql(&hash, compare->live->pg, table, arena, err);

    if (kind != ERR_OK)
        return kind;
    buf_printf(&where,
               "from %s t where ($1::text is null or %s > $1) and ($2::text is null or %s <= $2)",
               table->name, table->range, table->range);
    out->bound = (struct pg_statement){
        arena_printf(arena, "replay_bound_%zu", i).data,
        arena_printf(
            arena,
            "select max(at) from (select %s as at from %s where $1::text is null or %s > $1"
            " order by %s limit $2::bigint) r having count(*) = $2::bigint",
            table->range, table->name, table->range, table->range)
            .data};
    out->sum = (struct pg_statement){
        arena_printf(arena, "replay_sum_%zu", i).data,
        arena_printf(arena, "select count(*), coalesce(sum(%s::numeric), 0)::text %s", hash,
                     buf_cstr(&where))
            .data};
    out->rows = (struct pg_statement){
        arena_printf(arena, "replay_rows_%zu", i).data,
        arena_printf(arena, "select %s collate \"C\" as row, %s, %s %s order by 1",
                     row_name_sql(table, arena), table->key, hash, buf_cstr(&where))
            .data};
    return kind;
}

static void range_args(struct pg_args *args, const struct range *range)
{
    args->count = 0;
    pg_arg_bytes(args, range->after);
    pg_arg_bytes(args, range->until);
}

/* --- One side --------------------------------------------------------------------------------- */

static enum err_kind read_bound(struct view *out, struct pg *pg, const struct statements *use,
                                struct view after, int64_t rows_wanted, struct arena *arena,
                                struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_bytes(&args, after);
    pg_arg_int8(&args, rows_wanted);
    kind = pg_run(pg, &use->bound, &args, &rows, err);
    if (kind == ERR_OK)
        *out = rows.count == 0 ? VIEW_NONE : arena_view(arena, pg_bytes(&rows, 0, 0));
    return kind;
}

static void ask_sum(struct pg *pg, const struct statements *use, const struct range *range)
{
    struct pg_args args;

    range_args(&args, range);
    pg_queue(pg, &use->sum, &args);
}

static enum err_kind take_sum(struct side *out, struct pg *pg, struct arena *arena, struct err *err)
{
    struct pg_rows rows;
    struct err ignored;
    enum err_kind kind = pg_next(pg, &rows, err);

    if (kind == ERR_OK) {
        out->rows = pg_int(&rows, 0, 0);
        out->sum = arena_strdup(arena, pg_text(&rows, 0, 1));
        return pg_finish(pg, err);
    }
    pg_finish(pg, &ignored);
    return kind;
}

struct named_row {
    const char *row;
    struct view key;
    int64_t hash;
};

struct named_rows {
    struct named_row *list;
    size_t count;
};

static enum err_kind read_rows(struct named_rows *out, struct pg *pg, const struct statements *use,
                               const struct range *range, struct arena *arena, struct err *err)
{
    struct pg_args args;
    struct pg_rows rows;
    enum err_kind kind;

    range_args(&args, range);
    kind = pg_run(pg, &use->rows, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    out->list = arena_array(arena, (size_t)rows.count + 1, sizeof *out->list);
    out->count = (size_t)rows.count;
    for (int row = 0; row < rows.count; row++)
        out->list[row] = (struct named_row){
            .row = arena_strdup(arena, pg_text(&rows, row, 0)),
            .key = arena_view(arena, pg_bytes(&rows, row, 1)),
            .hash = pg_int(&rows, row, 2),
        };
    return ERR_OK;
}

/* --- Ranges ----------------------------------------------------------------------------------- */

static void note_row(struct compare *compare, struct table_result *result,
                     const struct named_row *row)
{
    result->differing++;
    compare->differing++;
    if (compare->key_count == COMPARE_EXAMPLES)
        return;
    compare->keys[compare->key_count] = arena_view(&compare->arena, row->key);
    compare->key_tables[compare->key_count] = result->table;
    compare->key_rows[compare->key_count++] = arena_strdup(&compare->arena, row->row);
}

/* Both lists are in the order of names. */
static void merge(struct compare *compare, struct table_result *result,
                  const struct named_rows *live, const struct named_rows *shadow)
{
    size_t l = 0, s = 0;

    while (l < live->count || s < shadow->count) {
        int order = l == live->count     ? 1
                    : s == shadow->count ? -1
                                         : strcmp(live->list[l].row, shadow->list[s].row);

        if (order != 0 || live->list[l].hash != shadow->list[s].hash)
            note_row(compare, result, order > 0 ? &shadow->list[s] : &live->list[l]);
        l += order <= 0;
        s += order >= 0;
    }
}

static enum err_kind name_rows(struct compare *compare, struct table_result *result,
                               const struct statements *use, const struct range *range,
                               struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct named_rows live, shadow;
    enum err_kind kind = live_begin(compare->live, err);

    if (kind == ERR_OK)
        kind = read_rows(&live, compare->live->pg, use, range, &arena, err);
    if (kind == ERR_OK)
        kind = live_end(compare->live, err);
    if (kind == ERR_OK)
        kind = live_follow(compare->live, compare->shadow, err);
    if (kind == ERR_OK)
        kind = read_rows(&shadow, compare->shadow->pg, use, range, &arena, err);
    if (kind == ERR_OK)
        merge(compare, result, &live, &shadow);
    return kind;
}

/* The database adds up the live side, and ends that snapshot, while the shadow is moved up to it
 * and added up by another session. */
static enum err_kind read_sums(struct side *live, struct side *shadow,
                               const struct compare *compare, const struct statements *use,
                               const struct range *range, struct arena *arena, struct err *err)
{
    struct err of_live;
    enum err_kind kind, live_kind;

    ask_sum(compare->live->pg, use, range);
    live_queue_end(compare->live);
    pg_sync(compare->live->pg);
    kind = live_follow(compare->live, compare->shadow, err);
    if (kind == ERR_OK) {
        ask_sum(compare->shadow->pg, use, range);
        pg_sync(compare->shadow->pg);
    }
    live_kind = take_sum(live, compare->live->pg, arena, &of_live);
    if (kind == ERR_OK)
        kind = take_sum(shadow, compare->shadow->pg, arena, err);
    return live_kind == ERR_OK ? kind : err_set(err, live_kind, "%s", of_live.text);
}

/* Both sides at one position; the range's end is found first when it is open. */
static enum err_kind read_both(struct compare *compare, const struct statements *use,
                               struct range *range, bool find_end, struct side *live,
                               struct side *shadow, struct arena *arena, struct err *err)
{
    enum err_kind kind = live_begin(compare->live, err);

    if (kind == ERR_OK && find_end)
        kind =
            read_bound(&range->until, compare->live->pg, use, range->after, RANGE_ROWS, arena, err);
    return kind == ERR_OK ? read_sums(live, shadow, compare, use, range, arena, err) : kind;
}

static enum err_kind compare_range(struct compare *compare, struct table_result *result,
                                   const struct statements *use, struct range *range, bool find_end,
                                   struct err *err);

/* Where a range that differs is cut: in the middle of the side that has more. */
static enum err_kind compare_halves(struct compare *compare, struct table_result *result,
                                    const struct statements *use, const struct range *range,
                                    const struct side *live, const struct side *shadow,
                                    struct arena *arena, struct err *err)
{
    bool shadow_has_more = shadow->rows > live->rows;
    struct range low = *range, high = *range;
    enum err_kind kind =
        read_bound(&low.until, shadow_has_more ? compare->shadow->pg : compare->live->pg, use,
                   range->after, (shadow_has_more ? shadow->rows : live->rows) / 2, arena, err);

    if (kind != ERR_OK)
        return kind;
    high.after = low.until;
    /* One key with so many rows cannot be cut. */
    if (low.until.data == NULL ||
        (range->until.data != NULL && view_compare(low.until, range->until) >= 0))
        return name_rows(compare, result, use, range, err);
    kind = compare_range(compare, result, use, &low, false, err);
    return kind == ERR_OK ? compare_range(compare, result, use, &high, false, err) : kind;
}

static enum err_kind compare_range(struct compare *compare, struct table_result *result,
                                   const struct statements *use, struct range *range, bool find_end,
                                   struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct side live, shadow;
    enum err_kind kind =
        read_both(compare, use, range, find_end, &live, &shadow, &compare->arena, err);

    if (kind != ERR_OK)
        return kind;
    if (find_end) {
        result->rows += (uint64_t)live.rows;
        result->ranges++;
    }
    if (compare->progress != NULL)
        compare->progress(compare->context, compare);
    if (live.rows == shadow.rows && strcmp(live.sum, shadow.sum) == 0)
        return ERR_OK;
    if (live.rows <= NAMED_ROWS && shadow.rows <= NAMED_ROWS)
        return name_rows(compare, result, use, range, err);
    return compare_halves(compare, result, use, range, &live, &shadow, &arena, err);
}

static enum err_kind compare_table(struct compare *compare, size_t i, struct err *err)
{
    struct table_result *result = &compare->tables[i];
    struct range range = {VIEW_NONE, VIEW_NONE};
    struct statements *use = arena_alloc(&compare->arena, sizeof *use);
    enum err_kind kind = make_statements(use, compare, i, err);

    result->table = &compare->shadow->fold->tables[i];
    while (kind == ERR_OK) {
        kind = compare_range(compare, result, use, &range, true, err);
        if (range.until.data == NULL)
            break;
        range = (struct range){.after = range.until, .until = VIEW_NONE};
    }
    return kind;
}

/* --- What differs ----------------------------------------------------------------------------- */

static void note_difference(struct compare *compare, const struct cell *live,
                            const struct cell *shadow, const struct cells *told)
{
    const struct cell *any = live != NULL ? live : shadow;
    const struct cell *by = cells_find(told, any->table, any->row, any->column);
    struct difference *difference = &compare->differences[compare->difference_count++];

    *difference = (struct difference){
        .table = any->table,
        .row = any->row,
        .column = any->column,
        .live = live != NULL ? live->value : NULL,
        .shadow = shadow != NULL ? shadow->value : NULL,
        .event = by != NULL ? by->event : NULL,
    };
}

static bool is_same(const struct cell *a, const struct cell *b)
{
    if (a == NULL || b == NULL)
        return false;
    return (a->value == NULL) == (b->value == NULL) &&
           (a->value == NULL || strcmp(a->value, b->value) == 0);
}

static bool is_noted(const struct compare *compare, const struct cell *cell)
{
    for (size_t i = 0; i < compare->key_count; i++)
        if (compare->key_tables[i] == cell->table && strcmp(compare->key_rows[i], cell->row) == 0)
            return true;
    return false;
}

static void note_differences(struct compare *compare, const struct cells *live,
                             const struct cells *shadow, const struct cells *told)
{
    compare->differences =
        arena_array(&compare->arena, live->count + shadow->count + 1, sizeof *compare->differences);
    for (size_t i = 0; i < live->count; i++) {
        const struct cell *cell = &live->list[i];
        const struct cell *other = cells_find(shadow, cell->table, cell->row, cell->column);

        if (is_noted(compare, cell) && !is_same(cell, other))
            note_difference(compare, cell, other, told);
    }
    for (size_t i = 0; i < shadow->count; i++) {
        const struct cell *cell = &shadow->list[i];

        if (is_noted(compare, cell) &&
            cells_find(live, cell->table, cell->row, cell->column) == NULL)
            note_difference(compare, NULL, cell, told);
    }
}

static enum err_kind tell_events(struct compare *compare, struct cells *told, struct err *err)
{
    const struct shadow *shadow = compare->shadow;
    const struct key_events_until until = {.position = &shadow->reader};
    enum topic topics[TOPIC_COUNT];
    size_t topic_count = shadow_topics(shadow->fold, topics), count = 0;
    struct key_event *events = NULL;
    enum err_kind kind = key_events_read(
        &events, &count, shadow->reader.brokers, topics, topic_count, shadow->reader.partitions,
        &until, compare->keys, compare->key_count, shadow->ids, &compare->arena, err);

    if (kind != ERR_OK)
        return kind;
    return scratch_fold(told, shadow->fold, compare->database, shadow->ids,
                        shadow->reader.partitions, &shadow->asides, events, count, compare->keys,
                        compare->key_count, &compare->arena, err);
}

static enum err_kind explain(struct compare *compare, struct err *err)
{
    struct cells live, shadow, told = {0};
    struct cell_reader on_live, on_shadow;
    enum err_kind kind = live_begin(compare->live, err);

    cell_reader_init(&on_live, compare->shadow->fold);
    cell_reader_init(&on_shadow, compare->shadow->fold);
    if (kind == ERR_OK)
        kind = cells_read(&live, &on_live, compare->live->pg, compare->keys, compare->key_count,
                          &compare->arena, err);
    if (kind == ERR_OK)
        kind = live_end(compare->live, err);
    if (kind == ERR_OK)
        kind = live_follow(compare->live, compare->shadow, err);
    if (kind == ERR_OK)
        kind = cells_read(&shadow, &on_shadow, compare->shadow->pg, compare->keys,
                          compare->key_count, &compare->arena, err);
    if (kind == ERR_OK)
        kind = tell_events(compare, &told, err);
    if (kind == ERR_OK)
        note_differences(compare, &live, &shadow, &told);
    cell_reader_clear(&on_live);
    cell_reader_clear(&on_shadow);
    return kind;
}

enum err_kind compare_run(struct compare *compare, struct err *err)
{
    struct arena *arena = &compare->arena;
    size_t table_count = compare->shadow->fold->table_count;
    enum err_kind kind = ERR_OK;

    compare->tables = arena_array(arena, table_count, sizeof *compare->tables);
    compare->keys = arena_array(arena, COMPARE_EXAMPLES, sizeof *compare->keys);
    compare->key_tables = arena_array(arena, COMPARE_EXAMPLES, sizeof *compare->key_tables);
    compare->key_rows = arena_array(arena, COMPARE_EXAMPLES, sizeof *compare->key_rows);
    for (size_t i = 0; kind == ERR_OK && i < table_count; i++)
        kind = compare_table(compare, i, err);
    if (kind == ERR_OK && compare->key_count > 0)
        kind = explain(compare, err);
    return kind;
}

void compare_clear(struct compare *compare)
{
    arena_clear(&compare->arena);
}
