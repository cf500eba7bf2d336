#include "ops/replay/swap.h"

#include "ops/replay/acted_pg.h"
#include "ops/replay/swap_lost.h"
#include "ops/replay/sweep.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define NEAR_EVENTS 2000 /* so close behind that the rest is folded while the part waits */
#define NEAR_TRIES 50
#define TRIES 5

/* Positions, then shards, each in order: as every unit of work does. */
static const struct pg_statement LOCK_POSITIONS = {
    "replay_lock_positions", "select 1 from positions order by topic, partition for update"};
static const struct pg_statement LOCK_SHARDS = {"replay_lock_shards",
                                                "select 1 from shards order by shard for update"};
static const struct pg_statement VIEWS = {
    "replay_views", "select relname::text from pg_class where relkind = 'v'"
                    " and relnamespace = $1::text::regnamespace order by relname"};

/* --- Names ------------------------------------------------------------------------------------ */

/* Move the part's folded tables, and the views over them, from one schema to another. */
static enum err_kind rename_all(struct pg *pg, const struct fold *fold, const char *from,
                                const char *to, struct err *err)
{
    AUTO(buf_clear) struct buf sql = {0};
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_str(&args, from);
    kind = pg_run(pg, &VIEWS, &args, &rows, err);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        buf_printf(&sql, "alter view %s.%s set schema %s;", from, pg_text(&rows, row, 0), to);
    for (size_t i = 0; i < fold->table_count; i++)
        buf_printf(&sql, "alter table %s.%s set schema %s;", from, fold->tables[i].name, to);
    return kind == ERR_OK ? pg_script(pg, buf_cstr(&sql), err) : kind;
}

/* The shadow's own tables say where the tables stand that they lie beside: they stay with them. */
static enum err_kind keep_old(struct pg *pg, const struct fold *fold, const char *shadow,
                              struct err *err)
{
    static const char *const OWN[] = {"replay_about", "replay_position", "replay_aside",
                                      "replay_waiting"};
    AUTO(buf_clear) struct buf sql = {0};
    bool comes_back = strcmp(shadow, SHADOW_OLD) == 0;
    const char *old = comes_back ? "replay_swapping" : SHADOW_OLD;
    enum err_kind kind;

    if (!comes_back)
        buf_printf(&sql, "drop schema if exists %s cascade;", SHADOW_OLD);
    buf_printf(&sql, "create schema %s;", old);
    kind = pg_script(pg, buf_cstr(&sql), err);
    if (kind == ERR_OK)
        kind = rename_all(pg, fold, "public", old, err);
    if (kind == ERR_OK)
        kind = rename_all(pg, fold, shadow, "public", err);
    buf_reset(&sql);
    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++)
        buf_printf(&sql, "alter table %s.%s set schema %s;", shadow, OWN[i], old);
    buf_printf(&sql, "drop schema %s cascade;", shadow);
    if (comes_back)
        buf_printf(&sql, "alter schema %s rename to %s;", old, SHADOW_OLD);
    return kind == ERR_OK ? pg_script(pg, buf_cstr(&sql), err) : kind;
}

/* A part that was lost and reads everything again by itself may not know yet what it has told: its
 * numbers go on behind those of the topic. */
static enum err_kind last_told(uint64_t *out, const struct live *live, const struct acted *acted,
                               struct err *err)
{
    int64_t offset;

    return acted_last_number(out, &offset, live->reader->brokers, acted->part, acted->partitions,
                             err);
}

/* --- Holding the part ------------------------------------------------------------------------- */

/* Come so close that little is left to be done while the part waits. */
static enum err_kind come_near(struct shadow *shadow, struct live *live, struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (int i = 0; i < NEAR_TRIES && kind == ERR_OK; i++) {
        uint64_t before = shadow->folded;

        if ((kind = live_begin(live, err)) == ERR_OK && (kind = live_end(live, err)) == ERR_OK)
            kind = live_follow(live, shadow, err);
        if (shadow->folded - before < NEAR_EVENTS)
            break;
    }
    return kind;
}

static enum err_kind hold(struct live *live, struct err *err)
{
    enum err_kind kind =
        pg_script(live->pg,
                  "begin; set local idle_in_transaction_session_timeout = '20s';"
                  "set local lock_timeout = '3s'; set local statement_timeout = '20s'",
                  err);

    if (kind == ERR_OK)
        kind = pg_run(live->pg, &LOCK_POSITIONS, NULL, NULL, err);
    if (kind == ERR_OK)
        kind = pg_run(live->pg, &LOCK_SHARDS, NULL, NULL, err);
    return kind == ERR_OK ? live_read(live, err) : kind;
}

