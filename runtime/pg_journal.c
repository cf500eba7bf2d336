#include "runtime/clock.h"
#include "runtime/pg_store_parts.h"

#include <inttypes.h>
#include <stdio.h>

#define JOURNAL_AHEAD 6 /* partitions; one is dropped when all in it is older than journal_s */

/* Whom to ask before one is dropped; prove NULL: none is. */
struct keeper {
    int64_t keep_s;
    int32_t shards;
    journal_prove_fn *prove;
    void *context;
};

static const struct pg_statement LAST_NUMBERS = {"last_numbers",
                                                 "select shard, last_number from shards"};

static const struct pg_statement RAISE_NUMBER = {
    "raise_number", "update shards set last_number = greatest(last_number, $2) where shard = $1"};

static const struct pg_statement JOURNAL_READ = {
    "journal_read",
    "select number, key, headers, value from journal where shard = $1 and number >= $2 "
    "order by number limit $3"};

static const struct pg_statement PUBLISHED_READ = {"published_read",
                                                   "select shard, number from published"};

static const struct pg_statement PUBLISHED_WRITE = {
    "published_write",
    "insert into published as p (shard, number, record_offset) "
    "select * from unnest($1::int[], $2::bigint[], $3::bigint[]) order by 1 "
    "on conflict (shard) do update set number = excluded.number, record_offset = "
    "excluded.record_offset "
    "where (p.number, p.record_offset) is distinct from (excluded.number, excluded.record_offset)"};

static const struct pg_statement JOURNAL_PARTITIONS = {
    "journal_partitions",
    "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid "
    "where i.inhparent = 'journal'::regclass order by 1"};

static const struct pg_statement JOURNAL_OLD = {
    "journal_old", "select j.shard, min(j.number), max(j.number), coalesce(max(p.number), 0) "
                   "from journal j left join published p using (shard) "
                   "where j.written_at < to_timestamp($1::bigint) group by j.shard"};

static enum err_kind numbers_of(struct pg_store *store, const struct pg_statement *statement,
                                uint64_t *numbers, int32_t partitions, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_store_relay_session(store, err);

    if (kind == ERR_OK)
        kind = pg_run(store->relay, statement, NULL, &rows, err);
    if (kind != ERR_OK)
        return kind;
    memset(numbers, 0, (size_t)partitions * sizeof *numbers);
    for (int i = 0; i < rows.count; i++)
        if (pg_int(&rows, i, 0) < partitions)
            numbers[pg_int(&rows, i, 0)] = (uint64_t)pg_int(&rows, i, 1);
    return ERR_OK;
}

enum err_kind pg_journal_last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                      struct err *err)
{
    return numbers_of(self, &LAST_NUMBERS, numbers, partitions, err);
}

enum err_kind pg_journal_published(void *self, uint64_t *numbers, int32_t partitions,
                                   struct err *err)
{
    return numbers_of(self, &PUBLISHED_READ, numbers, partitions, err);
}

enum err_kind pg_journal_raise_last_number(void *self, int32_t shard, uint64_t number,
                                           struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    enum err_kind kind = pg_store_relay_session(store, err);

    pg_arg_int4(&args, shard);
    pg_arg_int8(&args, (int64_t)number);
    return kind == ERR_OK ? pg_run(store->relay, &RAISE_NUMBER, &args, NULL, err) : kind;
}

#define READ_ROWS 200

enum err_kind pg_journal_read(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                              void (*each)(void *context, const struct journal_record *record),
                              void *context, struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    struct pg_rows rows;
    size_t bytes = 0;
    enum err_kind kind = pg_store_relay_session(store, err);

    if (kind != ERR_OK)
        return kind;
    pg_arg_int4(&args, shard);
    pg_arg_int8(&args, (int64_t)from);
    pg_arg_int8(&args, READ_ROWS);
    kind = pg_run(store->relay, &JOURNAL_READ, &args, &rows, err);
    for (int i = 0; kind == ERR_OK && i < rows.count && bytes < max_bytes; i++) {
        const struct journal_record record = {
            .shard = shard,
            .number = (uint64_t)pg_int(&rows, i, 0),
            .key = pg_bytes(&rows, i, 1),
            .headers = pg_bytes(&rows, i, 2),
            .value = pg_bytes(&rows, i, 3),
        };

        bytes += record.key.size + record.headers.size + record.value.size;
        each(context, &record);
    }
    return kind;
}

enum err_kind pg_journal_note_published(void *self, const uint64_t *numbers, const int64_t *offsets,
                                        int32_t partitions, struct err *err)
{
    struct pg_store *store = self;
    struct pg_column shards = {0}, values = {0}, places = {0};
    struct pg_args args = {0};
    enum err_kind kind = pg_store_relay_session(store, err);

    if (kind != ERR_OK)
        return kind;
    pg_column_start(&shards, PG_INT4);
    pg_column_start(&values, PG_INT8);
    pg_column_start(&places, PG_INT8);
    for (int32_t i = 0; i < partitions; i++) {
        if (offsets[i] < 0)
            continue;
        pg_column_int4(&shards, i);
        pg_column_int8(&values, (int64_t)numbers[i]);
        pg_column_int8(&places, offsets[i]);
    }
    pg_arg_column(&args, &shards);
    pg_arg_column(&args, &values);
    pg_arg_column(&args, &places);
    if (shards.count > 0)
        kind = pg_run(store->relay, &PUBLISHED_WRITE, &args, NULL, err);
    pg_column_clear(&shards);
    pg_column_clear(&values);
    pg_column_clear(&places);
    return kind;
}

