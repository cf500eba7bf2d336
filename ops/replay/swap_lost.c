#include "ops/replay/swap_lost.h"

#include "ops/replay/sweep.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/pg_store.h"
#include "runtime/settings.h"

#include <stdio.h>

#define JOURNAL_ROWS 2000

/* Migrations, shards and the journal's partitions, as the part makes them when it starts. */
static enum err_kind make_tables(struct lost *lost, struct err *err)
{
    const struct fold *fold = lost->shadow->fold;
    struct store store;
    enum err_kind kind = pg_store_open(
        &store, lost->database, "tradewind replay",
        lost->shadow->reader.partitions + 1, /* one more: what operators do */
        setting_integer("TRADEWIND_JOURNAL_SECONDS"), fold->scripts, *fold->script_count, err);

    if (kind == ERR_OK)
        store.close(store.self);
    return kind;
}

enum err_kind lost_prepare(struct lost *lost, struct err *err)
{
    const struct shadow *shadow = lost->shadow;
    struct sweep sweep = {0};
    enum err_kind kind = make_tables(lost, err);

    lost->strangers.arena = lost->arena;
    if (kind == ERR_OK)
        kind = strangers_read(&lost->strangers, &shadow->reader, shadow->fold->part,
                              shadow->fold->inputs, shadow->fold->input_count, shadow->ids, err);
    if (kind == ERR_OK)
        kind = sweep_all(&sweep, lost->shadow, lost->arena, err);
    lost->result->undecided = sweep.undecided;
    return kind;
}

/* --- Filling ---------------------------------------------------------------------------------- */

static const struct pg_statement POSITIONS = {
    "lost_positions",
    "insert into positions as p (topic, partition, epoch, next_offset, high_water, fresh)"
    " select topic, partition, 1, next_offset, high_water, fresh"
    "   from " SHADOW_NEW ".replay_position where topic <> $1"
    " on conflict (topic, partition) do update set epoch = p.epoch + 1,"
    "   next_offset = excluded.next_offset, high_water = excluded.high_water,"
    "   fresh = excluded.fresh"};
static const struct pg_statement SHARDS = {"lost_shards",
                                           "update shards s set last_number = r.high_water"
                                           "  from " SHADOW_NEW ".replay_position r"
                                           " where r.topic = $1 and r.partition = s.shard"};
static const struct pg_statement PUBLISHED = {
    "lost_published", "insert into published (shard, number, record_offset)"
                      " select partition, high_water, next_offset - 1"
                      "   from " SHADOW_NEW ".replay_position where topic = $1 and high_water > 0"};
/* What the part has set aside stays as it is; what it has set aside and no longer has was dropped.
 */
static const struct pg_statement DEAD_LETTERS = {
    "lost_dead_letters",
    "with old as (delete from dead_letters returning *)"
    " insert into dead_letters (topic, partition, record_offset, number, key, headers, value,"
    "  record_time_ms, reason, error, attempts, copied)"
    " select a.topic, a.partition, a.record_offset, a.number, a.key, a.headers, a.value,"
    "  a.record_time_ms, coalesce(o.reason, a.reason), coalesce(o.error, a.error),"
    "  coalesce(o.attempts, 1), coalesce(o.copied, a.reason = '" SHADOW_UNDECIDED "')"
    " from " SHADOW_NEW ".replay_aside a left join old o"
    "  on a.by_live and o.topic = a.topic and o.partition = a.partition and o.number = a.number"
    " where not a.by_live or o.id is not null"
    " order by a.record_time_ms, a.topic, a.partition, a.number"};
static const struct pg_statement STRANGERS = {
    "lost_strangers",
    "insert into dead_letters (topic, partition, record_offset, key, headers, value,"
    "  record_time_ms, error, reason)"
    " select *, 'no_number' from unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[],"
    "  $5::bytea[], $6::bytea[], $7::bigint[], $8::text[])"};
static const struct pg_statement JOURNAL = {
    "lost_journal", "insert into journal (shard, number, key, headers, value)"
                    " select unnest($1::int[]), unnest($2::bigint[]), unnest($3::bytea[]),"
                    "        unnest($4::bytea[]), unnest($5::bytea[])"};

static enum err_kind empty_tables(struct lost *lost, struct err *err)
{
    AUTO(buf_clear) struct buf sql = {0};
    const char *const *beside = lost->shadow->fold->beside;

    buf_append_str(&sql, "delete from journal; delete from published;");
    for (size_t i = 0; beside != NULL && beside[i] != NULL; i++)
        buf_printf(&sql, "delete from %s;", beside[i]);
    return pg_script(lost->live->pg, buf_cstr(&sql), err);
}

static enum err_kind add_strangers(const struct lost *lost, struct err *err)
{
    struct pg_batch batch = {0};
    struct pg *pg = lost->live->pg;
    enum err_kind kind;

