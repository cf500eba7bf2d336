#include "ops/saga.h"

#include <criterion/criterion.h>

#include <stdio.h>

Test(ops_saga, explains_what_is_asked_for_and_refuses_the_rest)
{
    static const struct command command = {
        .name = "saga",
        .help = "What the parts do, and why",
        .run = ops_saga,
        .synopsis = "explain [PART] [options]",
    };
    static const struct {
        const char *arguments[4];
        int exit_code;
    } cases[] = {
        {{"explain"}, OPS_OK},
        {{"explain", "payment"}, OPS_OK},
        {{"explain", "--json"}, OPS_OK},
        {{"explain", "--markdown"}, OPS_OK},
        {{"explain", "--dot"}, OPS_OK},
        {{"explain", "payment", "--dot"}, OPS_OK},
        {{"--help"}, OPS_OK},
        {{NULL}, OPS_USAGE},
        {{"describe"}, OPS_USAGE},
        {{"explain", "warehouse"}, OPS_USAGE},
        {{"explain", "payment", "--json"}, OPS_USAGE},
        {{"explain", "--json", "--dot"}, OPS_USAGE},
    };

    /* Nobody reads here what is said; a pipe would be too small for it. */
    cr_assert_not_null(freopen("/dev/null", "w", stdout));
    cr_assert_not_null(freopen("/dev/null", "w", stderr));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *argv[6] = {(char *)command.name};
        int argc = 1;

        for (int j = 0; j < 4 && cases[i].arguments[j] != NULL; j++)
            argv[argc++] = (char *)cases[i].arguments[j];
        cr_expect_eq(command.run(&command, argc, argv), cases[i].exit_code, "case %zu", i);
    }
}
