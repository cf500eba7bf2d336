/* Partitions that are read abreast in time: who waits for whom. */
#include "ops/replay/abreast.h"

#include <criterion/criterion.h>

#define LEAD 100

static struct abreast reading(size_t count)
{
    struct abreast abreast;

    abreast_init(&abreast, count, LEAD);
    return abreast;
}

static void read_times(struct abreast *abreast, size_t place, int64_t from_ms, int64_t step_ms,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        abreast_read(abreast, place, from_ms + (int64_t)i * step_ms);
}

Test(abreast, who_is_a_lead_ahead_waits_until_the_slowest_has_come_there)
{
    struct abreast abreast = reading(2);

    read_times(&abreast, 1, 0, 0, 1); /* the slowest stands at 0 */
    read_times(&abreast, 0, 1, 1, LEAD);
    cr_expect_not(abreast_look(&abreast, false), "its lead is only counted from here on");
    read_times(&abreast, 0, LEAD + 1, 1, LEAD - 1);
    cr_expect_not(abreast_look(&abreast, false), "not yet a lead");
    read_times(&abreast, 0, 2 * LEAD, 1, 1);
    cr_assert(abreast_look(&abreast, false));
    cr_expect(abreast.places[0].is_changed && abreast.places[0].waits);
    cr_expect_not(abreast.places[1].is_changed || abreast.places[1].waits);

    read_times(&abreast, 1, LEAD - 1, 0, 1);
    cr_expect_not(abreast_look(&abreast, true), "the slowest is still behind");
    read_times(&abreast, 1, LEAD, 0, 1);
    cr_assert(abreast_look(&abreast, true));
    cr_expect(abreast.places[0].is_changed && !abreast.places[0].waits);
    abreast_clear(&abreast);
}

Test(abreast, who_has_not_been_heard_of_is_the_slowest)
{
    struct abreast abreast = reading(2);

    read_times(&abreast, 0, 1, 1, LEAD);
    abreast_look(&abreast, false);
    read_times(&abreast, 0, LEAD, 1, LEAD);
    cr_expect(abreast_look(&abreast, false) && abreast.places[0].waits);
    abreast_clear(&abreast);
}

Test(abreast, nobody_waits_for_one_that_has_no_more)
{
    struct abreast abreast = reading(2);

    read_times(&abreast, 0, 1, 1, LEAD);
    abreast_look(&abreast, false);
    read_times(&abreast, 0, LEAD, 1, LEAD);
    cr_assert(abreast_look(&abreast, false) && abreast.places[0].waits);

    abreast_at_end(&abreast, 1);

    cr_expect(abreast_look(&abreast, false) && !abreast.places[0].waits);
    abreast_clear(&abreast);
}

Test(abreast, one_that_has_more_after_all_is_waited_for_again)
{
    struct abreast abreast = reading(2);

    abreast_at_end(&abreast, 1);
    read_times(&abreast, 1, 0, 0, 1);
    for (int i = 0; i < 2; i++) {
        read_times(&abreast, 0, 1, 1, LEAD);
        abreast_look(&abreast, false);
    }
    cr_expect(abreast.places[0].waits);
    abreast_clear(&abreast);
}

Test(abreast, times_that_are_equal_or_fall_let_nobody_wait)
{
    static const int64_t STEPS[] = {0, -1};

    for (size_t s = 0; s < sizeof STEPS / sizeof STEPS[0]; s++) {
        struct abreast abreast = reading(2);

        read_times(&abreast, 0, 1000, STEPS[s], 1);
        read_times(&abreast, 1, 1000, STEPS[s], 1);
        for (int i = 0; i < 10; i++) {
            read_times(&abreast, 0, 1000, STEPS[s], LEAD);
            cr_expect_not(abreast_look(&abreast, false));
        }
        abreast_clear(&abreast);
    }
}

Test(abreast, places_that_are_not_kept_abreast_never_wait)
{
    struct abreast abreast = {0};

    abreast_start(&abreast);
    abreast_read(&abreast, 7, 1);
    abreast_at_end(&abreast, 7);
    cr_expect_not(abreast_look(&abreast, true));
    abreast_clear(&abreast);
}

#define PLACES 6
#define RECORDS 5000

/* Place p is read p + 1 times as fast as place 0, from times that times_of makes of the record's
 * number. Returns by how many records the fastest was ever ahead of the slowest. */
static size_t farthest_ahead(int64_t (*time_of)(size_t place, size_t record))
{
    struct abreast abreast = reading(PLACES);
    size_t read[PLACES] = {0}, farthest = 0, left = PLACES;

    for (size_t turn = 0; left > 0; turn++) {
        bool any = false;

        for (size_t p = 0; p < PLACES; p++)
            for (size_t i = 0; i <= p && !abreast.places[p].waits && read[p] < RECORDS; i++) {
                abreast_read(&abreast, p, time_of(p, read[p]));
                any = true;
                if (++read[p] == RECORDS) {
                    abreast_at_end(&abreast, p);
                    left--;
                }
                if (read[p] > read[0] && read[p] - read[0] > farthest)
                    farthest = read[p] - read[0];
                abreast_look(&abreast, false);
            }
        cr_assert(any || left == 0, "turn %zu: all that have more wait", turn);
    }
    abreast_clear(&abreast);
    return farthest;
}

static int64_t in_order(size_t place, size_t record)
{
    (void)place;
    return (int64_t)record;
}

static int64_t equal(size_t place, size_t record)
{
    (void)place;
    (void)record;
    return 0;
}

static int64_t falling(size_t place, size_t record)
{
    return -(int64_t)(record * (place + 1));
}

static int64_t any_time(size_t place, size_t record)
{
    return (int64_t)((record * 2654435761u + place * 40503u) % 10007);
}

Test(abreast, nobody_is_ahead_by_more_than_two_leads)
{
    size_t farthest = farthest_ahead(in_order);

    cr_expect_leq(farthest, 2 * LEAD, "%zu", farthest);
}

Test(abreast, whatever_the_times_all_is_read)
{
    farthest_ahead(equal);
    farthest_ahead(falling);
    farthest_ahead(any_time);
}
