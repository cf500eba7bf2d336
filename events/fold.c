#include "events/fold.h"

#include "runtime/murmur2.h"

#include <stdlib.h>

/* What a batch knows of one key. */
struct fold_key {
    struct view key;
    struct fold_key *next;
    _Alignas(max_align_t) char state[];
};

static const struct pg_statement WAITS = {
    "fold_waits", "insert into replay_waiting as w (key, what, balance)"
                  " select unnest($1::text[]), unnest($2::smallint[]), unnest($3::int[])"
                  " on conflict (key, what) do update set balance = w.balance + excluded.balance"};

static struct view key_of(const void *thing)
{
    return ((const struct fold_key *)thing)->key;
}

void fold_batch_init(struct fold_batch *batch, const struct fold *fold,
                     const struct schema_ids *ids, int32_t partitions, struct arena *arena)
{
    *batch = (struct fold_batch){
        .fold = fold,
        .ids = ids,
        .partitions = partitions,
        .arena = arena,
        .writes = mem_alloc(fold->write_count * sizeof *batch->writes),
        .keys = {.key_of = key_of},
    };
    fold_batch_start(batch);
}

void fold_batch_clear(struct fold_batch *batch)
{
    for (size_t i = 0; batch->writes != NULL && i < batch->fold->write_count; i++)
        pg_batch_clear(&batch->writes[i]);
    free(batch->writes);
    batch->writes = NULL;
    pg_batch_clear(&batch->waits);
    lookup_clear(&batch->keys);
}

void fold_batch_start(struct fold_batch *batch)
{
    arena_reset(batch->arena);
    if (batch->keys.count > 0)
        memset(batch->keys.slots, 0, batch->keys.capacity * sizeof *batch->keys.slots);
    batch->keys.count = 0;
    batch->first = NULL;
    batch->last = &batch->first;
    batch->event_count = 0;
    PG_BATCH_START(&batch->waits, PG_TEXT, PG_INT2, PG_INT4);
    for (size_t i = 0; i < batch->fold->write_count; i++)
        fold_write_start(&batch->writes[i], &batch->fold->writes[i]);
}

static void *state_of(struct fold_batch *batch, struct view key)
{
    struct fold_key *known = lookup_find(&batch->keys, key);

    if (known != NULL)
        return known->state;
    known = arena_alloc(batch->arena, sizeof *known + batch->fold->state_bytes);
    known->key = arena_view(batch->arena, key);
    lookup_add(&batch->keys, known);
    *batch->last = known;
    batch->last = &known->next;
    return known->state;
}

enum err_kind fold_batch_add(struct fold_batch *batch, const struct event *event, struct view value,
                             struct err *err)
{
    void *state = batch->fold->state_bytes > 0 ? state_of(batch, event->envelope->subject) : NULL;
    enum err_kind kind;

    batch->value = value;
    kind = batch->fold->apply(batch, state, event, err);
    batch->event_count += kind == ERR_OK;
    return kind;
}

void fold_batch_queue(struct fold_batch *batch, struct pg *pg)
{
    for (const struct fold_key *key = batch->first; key != NULL; key = key->next)
        if (batch->fold->save != NULL)
            batch->fold->save(batch, key->key, key->state);
    for (size_t i = 0; i < batch->fold->write_count; i++)
        pg_batch_queue(&batch->writes[i], pg, &batch->fold->writes[i].statement);
    pg_batch_queue(&batch->waits, pg, &WAITS);
}

void fold_wait(struct fold_batch *batch, struct view key, int16_t what, int change)
{
    if (change == 0)
        return;
    pg_column_bytes(&batch->waits.columns[0], key);
    pg_column_int2(&batch->waits.columns[1], what);
    pg_column_int4(&batch->waits.columns[2], change);
}

struct pg_column *fold_columns(struct fold_batch *batch, size_t write)
{
    return batch->writes[write].columns;
}

struct view fold_text(struct view text)
{
    return text.data != NULL ? text : VIEW_LITERAL("");
}

struct view fold_keep(struct fold_batch *batch, struct view text)
{
    return arena_view(batch->arena, text);
}

int32_t fold_shard_of(const struct fold_batch *batch, struct view key)
{
    return (int32_t)partition_of(key, (uint32_t)batch->partitions);
}
