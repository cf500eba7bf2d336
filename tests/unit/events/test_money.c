#include "events/money.h"

#include <criterion/criterion.h>

Test(money, is_written_with_the_digits_of_its_currency)
{
    static const struct {
        int64_t amount_minor;
        const char *currency, *text;
    } cases[] = {
        {0, "GBP", "GBP 0.00"},
        {5, "GBP", "GBP 0.05"},
        {123450, "GBP", "GBP 1,234.50"},
        {-250, "EUR", "EUR -2.50"},
        {100000, "JPY", "JPY 100,000"},
        {999, "JPY", "JPY 999"},
        {1234567, "KWD", "KWD 1,234.567"},
        {1, "CLF", "CLF 0.0001"},
        {INT64_MAX, "USD", "USD 92,233,720,368,547,758.07"},
        {INT64_MIN, "USD", "USD -92,233,720,368,547,758.08"},
    };
    AUTO(arena_clear) struct arena arena = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct view text = money_format(cases[i].amount_minor, view_str(cases[i].currency), &arena);

        cr_expect_str_eq(text.data, cases[i].text);
    }
}

Test(money, a_currency_is_three_capital_letters)
{
    cr_expect(money_is_currency(VIEW_LITERAL("GBP")));
    cr_expect_not(money_is_currency(VIEW_LITERAL("gbp")));
    cr_expect_not(money_is_currency(VIEW_LITERAL("GBPX")));
    cr_expect_not(money_is_currency(VIEW_LITERAL("GB")));
    cr_expect_not(money_is_currency(VIEW_NONE));
}
