/* tradewind topics: the declared topics against those of the broker: what differs, and making it
 * so. */
#include "events/catalog.h"
#include "ops/commands.h"
#include "ops/deeds.h"
#include "ops/out.h"
#include "ops/topics_plan.h"
#include "runtime/json.h"
#include "runtime/settings.h"

#include <stdio.h>
#include <stdlib.h>

struct call {
    const struct command *command;
    bool as_json, dry_run;
    bool is_half_told; /* that it was begun is in the log, how it ended is not */
    const char *file, *because;
    struct declared_topic *topics;
    struct found_topic *found;
    size_t count;
    struct topic_step *steps;
    size_t step_count;
    struct arena arena;
};

/* --- list ---------------------------------------------------------------------------------------
 */

static const char *retention(struct call *call, const struct declared_topic *topic)
{
    const char *text = topic_setting(topic, "retention.ms");
    int64_t ms;

    if (text == NULL)
        return "as the broker does";
    if (strcmp(text, TOPIC_FOREVER) == 0)
        return "for ever";
    return view_to_int64(view_str(text), &ms) ? out_duration_us(&call->arena, ms * 1000) : text;
}

static void put_topic(struct json_writer *json, const struct declared_topic *topic)
{
    json_object_start(json);
    json_member_str(json, "topic", topic->name);
    json_member_int64(json, "partitions", topic->partitions);
    json_key(json, "settings");
    json_object_start(json);
    for (size_t i = 0; i < topic->setting_count; i++)
        json_member_str(json, topic->settings[i].name, topic->settings[i].value);
    json_object_end(json);
    json_member_bool(json, "grows", topic->fixed == NULL);
    json_member_str(json, "holds", topic->holds);
    json_object_end(json);
}

static int list_topics(struct call *call)
{
    static const char *const COLUMNS[] = {"topic", ">partitions", "kept", "holds", NULL};
    struct out_table table;
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    out_table_start(&table, COLUMNS, &call->arena);
    json_array_start(&json);
    for (size_t i = 0; i < call->count; i++) {
        out_cell(&table, "%s", call->topics[i].name);
        out_cell(&table, "%d", call->topics[i].partitions);
        out_cell(&table, "%s", retention(call, &call->topics[i]));
        out_cell(&table, "%s", call->topics[i].holds);
        put_topic(&json, &call->topics[i]);
    }
    json_array_end(&json);
    if (call->as_json)
        printf("%s\n", buf_cstr(&text));
    else
        out_table_print(&table, stdout);
    return OPS_OK;
}

/* --- What differs -------------------------------------------------------------------------------
 */

static void put_step(struct json_writer *json, const struct topic_step *step)
{
    json_object_start(json);
    json_member_str(json, "topic", step->topic->name);
    json_member_str(json, "step", topic_step_name(step->kind));
    json_member_str(json, "what", step->what);
    json_member_str(json, "is", step->is);
    json_member_str(json, "want", step->want);
    json_member_text(json, "why", view_str(step->why));
    json_object_end(json);
}

static void print_steps(const struct call *call)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_array_start(&json);
    for (size_t i = 0; i < call->step_count; i++) {
        const struct topic_step *step = &call->steps[i];

        put_step(&json, step);
        if (call->as_json)
            continue;
        printf("%s%s%s %s: %s is %s, want %s%s%s\n",
               out_colour(step->kind == TOPIC_STEP_REFUSED ? OUT_RED : OUT_YELLOW),
               topic_step_name(step->kind), out_colour(OUT_PLAIN), step->topic->name, step->what,
               step->is, step->want, step->why != NULL ? ". It is not done: " : "",
               step->why != NULL ? step->why : "");
    }
    json_array_end(&json);
    if (call->as_json)
        printf("%s\n", buf_cstr(&text));
}

static size_t count_refused(const struct call *call)
{
    size_t count = 0;

    for (size_t i = 0; i < call->step_count; i++)
        count += call->steps[i].kind == TOPIC_STEP_REFUSED;
    return count;
}

static int compare(const struct call *call)
{
    print_steps(call);
    if (!call->as_json && call->step_count == 0)
        printf("%zu topics are as declared\n", call->count);
    else if (!call->as_json)
        printf("%zu difference%s\n", call->step_count, call->step_count == 1 ? "" : "s");
    return call->step_count == 0 ? OPS_OK : OPS_FOUND;
}

/* --- apply --------------------------------------------------------------------------------------
 */

static enum err_kind make_missing(struct call *call, struct topics_admin *admin, struct err *err)
{
    struct declared_topic *missing = arena_array(&call->arena, call->count + 1, sizeof *missing);
    size_t count = 0;

    for (size_t i = 0; i < call->step_count; i++)
        if (call->steps[i].kind == TOPIC_STEP_MAKE)
            missing[count++] = *call->steps[i].topic;
    return topics_make(admin, missing, count, err);
}

/* A topic's settings are given all at once, with the first of its steps. */
static enum err_kind change(struct call *call, struct topics_admin *admin, struct err *err)
{
    const struct declared_topic *set = NULL;
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < call->step_count && kind == ERR_OK; i++) {
        const struct topic_step *step = &call->steps[i];

        if (step->kind == TOPIC_STEP_GROW)
            kind = topics_grow(admin, step->topic, err);
        if (step->kind == TOPIC_STEP_SET && step->topic != set)
            kind = topics_set(admin, set = step->topic, step->found, err);
    }
    return kind;
}

static const char *values_json(struct call *call, const struct declared_topic *topic, bool after)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    for (size_t i = 0; i < call->step_count; i++) {
        const struct topic_step *step = &call->steps[i];

        if (step->topic == topic && step->kind != TOPIC_STEP_REFUSED)
            json_member_str(&json, step->what, after ? step->want : step->is);
    }
    json_object_end(&json);
    return arena_strdup(&call->arena, buf_cstr(&text));
}