    PG_BATCH_START(&batch, PG_TEXT, PG_INT4, PG_INT8, PG_BYTEA, PG_BYTEA, PG_BYTEA, PG_INT8,
                   PG_TEXT);
    for (size_t i = 0; i < lost->strangers.count; i++) {
        const struct stranger *stranger = &lost->strangers.list[i];

        pg_column_bytes(&batch.columns[0], view_str(topic_name(stranger->topic)));
        pg_column_int4(&batch.columns[1], stranger->partition);
        pg_column_int8(&batch.columns[2], stranger->offset);
        pg_column_bytes(&batch.columns[3], stranger->key);
        pg_column_bytes(&batch.columns[4], stranger->headers);
        pg_column_bytes(&batch.columns[5], stranger->value);
        pg_column_int8(&batch.columns[6], stranger->time_ms);
        pg_column_bytes(&batch.columns[7], view_str(stranger->error));
    }
    pg_batch_queue(&batch, pg, &STRANGERS);
    pg_sync(pg);
    kind = pg_finish(pg, err);
    pg_batch_clear(&batch);
    return kind;
}

struct journal_copy {
    struct lost *lost;
    struct pg_batch batch;
};

static void start_copy(struct journal_copy *copy)
{
    PG_BATCH_START(&copy->batch, PG_INT4, PG_INT8, PG_BYTEA, PG_BYTEA, PG_BYTEA);
}

static enum err_kind store_copy(struct journal_copy *copy, struct err *err)
{
    struct pg *pg = copy->lost->live->pg;
    enum err_kind kind;

    copy->lost->result->journal += (uint64_t)copy->batch.columns[0].count;
    pg_batch_queue(&copy->batch, pg, &JOURNAL);
    pg_sync(pg);
    kind = pg_finish(pg, err);
    start_copy(copy);
    return kind;
}

static enum err_kind copy_record(void *context, struct log_place *place,
                                 const rd_kafka_message_t *message, struct err *err)
{
    struct journal_copy *copy = context;
    struct pg_column *columns = copy->batch.columns;
    AUTO(buf_clear) struct buf headers = {0};

    if (message == NULL)
        return ERR_OK;
    kafka_headers_to_block(message, &headers);
    pg_column_int4(&columns[0], place->partition);
    pg_column_int8(&columns[1], (int64_t)place->receiver.high_water);
    pg_column_bytes(&columns[2], fold_text(view_of(message->key, message->key_len)));
    pg_column_bytes(&columns[3], buf_view(&headers));
    pg_column_bytes(&columns[4], fold_text(view_of(message->payload, message->len)));
    return columns[0].count >= JOURNAL_ROWS ? store_copy(copy, err) : ERR_OK;
}

/* Who reads this part's topic and misses something asks for it as far back as the journal reaches.
 */
static enum err_kind copy_journal(struct lost *lost, struct err *err)
{
    struct journal_copy copy = {.lost = lost};
    int64_t since_ms = clock_utc_us() / 1000 - setting_integer("TRADEWIND_JOURNAL_SECONDS") * 1000;
    struct log_reader reader;
    enum err_kind kind = log_reader_open_since(&reader, &lost->shadow->reader,
                                               lost->shadow->fold->publishes, since_ms, err);

    start_copy(&copy);
    if (kind == ERR_OK)
        kind = log_reader_run(&reader, copy_record, &copy, err);
    if (kind == ERR_OK)
        kind = store_copy(&copy, err);
    log_reader_close(&reader);
    pg_batch_clear(&copy.batch);
    return kind;
}

enum err_kind lost_fill(struct lost *lost, struct err *err)
{
    const struct fold *fold = lost->shadow->fold;
    struct pg *pg = lost->live->pg;
    struct pg_args args = {0};
    enum err_kind kind = empty_tables(lost, err);

    pg_arg_str(&args, fold->publishes != TOPIC_NONE ? topic_name(fold->publishes) : "");
    if (kind == ERR_OK)
        kind = pg_run(pg, &POSITIONS, &args, NULL, err);
    if (kind == ERR_OK)
        kind = pg_run(pg, &SHARDS, &args, NULL, err);
    if (kind == ERR_OK)
        kind = pg_run(pg, &PUBLISHED, &args, NULL, err);
    if (kind == ERR_OK)
        kind = pg_run(pg, &DEAD_LETTERS, NULL, NULL, err);
    if (kind == ERR_OK)
        kind = add_strangers(lost, err);
    if (kind == ERR_OK && fold->publishes != TOPIC_NONE)
        kind = copy_journal(lost, err);
    if (kind == ERR_OK && fold->make_beside != NULL)
        kind = pg_script(pg, fold->make_beside, err);
    return kind;
}
