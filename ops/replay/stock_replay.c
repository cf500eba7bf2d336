#include "ops/replay/stock_replay.h"

#include "ops/commands.h"
#include "ops/replay/causes.h"
#include "ops/replay/snapshot_file.h"
#include "ops/replay/stock_explain.h"
#include "ops/replay/stock_lock.h"
#include "ops/replay/stock_snapshot.h"
#include "ops/replay/stock_swap.h"
#include "ops/replay/until.h"
#include "runtime/clock.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define CATCH_UP_MS 30000 /* for so long the live part may still be working off what is there */

struct stock_run {
    const struct replay_options *options;
    struct report *report;
    const char *uri;
    struct until until;
    struct schema_ids *ids;
    struct stock_shadow shadow;
    struct stock_ledger ledger;
    struct stock_lock lock;
    struct mongo *lock_mongo, *old;
    struct arena arena;
};

static struct report_build build_of(const struct stock_shadow *shadow)
{
    return (struct report_build){&shadow->reader, shadow->folded, shadow->about.unreadable,
                                 shadow->about.example};
}

static enum err_kind progress(void *context, const struct stock_shadow *shadow, struct err *err)
{
    struct stock_run *run = context;
    const struct report_build build = build_of(shadow);

    report_progress(run->report, &build);
    return stock_lock_keep(&run->lock, err);
}

/* --- Building --------------------------------------------------------------------------------- */

static enum err_kind open_beside(struct mongo **out, const struct stock_run *run, const char *name,
                                 struct err *err)
{
    char *uri = stock_database_beside(run->uri, name);
    enum err_kind kind = mongo_open(out, uri, "tradewind replay", err);

    free(uri);
    return kind;
}

static enum err_kind take_lock(struct stock_run *run, struct err *err)
{
    enum err_kind kind = open_beside(&run->lock_mongo, run, STOCK_SHADOW, err);

    return kind == ERR_OK ? stock_lock_take(&run->lock, run->lock_mongo, err) : kind;
}

static enum err_kind open_all(struct stock_run *run, struct err *err)
{
    struct stock_shadow_options options = {
        .uri = run->uri,
        .name = run->options->undo ? STOCK_OLD : STOCK_SHADOW,
        .brokers = setting_text("TRADEWIND_KAFKA"),
        .partitions = (int32_t)setting_integer("TRADEWIND_PARTITIONS"),
        .rate = run->options->rate,
    };
    enum err_kind kind;

    if (run->uri[0] == '\0')
        return err_set(err, ERR_STOP, "TRADEWIND_MONGODB is not set: where the ledger is");
    kind = schema_ids_open(&run->ids, setting_text("TRADEWIND_SCHEMAS"), NULL, err);
    options.ids = run->ids;
    if (kind == ERR_OK)
        kind = stock_shadow_open(&run->shadow, &options, err);
    if (kind == ERR_OK)
        kind = stock_ledger_open(&run->ledger, run->uri, err);
    if (kind == ERR_OK)
        kind = open_beside(&run->old, run, STOCK_OLD, err);
    run->shadow.progress = progress;
    run->shadow.context = run;
    return kind == ERR_OK ? take_lock(run, err) : kind;
}

static enum err_kind read_ledger(struct stock_run *run, struct err *err)
{
    enum err_kind kind = stock_ledger_read(&run->ledger, run->shadow.reader.partitions, err);

    return kind == ERR_OK ? stock_lock_keep(&run->lock, err) : kind;
}

static enum err_kind find_shadow(struct stock_run *run, struct err *err)
{
    const struct replay_options *options = run->options;
    bool found = false;
    enum err_kind kind = read_ledger(run, err);

    if (kind == ERR_OK && options->from != NULL)
        return stock_snapshot_load(&run->shadow, options->from, options->dry_run, err);
    if (kind == ERR_OK && options->fresh && !options->dry_run)
        kind = tally_drop(run->shadow.mongo, NULL, err);
    if (kind == ERR_OK && !(options->fresh && options->dry_run))
        kind = stock_shadow_load(&run->shadow, &found, options->undo ? stock_swap_stands : NULL,
                                 &run->ledger, err);
    if (kind == ERR_OK && options->undo && !found)
        return err_set(err, ERR_REJECT, "there is no swap of inventory to be undone");
    return kind;
}

