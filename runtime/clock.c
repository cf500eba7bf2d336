#include "runtime/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t clock_read_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_utc_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

/* Each event has its time in its headers, so days and dates are counted here: gmtime_r and timegm
 * take the lock of the time zones and cost more than the rest of an envelope. Source:
 * http://howardhinnant.github.io/date_algorithms.html */
#define DAY_S 86400
#define ERA_DAYS 146097   /* 400 years; eras begin on 1 March, so that the leap day comes last */
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void date_of_days(int64_t days, int *year, int *month, int *day)
{
    int64_t era = floor_divide(days + EPOCH_DAYS, ERA_DAYS);
    int64_t of_era = days + EPOCH_DAYS - era * ERA_DAYS;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153; /* month from March */

    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static int64_t days_of_date(int year, int month, int day)
{
    int64_t shifted_year = year - (month <= 2);
    int64_t era = floor_divide(shifted_year, 400);
    int64_t year_of_era = shifted_year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year -
           EPOCH_DAYS;
}

static char *write_digits(char *at, int value, int digits, char behind)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    at[digits] = behind;
    return at + digits + 1;
}

void clock_format_rfc3339(int64_t utc_us, char out[CLOCK_RFC3339_SIZE])
{
    int64_t seconds, days;
    int year, month, day, of_day;

    if (utc_us < CLOCK_RFC3339_MIN_US || utc_us > CLOCK_RFC3339_MAX_US)
        utc_us = 0; /* it has no form in RFC 3339 */
    seconds = floor_divide(utc_us, 1000000);
    days = floor_divide(seconds, DAY_S);
    of_day = (int)(seconds - days * DAY_S);
    date_of_days(days, &year, &month, &day);
    out = write_digits(out, year, 4, '-');
    out = write_digits(out, month, 2, '-');
    out = write_digits(out, day, 2, 'T');
    out = write_digits(out, of_day / 3600, 2, ':');
    out = write_digits(out, of_day / 60 % 60, 2, ':');
    out = write_digits(out, of_day % 60, 2, '.');
    out = write_digits(out, (int)(utc_us - seconds * 1000000), 6, 'Z');
    *out = '\0';
}

/* Reads exactly `digits` digits at *at. */
static bool read_digits(const char *text, size_t size, size_t *at, int digits, int *out)
{
    int value = 0;

    for (int i = 0; i < digits; i++, (*at)++) {
        if (*at >= size || text[*at] < '0' || text[*at] > '9')
            return false;
        value = value * 10 + (text[*at] - '0');
    }
    *out = value;
    return true;
}

static bool read_char(const char *text, size_t size, size_t *at, const char *any_of)
{
    if (*at >= size)
        return false;
    for (; *any_of != '\0'; any_of++)
        if (text[*at] == *any_of) {
            (*at)++;
            return true;
        }
    return false;
}

static bool read_fraction(const char *text, size_t size, size_t *at, int64_t *micros)
{
    int digits = 0;

    *micros = 0;
    if (!read_char(text, size, at, "."))
        return true;
    for (; *at < size && text[*at] >= '0' && text[*at] <= '9'; (*at)++, digits++)
        if (digits < 6)
            *micros = *micros * 10 + (text[*at] - '0');
    if (digits == 0 || digits > 9)
        return false;
    for (int i = digits; i < 6; i++)
        *micros *= 10;
    return true;
}

static bool read_offset(const char *text, size_t size, size_t *at, int64_t *seconds)
{
    bool behind;
    int hours, minutes;

    *seconds = 0;
    if (read_char(text, size, at, "Zz"))
        return true;
    behind = *at < size && text[*at] == '-';
    if (!read_char(text, size, at, "+-") || !read_digits(text, size, at, 2, &hours) ||
        !read_char(text, size, at, ":") || !read_digits(text, size, at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *seconds = (hours * 60 + minutes) * 60 * (behind ? -1 : 1);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

int clock_parse_rfc3339(const char *text, size_t size, int64_t *utc_us)
{
    int year, month, day, hour, minute, second;
    int64_t micros, offset, seconds;
    size_t at = 0;

    if (!read_digits(text, size, &at, 4, &year) || !read_char(text, size, &at, "-") ||
        !read_digits(text, size, &at, 2, &month) || !read_char(text, size, &at, "-") ||
        !read_digits(text, size, &at, 2, &day) || !read_char(text, size, &at, "Tt ") ||
        !read_digits(text, size, &at, 2, &hour) || !read_char(text, size, &at, ":") ||
        !read_digits(text, size, &at, 2, &minute) || !read_char(text, size, &at, ":") ||
        !read_digits(text, size, &at, 2, &second) || !read_fraction(text, size, &at, &micros) ||
        !read_offset(text, size, &at, &offset) || at != size)
        return -1;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return -1;
    seconds = days_of_date(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    *utc_us = (seconds - offset) * 1000000 + micros;
    return 0;
}
