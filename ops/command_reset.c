/* tradewind groups reset: a group's committed offsets, set as Kafka's own kafka-consumer-groups
 * --reset-offsets does it, with its options and its CSV. */
#include "ops/commands.h"
#include "ops/deeds.h"
#include "ops/group_reset.h"
#include "ops/out.h"
#include "ops/part_client.h"
#include "ops/when.h"
#include "runtime/clock.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUPS_MAX 100

struct reset {
    const struct command *command;
    struct reset_wish wish;
    bool to_earliest, to_latest, to_current, all_groups;
    const char *to_datetime, *by_duration, *shift_by, *to_offset;
    bool dry_run, execute, export, as_json;
    bool is_half_told; /* that it was begun is in the log, how it ended is not */
    const char *because;
    char *token;
    struct arena arena;
};

/* --- What is asked ------------------------------------------------------------------------------
 */

static int read_number(const struct command *command, const char *option, const char *text,
                       int64_t min, int64_t *out)
{
    size_t sign = text[0] == '+';

    if (view_to_int64(view_str(text + sign), out) && *out >= min)
        return OPS_OK;
    return args_refuse(command, "--%s %s: want a whole number", option, text);
}

static int read_time(struct reset *reset)
{
    int64_t us;

    if (reset->to_datetime != NULL) {
        if (!when_parse_iso_time(reset->to_datetime, &us))
            return args_refuse(reset->command,
                               "--to-datetime %s: want a time like 2026-01-31T12:00:00.000",
                               reset->to_datetime);
    } else {
        if (!when_parse_iso_duration(reset->by_duration, &us) &&
            !when_parse_duration(reset->by_duration, &us))
            return args_refuse(reset->command,
                               "--by-duration %s: want a duration like P1DT2H30M, or 90m",
                               reset->by_duration);
        us = clock_utc_us() - us;
    }
    reset->wish.to = RESET_DATETIME;
    reset->wish.time_ms = us > 0 ? us / 1000 : 0;
    return OPS_OK;
}

static int read_wish(struct reset *reset)
{
    const struct command *command = reset->command;
    struct reset_wish *wish = &reset->wish;

    if (reset->to_earliest + reset->to_latest + reset->to_current + (wish->file != NULL) +
            (reset->to_datetime != NULL) + (reset->by_duration != NULL) +
            (reset->shift_by != NULL) + (reset->to_offset != NULL) !=
        1)
        return args_refuse(command, "want one of --to-earliest, --to-latest, --to-current, "
                                    "--to-datetime, --by-duration, --shift-by, --to-offset and "
                                    "--from-file");
    if ((wish->topics.count > 0) + wish->all_topics + (wish->file != NULL) != 1)
        return args_refuse(command, "want either --topic, --all-topics or --from-file");
    if (reset->dry_run && reset->execute)
        return args_refuse(command, "--dry-run and --execute exclude each other");
    if (reset->because != NULL && !tell_takes(reset->because))
        return args_refuse(command, "--because: want one line of text");
    if (reset->export && reset->as_json)
        return args_refuse(command, "--export and --json exclude each other");
    wish->to = reset->to_earliest   ? RESET_EARLIEST
               : reset->to_latest   ? RESET_LATEST
               : reset->to_current  ? RESET_CURRENT
               : wish->file != NULL ? RESET_FILE
               : reset->shift_by    ? RESET_SHIFT
                                    : RESET_OFFSET;
    if (reset->to_datetime != NULL || reset->by_duration != NULL)
        return read_time(reset);
    if (reset->shift_by != NULL)
        return read_number(command, "shift-by", reset->shift_by, -INT64_MAX, &wish->number);
    if (reset->to_offset != NULL)
        return read_number(command, "to-offset", reset->to_offset, 0, &wish->number);
    return OPS_OK;
}

/* --- What is shown ------------------------------------------------------------------------------
 */

