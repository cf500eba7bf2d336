/* tradewind dlq: what parts have set aside: found, looked at, brought back, dropped. The part does
 * it; this asks it. */
#include "ops/commands.h"
#include "ops/dlq.h"
#include "ops/out.h"
#include "ops/parts.h"
#include "ops/progress.h"
#include "ops/when.h"
#include "runtime/base64.h"
#include "runtime/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 1000

struct dlq {
    const struct command *command;
    struct dlq_filter filter;
    struct dlq_action action;
    bool as_json, all;
    const char *since, *until;
    char *token;
    struct arena arena;
};

/* --- ls -----------------------------------------------------------------------------------------
 */

static void print_table(const struct dlq_list *list, struct arena *arena)
{
    static const char *const COLUMNS[] = {"part",        ">id",           "reason", "type",
                                          "key",         "topic",         ">at",    ">tries",
                                          "since (UTC)", "what is wrong", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < list->count; i++) {
        const struct json *dead = list->letters[i];

        out_cell(&table, "%s", part_text(dead, "part", arena));
        out_cell(&table, "%s", part_text(dead, "id", arena));
        out_cell_in(&table, OUT_YELLOW, "%s", part_text(dead, "reason", arena));
        out_cell(&table, "%s", part_text(dead, "type", arena));
        out_cell(&table, "%s", part_text(dead, "key", arena));
        out_cell(&table, "%s", part_text(dead, "topic", arena));
        out_cell(&table, "%s/%s", part_text(dead, "partition", arena),
                 part_text(dead, "offset", arena));
        out_cell(&table, "%s", part_text(dead, "attempts", arena));
        out_cell(&table, "%.19s", part_text(dead, "set_aside_at", arena));
        out_cell(&table, "%s", part_text(dead, "error", arena));
    }
    out_table_print(&table, stdout);
    printf("\n  tradewind dlq show PART ID     one of them whole\n"
           "  tradewind dlq redrive PART ID  apply it now, then those of its key behind it\n"
           "  tradewind dlq drop PART ID     do without it, where the saga allows that\n");
}

/* A letter as the part gave it, on one line. */
static void print_json(const struct json *value)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer writer = {.out = &text};

    json_put_tree(&writer, value);
    printf("%s", buf_cstr(&text));
}

static void print_json_list(const struct dlq_list *list)
{
    printf("[");
    for (size_t i = 0; i < list->count; i++) {
        printf("%s", i > 0 ? ",\n " : "");
        print_json(list->letters[i]);
    }
    printf("]\n");
}

static int list_letters(struct dlq *dlq, const char *part)
{
    struct dlq_list list = {0};
    struct err err;
    int code = OPS_OK;

    for (size_t i = 0; i < ops_part_count; i++) {
        const char *name = ops_parts[i].name;

        if (part != NULL ? strcmp(part, name) != 0 : ops_parts[i].reads[0] == NULL)
            continue;
        if (dlq_read(&list, name, &dlq->filter, dlq->token, &dlq->arena, &err) != ERR_OK)
            code = ops_failed(dlq->command, &err);
    }
    if (dlq->as_json)
        print_json_list(&list);
    else if (list.count > 0)
        print_table(&list, &dlq->arena);
    else if (code == OPS_OK)
        printf("nothing is set aside%s\n", part != NULL ? " there" : "");
    return code;
}

/* --- show ---------------------------------------------------------------------------------------
 */

static void print_hex(struct view bytes)
{
    for (size_t row = 0; row < bytes.size; row += 16) {
        printf("  %06zx ", row);
        for (size_t i = row; i < row + 16; i++)
            if (i < bytes.size)
                printf(" %02x", (unsigned char)bytes.data[i]);
            else
                printf("   ");
        printf("  ");
        for (size_t i = row; i < row + 16 && i < bytes.size; i++)
            putchar(isprint((unsigned char)bytes.data[i]) ? bytes.data[i] : '.');
        putchar('\n');
    }
}

static void print_bytes(const struct json *letter)
{
    const struct json *value = json_member(letter, "value_base64");
    AUTO(buf_clear) struct buf bytes = {0};

    if (value == NULL || !base64_decode(&bytes, value->text))
        return;
    printf("\nvalue, %zu bytes:\n", bytes.size);
    print_hex(buf_view(&bytes));
}

