/* tradewind-replay: what of the command line folds topics. A program of its own, so that it can be
 * shown that nothing in it can send a mail or charge a card: no HTTP client, no SMTP, no part is
 * linked in, only their folds. `tradewind replay` and `tradewind asof` run it. */
#include "ops/replay/commands.h"

#include <stdio.h>
#include <string.h>

static const struct command COMMANDS[] = {
    {"asof", "An order, a payment, a product or a stock as it was, and the event behind each field",
     command_asof, "order|payment|product|stock ID [options]",
     "Folds the events of the one key, as a replay does, up to a time or behind an event. Each "
     "field\n"
     "names the event that gave it its value, and where that lies."},
    {"replay", "Rebuild a part's state from the topics, prove that it is equal, put it in place",
     command_replay, "PART [options]",
     "Reads the topics from the beginning into a shadow beside the live state, up to now; the "
     "part\n"
     "serves on. Interrupted, it goes on where it stopped. It sends nothing and calls nobody.\n"
     "--compare and --swap go on from there. Exit 1 when live state and shadow differ or a record\n"
     "cannot be read."},
};

#define COMMAND_COUNT (sizeof COMMANDS / sizeof COMMANDS[0])

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(&COMMANDS[i], argc - 1, argv + 1);
    fprintf(stderr, "tradewind-replay: it is run by `tradewind");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stderr, "%s%s", i > 0 ? "` and `tradewind " : " ", COMMANDS[i].name);
    fprintf(stderr, "`\n");
    return OPS_USAGE;
}
