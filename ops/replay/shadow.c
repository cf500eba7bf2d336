#include "ops/replay/shadow.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <sodium.h>

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SILENCE_MS 310000 /* a little longer than statement_timeout below */

#define YOUNG_US (25 * INT64_C(3600000000)) /* idempotency keys live for a day */

/* What a shadow keeps beside the part's tables. Names begin with replay_: no part has such. */
static const char TABLES[] =
    "create table replay_about (scripts text not null, partitions int not null,"
    "  made_at timestamptz not null default now());"
    "create table replay_position (topic text not null, partition int not null,"
    "  next_offset bigint not null, high_water bigint not null, fresh boolean not null,"
    "  primary key (topic, partition)) with (fillfactor = 50);"
    "create table replay_aside (topic text not null, partition int not null,"
    "  record_offset bigint not null, number bigint not null, key bytea not null,"
    "  headers bytea not null, value bytea not null, record_time_ms bigint not null,"
    "  reason text not null, error text not null, by_live boolean not null,"
    "  primary key (topic, partition, number));" FOLD_WAITING_TABLE;

static const struct pg_statement LOCK = {
    "replay_lock", "select pg_try_advisory_lock(7236284, 0),"
                   " (select coalesce(max(a.application_name || ', since '"
                   "   || to_char(a.backend_start at time zone 'UTC', 'HH24:MI:SS')), '')"
                   "    from pg_locks l join pg_stat_activity a on a.pid = l.pid"
                   "   where l.locktype = 'advisory' and l.classid = 7236284 and l.granted"
                   "     and l.database = (select oid from pg_database"
                   "                       where datname = current_database())"
                   "     and l.pid <> pg_backend_pid())"};
static const struct pg_statement EXISTS = {
    "replay_exists", "select exists (select from pg_namespace where nspname = $1)"};
static const struct pg_statement ABOUT_WRITE = {
    "replay_about_write", "insert into replay_about (scripts, partitions) values ($1, $2::int)"};
static const struct pg_statement ABOUT_READ = {"replay_about_read",
                                               "select scripts, partitions from replay_about"};
static const struct pg_statement POSITION_READ = {
    "replay_position_read",
    "select topic, partition, next_offset, high_water, fresh from replay_position"};
static const struct pg_statement ASIDE_READ = {
    "replay_aside_read",
    "select topic, partition, number, key, by_live from replay_aside a where not (" SHADOW_SWEPT(
        "") ")"};

/* --- Opening ---------------------------------------------------------------------------------- */

static enum err_kind lock_part(struct shadow *shadow, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(shadow->pg, &LOCK, NULL, &rows, err);

    if (kind != ERR_OK || pg_bool(&rows, 0, 0))
        return kind;
    return err_set(err, ERR_REJECT, "somebody else replays %s: %s UTC; wait until that has ended",
                   shadow->fold->part, pg_text(&rows, 0, 1));
}

static enum err_kind open_session(struct shadow *shadow, const char *database, struct err *err)
{
    char name[64], settings[512];
    enum err_kind kind;

    snprintf(name, sizeof name, "tradewind replay, process %d", (int)getpid());
    kind = pg_open(&shadow->pg, database, name, err);
    if (kind == ERR_OK)
        kind = lock_part(shadow, err);
    if (kind != ERR_OK)
        return kind;
    pg_wait_at_most(shadow->pg, SILENCE_MS);
    /* What a lost batch holds is read again, so that nothing waits for the disk. */
    snprintf(settings, sizeof settings,
             "set synchronous_commit = off; set timezone = 'UTC'; set client_min_messages = error;"
             "set statement_timeout = '300s'; set idle_in_transaction_session_timeout = '30s';"
             "set enable_seqscan = on; set enable_hashjoin = on; set enable_mergejoin = on;"
             "set plan_cache_mode = 'auto'; set search_path = %s",
             shadow->schema);
    return pg_script(shadow->pg, settings, err);
}