static void print_people(const struct reset *reset, const struct reset_plan *plans, size_t count)
{
    static const char *const COLUMNS[] = {"group", "topic", ">partition", ">from", ">to", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, (struct arena *)&reset->arena);
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < plans[g].count; i++) {
            const struct reset_step *step = &plans[g].steps[i];

            out_cell(&table, "%s", plans[g].group);
            out_cell(&table, "%s", step->topic);
            out_cell(&table, "%d", step->partition);
            if (step->from >= 0)
                out_cell(&table, "%" PRId64, step->from);
            else
                out_cell(&table, "-");
            out_cell_in(&table, step->from == step->to ? OUT_PLAIN : OUT_YELLOW, "%" PRId64,
                        step->to);
        }
    out_table_print(&table, stdout);
    if (!reset->execute)
        printf("\nnothing was changed: --execute does it\n");
}

static void print_csv(const struct reset_plan *plans, size_t count)
{
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < plans[g].count; i++) {
            const struct reset_step *step = &plans[g].steps[i];

            printf("%s%s%s,%d,%" PRId64 "\n", count > 1 ? plans[g].group : "", count > 1 ? "," : "",
                   step->topic, step->partition, step->to);
        }
}

static void print_json(const struct reset *reset, const struct reset_plan *plans, size_t count)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_member_bool(&json, "executed", reset->execute);
    json_key(&json, "offsets");
    json_array_start(&json);
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < plans[g].count; i++) {
            const struct reset_step *step = &plans[g].steps[i];

            json_object_start(&json);
            json_member_str(&json, "group", plans[g].group);
            json_member_str(&json, "topic", step->topic);
            json_member_int64(&json, "partition", step->partition);
            json_key(&json, "from");
            if (step->from >= 0)
                json_put_int64(&json, step->from);
            else
                json_put_null(&json);
            json_member_int64(&json, "to", step->to);
            json_object_end(&json);
        }
    json_array_end(&json);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

/* --- Doing it -----------------------------------------------------------------------------------
 */

/* {"shop.orders.v1":{"0":12,"1":null}} */
static const char *offsets_json(const struct reset_plan *plan, bool after, struct arena *arena)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    for (size_t i = 0; i < plan->count; i++) {
        const struct reset_step *step = &plan->steps[i];
        bool is_new = i == 0 || strcmp(step->topic, step[-1].topic) != 0;
        int64_t offset = after ? step->to : step->from;
        char partition[16];

        if (is_new && i > 0)
            json_object_end(&json);
        if (is_new) {
            json_key(&json, step->topic);
            json_object_start(&json);
        }
        snprintf(partition, sizeof partition, "%d", step->partition);
        json_key(&json, partition);
        if (offset >= 0)
            json_put_int64(&json, offset);
        else
            json_put_null(&json);
    }
    if (plan->count > 0)
        json_object_end(&json);
    json_object_end(&json);
    return arena_strdup(arena, buf_cstr(&text));
}

static enum err_kind carry_out(struct reset *reset, struct groups *groups,
                               const struct reset_plan *plans, size_t count, struct err *err)
{
    struct deeds deeds = {.action = "offsets.reset",
                          .because = reset->because,
                          .list = arena_array(&reset->arena, count + 1, sizeof *deeds.list),
                          .count = count};
    enum err_kind kind;
    struct err untold;

    for (size_t i = 0; i < count; i++)
        deeds.list[i] = (struct deed){.subject = plans[i].group,
                                      .before = offsets_json(&plans[i], false, &reset->arena),
                                      .after = offsets_json(&plans[i], true, &reset->arena)};
    kind = deeds_begin(&deeds, &reset->arena, err);
    if (kind != ERR_OK)
        return kind;
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        kind = reset_carry_out(groups, &plans[i], err);
        if (kind != ERR_OK)
            deeds_fail(&deeds, i, err, &reset->arena);
    }
    reset->is_half_told = deeds_end(&deeds, &reset->arena, &untold) != ERR_OK;
    if (reset->is_half_told)
        fprintf(stderr, "tradewind %s: %s\n", reset->command->name, untold.text);
    return kind;
}

/* A refusal is a finding: it worked, and found that it must not be. */
static int failed(const struct reset *reset, const struct err *err)
{
    int code = ops_failed(reset->command, err);

    return err->kind == ERR_REJECT ? OPS_FOUND : code;
}

