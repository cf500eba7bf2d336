#include "runtime/pg_store.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A journal partition spans this long; one is dropped when all in it is older than the retention.
 */
#define JOURNAL_SPAN_S 600
#define JOURNAL_KEEP_S 3600
#define JOURNAL_AHEAD 6

extern const struct pg_migration delivery_migrations[];
extern const size_t delivery_migration_count;

struct pg_store {
    char *conninfo;
    char *application;
    int32_t partitions;
    struct pg *worker;
    struct pg *relay;
    struct pg_column topics, numbers, offsets, high_waters, shards, keys, headers, values, times,
        reasons, errors, attempts, flags;
};

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

static const struct pg_statement LOCK_DEAD = {
    "lock_dead",
    "select id, id = any($1::bigint[]) from dead_letters where id = any($1::bigint[]) "
    "or (number is not null and key in (select d.key from dead_letters d "
    "where d.id = any($1::bigint[]) and d.number is not null)) order by id for update"};

static const struct pg_statement JOURNAL_APPEND = {
    "journal_append",
    "insert into journal (shard, number, key, headers, value) "
    "select * from unnest($1::int[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[])"};

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
    "undecided", "select min(id) from dead_letters where number is not null group by key "
                 "having (array_agg(reason order by id))[1] = 'undecided' order by 1 limit $1"};

static const struct pg_statement JOURNAL_PARTITIONS = {
    "journal_partitions",
    "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid "
    "where i.inhparent = 'journal'::regclass order by 1"};

static const struct pg_statement JOURNAL_UNPUBLISHED = {
    "journal_unpublished",
    "select count(*) from journal j left join published p using (shard) "
    "where j.written_at < to_timestamp($1::bigint) and j.number > coalesce(p.number, 0)"};

/* --- Sessions ------------------------------------------------------------------------------- */

/* The session in *slot, opened again when it was lost. */
static enum err_kind session(struct pg_store *store, struct pg **slot, struct err *err)
{
    if (*slot != NULL && !pg_is_lost(*slot))
        return ERR_OK;
    pg_close(*slot);
    *slot = NULL;
    return pg_open(slot, store->conninfo, store->application, err);
}

static enum err_kind relay_session(struct pg_store *store, struct err *err)
{
    bool was_open = store->relay != NULL && !pg_is_lost(store->relay);
    enum err_kind kind = session(store, &store->relay, err);

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
    enum err_kind kind = session(store, &store->worker, err);

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
    enum err_kind kind = session(store, &store->worker, err);

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
    enum err_kind kind = session(store, &store->worker, err);

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

/* --- The relay's side ----------------------------------------------------------------------- */

static enum err_kind numbers_of(struct pg_store *store, const struct pg_statement *statement,
                                uint64_t *numbers, int32_t partitions, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = relay_session(store, err);

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

static enum err_kind store_last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                        struct err *err)
{
    return numbers_of(self, &LAST_NUMBERS, numbers, partitions, err);
}

static enum err_kind store_published(void *self, uint64_t *numbers, int32_t partitions,
                                     struct err *err)
{
    return numbers_of(self, &PUBLISHED_READ, numbers, partitions, err);
}

static enum err_kind store_raise_last_number(void *self, int32_t shard, uint64_t number,
                                             struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    enum err_kind kind = relay_session(store, err);

    pg_arg_int4(&args, shard);
    pg_arg_int8(&args, (int64_t)number);
    return kind == ERR_OK ? pg_run(store->relay, &RAISE_NUMBER, &args, NULL, err) : kind;
}

#define READ_ROWS 200

static enum err_kind store_read(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                                void (*each)(void *context, const struct journal_record *record),
                                void *context, struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    struct pg_rows rows;
    size_t bytes = 0;
    enum err_kind kind = relay_session(store, err);

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

static enum err_kind store_note_published(void *self, const uint64_t *numbers,
                                          const int64_t *offsets, int32_t partitions,
                                          struct err *err)
{
    struct pg_store *store = self;
    struct pg_column shards = {0}, values = {0}, places = {0};
    struct pg_args args = {0};
    enum err_kind kind = relay_session(store, err);

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
             start_s, start_s, start_s, start_s + JOURNAL_SPAN_S);
    return pg_script(pg, sql, err);
}

static enum err_kind drop_journal_partition(struct pg *pg, int64_t start_s, struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    char sql[64];
    enum err_kind kind;

    pg_arg_int8(&args, start_s + JOURNAL_SPAN_S);
    kind = pg_run(pg, &JOURNAL_UNPUBLISHED, &args, &rows, err);
    if (kind != ERR_OK || pg_int(&rows, 0, 0) > 0)
        return kind;
    snprintf(sql, sizeof sql, "drop table journal_%" PRId64, start_s);
    return pg_script(pg, sql, err);
}

static enum err_kind tend_journal(struct pg *pg, struct err *err)
{
    int64_t now_s = clock_utc_us() / 1000000;
    int64_t first_s = (now_s / JOURNAL_SPAN_S - 1) * JOURNAL_SPAN_S;
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
        place = (start_s - first_s) / JOURNAL_SPAN_S;
        if (start_s >= first_s && place < JOURNAL_AHEAD + 2)
            there[place] = true;
    }
    for (int64_t i = 0; kind == ERR_OK && i < JOURNAL_AHEAD + 2; i++)
        if (!there[i])
            kind = make_journal_partition(pg, first_s + i * JOURNAL_SPAN_S, err);
    if (kind == ERR_OK && oldest_s < now_s - JOURNAL_SPAN_S - JOURNAL_KEEP_S)
        kind = drop_journal_partition(pg, oldest_s, err);
    return kind;
}

