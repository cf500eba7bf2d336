#include "runtime/http_slow.h"

#include <criterion/criterion.h>

static const char connections[4]; /* only their addresses matter */

Test(http_slow, a_request_has_its_time_from_the_first_byte_however_many_follow)
{
    AUTO(http_readings_clear) struct http_readings readings = {0};
    const void *one = &connections[0];

    for (int64_t ms = 0; ms <= HTTP_READING_MAX_MS; ms += 1000)
        cr_assert_eq(http_reading_note(&readings, one, 5000 + ms), HTTP_READING_IN_TIME);

    cr_expect_eq(http_reading_note(&readings, one, 5001 + HTTP_READING_MAX_MS),
                 HTTP_READING_TOO_SLOW);
    cr_expect_eq(http_reading_note(&readings, one, 5002 + HTTP_READING_MAX_MS), HTTP_READING_LATE);
    cr_expect(http_reading_end(&readings, one), "its last byte does not save it");
}

Test(http_slow, the_next_request_of_a_connection_has_a_time_of_its_own)
{
    AUTO(http_readings_clear) struct http_readings readings = {0};
    const void *one = &connections[0], *other = &connections[1];

    http_reading_note(&readings, one, 0);
    http_reading_note(&readings, other, 0);
    cr_expect_not(http_reading_end(&readings, one));

    cr_expect_eq(http_reading_note(&readings, one, 2 * HTTP_READING_MAX_MS), HTTP_READING_IN_TIME);
    cr_expect_eq(http_reading_note(&readings, other, 2 * HTTP_READING_MAX_MS),
                 HTTP_READING_TOO_SLOW);
}

Test(http_slow, a_connection_at_the_address_of_a_dead_one_begins_anew)
{
    AUTO(http_readings_clear) struct http_readings readings = {0};
    const void *one = &connections[0];

    http_reading_note(&readings, one, 0);
    http_reading_forget(&readings, one);

    cr_expect_eq(http_reading_note(&readings, one, 2 * HTTP_READING_MAX_MS), HTTP_READING_IN_TIME);
}

Test(http_slow, what_died_in_the_middle_of_a_request_is_not_kept_for_ever)
{
    AUTO(http_readings_clear) struct http_readings readings = {0};

    for (int i = 0; i < 3; i++)
        http_reading_note(&readings, &connections[i], i);
    cr_assert_eq(http_reading_count(&readings), 3);

    http_reading_note(&readings, &connections[3], HTTP_READING_MAX_MS + 2 * HTTP_IDLE_MS + 2);

    cr_expect_eq(http_reading_count(&readings), 2, "the third was young enough");
}
