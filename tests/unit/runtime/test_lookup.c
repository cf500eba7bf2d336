#include "runtime/lookup.h"

#include <criterion/criterion.h>

#include <stdio.h>

struct coin {
    char name[16];
    bool in;
};

static struct view coin_name(const void *thing)
{
    return view_str(((const struct coin *)thing)->name);
}

Test(lookup, an_empty_one_finds_and_removes_nothing)
{
    struct lookup lookup = {.key_of = coin_name};
    size_t place = 0;

    cr_expect_null(lookup_find(&lookup, VIEW_LITERAL("a")));
    cr_expect_null(lookup_remove(&lookup, VIEW_LITERAL("a")));
    cr_expect_null(lookup_next(&lookup, &place));
}

/* Against the simplest thing that could be right: a flag in each coin. */
Test(lookup, what_is_in_is_found_whatever_was_added_and_removed_before)
{
    static struct coin coins[2000];
    struct lookup lookup = {.key_of = coin_name};
    uint64_t random = 1;
    size_t in = 0, seen = 0, place = 0;

    for (size_t i = 0; i < 2000; i++)
        snprintf(coins[i].name, sizeof coins[i].name, "coin %zu", i);

    for (int round = 0; round < 50000; round++) {
        struct coin *coin;

        random = random * 6364136223846793005u + 1442695040888963407u;
        coin = &coins[(random >> 33) % 2000];
        if (coin->in)
            cr_assert_eq(lookup_remove(&lookup, coin_name(coin)), coin);
        else
            lookup_add(&lookup, coin);
        coin->in = !coin->in;
    }

    for (size_t i = 0; i < 2000; i++) {
        cr_expect_eq(lookup_find(&lookup, coin_name(&coins[i])), coins[i].in ? &coins[i] : NULL,
                     "%zu", i);
        in += coins[i].in;
    }
    while (lookup_next(&lookup, &place) != NULL)
        seen++;
    cr_expect_eq(lookup.count, in);
    cr_expect_eq(seen, in);
    lookup_clear(&lookup);
    cr_expect_null(lookup_find(&lookup, coin_name(&coins[0])));
}
