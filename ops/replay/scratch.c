#include "ops/replay/scratch.h"

#include <stdio.h>
#include <unistd.h>

static enum err_kind make_schema(struct pg *pg, const struct fold *fold, struct err *err)
{
    AUTO(buf_clear) struct buf sql = {0};

    buf_printf(&sql,
               "set timezone = 'UTC'; set idle_in_transaction_session_timeout = '30s';"
               "set enable_seqscan = on; begin; create schema replay_scratch_%d;"
               "set local search_path = replay_scratch_%d;" FOLD_WAITING_TABLE,
               (int)getpid(), (int)getpid());
    for (size_t i = 0; i < *fold->script_count; i++)
        buf_append_str(&sql, fold->scripts[i].sql);
    return pg_script(pg, buf_cstr(&sql), err);
}

/* What an event has changed is the event's; the rest stays whose it was. */
static void attribute(struct cells *now, const struct cells *before, const struct key_event *event)
{
    for (size_t i = 0; i < now->count; i++) {
        struct cell *cell = &now->list[i];
        const struct cell *was = cells_find(before, cell->table, cell->row, cell->column);
        bool is_same = was != NULL && (was->value == NULL) == (cell->value == NULL) &&
                       (cell->value == NULL || strcmp(was->value, cell->value) == 0);

        cell->event = is_same ? was->event : event;
    }
}

static enum err_kind fold_one(struct fold_batch *batch, struct pg *pg,
                              const struct key_event *event, struct err *err)
{
    fold_batch_start(batch);
    if (fold_batch_add(batch, &event->event, event->value, err) == ERR_REJECT)
        return ERR_OK; /* a replay sets it aside */
    fold_batch_queue(batch, pg);
    pg_sync(pg);
    return pg_finish(pg, err);
}

static enum err_kind fold_all(struct cells *out, struct fold_batch *batch, struct pg *pg,
                              const struct asides *asides, const struct key_event *events,
                              size_t event_count, const struct view *keys, size_t key_count,
                              struct arena *arena, struct err *err)
{
    struct cell_reader reader;
    enum err_kind kind = ERR_OK;

    *out = (struct cells){0};
    cell_reader_init(&reader, batch->fold);
    for (size_t i = 0; kind == ERR_OK && i < event_count; i++) {
        struct cells before = *out;

        if (asides != NULL &&
            asides_find(asides, events[i].topic, events[i].partition, events[i].number) != NULL)
            continue;
        kind = fold_one(batch, pg, &events[i], err);
        if (kind == ERR_OK)
            kind = cells_read(out, &reader, pg, keys, key_count, arena, err);
        if (kind == ERR_OK)
            attribute(out, &before, &events[i]);
    }
    cell_reader_clear(&reader);
    return kind;
}

enum err_kind scratch_fold(struct cells *out, const struct fold *fold, const char *database,
                           const struct schema_ids *ids, int32_t partitions,
                           const struct asides *asides, const struct key_event *events,
                           size_t event_count, const struct view *keys, size_t key_count,
                           struct arena *arena, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;
    AUTO(arena_clear) struct arena batch_arena = {0};
    struct fold_batch batch;
    enum err_kind kind = pg_open(&pg, database, "tradewind, looking back", err);

    if (kind == ERR_OK)
        kind = make_schema(pg, fold, err);
    if (kind != ERR_OK)
        return kind;
    fold_batch_init(&batch, fold, ids, partitions, &batch_arena);
    batch.is_set_aside = asides != NULL ? asides_have_key : NULL;
    batch.context = asides;
    kind = fold_all(out, &batch, pg, asides, events, event_count, keys, key_count, arena, err);
    fold_batch_clear(&batch);
    pg_rollback(pg);
    return kind;
}
