#include "saga/deadline.h"

#include <criterion/criterion.h>

Test(deadline, fires_when_its_time_has_passed_and_all_that_came_is_read)
{
    static const struct {
        const char *name;
        int64_t acknowledged_at_ms, deadline_ms;
        int64_t read_to_end_ms[DEADLINE_VERDICTS];
        bool fires;
    } cases[] = {
        {"all read after it", 1000, 500, {1501, 1600, 9000}, true},
        {"read at the very moment", 1000, 500, {1500, 1600, 9000}, false},
        {"one partition lags", 1000, 500, {9000, 1499, 9000}, false},
        {"one partition was never read", 1000, 500, {9000, 9000, -1}, false},
        {"not acknowledged", -1, 500, {9000, 9000, 9000}, false},
        {"at once", 0, 0, {1, 1, 1}, true},
        {"beyond all time", 1000, INT64_MAX, {INT64_MAX, INT64_MAX, INT64_MAX}, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t moment_ms = deadline_moment_ms(cases[i].acknowledged_at_ms, cases[i].deadline_ms);

        cr_expect_eq(deadline_has_passed(moment_ms, cases[i].read_to_end_ms), cases[i].fires, "%s",
                     cases[i].name);
    }
}
