#include "runtime/pg_store_parts.h"

#include <inttypes.h>
#include <stdlib.h>

extern const struct pg_migration delivery_migrations[];
extern const size_t delivery_migration_count;

/* --- Statements ----------------------------------------------------------------------------- */

static const struct pg_statement BEGIN = {"begin", "begin"};
static const struct pg_statement COMMIT = {"commit", "commit"};

static const struct pg_statement TAKE_OVER = {
    "take_over", "insert into positions as p (topic, partition, epoch) "
                 "select * , 1 from unnest($1::text[], $2::int[]) order by 1, 2 "
                 "on conflict (topic, partition) do update set epoch = p.epoch + 1 "
                 "returning topic, partition, epoch, next_offset, high_water, fresh"};

static const struct pg_statement RELOAD = {
    "reload",
    "select topic, partition, epoch, next_offset, high_water, fresh from positions p "
    "join unnest($1::text[], $2::int[]) as wanted (topic, partition) using (topic, partition)"};

static const struct pg_statement LOCK_POSITIONS = {
    "lock_positions",
    "select p.topic, p.partition, p.epoch, p.high_water, p.fresh from positions p "
    "join unnest($1::text[], $2::int[]) as wanted (topic, partition) using (topic, partition) "
    "order by p.topic, p.partition for update of p"};

static const struct pg_statement LOCK_SHARDS = {
    "lock_shards",
    "select shard, last_number from shards where shard = any($1::int[]) order by shard for update"};

static const struct pg_statement PARKED_KEYS = {
    "parked_keys",
    "select distinct key from dead_letters where key = any($1::bytea[]) and number is not null"};

/* Whoever reads the partition waits, so that nothing is parked meanwhile behind what is redriven.
 */
static const struct pg_statement LOCK_DEAD_POSITIONS = {
    "lock_dead_positions",
    "select p.topic, p.partition from positions p where (p.topic, p.partition) in "
    "(select d.topic, d.partition from dead_letters d where d.id = any($1::bigint[])) "
    "order by p.topic, p.partition for update of p"};

/* Themselves and what lies behind them: one after the other, as no index serves an `or` of the two.
 */
static const struct pg_statement LOCK_DEAD = {
    "lock_dead",
    "select id, id = any($1::bigint[]) from dead_letters where id in (select unnest($1::bigint[]) "
    "union select b.id from dead_letters d join dead_letters b on b.key = d.key "
    "where d.id = any($1::bigint[]) and d.number is not null and b.number is not null) "
    "order by id for update"};

static const struct pg_statement JOURNAL_APPEND = {
    "journal_append",
    "insert into journal (shard, number, key, headers, value) "
    "select unnest($1::int[]), unnest($2::bigint[]), unnest($3::bytea[]), unnest($4::bytea[]),"
    "       unnest($5::bytea[])"};

static const struct pg_statement SHARDS_MOVE = {
    "shards_move",
    "update shards s set last_number = n.number "
    "from unnest($1::int[], $2::bigint[]) as n (shard, number) where s.shard = n.shard"};

static const struct pg_statement POSITIONS_MOVE = {
    "positions_move",
    "update positions p set next_offset = n.next_offset, high_water = n.high_water, fresh = "
    "n.fresh "
    "from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::boolean[]) "
    "as n (topic, partition, next_offset, high_water, fresh) "
    "where p.topic = n.topic and p.partition = n.partition"};

static const struct pg_statement DEAD_INSERT = {
    "dead_insert",
    "insert into dead_letters (topic, partition, record_offset, number, key, headers, value, "
    "record_time_ms, reason, error, attempts) "
    "select topic, partition, record_offset, nullif(number, 0), key, headers, value, time_ms, "
    "reason, error, attempts "
    "from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], "
    "$7::bytea[], $8::bigint[], $9::text[], $10::text[], $11::int[]) with ordinality "
    "as n (topic, partition, record_offset, number, key, headers, value, time_ms, reason, error, "
    "attempts, place) "
    "order by place"};

/* Tried and set aside again: it keeps its id, and with it its place behind those of its key. */
static const struct pg_statement DEAD_UPDATE = {
    "dead_update",
    "update dead_letters d set reason = n.reason, error = n.error, attempts = n.attempts, "
    "copied = d.copied and d.attempts = n.attempts "
    "from unnest($1::bigint[], $2::text[], $3::text[], $4::int[]) as n (id, reason, error, "
    "attempts) where d.id = n.id"};

