#include "ops/args.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

static const struct command COMMAND = {
    .name = "brew", .help = "make tea", .synopsis = "CUP [options]"};

struct brewed {
    bool strong;
    const char *leaf;
    int64_t minutes;
    int64_t milk;
    const char *sugar;
};

/* Calls it with the words of a line. Gives the first word that is left in *word. */
static int parse(struct brewed *out, const char *line, const char **word)
{
    static char copy[200];
    char *words[20] = {0};
    char **argv = words;
    int argc = 0;
    int code;

    strcpy(copy, line);
    for (char *next = strtok(copy, " "); next != NULL; next = strtok(NULL, " "))
        words[argc++] = next;
    const struct arg args[] = {
        {"strong", ARG_FLAG, &out->strong, .help = "more leaves"},
        {"leaf", ARG_TEXT, &out->leaf, "NAME", "which tea"},
        {"minutes", ARG_INTEGER, &out->minutes, "N", "how long", .min = 1, .max = 10},
        {"milk", ARG_SHARE, &out->milk, "SHARE", "how much milk"},
        {"sugar", ARG_CHOICE, &out->sugar, "KIND", "which sugar", .choices = "white|brown"},
    };

    *out = (struct brewed){.minutes = 3, .milk = 100000};
    code = args_parse(&COMMAND, args, sizeof args / sizeof args[0], 1, 1, &argc, &argv);
    if (word != NULL)
        *word = argv[0];
    return code;
}

Test(args, options_and_words_may_stand_in_any_order)
{
    struct brewed brewed;
    const char *word;

    cr_assert_eq(parse(&brewed,
                       "brew --leaf assam mug --strong --minutes=5 --milk 0.25 --sugar brown",
                       &word),
                 ARGS_MORE);

    cr_expect(brewed.strong);
    cr_expect_str_eq(brewed.leaf, "assam");
    cr_expect_eq(brewed.minutes, 5);
    cr_expect_eq(brewed.milk, 250000);
    cr_expect_str_eq(brewed.sugar, "brown");
    cr_expect_str_eq(word, "mug");
}

Test(args, what_is_not_given_keeps_its_default)
{
    struct brewed brewed;

    cr_assert_eq(parse(&brewed, "brew mug", NULL), ARGS_MORE);

    cr_expect_not(brewed.strong);
    cr_expect_eq(brewed.minutes, 3);
    cr_expect_null(brewed.sugar);
}

Test(args, a_bad_call_is_refused_with_what_is_wrong, .init = cr_redirect_stderr)
{
    static const struct {
        const char *line, *says;
    } CASES[] = {
        {"brew mug --minutes 0", "tradewind brew: --minutes 0: want a whole number from 1 to 10\n"},
        {"brew mug --minutes ten",
         "tradewind brew: --minutes ten: want a whole number from 1 to 10\n"},
        {"brew mug --milk 1.5",
         "tradewind brew: --milk 1.5: want a share from 0 to 1, like 0.03\n"},
        {"brew mug --sugar blue", "tradewind brew: --sugar blue: want one of white|brown\n"},
        {"brew mug --lemon x", "tradewind brew: there is no option --lemon\n"},
        {"brew mug x --leaf", "tradewind brew: --leaf needs a value\n"},
        {"brew mug glass --strong",
         "tradewind brew: glass is too much; want: tradewind brew CUP [options]\n"},
    };
    struct brewed brewed;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        cr_expect_eq(parse(&brewed, CASES[i].line, NULL), OPS_USAGE, "%s", CASES[i].line);
    fflush(stderr);
    char said[4096] = "", wanted[4096] = "";
    FILE *file = cr_get_redirected_stderr();
    size_t size = fread(said, 1, sizeof said - 1, file);

    said[size] = '\0';
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        strcat(wanted, CASES[i].says);
        strcat(wanted, "See: tradewind brew --help\n");
    }
    cr_expect_str_eq(said, wanted);
}

Test(args, a_share_has_up_to_six_decimals)
{
    int64_t millionths = -1;

    cr_expect(args_parse_share("0.000001", &millionths));
    cr_expect_eq(millionths, 1);
    cr_expect(args_parse_share("1.0", &millionths));
    cr_expect_eq(millionths, 1000000);
    cr_expect_not(args_parse_share("0.0000001", &millionths));
    cr_expect_not(args_parse_share("1.1", &millionths));
    cr_expect_not(args_parse_share(".5", &millionths));
    cr_expect_not(args_parse_share("", &millionths));
    cr_expect_not(args_parse_share("0.", &millionths));
}
