/* tradewind: the command line of operators and analysts. Each command is a row of a table. */
#include "ops/commands.h"
#include "ops/saga.h"

#include <stdio.h>

static const struct command COMMANDS[] = {
    {"archive", "The topics as Avro files with a manifest, and whether they are still whole",
     command_archive, "DIR [options]",
     "Adds to the archive in DIR what came since; makes one in a folder that is missing or empty.\n"
     "Records stand in the files exactly as in the topics; the manifest has counts, numbers, "
     "offsets\n"
     "and a hash chain. Interrupted, the same command goes on. --verify: exit 1 when a byte is not "
     "as it\n"
     "was. Back into topics: tradewind restore."},
    {"asof", "An order, a payment, a product or a stock as it was, and the event behind each field",
     command_in_replay, "order|payment|product|stock ID [options]", NULL},
    {"audit", "Whether anything is lost, doubled or stuck, from all topics and stores",
     command_audit, "[options]",
     "Reads every topic from its beginning, every part's database, the ledger and the payment\n"
     "provider's book, and counts what breaks an invariant. Exit 1 when something does, 3 when a\n"
     "store cannot be read."},
    {"dlq", "Dead letters: what parts have set aside, found, looked at, brought back, dropped",
     command_dlq, "ls [PART] | show PART ID | redrive|drop PART [ID...] [options]",
     "ls [PART]            those of a part, or of all; a key's later events are parked behind it\n"
     "show PART ID         one of them whole: the event, what is wrong with it, its bytes\n"
     "redrive PART [ID..]  apply it in its part, then those of its key that wait behind it, in "
     "one\n"
     "                     transaction. A try that fails is counted; after five it is refused\n"
     "drop PART [ID..]     do without it; refused where an order could not end without it\n\n"
     "IDs, or options that say which, or --all. Exit 1 when one is refused or set aside again, 3 "
     "when\n"
     "a part does not answer."},
    {"groups", "Consumer groups: members, lag, position; paused, slowed down, set back",
     command_groups, "ls | show GROUP | pause|resume|throttle PART | reset GROUP [options]",
     "ls             all groups of the cluster, how far behind they are, and whether they are "
     "paused\n"
     "show GROUP     members, and of each partition the offset committed to Kafka; of a part's "
     "group\n"
     "               also the number up to which it has applied all, which is the truth\n"
     "pause PART     read nothing more, also after a restart, until it is resumed\n"
     "resume PART    go on where it stopped\n"
     "throttle PART  at most --rate records a second in each instance; 0: as many as come\n"
     "reset GROUP    set what a group has committed: tradewind groups reset --help\n\n"
     "Exit 1 when there is no such group, 3 when the broker or the part does not answer."},
    {"import", "Send a shop's past sales as orders through the door", command_import,
     "online-retail FILE [options]",
     "Reads the UCI Online Retail file, sends its products, their opening stock and its invoices\n"
     "as orders, and reports what became of every line of the file. Some orders are declined, "
     "fail\n"
     "at capture or are cancelled, chosen by a hash of the invoice's number, so that every way "
     "back\n"
     "is walked. Each call is a run of its own; --run with an earlier run's name goes on where "
     "that\n"
     "one stopped."},
    {"keys", "Make the keys of a stack; those that are there are kept", command_keys,
     "--signing-key FILE --jwks FILE --contact-key FILE", NULL},
    {"ops", "What operators did: who, what, why, and how it was before and after", command_ops,
     "log [options]",
     "Reads shop.ops.v1: each part writes there what was done through it, in the commit that does "
     "it.\n"
     "Exit 1 when a number is missing in what a part wrote."},
    {"order", "What happened to one order, over all topics, and what led to what", command_order,
     "ID [options]",
     "Reads the order's partition of each topic. Exit 1 when no topic knows the order."},
    {"replay", "Rebuild a part's state from the topics, prove that it is equal, put it in place",
     command_in_replay, "PART [options]", NULL},
    {"restore", "An archive's records back into empty topics, each as and where it was",
     command_restore, "DIR [options]",
     "Verifies the archive, makes topics that are missing, sends, and reads everything back. The "
     "parts\n"
     "have to be stopped. Refused where a topic holds records. Interrupted, the same command goes "
     "on."},
    {"saga", "Orders that wait: which, for whom, why; and the table that the parts live by",
     ops_saga, "stuck | explain [PART|ORDER] | nudge ORDER | cancel ORDER [options]",
     "stuck           orders past their deadline, or longer in their state than is usual, and "
     "what\n"
     "                holds up the part they wait for\n"
     "explain ORDER   what happened to it, for whom it waits, what may come next and why\n"
     "explain [PART]  the saga's table; needs no server\n"
     "nudge ORDER     the order service publishes order.reminded: who has not heard of the order\n"
     "                decides now, and payment makes a call again that is not answered; what is\n"
     "                decided stays\n"
     "cancel ORDER    the order service decides it and publishes order.cancelled\n\n"
     "Exit 1 when orders are stuck, when there is no such order, or when it is refused."},
    {"status", "The parts, what they lag behind, and the oldest unfinished order", command_status,
     "[options]", "Exit 1 when a part is not ready, 3 when one or the broker does not answer."},
    {"summary", "What has become of all orders: states, money, stock, mails, revenue",
     command_summary, "[options]",
     "Counted from the topics; revenue by country comes out of the analytics database."},
    {"tail", "Events as they happen, decoded", command_tail, "[options]",
     "Shows what is published from now on, of all topics, until it is interrupted. Records that\n"
     "are no events are shown with what is wrong with them."},
    {"token", "Sign a token for a role", command_token, "--role ROLE [options]",
     "For trying things by hand:\n"
     "  curl -H \"Authorization: Bearer $(tradewind token --role operator)\" ..."},
    {"topics", "The topics that have to be there: list, plan, apply, verify", command_topics,
     "[list|plan|apply|verify] [options]",
     "list    those that are declared (the default); with --json as a file\n"
     "plan    what apply would do\n"
     "apply   make what is missing, set what differs; exit 1 when something is refused\n"
     "verify  name each difference between the cluster and what is declared; exit 1 when there is "
     "one\n\n"
     "A keyed topic never grows in place, and no topic or setting that is not declared is "
     "touched."},
};

static const size_t COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0];

static void print_usage(FILE *file)
{
    fprintf(file, "tradewind COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(file, "  %-13s %s\n", COMMANDS[i].name, COMMANDS[i].help);
    fprintf(file, "\ntradewind COMMAND --help says more about one.\n"
                  "\nExit codes: 0 all is well, 1 a problem was found, 2 bad usage or bad input "
                  "(nothing was done),\n"
                  "3 a server cannot be reached.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return OPS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return OPS_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(&COMMANDS[i], argc - 1, argv + 1);
    fprintf(stderr, "tradewind: there is no command %s\nSee: tradewind --help\n", argv[1]);
    return OPS_USAGE;
}
