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

Test(when, kafkas_durations_are_read_as_kafka_reads_them)
{
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {{"PT90S", 90 * SECOND},
                 {"P1D", 86400 * SECOND},
                 {"P1DT2H3M4.5S", (86400 + 7200 + 180 + 4) * SECOND + SECOND / 2},
                 {"PT0.000001S", 1}};
    static const char *const refused[] = {"",     "P",    "PT",     "1D",   "P1H",     "PT1D",
                                          "PT0S", "P-1D", "PT1.5M", "P1DT", "PT1S1M", "PT1S1S"};
    int64_t us = 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect(when_parse_iso_duration(cases[i].text, &us), "%s", cases[i].text);
        cr_expect_eq(us, cases[i].us, "%s", cases[i].text);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_expect_not(when_parse_iso_duration(refused[i], &us), "%s", refused[i]);
}

Test(when, kafkas_times_are_utc_when_they_name_no_zone)
{
    int64_t bare = 0, zoned = 0;

    cr_expect(when_parse_iso_time("2026-01-31T12:00:00.000", &bare));
    cr_expect(when_parse_iso_time("2026-01-31T13:00:00+01:00", &zoned));
    cr_expect_eq(bare, zoned);
    cr_expect_not(when_parse_iso_time("yesterday", &bare));
}

Test(when, a_moment_is_a_time_or_so_long_ago)
{
    int64_t us = 0;

    cr_expect(when_parse("2010-12-01T08:26:00Z", 0, &us));
    cr_expect_eq(us, INT64_C(1291191960) * SECOND);
    cr_expect(when_parse("2m", 1000 * SECOND, &us));
    cr_expect_eq(us, 880 * SECOND);
}
