#include "runtime/lines.h"

#include <criterion/criterion.h>

Test(lines, what_was_written_is_read)
{
    AUTO(buf_clear) struct buf text = {0};
    struct view rest, line;
    int64_t number = 0;

    line_text(&text, VIEW_LITERAL("hold"));
    line_int64(&text, INT64_MIN);
    line_end(&text);
    line_text(&text, VIEW_LITERAL(""));
    line_end(&text);
    cr_assert(view_equals(buf_view(&text), "hold\t-9223372036854775808\n\n"));

    rest = buf_view(&text);
    cr_expect_eq(lines_count(rest), 2);
    cr_assert(lines_next(&rest, &line));
    cr_expect_eq(line_count(line), 2);
    cr_expect(view_equals(line_next_text(&line), "hold"));
    cr_expect(line_next_int64(&line, &number) && number == INT64_MIN);
    cr_expect_eq(line_count(line), 0);
    cr_expect_not(line_next_int64(&line, &number), "nothing is no number");
    cr_assert(lines_next(&rest, &line));
    cr_expect_eq(line_count(line), 0);
    cr_expect_not(lines_next(&rest, &line));
    cr_expect_eq(rest.size, 0);
}

Test(lines, what_is_cut_is_no_line)
{
    struct view rest = VIEW_LITERAL("a\tb\nc\t"), line;

    cr_expect(lines_next(&rest, &line));
    cr_expect_not(lines_next(&rest, &line));
    cr_expect_eq(rest.size, 2, "and it is still there");
}