static enum err_kind build(struct stock_run *run, struct err *err)
{
    struct report_build build = build_of(&run->shadow);
    enum err_kind kind = find_shadow(run, err);

    if (kind == ERR_OK)
        kind = run->options->until_text != NULL ? until_aim(&run->until, &run->shadow.reader, err)
                                                : log_reader_aim_at_ends(&run->shadow.reader, err);
    if (kind != ERR_OK)
        return kind;
    report_start(run->report, &build);
    if (run->options->dry_run)
        return ERR_OK;
    kind = stock_shadow_move(&run->shadow, err);
    if (kind == ERR_OK && (kind = read_ledger(run, err)) == ERR_OK)
        kind = stock_shadow_set_aside(&run->shadow, &run->ledger.asides, err);
    build = build_of(&run->shadow);
    report_built(run->report, &build);
    if (kind != ERR_OK || run->options->save == NULL)
        return kind;
    return report_saved(run->report, run->options->save,
                        stock_snapshot_save(&run->shadow, run->options->save, err));
}

/* --- Telling ---------------------------------------------------------------------------------- */

static struct acted acted_of(struct stock_run *run, const char *action)
{
    return (struct acted){
        .part = stock_fold.part,
        .action = action,
        .reason = run->options->because,
        .before = report_before(run->report, &run->arena),
        .after = report_after(run->report, &run->arena),
        .partitions = run->shadow.reader.partitions,
        .ids = run->ids,
    };
}

/* A ledger that was lost has no room for it: the swap will tell. */
static enum err_kind tell(struct stock_run *run, const char *action, struct err *err)
{
    const struct acted acted = acted_of(run, action);

    if (run->ledger.standing->number == 0 || stock_ledger_is_lost(&run->ledger, &run->shadow))
        return ERR_OK;
    return stock_swap_tell(&run->ledger, &acted, err);
}

/* --- Comparing -------------------------------------------------------------------------------- */

/* The live part may still be working off what the shadow has folded. */
static enum err_kind wait_for_ledger(struct stock_run *run, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + CATCH_UP_MS;
    enum err_kind kind;

    do {
        kind = read_ledger(run, err);
        if (kind != ERR_OK)
            return kind;
        run->report->is_lost = stock_ledger_is_lost(&run->ledger, &run->shadow);
        if (run->report->is_lost || stock_ledger_is_behind(&run->ledger, &run->shadow) == NULL)
            return ERR_OK;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    } while (clock_monotonic_ms() < until_ms);
    return stock_ledger_follow(&run->ledger, &run->shadow, err); /* says what it waits for */
}

static enum err_kind compare(struct stock_run *run, struct err *err)
{
    struct compare compare = {0};
    int64_t start_ms = clock_monotonic_ms();
    enum err_kind kind = stock_ledger_follow(&run->ledger, &run->shadow, err);

    if (kind == ERR_OK) {
        stock_compare(&compare, &run->ledger, &run->shadow);
        if (compare.differing > 0)
            kind = stock_explain(&compare, run->ledger.mongo, &run->shadow, err);
        report_compared(run->report, &compare, clock_monotonic_ms() - start_ms);
    }
    compare_clear(&compare);
    return kind;
}

static enum err_kind move_on(void *shadow, struct err *err)
{
    return stock_shadow_move(shadow, err);
}

static enum err_kind swap(struct stock_run *run, struct err *err)
{
    struct stock_swap swap = {
        .ledger = &run->ledger,
        .shadow = &run->shadow,
        .old = run->old,
        .acted = acted_of(run, run->options->undo ? "state.undo" : "state.swap"),
        .result = &run->report->swapped,
    };
    enum err_kind kind = ERR_OK;

