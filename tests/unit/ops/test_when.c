#include "ops/when.h"

#include <criterion/criterion.h>

#define SECOND INT64_C(1000000)

Test(when, a_duration_is_a_number_and_a_unit)
{
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {{"90s", 90 * SECOND},
                 {"15m", 900 * SECOND},
                 {"2h", 7200 * SECOND},
                 {"7d", 604800 * SECOND}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = 0;

        cr_expect(when_parse_duration(cases[i].text, &us), "%s", cases[i].text);
        cr_expect_eq(us, cases[i].us, "%s", cases[i].text);
    }
}

Test(when, anything_else_is_refused)
{
    static const char *const cases[] = {"",   "m",    "15",  "-5m",  "0s",
                                        "1w", "1.5h", "5 m", "soon", "99999999999d"};
    int64_t us = 42;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_not(when_parse(cases[i], 0, &us), "%s", cases[i]);
    cr_expect_eq(us, 42);
}

Test(when, a_moment_is_a_time_or_so_long_ago)
{
    int64_t us = 0;

    cr_expect(when_parse("2010-12-01T08:26:00Z", 0, &us));
    cr_expect_eq(us, INT64_C(1291191960) * SECOND);
    cr_expect(when_parse("2m", 1000 * SECOND, &us));
    cr_expect_eq(us, 880 * SECOND);
}
