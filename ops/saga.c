#include "ops/saga.h"

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

int ops_saga(const struct command *command, int argc, char **argv)
{
    bool json = false, markdown = false, dot = false;
    const struct arg args[] = {
        {"json", ARG_FLAG, &json, .help = "the whole table as one JSON document"},
        {"markdown", ARG_FLAG, &markdown, .help = "the whole table as docs/saga/table.md has it"},
        {"dot", ARG_FLAG, &dot,
         .help =
             "a picture for Graphviz: of PART's states, else of what the parts tell each other"},
    };
    int code = args_parse(command, args, sizeof args / sizeof *args, 1, 2, &argc, &argv);
    enum saga_part part = PART_NONE;
    AUTO(buf_clear) struct buf text = {0};

    if (code != ARGS_MORE)
        return code;
    if (strcmp(argv[0], "explain") != 0)
        return args_refuse(command, "%s: want explain", argv[0]);
    if (argc == 2 && (part = saga_part_from_name(argv[1])) == PART_NONE)
        return args_refuse(
            command, "%s: want a part of the saga: inventory, payment, fraud, orders or email",
            argv[1]);
    if (json + markdown + dot > 1)
        return args_refuse(command, "want one of --json, --markdown and --dot");
    if (part != PART_NONE && (json || markdown))
        return args_refuse(command, "--%s is the whole table: leave %s out",
                           json ? "json" : "markdown", argv[1]);

    if (json)
        saga_explain_json(&text);
    else if (markdown)
        saga_explain_markdown(&text);
    else if (dot && part != PART_NONE)
        saga_draw_part(&text, part);
    else if (dot)
        saga_draw_flow(&text);
    else
        saga_explain_text(&text, part);
    return print(&text);
}