    if (run->report->is_lost)
        kind = causes_wait(&run->shadow.reader, TOPIC_INVENTORY, move_on, &run->shadow, err);
    if (kind == ERR_OK && run->shadow.about.unreadable > 0)
        return err_set(err, ERR_REJECT, "not swapped: %" PRIu64 " records cannot be read, %s",
                       run->shadow.about.unreadable, run->shadow.about.example);
    if (kind == ERR_OK)
        kind = run->report->is_lost ? stock_swap_into_lost(&swap, err) : stock_swap(&swap, err);
    run->report->is_swapped = kind == ERR_OK;
    /* It is live now; what was put away at a swap before a loss is of another past. */
    if (kind == ERR_OK && run->report->is_lost)
        kind = tally_drop(run->old, NULL, err);
    return kind == ERR_OK && !run->options->undo ? tally_drop(run->shadow.mongo, NULL, err) : kind;
}

static enum err_kind go_on(struct stock_run *run, struct err *err)
{
    const struct replay_options *options = run->options;
    enum err_kind kind = ERR_OK;

    if (options->compare || options->swap || options->undo)
        kind = wait_for_ledger(run, err);
    if (kind == ERR_OK && run->report->is_lost && options->undo)
        return err_set(err, ERR_REJECT,
                       "the database of inventory is older than its topic: rebuild it with --swap");
    if (kind == ERR_OK && run->report->is_lost && options->compare && !options->swap)
        return err_set(err, ERR_REJECT,
                       "the database of inventory is older than its topic (lost or restored): "
                       "there is nothing to compare with; put the shadow in its place with --swap");
    if (kind == ERR_OK && options->compare && !run->report->is_lost)
        kind = compare(run, err);
    if (kind == ERR_OK && (options->swap || options->undo))
        return swap(run, err);
    return kind == ERR_OK ? tell(run, "state.rebuild", err) : kind;
}

/* --- The command ------------------------------------------------------------------------------ */

static enum err_kind sum_up(struct stock_run *run)
{
    run->report->tables =
        arena_array(&run->report->arena, stock_fold.table_count, sizeof *run->report->tables);
    stock_sums(run->report->tables, &run->shadow.tally);
    return ERR_OK;
}

static enum err_kind drop_both(struct stock_run *run, struct err *err)
{
    bool found = false, dropped = false;
    enum err_kind kind = read_ledger(run, err);

    if (kind == ERR_OK && !run->options->dry_run) {
        kind = stock_shadow_load(&run->shadow, &found, NULL, NULL, err);
        if (kind == ERR_OK || kind == ERR_REJECT) /* another version made it */
            kind = tally_drop(run->shadow.mongo, &dropped, err);
        if (kind == ERR_OK)
            kind = tally_drop(run->old, &dropped, err);
        if (kind == ERR_OK && dropped)
            kind = tell(run, "state.drop", err);
    }
    run->report->is_dropped = kind == ERR_OK;
    return kind;
}

static enum err_kind replay(struct stock_run *run, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (run->options->until_text != NULL)
        kind = until_parse(&run->until, run->options->until_text, err);
    if (kind == ERR_OK && run->options->save != NULL)
        kind = snapshot_is_free(run->options->save, err);
    if (kind == ERR_OK)
        kind = open_all(run, err);
    if (kind == ERR_OK && run->options->drop)
        return drop_both(run, err);
    if (kind == ERR_OK)
        kind = build(run, err);
    if (kind == ERR_OK && !run->options->dry_run)
        kind = sum_up(run);
    if (kind == ERR_OK && !run->options->dry_run)
        kind = go_on(run, err);
    return kind;
}

int stock_replay(const struct command *command, const struct replay_options *options,
                 struct report *report)
{
    struct stock_run run = {.options = options,
                            .report = report,
                            .uri = setting_text("TRADEWIND_MONGODB"),
                            .until = {.topic = TOPIC_NONE}};
    struct err err = {0};
    enum err_kind kind = replay(&run, &err);
    const struct report_build built = build_of(&run.shadow);
    int code = report_end(report, &built);

    if (kind != ERR_OK)
        code = ops_failed(command, &err);
    stock_lock_release(&run.lock);
    mongo_close(run.lock_mongo);
    mongo_close(run.old);
    arena_clear(&run.arena);
    stock_ledger_close(&run.ledger);
    stock_shadow_close(&run.shadow);
    schema_ids_free(run.ids);
    return code;
}
