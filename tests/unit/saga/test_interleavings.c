/* Every way one order can go, under the real table: nothing unlisted turns up, and every end is
 * good. And under tables with one thing wrong, to see that something is noticed. */

#include "tests/unit/saga/model.h"

#include <criterion/criterion.h>

static const struct model_freedom no_freedom;
static const struct model_freedom only_nudge = {.nudge = true};
static const struct model_freedom without_letters = {.customer_cancels = true, .deadline = true};
static const struct model_freedom without_nudge = {
    .customer_cancels = true, .deadline = true, .letters = true};
static const struct model_freedom full_freedom = {
    .customer_cancels = true, .deadline = true, .letters = true, .nudge = true};

Test(interleavings, end_well_whatever_is_cancelled_late_or_dropped)
{
    static const struct {
        const char *name;
        const struct model_freedom *freedom;
    } cases[] = {
        {"every part answers", &no_freedom},
        {"cancel and deadline at any moment", &without_letters},
        {"and any order.created dropped, and redriven at any moment", &without_nudge},
        {"and nudged at any moment", &full_freedom},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_report report;

        model_explore(cases[i].freedom, NULL, NULL, &report);

        cr_log_info("%s: %zu states, %zu ends", cases[i].name, report.states, report.ends);
        cr_expect_str_empty(report.problem, "%s: %s", cases[i].name, report.problem);
    }
}

Test(interleavings, take_every_row_of_the_table)
{
    struct model_report report;

    model_explore(&full_freedom, NULL, NULL, &report);

    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        cr_expect(report.taken[i], "%s %s, %s %s: nothing leads there", saga_part_name(step->part),
                  saga_state_name(step->part, step->state), saga_trigger_name(step->trigger),
                  saga_guard_name(step->guard));
    }
}

/* With `row` changed to `instead` (NULL: taken away), something has to go wrong. */
static void expect_noticed(const struct saga_step *row, const struct saga_step *instead,
                           const char *change)
{
    /* The small worlds first. */
    static const struct model_freedom *const ladder[] = {&no_freedom, &only_nudge, &without_nudge,
                                                         &full_freedom};
    const struct model_mutant mutant = {.row = row, .instead = instead};
    struct model_report report;

    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        model_explore(ladder[i], &mutant, NULL, &report);
        if (report.problem[0] != '\0')
            break;
    }
    cr_expect(report.problem[0] != '\0', "%s %s, %s %s: nobody notices that it %s",
              saga_part_name(row->part), saga_state_name(row->part, row->state),
              saga_trigger_name(row->trigger), saga_guard_name(row->guard), change);
}

Test(interleavings, notice_every_row_that_is_missing)
{
    for (size_t i = 0; i < saga_step_count; i++)
        expect_noticed(&saga_steps[i], NULL, "is missing");
}

Test(interleavings, notice_every_event_that_is_not_published)
{
    for (size_t i = 0; i < saga_step_count; i++) {
        struct saga_step mute = saga_steps[i];

        mute.publishes = EVENT_NONE;
        if (saga_steps[i].publishes != EVENT_NONE)
            expect_noticed(&saga_steps[i], &mute, "publishes nothing");
    }
}

Test(interleavings, notice_every_state_that_is_not_left)
{
    for (size_t i = 0; i < saga_step_count; i++) {
        struct saga_step stuck = saga_steps[i];

        stuck.next = stuck.state;
        if (saga_steps[i].next != saga_steps[i].state)
            expect_noticed(&saga_steps[i], &stuck, "stays where it is");
    }
}

Test(interleavings, notice_every_effect_that_is_left_out)
{
    for (size_t i = 0; i < saga_step_count; i++) {
        struct saga_step idle = saga_steps[i];
        bool has_effect = idle.action != ACTION_NOTHING && idle.action != ACTION_REMEMBER &&
                          idle.action != ACTION_FORGET;

        idle.action = ACTION_NOTHING;
        if (has_effect)
            expect_noticed(&saga_steps[i], &idle, "does nothing");
    }
}

Test(interleavings, end_badly_when_a_decision_is_dropped)
{
    static const struct model_drop drops[] = {
        {PART_INVENTORY, EVENT_ORDER_CONFIRMED},
        {PART_INVENTORY, EVENT_ORDER_CANCELLED},
        {PART_PAYMENT, EVENT_ORDER_CONFIRMED},
        {PART_PAYMENT, EVENT_ORDER_CANCELLED},
    };

    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) {
        struct model_report report;

        model_explore(&without_letters, NULL, &drops[i], &report);

        cr_expect(report.problem[0] != '\0', "%s can do without %s after all",
                  saga_part_name(drops[i].part), event_type_name(drops[i].type));
        cr_expect_null(saga_drop(drops[i].part, drops[i].type));
    }
}
