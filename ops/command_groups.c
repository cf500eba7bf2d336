/* tradewind groups: consumer groups, looked at and steered. What is changed of a part's, the part
 * changes itself; this asks it. */
#include "ops/commands.h"
#include "ops/group.h"
#include "ops/out.h"
#include "ops/part_client.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RATE_MAX 1000000

struct call {
    const struct command *command;
    bool as_json, dry_run;
    const char *because;
    const char *rate; /* records a second, a number; NULL: not given */
    char *token;
    struct arena arena;
};

/* --- Words --------------------------------------------------------------------------------------
 */

static const char *flow_of(const struct group *group, struct arena *arena)
{
    if (group->part == NULL)
        return "-";
    if (!group->is_known)
        return "not known";
    if (group->paused)
        return "paused";
    return group->rate_per_s > 0
               ? arena_printf(arena, "at most %" PRId64 "/s", group->rate_per_s).data
               : "flows";
}

static const char *behind(const struct group *group, struct arena *arena)
{
    int64_t behind_us = group_behind_us(group);

    return behind_us > 0 ? out_duration_us(arena, behind_us) : "-";
}

static const char *offset_text(struct arena *arena, int64_t offset)
{
    return offset < 0 ? "-" : out_count(arena, offset);
}

/* --- As JSON ------------------------------------------------------------------------------------
 */

static void put_offset(struct json_writer *json, const char *name, int64_t offset)
{
    json_key(json, name);
    if (offset >= 0)
        json_put_int64(json, offset);
    else
        json_put_null(json);
}

static void put_behind(struct json_writer *json, int64_t behind_us)
{
    json_key(json, "behind_seconds");
    json_put_double(json, (double)behind_us / 1e6);
}

static void put_place(struct json_writer *json, const struct group_place *place)
{
    json_object_start(json);
    json_member_str(json, "topic", place->topic);
    json_member_int64(json, "partition", place->partition);
    json_member_text(json, "member", view_str(place->member));
    put_offset(json, "committed", place->committed);
    json_member_int64(json, "end", place->end);
    if (place->is_counted) {
        json_member_int64(json, "applied", (int64_t)place->applied);
        json_member_int64(json, "published", (int64_t)place->published);
        put_offset(json, "next_offset", place->next_offset);
    }
    json_member_int64(json, "lag", place->lag);
    put_behind(json, place->behind_us);
    json_object_end(json);
}

static void put_flow(struct json_writer *json, const struct group *group)
{
    json_key(json, "flow");
    if (group->is_known) {
        json_object_start(json);
        json_member_bool(json, "paused", group->paused);
        json_member_int64(json, "rate_per_s", group->rate_per_s);
        json_member_str(json, "changed_at", group->changed_at);
        json_object_end(json);
    } else {
        json_put_null(json);
    }
}

static void put_group(struct json_writer *json, const struct group *group, bool whole)
{
    json_object_start(json);
    json_member_str(json, "group", group->name);
    json_member_bool(json, "is_part", group->part != NULL);
    json_member_str(json, "state", group->state);
    json_key(json, "members");
    json_array_start(json);
    for (size_t i = 0; i < group->member_count; i++) {
        json_object_start(json);
        json_member_str(json, "member", group->members[i].name);
        json_member_str(json, "host", group->members[i].host);
        json_member_int64(json, "partitions", (int64_t)group->members[i].partitions);
        json_object_end(json);
    }
    json_array_end(json);
    put_flow(json, group);
    json_member_str(json, "not_known", group->unknown);
    json_member_int64(json, "lag", group_lag(group));
    put_behind(json, group_behind_us(group));
    if (whole) {
        json_key(json, "positions");
        json_array_start(json);
        for (size_t i = 0; i < group->place_count; i++)
            put_place(json, &group->places[i]);
        json_array_end(json);
    }
    json_object_end(json);
}

/* --- ls -----------------------------------------------------------------------------------------
 */

static void print_list(const struct group *groups, size_t count, struct arena *arena)
{
    static const char *const COLUMNS[] = {"group",   "state",  ">members", ">lag",
                                          ">behind", "inputs", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < count; i++) {
        const struct group *group = &groups[i];

        out_cell(&table, "%s", group->name);
        out_cell(&table, "%s", group->state);
        out_cell(&table, "%zu", group->member_count);
        out_cell(&table, "%s", out_count(arena, group_lag(group)));
        out_cell(&table, "%s", behind(group, arena));
        out_cell_in(&table, group->paused || group->rate_per_s > 0 ? OUT_YELLOW : OUT_PLAIN, "%s",
                    flow_of(group, arena));
    }
    out_table_print(&table, stdout);
}