size_t shadow_topics(const struct fold *fold, enum topic topics[TOPIC_COUNT])
{
    size_t count = fold->input_count;

    if (count > 0)
        memcpy(topics, fold->inputs, count * sizeof *topics);
    if (fold->publishes != TOPIC_NONE)
        topics[count++] = fold->publishes;
    return count;
}

/* Statements that live as long as the sessions that have prepared them. */
static void make_statements(struct shadow *shadow)
{
    struct arena *arena = &shadow->arena;

    shadow->forget = arena_array(arena, shadow->fold->table_count, sizeof *shadow->forget);
    shadow->key_sums = arena_array(arena, shadow->fold->table_count, sizeof *shadow->key_sums);
    for (size_t i = 0; i < shadow->fold->table_count; i++) {
        const struct fold_table *table = &shadow->fold->tables[i];

        shadow->forget[i] =
            (struct pg_statement){arena_printf(arena, "replay_forget_%zu", i).data,
                                  arena_printf(arena, "delete from %s where %s = any($1::text[])",
                                               table->name, table->key)
                                      .data};
        shadow->key_sums[i] = (struct pg_statement){
            arena_printf(arena, "replay_key_sums_%zu", i).data,
            arena_printf(arena,
                         "select %s, sum(hashtextextended((to_jsonb(t) - '%s')::text"
                         " || coalesce((%s)::text, ''), 0)::numeric)::text"
                         " from %s t where %s = any($1::text[]) group by 1 order by 1",
                         table->key, table->loose_column != NULL ? table->loose_column : "",
                         table->loose_same != NULL ? table->loose_same : "''", table->name,
                         table->key)
                .data};
    }
}

enum err_kind shadow_open(struct shadow *shadow, const struct shadow_options *options,
                          struct err *err)
{
    enum topic topics[TOPIC_COUNT];
    size_t topic_count = shadow_topics(options->fold, topics);
    enum err_kind kind;

    *shadow =
        (struct shadow){.fold = options->fold, .schema = options->schema, .ids = options->ids};
    asides_init(&shadow->asides);
    fold_batch_init(&shadow->batch, shadow->fold, options->ids, options->partitions,
                    &shadow->batch_arena);
    shadow->batch.young_us = clock_utc_us() - YOUNG_US;
    shadow->batch.is_set_aside = asides_have_key;
    shadow->batch.context = &shadow->asides;
    kind = open_session(shadow, options->database, err);
    if (kind == ERR_OK)
        kind = log_reader_open(&shadow->reader, options->brokers, topics, topic_count,
                               options->partitions, err);
    shadow->reader.rate = options->rate;
    shadow_start_asides(shadow);
    make_statements(shadow);
    return kind;
}

void shadow_close(struct shadow *shadow)
{
    log_reader_close(&shadow->reader);
    pg_close(shadow->pg);
    shadow->pg = NULL;
    fold_batch_clear(&shadow->batch);
    pg_batch_clear(&shadow->aside_rows);
    for (size_t i = 0; i < sizeof shadow->scratch / sizeof shadow->scratch[0]; i++)
        pg_column_clear(&shadow->scratch[i]);
    asides_clear(&shadow->asides);
    arena_clear(&shadow->arena);
    arena_clear(&shadow->batch_arena);
    arena_clear(&shadow->record_arena);
}

/* --- Making and dropping ---------------------------------------------------------------------- */

enum err_kind shadow_exists(struct shadow *shadow, const char *schema, bool *exists,
                            struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_str(&args, schema);
    kind = pg_run(shadow->pg, &EXISTS, &args, &rows, err);
    if (kind == ERR_OK)
        *exists = pg_bool(&rows, 0, 0);
    return kind;
}

/* A shadow that other scripts made has other tables. */
void shadow_made_by(const struct shadow *shadow, char out[SHADOW_MADE_BY_SIZE])
{
    const struct fold *fold = shadow->fold;
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < *fold->script_count; i++)
        crypto_hash_sha256_update(&state, (const unsigned char *)fold->scripts[i].sql,
                                  strlen(fold->scripts[i].sql));
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(out, SHADOW_MADE_BY_SIZE, hash, sizeof hash);
}

