#include "events/sku.h"

#include <criterion/criterion.h>

Test(sku, is_folded_to_capitals_or_refused)
{
    static const struct {
        const char *text, *sku; /* NULL: it is none */
    } cases[] = {
        {"22423", "22423"},       {"85123a", "85123A"}, {"BANK CHARGES", "BANK CHARGES"},
        {"dcgs0003", "DCGS0003"}, {"a/b~!", "A/B~!"},   {"", NULL},
        {" 22423", NULL},         {"22423 ", NULL},     {" ", NULL},
        {"22\t423", NULL},        {"22\x7f", NULL},     {"K\xc3\xa4se", NULL},
    };
    AUTO(arena_clear) struct arena arena = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view sku = sku_fold(view_str(cases[i].text), &arena);

        if (cases[i].sku == NULL)
            cr_expect_null(sku.data, "\"%s\"", cases[i].text);
        else
            cr_expect_str_eq(sku.data, cases[i].sku);
    }
}

Test(sku, has_at_most_64_bytes)
{
    static const char digits[] = "0000000000000000000000000000000000000000000000000000000000000000"
                                 "0";
    AUTO(arena_clear) struct arena arena = {0};

    cr_expect_eq(sku_fold(view_of(digits, 64), &arena).size, 64);
    cr_expect_null(sku_fold(view_of(digits, 65), &arena).data);
}