static enum err_kind store_maintain(void *self, struct err *err)
{
    struct pg_store *store = self;
    enum err_kind kind = relay_session(store, err);

    /* Two instances may tend at once: one waits here and finds all done. */
    if (kind == ERR_OK)
        kind = pg_script(store->relay, "select pg_advisory_lock(7236284)", err);
    if (kind != ERR_OK)
        return kind;
    kind = tend_journal(store->relay, err);
    if (!pg_is_lost(store->relay))
        pg_script(store->relay, "select pg_advisory_unlock(7236284)", NULL);
    return kind;
}

/* --- Dead letters --------------------------------------------------------------------------- */

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

static enum err_kind
store_copy_dead_letters(void *self, bool (*each)(void *context, const struct dead_letter *dead),
                        void *context, struct err *err)
{
    struct pg_store *store = self;
    struct pg_column ids = {0};
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = relay_session(store, err);

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

static enum err_kind store_load_dead_letters(void *self, int64_t id, struct dead_letter **out,
                                             size_t *count, struct arena *arena, struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = session(store, &store->worker, err);

    pg_arg_int8(&args, id);
    if (kind == ERR_OK)
        kind = pg_run(store->worker, &DEAD_LOAD, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    *out = arena_array(arena, (size_t)rows.count + 1, sizeof **out);
    *count = (size_t)rows.count;
    for (int i = 0; i < rows.count; i++)
        (*out)[i] = dead_letter_of(&rows, i, arena);
    return ERR_OK;
}

static enum err_kind store_list_dead_letters(void *self, int64_t after, int32_t limit,
                                             void (*each)(void *context,
                                                          const struct dead_letter *dead),
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

static enum err_kind store_find_dead_letter(void *self, int64_t id, const struct dead_letter **out,
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

static enum err_kind store_undecided(void *self, int64_t *ids, size_t max, size_t *count,
                                     struct err *err)
{
    struct pg_store *store = self;
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = session(store, &store->worker, err);

    pg_arg_int8(&args, (int64_t)max);
    if (kind == ERR_OK)
        kind = pg_run(store->worker, &UNDECIDED, &args, &rows, err);
    if (kind != ERR_OK)
        return kind;
    *count = (size_t)rows.count;
    for (int i = 0; i < rows.count; i++)
        ids[i] = pg_int(&rows, i, 0);
    return ERR_OK;
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
    enum err_kind kind = session(store, &store->worker, err);

    if (kind == ERR_OK)
        kind = pg_migrate(store->worker, delivery_migrations, delivery_migration_count, err);
    if (kind == ERR_OK)
        kind = pg_migrate(store->worker, migrations, migration_count, err);
    pg_arg_int4(&args, store->partitions);
    if (kind == ERR_OK)
        kind = pg_run(store->worker, &MAKE_SHARDS, &args, NULL, err);
    if (kind == ERR_OK)
        kind = store_maintain(store, err);
    return kind;
}

enum err_kind pg_store_open(struct store *out, const char *conninfo, const char *application,
                            int32_t partitions, const struct pg_migration *migrations,
                            size_t migration_count, struct err *err)
{
    struct pg_store *store = mem_alloc(sizeof *store);
    enum err_kind kind;

    store->conninfo = mem_strdup(conninfo);
    store->application = mem_strdup(application);
    store->partitions = partitions;
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
        .last_numbers = store_last_numbers,
        .read = store_read,
        .raise_last_number = store_raise_last_number,
        .published = store_published,
        .note_published = store_note_published,
        .maintain = store_maintain,
        .copy_dead_letters = store_copy_dead_letters,
        .load_dead_letters = store_load_dead_letters,
        .list_dead_letters = store_list_dead_letters,
        .find_dead_letter = store_find_dead_letter,
        .undecided = store_undecided,
        .close = store_close,
    };
    return ERR_OK;
}
