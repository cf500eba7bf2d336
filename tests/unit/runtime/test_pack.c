#include "runtime/pack.h"

#include <criterion/criterion.h>

Test(pack, bytes_come_back_as_they_went_in)
{
    static char zeros[100000];
    const struct view cases[] = {
        VIEW_LITERAL(""), VIEW_LITERAL("a"), VIEW_LITERAL("a\0b\xff"), {zeros, sizeof zeros}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        AUTO(buf_clear) struct buf packed = {0};
        struct view back;
        struct err err = {0};

        pack(&packed, cases[i]);
        cr_assert_eq(unpack(&back, buf_view(&packed), sizeof zeros, &arena, &err), ERR_OK, "%s",
                     err.text);
        cr_expect(view_equal(back, cases[i]));
    }
}

Test(pack, what_is_cut_changed_or_too_large_is_refused)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf packed = {0};
    struct view back;

    pack(&packed, VIEW_LITERAL("a text of some length, of some length, of some length"));
    for (size_t size = 0; size < packed.size; size++)
        cr_expect_eq(unpack(&back, view_of(packed.data, size), 1000, &arena, NULL), ERR_REJECT,
                     "cut to %zu", size);
    cr_expect_eq(unpack(&back, buf_view(&packed), 10, &arena, NULL), ERR_REJECT);
    packed.data[0] ^= 1;
    cr_expect_eq(unpack(&back, buf_view(&packed), 1000, &arena, NULL), ERR_REJECT);
}
