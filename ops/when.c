#include "ops/when.h"

#include "runtime/bytes.h"
#include "runtime/clock.h"

bool when_parse_duration(const char *text, int64_t *us)
{
    static const struct {
        char unit;
        int64_t us;
    } UNITS[] = {{'s', 1000000}, {'m', 60000000}, {'h', 3600000000}, {'d', 86400000000}};
    size_t size = strlen(text);
    int64_t number;

    if (size < 2 || !view_to_int64(view_of(text, size - 1), &number) || number <= 0 ||
        number > 100000000)
        return false;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
        if (text[size - 1] == UNITS[i].unit) {
            *us = number * UNITS[i].us;
            return true;
        }
    return false;
}

bool when_parse(const char *text, int64_t now_us, int64_t *utc_us)
{
    int64_t ago_us;

    if (when_parse_duration(text, &ago_us)) {
        *utc_us = now_us - ago_us;
        return true;
    }
    return clock_parse_rfc3339(text, strlen(text), utc_us) == 0;
}
