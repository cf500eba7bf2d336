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

/* One number and its unit; *text moves behind them. Only of seconds there may be parts. */
static bool iso_step(const char **text, bool is_time, char *unit, int64_t *us)
{
    static const char DATE_UNITS[] = "D", TIME_UNITS[] = "HMS";
    static const int64_t US[] = {
        ['D'] = 86400000000, ['H'] = 3600000000, ['M'] = 60000000, ['S'] = 1000000};
    size_t digits = strspn(*text, "0123456789"), parts = 0;
    int64_t whole, part = 0, scale = 1000000;
    const char *end = *text + digits;

    if (digits == 0 || digits > 9 || !view_to_int64(view_of(*text, digits), &whole))
        return false;
    if (*end == '.') {
        parts = strspn(end + 1, "0123456789");
        if (parts == 0 || parts > 6 || !view_to_int64(view_of(end + 1, parts), &part))
            return false;
        end += 1 + parts;
    }
    if (*end == '\0' || strchr(is_time ? TIME_UNITS : DATE_UNITS, *end) == NULL ||
        (parts > 0 && *end != 'S'))
        return false;
    for (size_t i = 0; i < parts; i++)
        scale /= 10;
    *unit = *end;
    *us = whole * US[(unsigned char)*end] + part * scale;
    *text = end + 1;
    return true;
}

bool when_parse_iso_duration(const char *text, int64_t *us)
{
    static const char ORDER[] = "DHMS";
    const char *left = ORDER;
    bool is_time = false;
    int64_t sum = 0;

    if (*text++ != 'P')
        return false;
    while (*text != '\0') {
        int64_t step;
        char unit;

        if (*text == 'T' && !is_time) {
            is_time = true;
            text++;
            if (*text == '\0')
                return false;
        }
        /* Units come in their order, each once. */
        if (!iso_step(&text, is_time, &unit, &step) || (left = strchr(left, unit)) == NULL)
            return false;
        left++;
        sum += step;
    }
    if (sum <= 0)
        return false;
    *us = sum;
    return true;
}

bool when_parse_iso_time(const char *text, int64_t *utc_us)
{
    char with_zone[64];
    size_t size = strlen(text);

    if (clock_parse_rfc3339(text, size, utc_us) == 0)
        return true;
    if (size + 2 > sizeof with_zone)
        return false;
    memcpy(with_zone, text, size);
    memcpy(with_zone + size, "Z", 2);
    return clock_parse_rfc3339(with_zone, size + 1, utc_us) == 0;
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
