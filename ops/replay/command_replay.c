/* tradewind replay PART: build the shadow, compare it, put it in place. */
#include "ops/parts.h"
#include "ops/replay/causes.h"
#include "ops/replay/commands.h"
#include "ops/replay/dropped.h"
#include "ops/replay/folds.h"
#include "ops/replay/shadow_snapshot.h"
#include "ops/replay/snapshot_file.h"
#include "ops/replay/stock_replay.h"
#include "ops/replay/sweep.h"
#include "ops/replay/until.h"
#include "runtime/clock.h"
#include "runtime/settings.h"

#include <sodium.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define CATCH_UP_MS 30000 /* for so long the live part may still be working off what is there */

struct replay {
    const struct command *command;
    const struct fold *fold;
    struct replay_options options;
    struct until until;
    struct schema_ids *ids;
    struct shadow shadow;
    struct live live;
    struct report report;
    struct arena arena;
};

/* --- Building --------------------------------------------------------------------------------- */

static const char *database_of(const struct replay *replay)
{
    const char *database = setting_of_part(replay->fold->part, "DATABASE");

    return database != NULL ? database : "";
}

static void say_progress(void *report, const struct shadow *shadow)
{
    const struct report_build build = report_build_of(shadow);

    report_progress(report, &build);
}

static enum err_kind open_all(struct replay *replay, struct err *err)
{
    struct shadow_options options = {
        .fold = replay->fold,
        .schema = replay->options.undo ? SHADOW_OLD : SHADOW_NEW,
        .database = database_of(replay),
        .brokers = setting_text("TRADEWIND_KAFKA"),
        .partitions = (int32_t)setting_integer("TRADEWIND_PARTITIONS"),
        .rate = replay->options.rate,
    };
    enum err_kind kind;

    if (options.database[0] == '\0')
        return err_set(err, ERR_STOP, "TRADEWIND_..._DATABASE of %s is not set",
                       replay->fold->part);
    kind = schema_ids_open(&replay->ids, setting_text("TRADEWIND_SCHEMAS"), NULL, err);
    options.ids = replay->ids;
    if (kind == ERR_OK)
        kind = shadow_open(&replay->shadow, &options, err);
    if (kind == ERR_OK)
        kind =
            live_open(&replay->live, replay->fold, options.database, &replay->shadow.reader, err);
    replay->shadow.progress = say_progress;
    replay->shadow.context = &replay->report;
    return kind;
}

/* Make the shadow or find the one that was begun. */
static enum err_kind find_shadow(struct replay *replay, struct err *err)
{
    struct shadow *shadow = &replay->shadow;
    bool exists = false;
    enum err_kind kind = ERR_OK;

    if (replay->options.from != NULL)
        return shadow_make_from(shadow, replay->options.from, replay->options.dry_run, err);
    if (replay->options.fresh && !replay->options.dry_run)
        kind = shadow_drop(shadow, shadow->schema, err);
    if (kind == ERR_OK)
        kind = shadow_exists(shadow, shadow->schema, &exists, err);
    if (kind != ERR_OK)
        return kind;
    if (exists && !(replay->options.fresh && replay->options.dry_run))
        return replay->options.dry_run ? shadow_load(shadow, err) : sweep_take_back(shadow, err);
    if (replay->options.undo)
        return err_set(err, ERR_REJECT, "there is no swap of %s to be undone", replay->fold->part);
    return replay->options.dry_run ? ERR_OK : shadow_make(shadow, err);
}

static enum err_kind read_dropped(struct replay *replay, struct err *err)
{
    const struct log_reader *reader = &replay->shadow.reader;

    return dropped_read(&replay->live.dropped, NULL, reader->brokers, replay->fold->part,
                        reader->partitions, replay->ids, err);
}

static enum err_kind read_live(struct replay *replay, bool *has_tables, struct err *err)
{
    struct live *live = &replay->live;
    enum err_kind kind = live_has_tables(live, has_tables, err);