static void print_letter(const struct json *letter, struct arena *arena)
{
    static const char *const FIELDS[] = {
        "part",  "id",        "reason", "error",  "attempts",   "type",         "key",
        "topic", "partition", "offset", "number", "written_at", "set_aside_at", NULL};
    const struct json *headers = json_member(letter, "headers");
    const struct json *event = json_member(letter, "event");

    for (const char *const *field = FIELDS; *field != NULL; field++)
        printf("%-14s %s\n", *field, part_text(letter, *field, arena));
    printf("\nheaders:\n");
    for (size_t i = 0; headers != NULL && i < headers->count; i++)
        printf("  %-20s %s\n", part_text(&headers->items[i], "name", arena),
               part_text(&headers->items[i], "value", arena));
    if (event != NULL) {
        printf("\nevent:\n");
        for (size_t i = 0; i < event->count; i++) {
            printf("  %-20.*s ", VIEW_PRINT(event->items[i].name));
            print_json(&event->items[i]);
            putchar('\n');
        }
    } else {
        printf("\nno event: %s\n", part_text(letter, "not_an_event", arena));
    }
    print_bytes(letter);
}

static int show_letter(struct dlq *dlq, const char *part, const char *id)
{
    const struct json *letter;
    struct err err;

    switch (dlq_read_one(&letter, part, id, dlq->token, &dlq->arena, &err)) {
    case ERR_OK:
        break;
    case ERR_REJECT:
        ops_failed(dlq->command, &err);
        return OPS_FOUND;
    case ERR_RETRY:
    case ERR_STOP:
        return ops_failed(dlq->command, &err);
    }
    if (dlq->as_json) {
        print_json(letter);
        putchar('\n');
    } else {
        print_letter(letter, &dlq->arena);
    }
    return OPS_OK;
}

/* --- redrive, drop ------------------------------------------------------------------------------
 */

struct tally {
    size_t done, refused;
    bool unreachable;
    bool first; /* of the JSON list */
};

static void report(const struct dlq *dlq, const struct json *answer, struct arena *arena)
{
    const struct json *letters = json_member(answer, "letters");

    for (size_t i = 0; letters != NULL && i < letters->count; i++)
        printf("%s%s: %s%s\n", i > 0 ? "  behind it " : "",
               part_text(&letters->items[i], "id", arena), dlq->action.dry_run ? "would be " : "",
               part_text(&letters->items[i], "outcome", arena));
}

static void act_on(struct dlq *dlq, const char *part, const char *id, struct tally *tally)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct json *answer = NULL;
    struct err err = {0};
    enum err_kind kind = dlq_act(&answer, part, id, &dlq->action, dlq->token, &arena, &err);

    tally->done += kind == ERR_OK;
    tally->refused += kind != ERR_OK;
    tally->unreachable |= kind == ERR_RETRY;
    if (dlq->as_json) {
        printf("%s{\"part\":\"%s\",\"id\":%s,\"done\":%s,", tally->first ? "" : ",\n ", part, id,
               kind == ERR_OK ? "true" : "false");
        tally->first = false;
        printf(kind == ERR_OK ? "\"report\":" : "\"error\":");
        if (kind == ERR_OK) {
            print_json(answer);
        } else {
            AUTO(buf_clear) struct buf text = {0};
            struct json_writer writer = {.out = &text};

            json_put_str(&writer, err.text);
            printf("%s", buf_cstr(&text));
        }
        printf("}");
    } else if (kind == ERR_OK) {
        report(dlq, answer, &arena);
    } else {
        ops_failed(dlq->command, &err);
    }
}

/* The letters that a filter means. One that is parked comes with the one in front of it. */
static int choose(struct dlq *dlq, const char *part, const char ***ids, size_t *count)
{
    struct dlq_list list = {0};
    struct err err;

    if (dlq_read(&list, part, &dlq->filter, dlq->token, &dlq->arena, &err) != ERR_OK)
        return ops_failed(dlq->command, &err);
    *ids = arena_array(&dlq->arena, list.count + 1, sizeof **ids);
    *count = 0;
    for (size_t i = 0; i < list.count; i++)
        if (strcmp(part_text(list.letters[i], "reason", &dlq->arena), "parked") != 0)
            (*ids)[(*count)++] = part_text(list.letters[i], "id", &dlq->arena);
    return OPS_OK;
}

static int act(struct dlq *dlq, const char *part, const char **ids, size_t count)
{
    struct tally tally = {.first = true};
    struct progress progress;

    progress_start(&progress, "dead letters tried", count);
    if (dlq->as_json)
        printf("[");
    for (size_t i = 0; i < count && !tally.unreachable; i++) {
        act_on(dlq, part, ids[i], &tally);
        progress_say(&progress, i + 1);
    }
    if (dlq->as_json)
        printf("]\n");
    else
        printf("%zu %s%s, %zu refused\n", tally.done, dlq->action.dry_run ? "would be " : "",
               strcmp(dlq->action.verb, "drop") == 0 ? "dropped" : "applied", tally.refused);
    return tally.unreachable ? OPS_UNREACHABLE : tally.refused > 0 ? OPS_FOUND : OPS_OK;
}

/* --- The call -----------------------------------------------------------------------------------
 */

static bool has_filter(const struct dlq *dlq)
{
    return dlq->filter.type != NULL || dlq->filter.key != NULL || dlq->filter.reason != NULL ||
           dlq->since != NULL || dlq->until != NULL;
}

