#include "runtime/json.h"
#include "runtime/log.h"

#include <criterion/criterion.h>

#include <unistd.h>

/* What one call writes to standard error. */
static size_t capture(char *text, size_t size, void (*speak)(void))
{
    int pipe_ends[2], kept = dup(STDERR_FILENO);
    ssize_t length;

    cr_assert_eq(pipe(pipe_ends), 0);
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[1]);
    speak();
    dup2(kept, STDERR_FILENO); /* closes the last writing end */
    close(kept);
    length = read(pipe_ends[0], text, size);
    close(pipe_ends[0]);
    return length > 0 ? (size_t)length : 0;
}

static void say_a_fact(void)
{
    struct err err = {0};

    err_set(&err, ERR_RETRY, "no \"connection\"\n");
    LOG_WARN("relay_doubt", "reading the log back", log_str("topic", "shop.orders.v1"),
             log_int("partition", 7), log_err(&err), log_view("none", VIEW_NONE));
}

static void say_too_little(void)
{
    LOG_INFO("chatter", "nothing to see");
    LOG_DEBUG("chatter", "less");
}

Test(log, a_line_is_one_json_object_with_what_is_bound_and_what_is_new)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *line = NULL;
    struct err err = {0};
    char text[2048];
    size_t size;

    log_start("orders", "orders-1", LOG_LEVEL_INFO);
    size = capture(text, sizeof text, say_a_fact);

    cr_assert_gt(size, 0);
    cr_expect_eq(text[size - 1], '\n');
    cr_expect_eq(memchr(text, '\n', size), text + size - 1);
    cr_assert_eq(json_parse(&line, view_of(text, size), &arena, &err), ERR_OK, "%s", err.text);
    cr_expect_eq(json_member(line, "ts")->text.size, strlen("2010-12-01T08:26:00.000Z"));
    cr_expect(view_equals(json_member(line, "level")->text, "warn"));
    cr_expect(view_equals(json_member(line, "service")->text, "orders"));
    cr_expect(view_equals(json_member(line, "instance")->text, "orders-1"));
    cr_expect(view_equals(json_member(line, "what")->text, "relay_doubt"));
    cr_expect(view_equals(json_member(line, "msg")->text, "reading the log back"));
    cr_expect(view_equals(json_member(line, "topic")->text, "shop.orders.v1"));
    cr_expect(view_equals(json_member(line, "partition")->text, "7"));
    cr_expect(view_equals(json_member(line, "err")->text, "no \"connection\"\n"));
    cr_expect(view_equals(json_member(line, "none")->text, ""));
}

Test(log, lines_below_the_level_are_not_written)
{
    char text[256];

    log_start("orders", "", LOG_LEVEL_WARN);

    cr_expect_eq(capture(text, sizeof text, say_too_little), 0);
}

Test(log, a_level_has_one_of_four_names)
{
    enum log_level level = LOG_LEVEL_DEBUG;

    cr_expect(log_level_parse("error", &level));
    cr_expect_eq(level, LOG_LEVEL_ERROR);
    cr_expect_not(log_level_parse("ERROR", &level));
    cr_expect_not(log_level_parse("", &level));
}