static const struct pg_statement DEAD_DELETE = {
    "dead_delete", "delete from dead_letters where id = any($1::bigint[])"};

static const struct pg_statement FLOW_READ = {
    "flow_read", "select paused, rate_per_s, (extract(epoch from changed_at) * 1000000)::bigint "
                 "from flow"};

static const struct pg_statement FLOW_WRITE = {
    "flow_write",
    "insert into flow (paused, rate_per_s, changed_at) "
    "values ($1::int <> 0, $2, to_timestamp($3::bigint / 1000000.0)) "
    "on conflict (one) do update set paused = excluded.paused, rate_per_s = excluded.rate_per_s, "
    "changed_at = excluded.changed_at"};

/* --- Sessions ------------------------------------------------------------------------------- */

/* The session in *slot, opened again when it was lost. */
enum err_kind pg_store_session(struct pg_store *store, struct pg **slot, struct err *err)
{
    if (*slot != NULL && !pg_is_lost(*slot))
        return ERR_OK;
    pg_close(*slot);
    *slot = NULL;
    return pg_open(slot, store->conninfo, store->application, err);
}

enum err_kind pg_store_relay_session(struct pg_store *store, struct err *err)
{
    bool was_open = store->relay != NULL && !pg_is_lost(store->relay);
    enum err_kind kind = pg_store_session(store, &store->relay, err);

    /* What the relay writes is a hint: losing the last of it costs one look at the log. */
    if (kind == ERR_OK && !was_open)
        kind = pg_script(store->relay, "set synchronous_commit = off", err);
    return kind;
}

static struct pg *store_session(void *self)
{
    return ((struct pg_store *)self)->worker;
}

/* --- The worker's side ---------------------------------------------------------------------- */

static void fill_positions(struct pg_store *store, const struct mark *marks, size_t count)
{
    pg_column_start(&store->topics, PG_TEXT);
    pg_column_start(&store->shards, PG_INT4);
    for (size_t i = 0; i < count; i++) {
        pg_column_bytes(&store->topics, view_str(marks[i].topic));
        pg_column_int4(&store->shards, marks[i].partition);
    }
}

static struct mark *find_mark(struct mark *marks, size_t count, struct view topic,
                              int64_t partition)
{
    for (size_t i = 0; i < count; i++)
        if (marks[i].partition == partition && view_equals(topic, marks[i].topic))
            return &marks[i];
    return NULL;
}

