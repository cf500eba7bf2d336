#include "ops/saga.h"

#include "ops/commands.h"
#include "ops/saga_orders.h"
#include "ops/when.h"
#include "saga/draw.h"
#include "saga/explain.h"

#include <stdio.h>

static int print(const struct buf *text)
{
    fwrite(text->data, 1, text->size, stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("tradewind saga: standard output");
        return OPS_FOUND;
    }
    return OPS_OK;
}

/* `explain [PART]`: the table, which needs no server. */
static int explain(const struct command *command, enum saga_part part, const char *format)
{
    AUTO(buf_clear) struct buf text = {0};

    if (part != PART_NONE && format != NULL && strcmp(format, "dot") != 0)
        return args_refuse(command, "--%s is the whole table: leave %s out", format,
                           saga_part_name(part));
    if (format == NULL)
        saga_explain_text(&text, part);
    else if (strcmp(format, "json") == 0)
        saga_explain_json(&text);
    else if (strcmp(format, "markdown") == 0)
        saga_explain_markdown(&text);
    else if (part != PART_NONE)
        saga_draw_part(&text, part);
    else
        saga_draw_flow(&text);
    return print(&text);
}

static int about_table(const struct saga_call *call, bool markdown, bool dot, int argc, char **argv)
{
    enum saga_part part = PART_NONE;

    if (call->json + markdown + dot > 1)
        return args_refuse(call->command, "want one of --json, --markdown and --dot");
    if (argc == 2 && (part = saga_part_from_name(argv[1])) == PART_NONE)
        return args_refuse(call->command,
                           "%s: want an order's id, or a part of the saga: inventory, payment, "
                           "fraud, orders or email",
                           argv[1]);
    return explain(call->command, part,
                   call->json ? "json"
                   : markdown ? "markdown"
                   : dot      ? "dot"
                              : NULL);
}

/* Commands about orders that run. */
static const struct {
    const char *word;
    int (*run)(const struct saga_call *call, const char *order);
} about_order[] = {
    {"explain", saga_explain_order},
    {"nudge", saga_nudge},
    {"cancel", saga_cancel},
};

static size_t find_word(const char *word)
{
    size_t i = 0;

    while (i < sizeof about_order / sizeof *about_order && strcmp(about_order[i].word, word) != 0)
        i++;
    return i;
}

static int about_orders(const struct saga_call *call, int argc, char **argv)
{
    bool is_stuck = strcmp(argv[0], "stuck") == 0;
    int64_t longer_us;
    int code;

    if (is_stuck != (argc == 1))
        return args_refuse(call->command, is_stuck ? "stuck takes no ORDER" : "%s needs an ORDER",
                           argv[0]);
    if (!is_stuck && !saga_is_order(argv[1]))
        return args_refuse(call->command, "%s: want an order's id", argv[1]);
    if (call->longer_than != NULL && !when_parse_duration(call->longer_than, &longer_us))
        return args_refuse(call->command, "--longer-than %s: want a duration, like 90s or 15m",
                           call->longer_than);
    if ((code = ops_settings(call->command)) != OPS_OK)
        return code;
    return is_stuck ? saga_stuck(call) : about_order[find_word(argv[0])].run(call, argv[1]);
}

int ops_saga(const struct command *command, int argc, char **argv)
{
    struct saga_call call = {.command = command, .limit = 100};
    bool markdown = false, dot = false;
    const struct arg args[] = {
        {"json", ARG_FLAG, &call.json,
         .help = "for programs; of explain without ORDER the whole table"},
        {"markdown", ARG_FLAG, &markdown, .help = "the whole table as docs/saga/table.md has it"},
        {"dot", ARG_FLAG, &dot,
         .help =
             "a picture for Graphviz: of PART's states, else of what the parts tell each other"},
        {"longer-than", ARG_TEXT, &call.longer_than, "DURATION",
         "stuck: orders in their state for so long (90s, 15m), usual or not"},
        {"limit", ARG_INTEGER, &call.limit, "N", "stuck: of the N oldest orders that wait",
         .min = 1, .max = 1000},
        {"because", ARG_TEXT, &call.because, "TEXT",
         "nudge, cancel: why, for the log of what operators did (tradewind ops log)"},
        {"dry-run", ARG_FLAG, &call.dry_run, .help = "nudge, cancel: say what would come of it"},
    };
    int code = args_parse(command, args, sizeof args / sizeof *args, 1, 2, &argc, &argv);
    bool is_explain;

    if (code != ARGS_MORE)
        return code;
    is_explain = strcmp(argv[0], "explain") == 0;
    if (strcmp(argv[0], "stuck") != 0 &&
        find_word(argv[0]) == sizeof about_order / sizeof *about_order)
        return args_refuse(command, "%s: want explain, stuck, nudge or cancel", argv[0]);
    if (is_explain && (argc == 1 || !saga_is_order(argv[1])))
        return about_table(&call, markdown, dot, argc, argv);
    if (markdown || dot)
        return args_refuse(command, "--markdown and --dot belong to explain [PART]");
    return about_orders(&call, argc, argv);
}
