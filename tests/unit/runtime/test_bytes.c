#include "runtime/arena.h"
#include "runtime/bytes.h"

#include <criterion/criterion.h>

Test(bytes, an_integer_is_read_whole_or_not_at_all)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1.0", false, 0},
        {" 1", false, 0},
        {"+1", false, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        bool good = view_to_int64(view_str(cases[i].text), &value);

        cr_expect_eq(good, cases[i].good, "%s", cases[i].text);
        if (good)
            cr_expect_eq(value, cases[i].value, "%s", cases[i].text);
    }
}

Test(bytes, utf8_is_well_formed_or_refused)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"plain", true},         {"\xc3\xa9", true},          {"\xe2\x82\xac", true},
        {"\xf0\x9f\x8e\x81", true}, {"\xc0\xaf", false},      {"\xe0\x80\xaf", false},
        {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false}, {"\xc3", false},
        {"\x80", false},         {"\xff", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(view_is_utf8(view_str(cases[i].text)), cases[i].good, "case %zu", i);
}

Test(bytes, a_buffer_keeps_everything_it_is_given)
{
    AUTO(buf_clear) struct buf buf = {0};

    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);

    cr_assert_eq(buf.size, 10 * 2 + 90 * 3 + 900 * 4);
    cr_assert_eq(memcmp(buf.data, "0,1,2,", 6), 0);
    cr_assert_eq(memcmp(buf.data + buf.size - 4, "999,", 4), 0);
}

Test(arena, memory_is_zeroed_and_stays_until_the_reset)
{
    AUTO(arena_clear) struct arena arena = {0};

    for (int round = 0; round < 3; round++) {
        char *first = arena_alloc(&arena, 100);

        for (int i = 0; i < 100; i++)
            cr_assert_eq(first[i], 0);
        memset(first, 'x', 100);
        for (int i = 0; i < 1000; i++)
            memset(arena_alloc(&arena, (size_t)i * 10), 'y', (size_t)i * 10);
        for (int i = 0; i < 100; i++)
            cr_assert_eq(first[i], 'x');
        arena_reset(&arena);
    }
}
