/* The options of one command are rows of a table: parsing, checks and --help are read from it. */
#ifndef TRADEWIND_OPS_ARGS_H
#define TRADEWIND_OPS_ARGS_H

#include "runtime/bytes.h"

/* What a command line program answers to the shell. */
enum ops_exit {
    OPS_OK = 0,
    OPS_FOUND = 1,       /* it worked, and found a problem */
    OPS_USAGE = 2,       /* bad usage or bad input: nothing was done */
    OPS_UNREACHABLE = 3, /* a server cannot be reached, or what has to be there is not there yet */
};

struct command {
    const char *name; /* "import"; of a command within a command: "saga explain" */
    const char *help; /* one line */
    int (*run)(const struct command *command, int argc, char **argv); /* argv[0] is the command */
    const char *synopsis; /* what follows the name: "FILE [options]" */
    const char *about;    /* a paragraph for --help; may be NULL */
};

enum arg_kind {
    ARG_FLAG,    /* into a bool */
    ARG_TEXT,    /* into a const char * */
    ARG_INTEGER, /* min..max, into an int64_t */
    ARG_SHARE,   /* 0 to 1 with up to 6 decimals, into an int64_t of millionths */
    ARG_CHOICE,  /* one of choices, into a const char * */
    ARG_LIST,    /* may be given again and again, into a struct arg_list */
};

#define ARG_LIST_MAX 64

struct arg_list {
    const char *items[ARG_LIST_MAX];
    size_t count;
};

struct arg {
    const char *name; /* "rate": --rate */
    enum arg_kind kind;
    void *into;        /* holds the default before, the value after */
    const char *value; /* what --help calls it: "N"; NULL for a flag */
    const char *help;
    int64_t min, max;
    const char *choices; /* separated by '|' */
};

#define ARGS_MORE (-1) /* args_parse: go on with the command */

/**
 * Read the options; --help is always one. What is no option is left in *argc and *argv,
 * min_words..max_words of them.
 * Returns ARGS_MORE, or the exit code: OPS_OK after --help, OPS_USAGE after it has said what is
 * wrong.
 */
int args_parse(const struct command *command, const struct arg *args, size_t arg_count,
               int min_words, int max_words, int *argc, char ***argv);

/** "0.03" to 30000 millionths; false when it is no decimal from 0 to 1. */
bool args_parse_share(const char *text, int64_t *millionths);

/** Say on standard error what is wrong with the call of command and where help is; gives OPS_USAGE.
 */
int args_refuse(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