/* --- Journal partitions: journal_<start of its span, unix seconds> --------------------------- */

static enum err_kind make_journal_partition(struct pg *pg, int64_t start_s, struct err *err)
{
    char sql[512];

    /* Made apart and attached: that lock lets writers pass. */
    snprintf(sql, sizeof sql,
             "create table journal_%" PRId64 " (like journal including defaults);"
             "alter table journal attach partition journal_%" PRId64
             " for values from (to_timestamp(%" PRId64 ")) to (to_timestamp(%" PRId64 "))",
             start_s, start_s, start_s, start_s + PG_JOURNAL_SPAN_S);
    return pg_script(pg, sql, err);
}

static enum err_kind may_drop(struct pg *pg, int64_t start_s, const struct keeper *keeper,
                              bool *may, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct journal_range *ranges = arena_array(&arena, (size_t)keeper->shards, sizeof *ranges);
    struct pg_args args = {0};
    struct pg_rows rows;
    size_t count = 0;
    enum err_kind kind;

    *may = false;
    pg_arg_int8(&args, start_s + PG_JOURNAL_SPAN_S);
    kind = pg_run(pg, &JOURNAL_OLD, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    for (int i = 0; i < rows.count; i++) {
        if (pg_int(&rows, i, 2) > pg_int(&rows, i, 3) || pg_int(&rows, i, 0) >= keeper->shards)
            return ERR_OK;
        ranges[count++] = (struct journal_range){
            .shard = (int32_t)pg_int(&rows, i, 0),
            .first = (uint64_t)pg_int(&rows, i, 1),
            .last = (uint64_t)pg_int(&rows, i, 2),
        };
    }
    if (count > 0)
        keeper->prove(keeper->context, ranges, count, start_s * 1000);
    *may = true;
    for (size_t i = 0; i < count; i++)
        *may = *may && ranges[i].seen >= ranges[i].last;
    return ERR_OK;
}

static enum err_kind drop_journal_partition(struct pg *pg, int64_t start_s,
                                            const struct keeper *keeper, struct err *err)
{
    char sql[64];
    bool may;
    enum err_kind kind = may_drop(pg, start_s, keeper, &may, err);

    if (kind != ERR_OK || !may)
        return kind;
    snprintf(sql, sizeof sql, "drop table journal_%" PRId64, start_s);
    return pg_script(pg, sql, err);
}

static enum err_kind tend_journal(struct pg *pg, const struct keeper *keeper, struct err *err)
{
    int64_t now_s = clock_utc_us() / 1000000;
    int64_t first_s = (now_s / PG_JOURNAL_SPAN_S - 1) * PG_JOURNAL_SPAN_S;
    bool there[JOURNAL_AHEAD + 2] = {false};
    int64_t oldest_s = INT64_MAX;
    struct pg_rows rows;
    enum err_kind kind = pg_run(pg, &JOURNAL_PARTITIONS, NULL, &rows, err);

    for (int i = 0; kind == ERR_OK && i < rows.count; i++) {
        struct view name = pg_bytes(&rows, i, 0);
        int64_t start_s, place;

        if (name.size < 9 || !view_to_int64(view_of(name.data + 8, name.size - 8), &start_s))
            continue;
        if (start_s < oldest_s)
            oldest_s = start_s;
        place = (start_s - first_s) / PG_JOURNAL_SPAN_S;
        if (start_s >= first_s && place < JOURNAL_AHEAD + 2)
            there[place] = true;
    }
    for (int64_t i = 0; kind == ERR_OK && i < JOURNAL_AHEAD + 2; i++)
        if (!there[i])
            kind = make_journal_partition(pg, first_s + i * PG_JOURNAL_SPAN_S, err);
    if (kind == ERR_OK && keeper->prove != NULL &&
        oldest_s < now_s - PG_JOURNAL_SPAN_S - keeper->keep_s)
        kind = drop_journal_partition(pg, oldest_s, keeper, err);
    return kind;
}

enum err_kind pg_journal_maintain(void *self, journal_prove_fn *prove, void *context,
                                  struct err *err)
{
    struct pg_store *store = self;
    const struct keeper keeper = {store->journal_s, store->partitions, prove, context};
    enum err_kind kind = pg_store_relay_session(store, err);

    /* Two instances may tend at once: one waits here and finds all done. */
    if (kind == ERR_OK)
        kind = pg_script(store->relay, "select pg_advisory_lock(7236284)", err);
    if (kind != ERR_OK)
        return kind;
    kind = tend_journal(store->relay, &keeper, err);
    if (!pg_is_lost(store->relay))
        pg_script(store->relay, "select pg_advisory_unlock(7236284)", NULL);
    return kind;
}
