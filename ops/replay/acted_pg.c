#include "ops/replay/acted_pg.h"

static const struct pg_statement LAST_NUMBER = {
    "acted_last_number", "select last_number from shards where shard = $1::int for update"};
static const struct pg_statement MOVE = {
    "acted_move", "update shards set last_number = $2::bigint where shard = $1::int"};
static const struct pg_statement WRITE = {
    "acted_write", "insert into journal (shard, number, key, headers, value)"
                   " values ($1::int, $2::bigint, $3::bytea, $4::bytea, $5::bytea)"};

static enum err_kind last_number(uint64_t *out, struct pg *pg, const struct acted *acted,
                                 struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_int4(&args, acted->partitions);
    kind = pg_run(pg, &LAST_NUMBER, &args, &rows, err);
    if (kind == ERR_OK && rows.count != 1)
        return err_set(err, ERR_REJECT,
                       "%s has no place for what operators do: start it once, so that it makes one",
                       acted->part);
    if (kind == ERR_OK)
        *out = (uint64_t)pg_int(&rows, 0, 0);
    return kind;
}

enum err_kind acted_write(struct pg *pg, const struct acted *acted, uint64_t told, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct journal_record record;
    struct pg_args args = {0};
    uint64_t number;
    enum err_kind kind = last_number(&number, pg, acted, err);

    if (kind == ERR_OK) {
        number = (number > told ? number : told) + 1;
        kind = acted_record(&record, acted, number, &arena, err);
    }
    if (kind != ERR_OK)
        return kind;
    pg_arg_int4(&args, record.shard);
    pg_arg_int8(&args, (int64_t)number);
    kind = pg_run(pg, &MOVE, &args, NULL, err);
    pg_arg_bytes(&args, record.key);
    pg_arg_bytes(&args, record.headers);
    pg_arg_bytes(&args, record.value);
    return kind == ERR_OK ? pg_run(pg, &WRITE, &args, NULL, err) : kind;
}