static int list_groups(struct call *call, struct groups *groups)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};
    struct group *list;
    const char **names;
    struct err err = {0};
    size_t count;

    if (groups_names(groups, &names, &count, &call->arena, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    list = arena_array(&call->arena, count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        if (group_read(&list[i], groups, names[i], &call->arena, &err) != ERR_OK)
            return ops_failed(call->command, &err);
    if (!call->as_json) {
        print_list(list, count, &call->arena);
        return OPS_OK;
    }
    json_array_start(&json);
    for (size_t i = 0; i < count; i++)
        put_group(&json, &list[i], false);
    json_array_end(&json);
    printf("%s\n", buf_cstr(&text));
    return OPS_OK;
}

/* --- show ---------------------------------------------------------------------------------------
 */

static void print_members(const struct group *group)
{
    for (size_t i = 0; i < group->member_count; i++)
        printf("  %s at %s: %zu partition%s\n", group->members[i].name, group->members[i].host,
               group->members[i].partitions, group->members[i].partitions == 1 ? "" : "s");
    if (group->member_count == 0)
        printf("  it has no members\n");
}

static void print_places(const struct group *group, struct arena *arena)
{
    static const char *const COLUMNS[] = {"topic",      ">partition", "member", ">applied", ">of",
                                          ">committed", ">end",       ">lag",   ">behind",  NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < group->place_count; i++) {
        const struct group_place *place = &group->places[i];

        out_cell(&table, "%s", place->topic);
        out_cell(&table, "%d", place->partition);
        out_cell(&table, "%s", place->member != NULL ? place->member : "-");
        out_cell(&table, "%s", place->is_counted ? out_count(arena, (int64_t)place->applied) : "-");
        out_cell(&table, "%s",
                 place->is_counted ? out_count(arena, (int64_t)place->published) : "-");
        out_cell(&table, "%s", offset_text(arena, place->committed));
        out_cell(&table, "%s", out_count(arena, place->end));
        out_cell_in(&table, place->lag > 0 ? OUT_YELLOW : OUT_PLAIN, "%s",
                    out_count(arena, place->lag));
        out_cell(&table, "%s",
                 place->behind_us > 0 ? out_duration_us(arena, place->behind_us) : "-");
    }
    out_table_print(&table, stdout);
}

static void print_group(const struct group *group, struct arena *arena)
{
    printf("group %s: %s, %s, %s records behind", group->name, group->state, flow_of(group, arena),
           out_count(arena, group_lag(group)));
    if (group_behind_us(group) > 0)
        printf(", the oldest of %s ago", behind(group, arena));
    printf("\n");
    if (group->part != NULL && !group->is_known)
        printf("what the part has applied is not known: %s\n", group->unknown);
    if (group->is_known && (group->paused || group->rate_per_s > 0))
        printf("since %.19sZ (tradewind ops log --part %s says who and why)\n", group->changed_at,
               group->name);
    putchar('\n');
    print_members(group);
    putchar('\n');
    if (group->place_count > 0)
        print_places(group, arena);
}

static int show_group(struct call *call, struct groups *groups, const char *name)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};
    struct group group;
    struct err err = {0};

    if (group_read(&group, groups, name, &call->arena, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    if (!group_exists(&group)) {
        fprintf(stderr, "tradewind %s: %s: there is no such group\n", call->command->name, name);
        return OPS_FOUND;
    }
    if (call->as_json) {
        put_group(&json, &group, true);
        printf("%s\n", buf_cstr(&text));
    } else {
        print_group(&group, &call->arena);
    }
    return OPS_OK;
}

/* --- pause, resume, throttle --------------------------------------------------------------------
 */

static void print_change(const struct call *call, const char *part, const struct json *answer)
{
    const struct json *changed = json_member(answer, "changed");
    const struct json *paused = json_member(answer, "paused");
    int64_t rate_per_s = 0;

    json_to_int64(json_member(answer, "rate_per_s"), &rate_per_s);
    printf("%s %s%s", part, changed->boolean ? call->dry_run ? "would be " : "is " : "is already ",
           paused->boolean ? "paused" : "reading");
    if (rate_per_s > 0)
        printf(", at most %" PRId64 " records a second in each instance", rate_per_s);
    printf("\n");
}

static int steer(struct call *call, const char *verb, const char *part)
{
    AUTO(buf_clear) struct buf path = {0};
    AUTO(buf_clear) struct buf text = {0};
    struct part_call part_call = {.part = part, .method = "POST", .token = call->token};
    struct json_writer json = {.out = &text};
    const struct json *answer;
    struct err err = {0};

    buf_printf(&path, "/consumer/%s?dry_run=%s", verb, call->dry_run ? "true" : "false");
    if (call->rate != NULL)
        part_add_parameter(&path, "rate", call->rate);
    if (call->because != NULL)
        part_add_parameter(&path, "because", call->because);
    part_call.path = buf_cstr(&path);
    if (part_ask(&answer, &part_call, &call->arena, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    if (call->as_json) {
        json_put_tree(&json, answer);
        printf("%s\n", buf_cstr(&text));
    } else {
        print_change(call, part, answer);
    }
    return OPS_OK;
}

/* --- The call -----------------------------------------------------------------------------------
 */

static bool steers(const char *verb)
{
    return strcmp(verb, "pause") == 0 || strcmp(verb, "resume") == 0 ||
           strcmp(verb, "throttle") == 0;
}

static int check_words(const struct call *call, int argc, char **argv)
{
    const struct command *command = call->command;
    const char *verb = argv[0];
    const struct ops_part *part;
    int64_t rate;

    if (!steers(verb) && strcmp(verb, "ls") != 0 && strcmp(verb, "show") != 0)
        return args_refuse(command, "%s: want ls, show, pause, resume, throttle or reset", verb);
    if ((strcmp(verb, "ls") == 0) != (argc == 1))
        return args_refuse(command, argc == 1 ? "%s needs a name" : "%s takes no name", verb);
    if ((strcmp(verb, "throttle") == 0) != (call->rate != NULL))
        return args_refuse(command, "--rate belongs to throttle, which needs it");
    if (call->rate != NULL &&
        (!view_to_int64(view_str(call->rate), &rate) || rate < 0 || rate > RATE_MAX))
        return args_refuse(command, "--rate %s: want a whole number from 0 to %d", call->rate,
                           RATE_MAX);
    if (!steers(verb))
        return call->dry_run || call->because != NULL
                   ? args_refuse(command, "--dry-run and --because belong to pause, resume and "
                                          "throttle")
                   : OPS_OK;
    part = ops_part_find(argv[1]);
    if (part == NULL || part->reads[0] == NULL)
        return args_refuse(command, "%s: want a part that reads topics, one of %s", argv[1],
                           ops_part_names());
    return OPS_OK;
}

static int run(struct call *call, int argc, char **argv)
{
    AUTO(groups_close) struct groups *groups = NULL;
    struct err err = {0};

    (void)argc;
    if (part_token(&call->token, "operator", &err) != ERR_OK)
        return ops_failed(call->command, &err);
    if (steers(argv[0]))
        return steer(call, argv[0], argv[1]);
    if (groups_open(&groups, setting_text("TRADEWIND_KAFKA"),
                    (int32_t)setting_integer("TRADEWIND_PARTITIONS"), call->token, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    return strcmp(argv[0], "ls") == 0 ? list_groups(call, groups)
                                      : show_group(call, groups, argv[1]);
}

int command_groups(const struct command *command, int argc, char **argv)
{
    struct call call = {.command = command};
    const struct arg args[] = {
        {"rate", ARG_TEXT, &call.rate, "N",
         "throttle: records a second in each instance; 0: as many as come"},
        {"because", ARG_TEXT, &call.because, "TEXT",
         "why, for the log of what operators did (tradewind ops log)"},
        {"dry-run", ARG_FLAG, &call.dry_run, .help = "say what would come of it"},
        {"json", ARG_FLAG, &call.as_json, .help = "for programs"},
    };
    int code;

    if (argc > 1 && strcmp(argv[1], "reset") == 0)
        return command_groups_reset(command, argc - 1, argv + 1);
    code = args_parse(command, args, sizeof args / sizeof args[0], 1, 2, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if ((code = check_words(&call, argc, argv)) == OPS_OK &&
        (code = ops_settings(command)) == OPS_OK)
        code = run(&call, argc, argv);
    free(call.token);
    arena_clear(&call.arena);
    return code;
}