/* One deed a topic; its steps stand side by side. */
static void list_deeds(struct call *call, struct deeds *deeds)
{
    const struct declared_topic *last = NULL;

    deeds->list = arena_array(&call->arena, call->step_count + 1, sizeof *deeds->list);
    for (size_t i = 0; i < call->step_count; i++) {
        const struct topic_step *step = &call->steps[i];

        if (step->kind == TOPIC_STEP_REFUSED || step->topic == last)
            continue;
        last = step->topic;
        deeds->list[deeds->count++] = (struct deed){.subject = last->name,
                                                    .before = values_json(call, last, false),
                                                    .after = values_json(call, last, true)};
    }
}

/* An empty cluster is filled untold: a restore wants the topic where it would be told empty. */
static bool is_told(const struct call *call)
{
    for (size_t i = 0; i < call->step_count; i++)
        if (call->steps[i].kind == TOPIC_STEP_MAKE &&
            strcmp(call->steps[i].topic->name, topic_name(TOPIC_OPS)) == 0)
            return false;
    return true;
}

static enum err_kind carry_out(struct call *call, struct topics_admin *admin, struct err *err)
{
    struct deeds deeds = {.action = "topics.apply", .because = call->because};
    enum err_kind kind = ERR_OK;
    struct err untold;

    if (is_told(call))
        list_deeds(call, &deeds);
    if (deeds.count > 0)
        kind = deeds_begin(&deeds, &call->arena, err);
    if (kind != ERR_OK)
        return kind;
    kind = make_missing(call, admin, err);
    if (kind == ERR_OK)
        kind = change(call, admin, err);
    if (kind != ERR_OK)
        deeds_fail(&deeds, 0, err, &call->arena);
    call->is_half_told = deeds.count > 0 && deeds_end(&deeds, &call->arena, &untold) != ERR_OK;
    if (call->is_half_told)
        fprintf(stderr, "tradewind %s: %s\n", call->command->name, untold.text);
    return kind;
}

static int apply(struct call *call, struct topics_admin *admin)
{
    size_t refused = count_refused(call);
    struct err err = {0};

    print_steps(call);
    if (call->dry_run) {
        if (!call->as_json)
            printf("%zu step%s to be done, %zu refused; %zu topics are declared\n",
                   call->step_count - refused, call->step_count - refused == 1 ? "" : "s", refused,
                   call->count);
        return refused == 0 ? OPS_OK : OPS_FOUND;
    }
    if (carry_out(call, admin, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    if (!call->as_json)
        printf("%zu step%s done, %zu refused; %zu topics are declared\n",
               call->step_count - refused, call->step_count - refused == 1 ? "" : "s", refused,
               call->count);
    return refused == 0 && !call->is_half_told ? OPS_OK : OPS_FOUND;
}

/* --- The call -----------------------------------------------------------------------------------
 */

static enum err_kind read_declared(struct call *call, struct err *err)
{
    int32_t partitions = (int32_t)setting_integer("TRADEWIND_PARTITIONS");

    if (call->file != NULL)
        return topics_from_file(&call->topics, &call->count, call->file, partitions, &call->arena,
                                err);
    call->count = topics_declared(&call->topics, partitions, &call->arena);
    return ERR_OK;
}

static int run(struct call *call, const char *verb)
{
    AUTO(topics_admin_close) struct topics_admin *admin = NULL;
    struct err err = {0};

    if (read_declared(call, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    if (strcmp(verb, "list") == 0)
        return list_topics(call);
    call->found = arena_array(&call->arena, call->count + 1, sizeof *call->found);
    if (topics_admin_open(&admin, setting_text("TRADEWIND_KAFKA"), &err) != ERR_OK ||
        topics_find(admin, call->topics, call->count, call->found, &call->arena, &err) != ERR_OK)
        return ops_failed(call->command, &err);
    call->step_count =
        topics_plan(&call->steps, call->topics, call->found, call->count, &call->arena);
    return strcmp(verb, "verify") == 0 ? compare(call) : apply(call, admin);
}

static bool is_verb(const char *verb)
{
    static const char *const VERBS[] = {"list", "plan", "apply", "verify"};

    for (size_t i = 0; i < sizeof VERBS / sizeof VERBS[0]; i++)
        if (strcmp(verb, VERBS[i]) == 0)
            return true;
    return false;
}

int command_topics(const struct command *command, int argc, char **argv)
{
    struct call call = {.command = command};
    const struct arg args[] = {
        {"file", ARG_TEXT, &call.file, "FILE",
         "the topics that are wanted, as `topics list --json` writes them, instead of the built-in "
         "list"},
        {"because", ARG_TEXT, &call.because, "TEXT",
         "apply: why, for the log of what operators did (tradewind ops log)"},
        {"dry-run", ARG_FLAG, &call.dry_run, .help = "apply: say what would be done"},
        {"json", ARG_FLAG, &call.as_json, .help = "for programs"},
    };
    const char *verb;
    int code = args_parse(command, args, sizeof args / sizeof args[0], 0, 1, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    verb = argc > 0 ? argv[0] : "list";
    if (!is_verb(verb))
        return args_refuse(command, "%s: want list, plan, apply or verify", verb);
    if ((call.dry_run || call.because != NULL) && strcmp(verb, "apply") != 0)
        return args_refuse(command, "--dry-run and --because belong to apply");
    if (call.because != NULL && !tell_takes(call.because))
        return args_refuse(command, "--because: want one line of text");
    call.dry_run = call.dry_run || strcmp(verb, "plan") == 0;
    if ((code = ops_settings(command)) == OPS_OK)
        code = run(&call, verb);
    arena_clear(&call.arena);
    return code;
}