    if (kind != ERR_OK || !*has_tables)
        return kind;
    kind = live_begin(live, err);
    return kind == ERR_OK ? live_end(live, err) : kind;
}

static enum err_kind aim(struct replay *replay, struct err *err)
{
    if (replay->options.until_text != NULL)
        return until_aim(&replay->until, &replay->shadow.reader, err);
    return log_reader_aim_at_ends(&replay->shadow.reader, err);
}

static enum err_kind build(struct replay *replay, struct err *err)
{
    bool has_tables;
    struct report_build build_of;
    enum err_kind kind = find_shadow(replay, err);

    if (kind == ERR_OK)
        kind = aim(replay, err);
    if (kind == ERR_OK)
        kind = read_dropped(replay, err);
    if (kind == ERR_OK)
        kind = read_live(replay, &has_tables, err);
    if (kind == ERR_OK && has_tables && !replay->options.dry_run)
        kind = live_share_asides(&replay->live, &replay->shadow, err);
    if (kind != ERR_OK)
        return kind;
    build_of = report_build_of(&replay->shadow);
    report_start(&replay->report, &build_of);
    if (replay->options.dry_run)
        return ERR_OK;
    kind = shadow_move(&replay->shadow, err);
    build_of = report_build_of(&replay->shadow);
    report_built(&replay->report, &build_of);
    if (kind != ERR_OK || replay->options.save == NULL)
        return kind;
    return report_saved(&replay->report, replay->options.save,
                        shadow_save(&replay->shadow, replay->options.save, err));
}

/* --- Comparing and swapping ------------------------------------------------------------------- */

/* The live part may still be working off what the shadow has folded. */
static enum err_kind wait_for_live(struct replay *replay, struct err *err)
{
    int64_t until_ms = clock_monotonic_ms() + CATCH_UP_MS;
    bool has_tables = false;
    enum err_kind kind;

    do {
        kind = read_live(replay, &has_tables, err);
        replay->report.is_lost = !has_tables || live_is_lost(&replay->live, &replay->shadow);
        if (kind != ERR_OK || replay->report.is_lost ||
            live_is_behind(&replay->live, &replay->shadow) == NULL)
            return kind;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    } while (clock_monotonic_ms() < until_ms);
    return live_follow(&replay->live, &replay->shadow, err); /* says what it waits for */
}

static enum err_kind compare(struct replay *replay, struct err *err)
{
    struct compare compare = {.shadow = &replay->shadow,
                              .live = &replay->live,
                              .database = database_of(replay),
                              .progress = report_comparing,
                              .context = &replay->report};
    int64_t start_ms = clock_monotonic_ms();
    enum err_kind kind = compare_run(&compare, err);

    if (kind == ERR_OK)
        report_compared(&replay->report, &compare, clock_monotonic_ms() - start_ms);
    compare_clear(&compare);
    return kind;
}

static struct acted acted_of(struct replay *replay, const char *action)
{
    return (struct acted){
        .part = replay->fold->part,
        .action = action,
        .reason = replay->options.because,
        .before = report_before(&replay->report, &replay->arena),
        .after = report_after(&replay->report, &replay->arena),
        .partitions = replay->shadow.reader.partitions,
        .ids = replay->ids,
    };
}

static enum err_kind move_on(void *shadow, struct err *err)
{
    return shadow_move(shadow, err);
}

static enum err_kind swap(struct replay *replay, struct err *err)
{
    struct shadow *shadow = &replay->shadow;
    const struct acted acted = acted_of(replay, replay->options.undo ? "state.undo" : "state.swap");
    struct swap_result *result = &replay->report.swapped;
    enum err_kind kind = ERR_OK;