static enum err_kind read_marks(struct pg_store *store, const struct pg_statement *statement,
                                struct mark *marks, size_t count, struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = pg_store_session(store, &store->worker, err);

    if (kind != ERR_OK)
        return kind;
    fill_positions(store, marks, count);
    pg_arg_column(&args, &store->topics);
    pg_arg_column(&args, &store->shards);
    kind = pg_run(store->worker, statement, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    for (int i = 0; i < rows.count; i++) {
        struct mark *mark = find_mark(marks, count, pg_bytes(&rows, i, 0), pg_int(&rows, i, 1));

        if (mark == NULL)
            continue;
        mark->epoch = pg_int(&rows, i, 2);
        mark->next_offset = pg_int(&rows, i, 3);
        mark->high_water = (uint64_t)pg_int(&rows, i, 4);
        mark->fresh = pg_bool(&rows, i, 5);
    }
    return ERR_OK;
}

static enum err_kind store_take_over(void *self, struct mark *marks, size_t count, struct err *err)
{
    return read_marks(self, &TAKE_OVER, marks, count, err);
}

static enum err_kind store_reload(void *self, struct mark *marks, size_t count, struct err *err)
{
    return read_marks(self, &RELOAD, marks, count, err);
}

static void fill_ids(struct pg_store *store, const int64_t *ids, size_t count)
{
    pg_column_start(&store->numbers, PG_INT8);
    for (size_t i = 0; i < count; i++)
        pg_column_int8(&store->numbers, ids[i]);
}

static enum err_kind store_begin(void *self, struct commit *commit, struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    enum err_kind kind = pg_store_session(store, &store->worker, err);

    if (kind != ERR_OK)
        return kind;
    pg_queue(store->worker, &BEGIN, NULL);
    if (commit->mark_count > 0) {
        fill_positions(store, commit->marks, commit->mark_count);
        pg_arg_column(&args, &store->topics);
        pg_arg_column(&args, &store->shards);
        pg_queue(store->worker, &LOCK_POSITIONS, &args);
    }
    if (commit->redriven_count > 0) {
        fill_ids(store, commit->redriven, commit->redriven_count);
        args.count = 0;
        pg_arg_column(&args, &store->numbers);
        pg_queue(store->worker, &LOCK_DEAD_POSITIONS, &args);
    }
    if (commit->shard_count > 0) {
        pg_column_start(&store->shards, PG_INT4);
        for (size_t i = 0; i < commit->shard_count; i++)
            pg_column_int4(&store->shards, commit->shards[i]);
        args.count = 0;
        pg_arg_column(&args, &store->shards);
        pg_queue(store->worker, &LOCK_SHARDS, &args);
    }
    if (commit->key_count > 0) {
        pg_column_start(&store->keys, PG_BYTEA);
        for (size_t i = 0; i < commit->key_count; i++)
            pg_column_bytes(&store->keys, commit->keys[i]);
        args.count = 0;
        pg_arg_column(&args, &store->keys);
        pg_queue(store->worker, &PARKED_KEYS, &args);
    }
    if (commit->redriven_count > 0) {
        fill_ids(store, commit->redriven, commit->redriven_count);
        args.count = 0;
        pg_arg_column(&args, &store->numbers);
        pg_queue(store->worker, &LOCK_DEAD, &args);
    }
    return ERR_OK;
}

/* May this unit still be stored, by us and behind what is stored? *fenced: read the positions again
 * and see what is left of it. */
static enum err_kind check_mark(const struct mark *stored, const struct mark *unit, bool *fenced,
                                struct err *err)
{
    *fenced = true;
    if (mark_is_fenced(stored, unit))
        return err_set(err, ERR_RETRY, "%s/%d: epoch %" PRId64 " holds it now, ours is %" PRId64,
                       unit->topic, unit->partition, stored->epoch, unit->epoch);
    if (mark_moved_by(stored, unit) > 0)
        return err_set(err, ERR_RETRY, "%s/%d: it is applied up to %" PRIu64 " after all",
                       unit->topic, unit->partition, stored->high_water);
    *fenced = false;
    if (mark_moved_by(stored, unit) < 0)
        return err_set(err, ERR_STOP,
                       "%s/%d: the store has gone back: it is applied up to %" PRIu64
                       ", number %" PRIu64 " is next",
                       unit->topic, unit->partition, stored->high_water, unit->first);
    return ERR_OK;
}

static enum err_kind check_marks(struct pg *pg, const struct commit *commit, bool *fenced,
                                 struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_next(pg, &rows, err);

    if (kind != ERR_OK)
        return kind;
    if ((size_t)rows.count != commit->mark_count) {
        *fenced = true;
        return err_set(err, ERR_RETRY, "positions: %d rows of %zu partitions are there", rows.count,
                       commit->mark_count);
    }
    for (int i = 0; i < rows.count && kind == ERR_OK; i++) {
        const struct mark stored = {
            .epoch = pg_int(&rows, i, 2),
            .high_water = (uint64_t)pg_int(&rows, i, 3),
            .fresh = pg_bool(&rows, i, 4),
        };

        kind = check_mark(&stored, &commit->marks[i], fenced, err);
    }
    return kind;
}

static void mark_parked(struct commit *commit, struct view key)
{
    size_t low = 0, high = commit->key_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(commit->keys[middle], key);

        if (order == 0) {
            commit->key_is_parked[middle] = true;
            return;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
}

/* Are the letters that are redriven still there, and no others of their keys behind them? */
static enum err_kind check_dead_letters(struct pg *pg, const struct commit *commit, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_next(pg, &rows, err);
    size_t there = 0;

    for (int i = 0; kind == ERR_OK && i < rows.count; i++)
        there += pg_bool(&rows, i, 1);
    if (kind == ERR_OK && there != commit->redriven_count)
        return err_set(err, ERR_RETRY, "dead letters: somebody else has redriven or dropped them");
    if (kind == ERR_OK && (size_t)rows.count != commit->key_letters)
        return err_set(err, ERR_RETRY, "dead letters: another one of the key came meanwhile");
    return kind;
}

/* The part has queued its reads behind and sent the flight; the first answers are ours. */
static enum err_kind store_began(void *self, struct commit *commit, bool *fenced, struct err *err)
{
    struct pg_store *store = self;
    struct pg_rows rows;
    enum err_kind kind = pg_next(store->worker, NULL, err);

    *fenced = false;
    if (kind == ERR_OK && commit->mark_count > 0)
        kind = check_marks(store->worker, commit, fenced, err);
    if (kind == ERR_OK && commit->redriven_count > 0)
        kind = pg_next(store->worker, NULL, err);
    if (kind == ERR_OK && commit->shard_count > 0) {
        kind = pg_next(store->worker, &rows, err);
        if (kind == ERR_OK && (size_t)rows.count != commit->shard_count)
            return err_set(err, ERR_STOP, "shards: %d rows of %zu are there", rows.count,
                           commit->shard_count);
        for (int i = 0; kind == ERR_OK && i < rows.count; i++)
            commit->last_numbers[i] = (uint64_t)pg_int(&rows, i, 1);
    }
    if (kind == ERR_OK && commit->key_count > 0) {
        kind = pg_next(store->worker, &rows, err);
        for (int i = 0; kind == ERR_OK && i < rows.count; i++)
            mark_parked(commit, pg_bytes(&rows, i, 0));
    }
    if (kind == ERR_OK && commit->redriven_count > 0)
        kind = check_dead_letters(store->worker, commit, err);
    return kind;
}

static void queue_journal(struct pg_store *store, const struct commit *commit)
{
    struct pg_args args = {0};

    pg_column_start(&store->shards, PG_INT4);
    pg_column_start(&store->numbers, PG_INT8);
    pg_column_start(&store->keys, PG_BYTEA);
    pg_column_start(&store->headers, PG_BYTEA);
    pg_column_start(&store->values, PG_BYTEA);
    for (size_t i = 0; i < commit->record_count; i++) {
        const struct journal_record *record = &commit->records[i];

        pg_column_int4(&store->shards, record->shard);
        pg_column_int8(&store->numbers, (int64_t)record->number);
        pg_column_bytes(&store->keys, record->key);
        pg_column_bytes(&store->headers, record->headers);
        pg_column_bytes(&store->values, record->value);
    }
    pg_arg_column(&args, &store->shards);
    pg_arg_column(&args, &store->numbers);
    pg_arg_column(&args, &store->keys);
    pg_arg_column(&args, &store->headers);
    pg_arg_column(&args, &store->values);
    pg_queue(store->worker, &JOURNAL_APPEND, &args);

    pg_column_start(&store->shards, PG_INT4);
    pg_column_start(&store->numbers, PG_INT8);
    for (size_t i = 0; i < commit->shard_count; i++) {
        pg_column_int4(&store->shards, commit->shards[i]);
        pg_column_int8(&store->numbers, (int64_t)commit->last_numbers[i]);
    }
    args.count = 0;
    pg_arg_column(&args, &store->shards);
    pg_arg_column(&args, &store->numbers);
    pg_queue(store->worker, &SHARDS_MOVE, &args);
}

static void queue_marks(struct pg_store *store, const struct commit *commit)
{
    struct pg_args args = {0};

    fill_positions(store, commit->marks, commit->mark_count);
    pg_column_start(&store->offsets, PG_INT8);
    pg_column_start(&store->high_waters, PG_INT8);
    pg_column_start(&store->flags, PG_BOOL);
    for (size_t i = 0; i < commit->mark_count; i++) {
        pg_column_int8(&store->offsets, commit->marks[i].next_offset);
        pg_column_int8(&store->high_waters, (int64_t)commit->marks[i].high_water);
        pg_column_bool(&store->flags, commit->marks[i].fresh);
    }
    pg_arg_column(&args, &store->topics);
    pg_arg_column(&args, &store->shards);
    pg_arg_column(&args, &store->offsets);
    pg_arg_column(&args, &store->high_waters);
    pg_arg_column(&args, &store->flags);
    pg_queue(store->worker, &POSITIONS_MOVE, &args);
}

static void queue_dead_letters(struct pg_store *store, const struct commit *commit)
{
    struct pg_args args = {0};
    struct pg_column *const columns[] = {&store->topics,  &store->shards,  &store->offsets,
                                         &store->numbers, &store->keys,    &store->headers,
                                         &store->values,  &store->times,   &store->reasons,
                                         &store->errors,  &store->attempts};
    static const enum pg_element elements[] = {PG_TEXT,  PG_INT4,  PG_INT8,  PG_INT8,
                                               PG_BYTEA, PG_BYTEA, PG_BYTEA, PG_INT8,
                                               PG_TEXT,  PG_TEXT,  PG_INT4};

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        pg_column_start(columns[i], elements[i]);
    for (size_t i = 0; i < commit->dead_letter_count; i++) {
        const struct dead_letter *dead = &commit->dead_letters[i];

        if (dead->id != 0)
            continue;
        pg_column_bytes(&store->topics, view_str(dead->topic));
        pg_column_int4(&store->shards, dead->partition);
        pg_column_int8(&store->offsets, dead->offset);
        pg_column_int8(&store->numbers, (int64_t)dead->number);
        pg_column_bytes(&store->keys, dead->key.data != NULL ? dead->key : view_str(""));
        pg_column_bytes(&store->headers, dead->headers);
        pg_column_bytes(&store->values, dead->value.data != NULL ? dead->value : view_str(""));
        pg_column_int8(&store->times, dead->time_ms);
        pg_column_bytes(&store->reasons, view_str(dead_reason_name(dead->reason)));
        pg_column_bytes(&store->errors, view_str(dead->error));
        pg_column_int4(&store->attempts, dead->attempts);
    }
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        pg_arg_column(&args, columns[i]);
    pg_queue(store->worker, &DEAD_INSERT, &args);
}

static void queue_dead_again(struct pg_store *store, const struct commit *commit)
{
    struct pg_args args = {0};

    pg_column_start(&store->numbers, PG_INT8);
    pg_column_start(&store->reasons, PG_TEXT);
    pg_column_start(&store->errors, PG_TEXT);
    pg_column_start(&store->attempts, PG_INT4);
    for (size_t i = 0; i < commit->dead_letter_count; i++) {
        const struct dead_letter *dead = &commit->dead_letters[i];

        if (dead->id == 0)
            continue;
        pg_column_int8(&store->numbers, dead->id);
        pg_column_bytes(&store->reasons, view_str(dead_reason_name(dead->reason)));
        pg_column_bytes(&store->errors, view_str(dead->error));
        pg_column_int4(&store->attempts, dead->attempts);
    }
    pg_arg_column(&args, &store->numbers);
    pg_arg_column(&args, &store->reasons);
    pg_arg_column(&args, &store->errors);
    pg_arg_column(&args, &store->attempts);
    pg_queue(store->worker, &DEAD_UPDATE, &args);
}

static void queue_removed(struct pg_store *store, const struct commit *commit)
{
    struct pg_args args = {0};

    fill_ids(store, commit->removed, commit->removed_count);
    pg_arg_column(&args, &store->numbers);
    pg_queue(store->worker, &DEAD_DELETE, &args);
}

static void queue_flow(struct pg_store *store, const struct flow *flow)
{
    struct pg_args args = {0};

    pg_arg_int4(&args, flow->paused);
    pg_arg_int8(&args, flow->rate_per_s);
    pg_arg_int8(&args, flow->changed_us);
    pg_queue(store->worker, &FLOW_WRITE, &args);
}

static enum err_kind store_read_flow(void *self, struct flow *out, struct err *err)
{
    struct pg_store *store = self;
    struct pg_rows rows;
    enum err_kind kind = pg_store_session(store, &store->worker, err);

    if (kind == ERR_OK)
        kind = pg_run(store->worker, &FLOW_READ, NULL, &rows, err);
    if (kind != ERR_OK)
        return kind;
    *out = (struct flow){0};
    if (rows.count > 0)
        *out = (struct flow){.paused = pg_bool(&rows, 0, 0),
                             .rate_per_s = pg_int(&rows, 0, 1),
                             .changed_us = pg_int(&rows, 0, 2)};
    return ERR_OK;
}

static enum err_kind store_commit(void *self, struct commit *commit, struct err *err)
{
    struct pg_store *store = self;

    if (commit->record_count > 0)
        queue_journal(store, commit);
    if (commit->dead_letter_count > 0)
        queue_dead_letters(store, commit);
    if (commit->dead_letter_count > 0 && commit->redriven_count > 0)
        queue_dead_again(store, commit);
    if (commit->removed_count > 0)
        queue_removed(store, commit);
    if (commit->mark_count > 0)
        queue_marks(store, commit);
    if (commit->flow != NULL)
        queue_flow(store, commit->flow);
    pg_queue(store->worker, &COMMIT, NULL);
    pg_sync(store->worker);
    /* A failed statement makes the server answer COMMIT with ROLLBACK or not at all; either way
     * pg_finish has the first error. The tag alone says that it is stored. */
    return pg_finish_commit(store->worker, err);
}

static void store_abandon(void *self)
{
    struct pg_store *store = self;

    if (store->worker != NULL)
        pg_rollback(store->worker);
}

static enum err_kind store_ping(void *self, struct err *err)
{
    struct pg_store *store = self;
    enum err_kind kind = pg_store_session(store, &store->probe, err);

    if (kind == ERR_OK)
        kind = pg_ping(store->probe, STORE_PING_MS, err);
    if (kind != ERR_OK) {
        pg_close(store->probe); /* an answer may still be on its way */
        store->probe = NULL;
    }
    return kind;
}

/* --- Opening and closing -------------------------------------------------------------------- */

static void store_close(void *self)
{
    struct pg_store *store = self;
    struct pg_column *const columns[] = {
        &store->topics, &store->numbers,  &store->offsets, &store->high_waters, &store->shards,
        &store->keys,   &store->headers,  &store->values,  &store->times,       &store->reasons,
        &store->errors, &store->attempts, &store->flags};

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        pg_column_clear(columns[i]);
    pg_close(store->worker);
    pg_close(store->relay);
    pg_close(store->probe);
    free(store->conninfo);
    free(store->application);
    free(store);
}

static const struct pg_statement MAKE_SHARDS = {
    "make_shards",
    "insert into shards (shard) select generate_series(0, $1::int - 1) on conflict do nothing"};

static enum err_kind prepare_database(struct pg_store *store, const struct pg_migration *migrations,
                                      size_t migration_count, struct err *err)
{
    struct pg_args args = {0};
    enum err_kind kind = pg_store_session(store, &store->worker, err);

    if (kind == ERR_OK)
        kind = pg_migrate(store->worker, delivery_migrations, delivery_migration_count, err);
    if (kind == ERR_OK)
        kind = pg_migrate(store->worker, migrations, migration_count, err);
    pg_arg_int4(&args, store->partitions);
    if (kind == ERR_OK)
        kind = pg_run(store->worker, &MAKE_SHARDS, &args, NULL, err);
    if (kind == ERR_OK)
        kind = pg_journal_maintain(store, NULL, NULL, err);
    return kind;
}

enum err_kind pg_store_open(struct store *out, const char *conninfo, const char *application,
                            int32_t partitions, int64_t journal_s,
                            const struct pg_migration *migrations, size_t migration_count,
                            struct err *err)
{
    struct pg_store *store = mem_alloc(sizeof *store);
    enum err_kind kind;

    store->conninfo = mem_strdup(conninfo);
    store->application = mem_strdup(application);
    store->partitions = partitions;
    store->journal_s = journal_s;
    kind = prepare_database(store, migrations, migration_count, err);
    if (kind != ERR_OK) {
        store_close(store);
        return kind;
    }
    *out = (struct store){
        .self = store,
        .take_over = store_take_over,
        .reload = store_reload,
        .begin = store_begin,
        .began = store_began,
        .commit = store_commit,
        .abandon = store_abandon,
        .session = store_session,
        .read_flow = store_read_flow,
        .last_numbers = pg_journal_last_numbers,
        .read = pg_journal_read,
        .raise_last_number = pg_journal_raise_last_number,
        .published = pg_journal_published,
        .note_published = pg_journal_note_published,
        .maintain = pg_journal_maintain,
        .copy_dead_letters = pg_dead_letters_copy,
        .load_dead_letters = pg_dead_letters_load,
        .list_dead_letters = pg_dead_letters_list,
        .find_dead_letter = pg_dead_letters_find,
        .undecided = pg_dead_letters_undecided,
        .ping = store_ping,
        .close = store_close,
    };
    return ERR_OK;
}
