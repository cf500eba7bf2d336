#include "ops/csv.h"

#include <criterion/criterion.h>

Test(csv, quotes_hold_commas_line_ends_and_quotes)
{
    struct arena arena = {0};
    struct csv csv;
    struct csv_record record;
    bool more;

    cr_assert_eq(
        csv_start(&csv, view_str("a,b\r\n\"1,\n2\",\"say \"\"yes\"\"\"\n,last"), &arena, NULL),
        ERR_OK);

    cr_assert_eq(csv_next(&csv, &record, &more, NULL), ERR_OK);
    cr_expect(view_equals(record.fields[1], "b"));
    cr_expect_eq(csv_column(&record, "b"), 1);
    cr_expect_eq(csv_column(&record, "c"), -1);

    cr_assert_eq(csv_next(&csv, &record, &more, NULL), ERR_OK);
    cr_expect_eq(record.line, 2);
    cr_expect(view_equals(record.fields[0], "1,\n2"));
    cr_expect(view_equals(record.fields[1], "say \"yes\""));

    cr_assert_eq(csv_next(&csv, &record, &more, NULL), ERR_OK);
    cr_expect(more);
    cr_expect_eq(record.line, 4, "a line end inside quotes counts");
    cr_expect_eq(record.fields[0].size, 0);
    cr_expect(view_equals(record.fields[1], "last"));

    cr_assert_eq(csv_next(&csv, &record, &more, NULL), ERR_OK);
    cr_expect_not(more);
    arena_clear(&arena);
}

Test(csv, a_byte_order_mark_is_no_part_of_the_first_column)
{
    struct arena arena = {0};
    struct csv csv;
    struct csv_record record;
    bool more;

    cr_assert_eq(csv_start(&csv, view_str("\xef\xbb\xbfname\n"), &arena, NULL), ERR_OK);
    cr_assert_eq(csv_next(&csv, &record, &more, NULL), ERR_OK);

    cr_expect_eq(csv_column(&record, "name"), 0);
    arena_clear(&arena);
}

Test(csv, what_is_not_so_is_refused_with_its_line)
{
    static const struct {
        const char *text, *says;
    } CASES[] = {
        {"", "it is empty"},
        {"a\xff", "it is not UTF-8 text"},
        {"a,b\n1,2,3\n", "line 2: 3 fields, want 2 as in the first line"},
        {"a,b\n1\n", "line 2: 1 fields, want 2 as in the first line"},
        {"a\n\"x", "line 2: a quote is opened and never closed"},
        {"a\n\"x\"y", "line 2: 'y' stands behind a closing quote"},
        {"a\nx\"y\"", "line 2: a quote inside a field that is not in quotes"},
        {"a\rb\n", "line 1: a carriage return without a line feed"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct arena arena = {0};
        struct csv csv;
        struct csv_record record;
        bool more = true;
        struct err err = {0};
        enum err_kind kind = csv_start(&csv, view_str(CASES[i].text), &arena, &err);

        while (kind == ERR_OK && more)
            kind = csv_next(&csv, &record, &more, &err);
        cr_expect_eq(kind, ERR_REJECT, "%s", CASES[i].says);
        cr_expect_str_eq(err.text, CASES[i].says);
        arena_clear(&arena);
    }
}