enum err_kind shadow_begin(struct shadow *shadow, struct err *err)
{
    AUTO(buf_clear) struct buf sql = {0};
    struct pg_args args = {0};
    char made_by[SHADOW_MADE_BY_SIZE];
    enum err_kind kind;

    buf_printf(&sql, "begin; drop schema if exists %s cascade; create schema %s;", shadow->schema,
               shadow->schema);
    buf_append_str(&sql, TABLES);
    for (size_t i = 0; i < *shadow->fold->script_count; i++)
        buf_append_str(&sql, shadow->fold->scripts[i].sql);
    shadow_made_by(shadow, made_by);
    kind = pg_script(shadow->pg, buf_cstr(&sql), err);
    pg_arg_str(&args, made_by);
    pg_arg_int4(&args, shadow->reader.partitions);
    shadow->is_begun = kind == ERR_OK;
    return kind == ERR_OK ? pg_run(shadow->pg, &ABOUT_WRITE, &args, NULL, err) : kind;
}

enum err_kind shadow_make(struct shadow *shadow, struct err *err)
{
    enum err_kind kind = shadow_begin(shadow, err);

    return kind == ERR_OK ? shadow_flush(shadow, false, err) : kind;
}

enum err_kind shadow_drop(struct shadow *shadow, const char *schema, struct err *err)
{
    char sql[96];

    snprintf(sql, sizeof sql, "drop schema if exists %s cascade", schema);
    return pg_script(shadow->pg, sql, err);
}

/* --- Loading ---------------------------------------------------------------------------------- */

static enum err_kind check_about(struct shadow *shadow, struct err *err)
{
    struct pg_rows rows;
    char made_by[SHADOW_MADE_BY_SIZE];
    enum err_kind kind = pg_run(shadow->pg, &ABOUT_READ, NULL, &rows, err);

    if (kind != ERR_OK)
        return kind;
    shadow_made_by(shadow, made_by);
    if (rows.count == 1 && strcmp(pg_text(&rows, 0, 0), made_by) == 0 &&
        pg_int(&rows, 0, 1) == shadow->reader.partitions)
        return ERR_OK;
    return err_set(err, ERR_REJECT,
                   "the shadow of %s was begun by another version of it: begin again with --fresh",
                   shadow->fold->part);
}

static enum err_kind load_position(struct shadow *shadow, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(shadow->pg, &POSITION_READ, NULL, &rows, err);

    for (int row = 0; kind == ERR_OK && row < rows.count; row++) {
        struct log_place *place =
            log_reader_place(&shadow->reader, topic_from_name(pg_text(&rows, row, 0)),
                             (int32_t)pg_int(&rows, row, 1));

        if (place != NULL)
            log_place_start(place, pg_int(&rows, row, 2), (uint64_t)pg_int(&rows, row, 3),
                            pg_bool(&rows, row, 4));
    }
    return kind;
}

static enum err_kind load_asides(struct shadow *shadow, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(shadow->pg, &ASIDE_READ, NULL, &rows, err);

    asides_clear(&shadow->asides);
    asides_init(&shadow->asides);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++) {
        enum topic topic = topic_from_name(pg_text(&rows, row, 0));
        struct aside *aside;

        if (topic == TOPIC_NONE)
            continue;
        aside = asides_add(&shadow->asides, topic, (int32_t)pg_int(&rows, row, 1),
                           (uint64_t)pg_int(&rows, row, 2), pg_bytes(&rows, row, 3),
                           pg_bool(&rows, row, 4));
        if (!aside->by_live)
            asides_park(&shadow->asides, aside);
    }
    return kind;
}

enum err_kind shadow_load(struct shadow *shadow, struct err *err)
{
    enum err_kind kind = check_about(shadow, err);

    if (kind == ERR_OK)
        kind = load_position(shadow, err);
    if (kind == ERR_OK)
        kind = load_asides(shadow, err);
    return kind;
}
