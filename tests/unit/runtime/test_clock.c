#include "runtime/clock.h"

#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

Test(clock, rfc_3339_is_read_with_its_offset)
{
    static const struct {
        const char *text;
        int result;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2010-12-01T08:26:00Z", 0, 1291191960000000},
        {"2010-12-01T09:26:00+01:00", 0, 1291191960000000},
        {"2010-12-01T08:26:00.5Z", 0, 1291191960500000},
        {"1969-12-31T23:59:59.999999Z", 0, -1},
        {"2010-02-30T00:00:00Z", -1, 0},
        {"2010-12-01T25:00:00Z", -1, 0},
        {"2010-12-01", -1, 0},
        {"2010-12-01T08:26:00", -1, 0},
        {"2010-12-01T08:26:00Zx", -1, 0},
        {"", -1, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t us = 0;

        cr_expect_eq(clock_parse_rfc3339(cases[i].text, strlen(cases[i].text), &us),
                     cases[i].result, "%s", cases[i].text);
        cr_expect_eq(us, cases[i].us, "%s", cases[i].text);
    }
}

Test(clock, rfc_3339_is_written_in_utc)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(1291191960000001, text);
    cr_expect_str_eq(text, "2010-12-01T08:26:00.000001Z");
    clock_format_rfc3339(-1, text);
    cr_expect_str_eq(text, "1969-12-31T23:59:59.999999Z");
}

/* Every 13 hours, 47 minutes and 11 seconds from year 1 to year 9999: all days, all months. */
Test(clock, dates_are_those_of_the_c_library)
{
    char text[CLOCK_RFC3339_SIZE], want[64];

    for (int64_t s = -62135596800; s < 253402300799; s += 49631) {
        time_t when = (time_t)s;
        int64_t back = 0;
        struct tm parts;

        gmtime_r(&when, &parts);
        strftime(want, sizeof want, "-%m-%dT%H:%M:%S.000007Z", &parts);
        clock_format_rfc3339(s * 1000000 + 7, text);
        cr_assert_str_eq(text + 4, want);
        cr_assert_eq(strtol(text, NULL, 10), parts.tm_year + 1900);
        cr_assert_eq(clock_parse_rfc3339(text, strlen(text), &back), 0, "%s", text);
        cr_assert_eq(back, s * 1000000 + 7, "%s", text);
        s += parts.tm_year < 0 || parts.tm_year > 300 ? 400000 : 0; /* far years in larger steps */
    }
}

Test(clock, a_time_without_such_a_form_is_written_as_1970)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(CLOCK_RFC3339_MIN_US, text);
    cr_expect_str_eq(text, "0000-01-01T00:00:00.000000Z");
    clock_format_rfc3339(CLOCK_RFC3339_MAX_US, text);
    cr_expect_str_eq(text, "9999-12-31T23:59:59.999999Z");
    clock_format_rfc3339(CLOCK_RFC3339_MAX_US + 1, text);
    cr_expect_str_eq(text, "1970-01-01T00:00:00.000000Z");
    clock_format_rfc3339(INT64_MIN, text);
    cr_expect_str_eq(text, "1970-01-01T00:00:00.000000Z");
}