static int check_words(struct dlq *dlq, int argc, char **argv)
{
    const struct command *command = dlq->command;
    const char *verb = argv[0];
    bool acts = strcmp(verb, "redrive") == 0 || strcmp(verb, "drop") == 0;
    int64_t id;

    if (!acts && strcmp(verb, "ls") != 0 && strcmp(verb, "show") != 0)
        return args_refuse(command, "%s: want ls, show, redrive or drop", verb);
    if (argc < 2 && strcmp(verb, "ls") != 0)
        return args_refuse(command, "%s needs a PART", verb);
    if (argc > 1 && ops_part_find(argv[1]) == NULL)
        return args_refuse(command, "%s: there is no such part; want one of %s", argv[1],
                           ops_part_names());
    for (int i = 2; i < argc; i++)
        if (!view_to_int64(view_str(argv[i]), &id) || id <= 0)
            return args_refuse(command, "%s: want the ID of a dead letter, a number", argv[i]);
    if (strcmp(verb, "ls") == 0 && argc > 2)
        return args_refuse(command, "ls takes no ID");
    if (strcmp(verb, "show") == 0 && argc != 3)
        return args_refuse(command, "show needs the ID of one dead letter");
    if (acts && (argc > 2) + has_filter(dlq) + dlq->all != 1)
        return args_refuse(command, "%s: want either IDs, or a filter, or --all", verb);
    if (!acts && (dlq->action.dry_run || dlq->action.beyond_limit || dlq->all))
        return args_refuse(command,
                           "--dry-run, --beyond-limit and --all belong to redrive and drop");
    return OPS_OK;
}

static int read_times(struct dlq *dlq)
{
    int64_t now_us = clock_utc_us();

    if (dlq->since != NULL && !when_parse(dlq->since, now_us, &dlq->filter.from_us))
        return args_refuse(dlq->command, "--since %s: want a time or a duration, like 15m",
                           dlq->since);
    if (dlq->until != NULL && !when_parse(dlq->until, now_us, &dlq->filter.to_us))
        return args_refuse(dlq->command, "--until %s: want a time or a duration, like 15m",
                           dlq->until);
    return OPS_OK;
}

static int run(struct dlq *dlq, int argc, char **argv)
{
    const char **ids = (const char **)argv + 2;
    size_t count = argc > 2 ? (size_t)argc - 2 : 0;
    int code;

    if (strcmp(argv[0], "ls") == 0)
        return list_letters(dlq, argc > 1 ? argv[1] : NULL);
    if (strcmp(argv[0], "show") == 0)
        return show_letter(dlq, argv[1], argv[2]);
    dlq->action.verb = argv[0];
    if (count == 0 && (code = choose(dlq, argv[1], &ids, &count)) != OPS_OK)
        return code;
    return act(dlq, argv[1], ids, count);
}

int command_dlq(const struct command *command, int argc, char **argv)
{
    struct dlq dlq = {.command = command};
    const struct arg args[] = {
        {"type", ARG_TEXT, &dlq.filter.type, "TYPE", "those of this event, like order.created"},
        {"key", ARG_TEXT, &dlq.filter.key, "KEY", "those of this key: an order's id, a SKU"},
        {"reason", ARG_CHOICE, &dlq.filter.reason, "REASON", "those set aside for this reason",
         .choices = "no_number|undecodable|unknown_schema|impossible|refused|parked|undecided"},
        {"since", ARG_TEXT, &dlq.since, "WHEN",
         "those set aside since a time (2026-01-31T12:00:00Z) or so long ago (15m, 2h, 7d)"},
        {"until", ARG_TEXT, &dlq.until, "WHEN", "those set aside before it"},
        {"all", ARG_FLAG, &dlq.all, .help = "redrive or drop all of the part"},
        {"beyond-limit", ARG_FLAG, &dlq.action.beyond_limit,
         .help = "redrive what was tried five times already"},
        {"because", ARG_TEXT, &dlq.action.because, "TEXT",
         "why, for the log of what operators did (tradewind ops log)"},
        {"dry-run", ARG_FLAG, &dlq.action.dry_run,
         .help = "say what would come of it: it is tried and taken back"},
        {"json", ARG_FLAG, &dlq.as_json, .help = "for programs"},
    };
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 1, WORDS_MAX, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if ((code = check_words(&dlq, argc, argv)) != OPS_OK || (code = read_times(&dlq)) != OPS_OK ||
        (code = ops_settings(command)) != OPS_OK)
        return code;
    if (part_token(&dlq.token, "operator", &err) != ERR_OK)
        return ops_failed(command, &err);
    code = run(&dlq, argc, argv);
    free(dlq.token);
    arena_clear(&dlq.arena);
    return code;
}