static enum err_kind swap_once(struct shadow *shadow, struct live *live, const struct acted *acted,
                               struct swap_result *result, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct sweep sweep = {0};
    int64_t start_ms;
    uint64_t told = 0;
    enum err_kind kind = last_told(&told, live, acted, err);

    if (kind == ERR_OK)
        kind = come_near(shadow, live, err);
    if (kind == ERR_OK)
        kind = sweep_hidden(&sweep, shadow, live, &arena, err);
    if (kind == ERR_OK && sweep.undecided > 0) /* that took its time */
        kind = come_near(shadow, live, err);
    result->undecided = sweep.undecided;
    start_ms = clock_monotonic_ms();
    if (kind == ERR_OK)
        kind = hold(live, err);
    if (kind == ERR_OK)
        kind = live_follow(live, shadow, err);
    if (kind == ERR_OK)
        kind = sweep_hand_over(&sweep, shadow, live, err);
    if (kind == ERR_OK)
        kind = keep_old(live->pg, shadow->fold, shadow->schema, err);
    if (kind == ERR_OK)
        kind = acted_write(live->pg, acted, told, err);
    if (kind == ERR_OK)
        kind = pg_script(live->pg, "commit", err);
    result->held_ms = clock_monotonic_ms() - start_ms;
    return kind;
}

enum err_kind swap_tables(struct shadow *shadow, struct live *live, const struct acted *acted,
                          struct swap_result *result, struct err *err)
{
    enum err_kind kind = ERR_RETRY;
    bool is_whole = true;

    /* Somebody reads a table for long, or vacuum has it: let go, so that the part goes on, and try
     * again. */
    for (int i = 0; i < TRIES && kind == ERR_RETRY; i++) {
        kind = swap_once(shadow, live, acted, result, err);
        if (kind != ERR_OK) {
            struct err why = *err;

            pg_rollback(live->pg);
            is_whole = sweep_take_back(shadow, err) == ERR_OK; /* or the next replay does */
            *err = why;
        }
        if (!is_whole || pg_is_lost(live->pg))
            break;
    }
    return kind;
}

/* --- Without a swap --------------------------------------------------------------------------- */

/* done: SQL that does it, in the same transaction; a schema that is dropped locks nothing that the
 * part uses. */
static enum err_kind do_and_tell(struct live *live, const char *done, const struct acted *acted,
                                 struct err *err)
{
    AUTO(buf_clear) struct buf sql = {0};
    uint64_t told = 0;
    enum err_kind kind = last_told(&told, live, acted, err);

    buf_printf(&sql, "begin;%s", done);
    if (kind == ERR_OK)
        kind = pg_script(live->pg, buf_cstr(&sql), err);
    if (kind == ERR_OK)
        kind = acted_write(live->pg, acted, told, err);
    if (kind == ERR_OK)
        kind = pg_script(live->pg, "commit", err);
    if (kind != ERR_OK) {
        struct err why = *err;

        pg_rollback(live->pg);
        *err = why;
    }
    return kind;
}

enum err_kind swap_tell(struct live *live, const struct acted *acted, struct err *err)
{
    return do_and_tell(live, "", acted, err);
}

enum err_kind swap_drop(struct live *live, const struct acted *acted, struct err *err)
{
    return do_and_tell(live,
                       "drop schema if exists " SHADOW_NEW " cascade;"
                       "drop schema if exists " SHADOW_OLD " cascade;",
                       acted, err);
}

/* --- After a loss ----------------------------------------------------------------------------- */

enum err_kind swap_into_lost(struct shadow *shadow, struct live *live, const char *database,
                             const struct acted *acted, struct swap_result *result, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct lost lost = {
        .shadow = shadow, .live = live, .database = database, .arena = &arena, .result = result};
    int64_t start_ms = clock_monotonic_ms();
    uint64_t told = 0;
    enum err_kind kind = lost_prepare(&lost, err);

    if (kind == ERR_OK)
        kind = last_told(&told, live, acted, err);
    if (kind == ERR_OK)
        kind = hold(live, err);
    if (kind == ERR_OK)
        kind = lost_fill(&lost, err);
    if (kind == ERR_OK)
        kind = keep_old(live->pg, shadow->fold, shadow->schema, err);
    if (kind == ERR_OK)
        kind = acted_write(live->pg, acted, told, err);
    if (kind == ERR_OK)
        kind = pg_script(live->pg, "drop schema " SHADOW_OLD " cascade; commit", err);
    if (kind != ERR_OK) {
        struct err why = *err;

        pg_rollback(live->pg);
        *err = why;
    }
    result->held_ms = clock_monotonic_ms() - start_ms;
    return kind;
}