    if (replay->report.is_lost)
        kind = causes_wait(&shadow->reader, shadow->fold->publishes, move_on, shadow, err);
    if (kind == ERR_OK && shadow->unreadable > 0)
        return err_set(err, ERR_REJECT, "not swapped: %" PRIu64 " records cannot be read, %s",
                       shadow->unreadable, shadow->unreadable_example);
    if (kind == ERR_OK && replay->report.is_lost)
        kind = swap_into_lost(shadow, &replay->live, database_of(replay), &acted, result, err);
    else if (kind == ERR_OK)
        kind = swap_tables(shadow, &replay->live, &acted, result, err);
    replay->report.is_swapped = kind == ERR_OK;
    return kind;
}

/* A database that was lost has no room for it: the swap will tell. */
static enum err_kind tell_rebuilt(struct replay *replay, struct err *err)
{
    const struct acted acted = acted_of(replay, "state.rebuild");
    bool has_tables;
    enum err_kind kind = read_live(replay, &has_tables, err);

    if (kind != ERR_OK || !has_tables || live_is_lost(&replay->live, &replay->shadow))
        return kind;
    return swap_tell(&replay->live, &acted, err);
}

static enum err_kind go_on(struct replay *replay, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (replay->options.compare || replay->options.swap || replay->options.undo)
        kind = wait_for_live(replay, err);
    if (kind == ERR_OK && replay->options.undo && replay->report.is_lost)
        return err_set(err, ERR_REJECT,
                       "the database of %s is older than its topic: rebuild it with --swap",
                       replay->fold->part);
    if (kind == ERR_OK && replay->options.compare && replay->report.is_lost &&
        !replay->options.swap)
        return err_set(err, ERR_REJECT,
                       "the database of %s is older than its topic (lost or restored): there is "
                       "nothing to compare with; put the shadow in its place with --swap",
                       replay->fold->part);
    if (kind == ERR_OK && replay->options.compare && !replay->report.is_lost)
        kind = compare(replay, err);
    if (kind == ERR_OK && (replay->options.swap || replay->options.undo))
        return swap(replay, err);
    return kind == ERR_OK ? tell_rebuilt(replay, err) : kind;
}

/* --- The command ------------------------------------------------------------------------------ */

static enum err_kind drop_both(struct replay *replay, struct err *err)
{
    const struct acted acted = acted_of(replay, "state.drop");
    bool has_new = false, has_old = false, has_tables = false;
    enum err_kind kind = shadow_exists(&replay->shadow, SHADOW_NEW, &has_new, err);

    if (kind == ERR_OK)
        kind = shadow_exists(&replay->shadow, SHADOW_OLD, &has_old, err);
    if (kind == ERR_OK)
        kind = live_has_tables(&replay->live, &has_tables, err);
    if (kind == ERR_OK && !replay->options.dry_run && (has_new || has_old) && has_tables)
        kind = swap_drop(&replay->live, &acted, err);
    else if (kind == ERR_OK && !replay->options.dry_run && has_new)
        kind = shadow_drop(&replay->shadow, SHADOW_NEW, err); /* lost: nobody to tell it */
    replay->report.is_dropped = kind == ERR_OK;
    return kind;
}

static enum err_kind run(struct replay *replay, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (replay->options.until_text != NULL)
        kind = until_parse(&replay->until, replay->options.until_text, err);
    if (kind == ERR_OK && replay->options.save != NULL)
        kind = snapshot_is_free(replay->options.save, err);
    if (kind == ERR_OK)
        kind = open_all(replay, err);
    if (kind == ERR_OK && replay->options.drop)
        return drop_both(replay, err);
    if (kind == ERR_OK)
        kind = build(replay, err);
    if (kind == ERR_OK && !replay->options.dry_run)
        kind = report_sums(&replay->report, &replay->shadow, err);
    if (kind == ERR_OK && !replay->options.dry_run)
        kind = go_on(replay, err);
    return kind;
}

/* A part whose state is tables in PostgreSQL. */
static int replay_tables(struct replay *replay)
{
    struct err err = {0};
    enum err_kind kind = run(replay, &err);
    const struct report_build built = report_build_of(&replay->shadow);
    int code = report_end(&replay->report, &built);

    if (kind != ERR_OK)
        code = ops_failed(replay->command, &err);
    live_close(&replay->live);
    shadow_close(&replay->shadow);
    schema_ids_free(replay->ids);
    arena_clear(&replay->arena);
    return code;
}

