#include "events/host.h"

#include <criterion/criterion.h>

#define COUNT 6

static int answers[COUNT];
static struct command commands[COUNT];

static void note_answer(struct command *command, enum err_kind outcome, const struct err *err)
{
    (void)err;
    cr_assert_eq(outcome, ERR_RETRY);
    answers[command - commands]++;
}

/* An item for each command but the first, which is a record's. */
static void fill(struct item *items)
{
    for (size_t i = 0; i < COUNT; i++) {
        answers[i] = 0;
        commands[i] = (struct command){.expires_ms = 1000, .done = note_answer};
        items[i] = (struct item){.command = i == 0 ? NULL : &commands[i]};
    }
}

Test(items, a_command_that_moved_up_when_others_left_is_answered_once)
{
    struct item items[COUNT];
    size_t left;

    fill(items);
    commands[2].expires_ms = 10;
    commands[3].expires_ms = 10;

    left = items_expire(items, COUNT, 10);

    cr_assert_eq(left, COUNT - 2);
    cr_expect_null(items[0].command);
    cr_expect_eq(items[1].command, &commands[1]);
    cr_expect_eq(items[2].command, &commands[4]);
    cr_expect_eq(items[3].command, &commands[5]);

    items_refuse(items, COUNT, "leaving"); /* all that the unit began with */

    for (size_t i = 1; i < COUNT; i++)
        cr_expect_eq(answers[i], 1, "command %zu was answered %d times", i, answers[i]);
    items_refuse(items, COUNT, "leaving");
    cr_expect_eq(answers[5], 1, "who was answered is not answered again");
}

Test(items, a_command_without_a_limit_does_not_expire)
{
    struct item items[COUNT];

    fill(items);
    commands[2].expires_ms = 0;

    cr_expect_eq(items_expire(items, COUNT, INT64_MAX), 2);
    cr_expect_eq(items[1].command, &commands[2]);
    cr_expect_eq(answers[2], 0);
}