/* All plans before the first is carried out. */
static int reset_groups(struct reset *reset, struct groups *groups, const char *const *names,
                        size_t count)
{
    struct reset_plan *plans = arena_array(&reset->arena, count + 1, sizeof *plans);
    struct err err = {0};

    for (size_t i = 0; i < count; i++)
        if (reset_plan(&plans[i], groups, names[i], &reset->wish, &reset->arena, &err) != ERR_OK)
            return failed(reset, &err);
    if (reset->execute && carry_out(reset, groups, plans, count, &err) != ERR_OK)
        return failed(reset, &err);
    if (reset->export)
        print_csv(plans, count);
    else if (reset->as_json)
        print_json(reset, plans, count);
    else
        print_people(reset, plans, count);
    return reset->is_half_told ? OPS_FOUND : OPS_OK;
}

static int run(struct reset *reset, const char **names, size_t count)
{
    AUTO(groups_close) struct groups *groups = NULL;
    struct err err = {0};

    if (part_token(&reset->token, "operator", &err) != ERR_OK ||
        groups_open(&groups, setting_text("TRADEWIND_KAFKA"),
                    (int32_t)setting_integer("TRADEWIND_PARTITIONS"), reset->token,
                    &err) != ERR_OK ||
        (reset->all_groups && groups_names(groups, &names, &count, &reset->arena, &err) != ERR_OK))
        return ops_failed(reset->command, &err);
    return reset_groups(reset, groups, names, count);
}

int command_groups_reset(const struct command *outer, int argc, char **argv)
{
    const struct command command = {
        .name = "groups reset",
        .help = "Set the offsets that groups have committed, as Kafka's own tool does it",
        .synopsis = "GROUP... [options]",
        .about =
            "Says what it would do; --execute does it. Refused (exit 1) while a group has "
            "members.\n"
            "A part reads again from an offset that is set back, and applies nothing twice: it "
            "drops\n"
            "what its numbers say it has applied. One that is set further on is not heeded: "
            "the part\n"
            "goes on behind what it has applied. So for a part a reset only costs time.",
    };
    struct reset reset = {.command = &command};
    const struct arg args[] = {
        {"topic", ARG_LIST, &reset.wish.topics, "TOPIC[:P,P]",
         "this topic, or these partitions of it; may be repeated"},
        {"all-topics", ARG_FLAG, &reset.wish.all_topics, .help = "all topics of the group"},
        {"all-groups", ARG_FLAG, &reset.all_groups, .help = "all groups, instead of GROUP"},
        {"to-earliest", ARG_FLAG, &reset.to_earliest, .help = "to the beginning of the log"},
        {"to-latest", ARG_FLAG, &reset.to_latest, .help = "to its end"},
        {"to-current", ARG_FLAG, &reset.to_current,
         .help = "to what is committed; with --export: what it is"},
        {"to-datetime", ARG_TEXT, &reset.to_datetime, "TIME",
         "to the first record since 2026-01-31T12:00:00.000 (UTC)"},
        {"by-duration", ARG_TEXT, &reset.by_duration, "DURATION",
         "to the first record since so long ago: P1DT2H30M, or 90m"},
        {"shift-by", ARG_TEXT, &reset.shift_by, "N", "by so many records, on or (below 0) back"},
        {"to-offset", ARG_TEXT, &reset.to_offset, "N", "to this offset"},
        {"from-file", ARG_TEXT, &reset.wish.file, "FILE",
         "to what a CSV says: topic,partition,offset or group,topic,partition,offset"},
        {"execute", ARG_FLAG, &reset.execute, .help = "do it"},
        {"dry-run", ARG_FLAG, &reset.dry_run,
         .help = "only say what would come of it: the default"},
        {"export", ARG_FLAG, &reset.export, .help = "as CSV, for --from-file"},
        {"because", ARG_TEXT, &reset.because, "TEXT",
         "why, for the log of what operators did (tradewind ops log)"},
        {"json", ARG_FLAG, &reset.as_json, .help = "for programs"},
    };
    int code =
        args_parse(&command, args, sizeof args / sizeof args[0], 0, GROUPS_MAX, &argc, &argv);

    (void)outer;
    if (code != ARGS_MORE)
        return code;
    if ((argc > 0) == reset.all_groups)
        return args_refuse(&command, "want either GROUPs or --all-groups");
    if ((code = read_wish(&reset)) == OPS_OK && (code = ops_settings(&command)) == OPS_OK)
        code = run(&reset, (const char **)argv, (size_t)argc);
    free(reset.token);
    arena_clear(&reset.arena);
    return code;
}