static int refuse_part(const struct command *command, const char *part)
{
    if (ops_part_find(part) == NULL)
        return args_refuse(command, "there is no part %s; parts are %s", part, ops_part_names());
    return args_refuse(command, "%s cannot be replayed; these can: %s", part, fold_names());
}

/* What does not go together. */
static int check_options(const struct replay *replay)
{
    int what = replay->options.swap + replay->options.undo + replay->options.drop;

    if (what > 1)
        return args_refuse(replay->command, "want one of --swap, --undo and --drop");
    if (replay->options.until_text != NULL && (replay->options.compare || what > 0))
        return args_refuse(replay->command,
                           "--until stops before the present: such a shadow is neither compared "
                           "nor swapped");
    if (replay->options.undo && (replay->options.fresh || replay->options.compare))
        return args_refuse(replay->command,
                           "--undo brings back what a swap put away: want it alone");
    if (replay->options.from != NULL && (replay->options.fresh || replay->options.undo))
        return args_refuse(replay->command, "--from begins again, where the file stands: want it "
                                            "without --fresh and --undo");
    if (replay->options.drop && (replay->options.from != NULL || replay->options.save != NULL))
        return args_refuse(replay->command, "--drop builds nothing: want it alone");
    return ARGS_MORE;
}

int command_replay(const struct command *command, int argc, char **argv)
{
    struct replay replay = {.command = command};
    const struct arg args[] = {
        {"until", ARG_TEXT, &replay.options.until_text, "TIME|POSITION",
         "stop there: 2026-11-21T10:00:00Z, or an event like orders/7/42"},
        {"rate", ARG_INTEGER, &replay.options.rate, "N",
         "records a second at most; 0: as fast as it goes", .min = 0, .max = 100000000},
        {"from", ARG_TEXT, &replay.options.from, "FILE",
         "begin again where this snapshot stands, not at the beginning of the topics"},
        {"save", ARG_TEXT, &replay.options.save, "FILE",
         "keep what was built as a snapshot, before it is compared or swapped"},
        {"fresh", ARG_FLAG, &replay.options.fresh, .help = "begin again instead of going on"},
        {"compare", ARG_FLAG, &replay.options.compare,
         .help = "then compare it with the live state"},
        {"swap", ARG_FLAG, &replay.options.swap,
         .help = "then put it in the place of the live state"},
        {"undo", ARG_FLAG, &replay.options.undo,
         .help = "bring back what the last swap has put away"},
        {"drop", ARG_FLAG, &replay.options.drop,
         .help = "drop the shadow, and what a swap has put away"},
        {"because", ARG_TEXT, &replay.options.because, "TEXT", "why, for `tradewind ops log`"},
        {"dry-run", ARG_FLAG, &replay.options.dry_run,
         .help = "say what would be done, and do nothing"},
        {"json", ARG_FLAG, &replay.report.as_json, .help = "for programs"},
    };
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 1, 1, &argc, &argv);

    if (code != ARGS_MORE || (code = check_options(&replay)) != ARGS_MORE)
        return code;
    replay.fold = fold_of_part(argv[0]);
    if (replay.fold == NULL)
        return refuse_part(command, argv[0]);
    if ((code = ops_settings_with(command, replay.fold->settings, replay.fold->setting_count)) !=
        OPS_OK)
        return code;
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    replay.report.fold = replay.fold;
    replay.report.is_dry = replay.options.dry_run;
    if (sodium_init() < 0) {
        err_set(&err, ERR_STOP, "libsodium does not start");
        return ops_failed(command, &err);
    }
    code = replay.fold == &stock_fold ? stock_replay(command, &replay.options, &replay.report)
                                      : replay_tables(&replay);
    report_clear(&replay.report);
    return code;
}
