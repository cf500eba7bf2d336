#include "ops/args.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGS_MAX 24
#define HELP_VALUE 1000 /* getopt's val of --help; the others are their row's index */

int args_refuse(const struct command *command, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fprintf(stderr, "tradewind %s: ", command->name);
    vfprintf(stderr, format, list);
    fprintf(stderr, "\nSee: tradewind %s --help\n", command->name);
    va_end(list);
    return OPS_USAGE;
}

bool args_parse_share(const char *text, int64_t *millionths)
{
    int64_t value = 0;
    int64_t place = 1000000;

    if (text[0] != '0' && text[0] != '1')
        return false;
    value = (text[0] - '0') * place;
    if (text[1] == '\0') {
        *millionths = value;
        return true;
    }
    if (text[1] != '.' || text[2] == '\0')
        return false;
    for (const char *c = text + 2; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || place == 1)
            return false;
        place /= 10;
        value += (*c - '0') * place;
    }
    if (value > 1000000)
        return false;
    *millionths = value;
    return true;
}

static bool is_choice(const char *value, const char *choices)
{
    while (*choices != '\0') {
        size_t length = strcspn(choices, "|");

        if (view_equal(view_str(value), view_of(choices, length)))
            return true;
        choices += length + (choices[length] == '|');
    }
    return false;
}

static int store(const struct command *command, const struct arg *arg, const char *text)
{
    switch (arg->kind) {
    case ARG_FLAG:
        *(bool *)arg->into = true;
        return ARGS_MORE;
    case ARG_TEXT:
        if (text[0] == '\0')
            return args_refuse(command, "--%s is empty", arg->name);
        *(const char **)arg->into = text;
        return ARGS_MORE;
    case ARG_INTEGER: {
        int64_t number;

        if (!view_to_int64(view_str(text), &number) || number < arg->min || number > arg->max)
            return args_refuse(command, "--%s %s: want a whole number from %" PRId64 " to %" PRId64,
                               arg->name, text, arg->min, arg->max);
        *(int64_t *)arg->into = number;
        return ARGS_MORE;
    }
    case ARG_SHARE:
        if (!args_parse_share(text, arg->into))
            return args_refuse(command, "--%s %s: want a share from 0 to 1, like 0.03", arg->name,
                               text);
        return ARGS_MORE;
    case ARG_CHOICE:
        if (!is_choice(text, arg->choices))
            return args_refuse(command, "--%s %s: want one of %s", arg->name, text, arg->choices);
        *(const char **)arg->into = text;
        return ARGS_MORE;
    case ARG_LIST: {
        struct arg_list *list = arg->into;

        if (text[0] == '\0')
            return args_refuse(command, "--%s is empty", arg->name);
        if (list->count == ARG_LIST_MAX)
            return args_refuse(command, "--%s: more than %d of them", arg->name, ARG_LIST_MAX);
        list->items[list->count++] = text;
        return ARGS_MORE;
    }
    }
    return args_refuse(command, "--%s cannot be read", arg->name);
}

static void print_default(const struct arg *arg)
{
    switch (arg->kind) {
    case ARG_INTEGER:
        printf(" (default %" PRId64 ")", *(int64_t *)arg->into);
        return;
    case ARG_SHARE:
        printf(" (default %g)", (double)*(int64_t *)arg->into / 1e6);
        return;
    case ARG_TEXT:
    case ARG_CHOICE:
        if (*(const char **)arg->into != NULL)
            printf(" (default %s)", *(const char **)arg->into);
        return;
    case ARG_FLAG:
    case ARG_LIST:
        return;
    }
}

static void print_help(const struct command *command, const struct arg *args, size_t arg_count)
{
    printf("tradewind %s %s\n\n%s.\n", command->name, command->synopsis, command->help);
    if (command->about != NULL)
        printf("\n%s\n", command->about);
    printf("\nOptions:\n");
    for (size_t i = 0; i < arg_count; i++) {
        char option[64];

        snprintf(option, sizeof option, "--%s%s%s", args[i].name, args[i].value != NULL ? " " : "",
                 args[i].value != NULL ? args[i].value : "");
        printf("  %-26s %s", option, args[i].help);
        print_default(&args[i]);
        printf("\n");
    }
    printf("  %-26s %s\n", "--help", "this text");
}

int args_parse(const struct command *command, const struct arg *args, size_t arg_count,
               int min_words, int max_words, int *argc, char ***argv)
{
    struct option options[ARGS_MAX + 2] = {{0}};
    int found;

    if (arg_count > ARGS_MAX)
        abort();
    for (size_t i = 0; i < arg_count; i++)
        options[i] =
            (struct option){.name = args[i].name,
                            .has_arg = args[i].kind == ARG_FLAG ? no_argument : required_argument,
                            .val = (int)i};
    options[arg_count] = (struct option){.name = "help", .has_arg = no_argument, .val = HELP_VALUE};
    optind = 0; /* glibc: begin again */
    while ((found = getopt_long(*argc, *argv, ":", options, NULL)) != -1) {
        int code;

        if (found == HELP_VALUE) {
            print_help(command, args, arg_count);
            return OPS_OK;
        }
        if (found == ':')
            return args_refuse(command, "%s needs a value", (*argv)[optind - 1]);
        if (found == '?')
            return args_refuse(command, "there is no option %s", (*argv)[optind - 1]);
        code = store(command, &args[found], optarg);
        if (code != ARGS_MORE)
            return code;
    }
    *argc -= optind;
    *argv += optind;
    if (*argc < min_words)
        return args_refuse(command, "something is missing; want: tradewind %s %s", command->name,
                           command->synopsis);
    if (*argc > max_words)
        return args_refuse(command, "%s is too much; want: tradewind %s %s", (*argv)[max_words],
                           command->name, command->synopsis);
    return ARGS_MORE;
}
