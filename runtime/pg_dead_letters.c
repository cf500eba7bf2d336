#include "runtime/pg_store_parts.h"

/* The columns of a dead letter, as dead_letter_of reads them. */
#define DEAD_COLUMNS(value)                                                                        \
    "id, topic, partition, record_offset, coalesce(number, 0), key, headers, " value               \
    ", record_time_ms, reason, error, attempts, "                                                  \
    "(extract(epoch from created_at) * 1000000)::bigint, copied"

static const struct pg_statement DEAD_NOT_COPIED = {
    "dead_not_copied", "select " DEAD_COLUMNS("value") " from dead_letters where not copied "
                                                       "order by id limit 100"};

static const struct pg_statement DEAD_COPIED = {
    "dead_copied", "update dead_letters set copied = true where id = any($1::bigint[])"};

static const struct pg_statement DEAD_LOAD = {
    "dead_load",
    "select " DEAD_COLUMNS(
        "value") " from dead_letters where id = $1 "
                 "or (number is not null and key = (select key from dead_letters where id = $1 "
                 "and number is not null)) order by id"};

static const struct pg_statement DEAD_LIST = {
    "dead_list", "select " DEAD_COLUMNS("''::bytea") " from dead_letters where id > $1 "
                                                     "order by id limit $2"};

static const struct pg_statement DEAD_FIND = {
    "dead_find", "select " DEAD_COLUMNS("value") " from dead_letters where id = $1"};

static const struct pg_statement UNDECIDED = {
    "undecided", "select " DEAD_COLUMNS(
                     "value") " from dead_letters where number is not null and key in "
                              "(select d.key from dead_letters d where d.reason = 'undecided' and "
                              "d.number is not null "
                              "  and d.partition = any($1::int[]) and not exists "
                              "  (select from dead_letters e "
                              "    where e.key = d.key and e.number is not null and e.id < d.id) "
                              "  order by d.id limit $2) order by id"};

/* A row of DEAD_COLUMNS. Copied into arena when there is one, else views. */
static struct dead_letter dead_letter_of(const struct pg_rows *rows, int row, struct arena *arena)
{
    struct dead_letter dead = {
        .id = pg_int(rows, row, 0),
        .reason = DEAD_REFUSED,
        .topic = pg_text(rows, row, 1),
        .partition = (int32_t)pg_int(rows, row, 2),
        .offset = pg_int(rows, row, 3),
        .number = (uint64_t)pg_int(rows, row, 4),
        .key = pg_bytes(rows, row, 5),
        .headers = pg_bytes(rows, row, 6),
        .value = pg_bytes(rows, row, 7),
        .time_ms = pg_int(rows, row, 8),
        .error = pg_text(rows, row, 10),
        .attempts = (int32_t)pg_int(rows, row, 11),
        .set_aside_us = pg_int(rows, row, 12),
        .copied = pg_bool(rows, row, 13),
    };

    dead_reason_from_name(pg_bytes(rows, row, 9), &dead.reason);
    return arena != NULL ? dead_letter_copy(&dead, arena) : dead;
}

enum err_kind pg_dead_letters_copy(void *self,
                                   bool (*each)(void *context, const struct dead_letter *dead),
                                   void *context, struct err *err)
{
    struct pg_store *store = self;
    struct pg_column ids = {0};
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = pg_store_relay_session(store, err);

    if (kind == ERR_OK)
        kind = pg_run(store->relay, &DEAD_NOT_COPIED, NULL, &rows, err);
    if (kind != ERR_OK || rows.count == 0)
        return kind;
    pg_column_start(&ids, PG_INT8);
    for (int i = 0; i < rows.count; i++) {
        struct dead_letter dead = dead_letter_of(&rows, i, NULL);

        if (each(context, &dead))
            pg_column_int8(&ids, dead.id);
    }
    pg_arg_column(&args, &ids);
    kind = pg_run(store->relay, &DEAD_COPIED, &args, NULL, err);
    pg_column_clear(&ids);
    return kind;
}

static enum err_kind load(struct dead_letter **out, size_t *count, struct pg_store *store,
                          const struct pg_statement *statement, const struct pg_args *args,
                          struct arena *arena, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_store_session(store, &store->worker, err);

    if (kind == ERR_OK)
        kind = pg_run(store->worker, statement, args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    *out = arena_array(arena, (size_t)rows.count + 1, sizeof **out);
    *count = (size_t)rows.count;
    for (int i = 0; i < rows.count; i++)
        (*out)[i] = dead_letter_of(&rows, i, arena);
    return ERR_OK;
}

enum err_kind pg_dead_letters_load(void *self, int64_t id, struct dead_letter **out, size_t *count,
                                   struct arena *arena, struct err *err)
{
    struct pg_args args = {0};

    pg_arg_int8(&args, id);
    return load(out, count, self, &DEAD_LOAD, &args, arena, err);
}

enum err_kind pg_dead_letters_list(void *self, int64_t after, int32_t limit,
                                   void (*each)(void *context, const struct dead_letter *dead),
                                   void *context, struct err *err)
{
    struct pg_store *store = self;
    AUTO(pg_close) struct pg *pg = NULL;
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = pg_open(&pg, store->conninfo, store->application, err);

    pg_arg_int8(&args, after);
    pg_arg_int8(&args, limit);
    if (kind == ERR_OK)
        kind = pg_run(pg, &DEAD_LIST, &args, &rows, err);
    for (int i = 0; kind == ERR_OK && i < rows.count; i++) {
        const struct dead_letter dead = dead_letter_of(&rows, i, NULL);

        each(context, &dead);
    }
    return kind;
}

enum err_kind pg_dead_letters_find(void *self, int64_t id, const struct dead_letter **out,
                                   struct arena *arena, struct err *err)
{
    struct pg_store *store = self;
    AUTO(pg_close) struct pg *pg = NULL;
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = pg_open(&pg, store->conninfo, store->application, err);

    pg_arg_int8(&args, id);
    if (kind == ERR_OK)
        kind = pg_run(pg, &DEAD_FIND, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    *out = NULL;
    if (rows.count > 0) {
        struct dead_letter *found = arena_alloc(arena, sizeof *found);

        *found = dead_letter_of(&rows, 0, arena);
        *out = found;
    }
    return ERR_OK;
}

enum err_kind pg_dead_letters_undecided(void *self, const int32_t *partitions,
                                        size_t partition_count, size_t max,
                                        struct dead_letter **out, size_t *count,
                                        struct arena *arena, struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};

    pg_column_start(&store->shards, PG_INT4);
    for (size_t i = 0; i < partition_count; i++)
        pg_column_int4(&store->shards, partitions[i]);
    pg_arg_column(&args, &store->shards);
    pg_arg_int8(&args, (int64_t)max);
    return load(out, count, store, &UNDECIDED, &args, arena, err);
}
