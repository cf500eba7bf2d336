/* The table by itself: total, unambiguous, and every state and effect has a way out. */

#include "saga/saga.h"

#include <criterion/criterion.h>

#include <string.h>

static bool has_step(enum saga_part part, int state, enum saga_trigger trigger)
{
    for (enum saga_guard guard = 0; guard < GUARD_COUNT; guard++) {
        if (saga_step(part, state, trigger, guard) != NULL)
            return true;
    }
    return false;
}

Test(saga, knows_every_state_with_every_trigger_its_part_reacts_to)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        for (int state = 0; state < SAGA_STATE_MAX; state++) {
            for (enum saga_trigger trigger = 0; trigger < TRIGGER_COUNT; trigger++) {
                if (!saga_state_exists(part, state) || !saga_reacts(part, trigger))
                    continue;
                cr_expect(has_step(part, state, trigger) !=
                              (saga_impossible(part, state, trigger) != NULL),
                          "%s %s, %s: want a step or the reason why it is impossible, and not both",
                          saga_part_name(part), saga_state_name(part, state),
                          saga_trigger_name(trigger));
            }
        }
    }
}

Test(saga, has_no_row_for_what_a_part_does_not_react_to)
{
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];
        bool is_answer = step->trigger >= TRIGGER_PROVIDER_YES;

        cr_expect(is_answer || saga_reacts(step->part, step->trigger), "%s %s",
                  saga_part_name(step->part), saga_trigger_name(step->trigger));
    }
    for (size_t i = 0; i < saga_impossible_count; i++)
        cr_expect(saga_reacts(saga_impossibles[i].part, saga_impossibles[i].trigger), "%s %s",
                  saga_part_name(saga_impossibles[i].part),
                  saga_trigger_name(saga_impossibles[i].trigger));
}

Test(saga, lets_a_part_react_only_to_events_of_topics_it_reads)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++)
            cr_expect(!saga_reacts(part, saga_trigger_of(type)) ||
                          saga_reads(part, event_topic(type)),
                      "%s does not read %s", saga_part_name(part), event_type_name(type));
    }
}

Test(saga, lets_a_part_publish_only_in_its_own_topic)
{
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->publishes != EVENT_NONE)
            cr_expect_str_eq(topic_writer(event_topic(step->publishes)), saga_part_name(step->part),
                             "%s", event_type_name(step->publishes));
    }
}

Test(saga, has_no_row_that_hides_another)
{
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        cr_expect_eq(saga_step(step->part, step->state, step->trigger, step->guard), step,
                     "row %zu is not the one that is found", i);
    }
}

/* A pair is decided without a question, or by all answers to one question. */
static void expect_one_question(enum saga_part part, int state, enum saga_trigger trigger)
{
    const char *question = NULL;

    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->part != part || step->state != state || step->trigger != trigger)
            continue;
        if (question == NULL)
            question = saga_guard_question(step->guard);
        cr_expect_str_eq(saga_guard_question(step->guard), question, "%s %s, %s asks two questions",
                         saga_part_name(part), saga_state_name(part, state),
                         saga_trigger_name(trigger));
    }
    for (enum saga_guard guard = 0; guard < GUARD_COUNT; guard++) {
        if (question != NULL && strcmp(saga_guard_question(guard), question) == 0)
            cr_expect_not_null(saga_step(part, state, trigger, guard), "%s %s, %s: and when %s?",
                               saga_part_name(part), saga_state_name(part, state),
                               saga_trigger_name(trigger), saga_guard_name(guard));
    }
}

Test(saga, answers_every_question_it_asks)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        for (int state = 0; state < SAGA_STATE_MAX; state++) {
            for (enum saga_trigger trigger = 0; trigger < TRIGGER_COUNT; trigger++) {
                if (saga_state_exists(part, state))
                    expect_one_question(part, state, trigger);
            }
        }
    }
}

/* The states of a part that can be reached from one of them, itself among them. */
static unsigned reachable_from(enum saga_part part, int state)
{
    unsigned reached = 1u << state;
    unsigned before;

    do {
        before = reached;
        for (size_t i = 0; i < saga_step_count; i++) {
            if (saga_steps[i].part == part && (reached & 1u << saga_steps[i].state) != 0)
                reached |= 1u << saga_steps[i].next;
        }
    } while (reached != before);
    return reached;
}

Test(saga, has_a_way_into_every_state_and_a_way_to_an_end_from_it)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        unsigned from_none = reachable_from(part, SAGA_STATE_NONE);
        unsigned final = 0;

        for (int state = 0; state < SAGA_STATE_MAX; state++)
            final |= saga_state_is_final(part, state) ? 1u << state : 0;
        for (int state = 0; state < SAGA_STATE_MAX; state++) {
            if (!saga_state_exists(part, state))
                continue;
            cr_expect((from_none & 1u << state) != 0, "%s: nothing leads to %s",
                      saga_part_name(part), saga_state_name(part, state));
            cr_expect((reachable_from(part, state) & final) != 0, "%s: nothing ends %s",
                      saga_part_name(part), saga_state_name(part, state));
        }
    }
}

Test(saga, can_take_back_every_effect_on_stock_and_money)
{
    static const struct {
        enum saga_action effect;
        enum saga_action undo;
    } pairs[] = {
        {ACTION_HOLD, ACTION_UNHOLD},
        {ACTION_SELL, ACTION_TAKE_BACK},
        {ACTION_ASK, ACTION_VOID},
        {ACTION_CAPTURE, ACTION_REFUND},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_expect_eq(saga_action_undo(pairs[i].effect), pairs[i].undo, "%s",
                     saga_action_name(pairs[i].effect));
    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *effect = &saga_steps[i];
        unsigned later = reachable_from(effect->part, effect->next);
        enum saga_action undo = saga_action_undo(effect->action);
        bool can_undo = undo == ACTION_NOTHING;

        for (size_t j = 0; j < saga_step_count; j++)
            can_undo |= saga_steps[j].part == effect->part && saga_steps[j].action == undo &&
                        (later & 1u << saga_steps[j].state) != 0;
        cr_expect(can_undo, "%s %s: nothing takes back %s", saga_part_name(effect->part),
                  saga_state_name(effect->part, effect->state), saga_action_name(effect->action));
    }
}

Test(saga, gives_every_row_a_reason)
{
    for (size_t i = 0; i < saga_step_count; i++)
        cr_expect(strlen(saga_steps[i].because) > 8, "row %zu", i);
    for (size_t i = 0; i < saga_impossible_count; i++)
        cr_expect(strlen(saga_impossibles[i].because) > 8, "impossible row %zu", i);
}

/* These numbers and names are in databases. Add to the list, never change it. */
Test(saga, keeps_the_numbers_and_names_that_are_stored)
{
    static const struct {
        enum saga_part part;
        int number;
        const char *name;
    } stored[] = {
        {PART_INVENTORY, 0, "none"},      {PART_INVENTORY, 1, "reserved"},
        {PART_INVENTORY, 2, "rejected"},  {PART_INVENTORY, 3, "committed"},
        {PART_INVENTORY, 4, "released"},  {PART_INVENTORY, 5, "tombstone"},
        {PART_INVENTORY, 6, "settled"},   {PART_INVENTORY, 7, "forgotten"},
        {PART_PAYMENT, 0, "none"},        {PART_PAYMENT, 1, "asking"},
        {PART_PAYMENT, 2, "authorized"},  {PART_PAYMENT, 3, "declined"},
        {PART_PAYMENT, 4, "withdrawing"}, {PART_PAYMENT, 5, "capturing"},
        {PART_PAYMENT, 6, "captured"},    {PART_PAYMENT, 7, "failed"},
        {PART_PAYMENT, 8, "reversing"},   {PART_PAYMENT, 9, "voiding"},
        {PART_PAYMENT, 10, "voided"},     {PART_PAYMENT, 11, "refunding"},
        {PART_PAYMENT, 12, "refunded"},   {PART_PAYMENT, 13, "tombstone"},
        {PART_FRAUD, 0, "none"},          {PART_FRAUD, 1, "done"},
        {PART_FRAUD, 2, "tombstone"},     {PART_ORDERS, 0, "none"},
        {PART_ORDERS, 1, "placed"},       {PART_ORDERS, 2, "confirmed"},
        {PART_ORDERS, 3, "fulfilled"},    {PART_ORDERS, 4, "cancelled"},
        {PART_ORDERS, 5, "closed"},       {PART_EMAIL, 0, "none"},
        {PART_EMAIL, 1, "queued"},        {PART_EMAIL, 2, "sent"},
        {PART_EMAIL, 3, "given_up"},
    };
    size_t states = 0;

    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
        cr_expect_str_eq(saga_state_name(stored[i].part, stored[i].number), stored[i].name);
        cr_expect_eq(saga_state_from_name(stored[i].part, stored[i].name), stored[i].number);
    }
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        for (int state = 0; state < SAGA_STATE_MAX; state++)
            states += saga_state_exists(part, state) ? 1 : 0;
    }
    cr_expect_eq(states, sizeof stored / sizeof *stored, "a state is not in this list");
}

Test(saga, has_no_step_for_what_it_does_not_know)
{
    cr_expect_null(saga_step(PART_COUNT, 0, TRIGGER_ORDER_CREATED, GUARD_ALWAYS));
    cr_expect_null(saga_step(PART_PAYMENT, -1, TRIGGER_ORDER_CREATED, GUARD_ALWAYS));
    cr_expect_null(saga_step(PART_PAYMENT, SAGA_STATE_MAX, TRIGGER_ORDER_CREATED, GUARD_ALWAYS));
    cr_expect_null(saga_step(PART_PAYMENT, PAYMENT_NONE, TRIGGER_COUNT, GUARD_ALWAYS));
    cr_expect_null(saga_step(PART_PAYMENT, PAYMENT_NONE, TRIGGER_ORDER_CREATED, GUARD_COUNT));
    cr_expect_null(saga_step(PART_PAYMENT, PAYMENT_NONE, TRIGGER_NONE, GUARD_ALWAYS));
    cr_expect_null(saga_step(PART_INVENTORY, INVENTORY_NONE, TRIGGER_STOCK_RECEIVED, GUARD_ALWAYS));
    cr_expect_eq(saga_part_from_name("warehouse"), PART_NONE);
    cr_expect_eq(saga_state_from_name(PART_FRAUD, "asking"), -1);
    cr_expect_str_eq(saga_state_name(PART_PAYMENT, -1), "unknown");
    cr_expect_str_eq(saga_state_name(PART_PAYMENT, SAGA_STATE_MAX), "unknown");
    cr_expect_str_eq(saga_state_name(PART_FRAUD, SAGA_STATE_MAX - 1), "unknown");
}

Test(saga, finds_a_row_without_a_guard_whatever_the_part_says_it_knows)
{
    const struct saga_step *step =
        saga_step(PART_INVENTORY, INVENTORY_TOMBSTONE, TRIGGER_ORDER_CREATED, GUARD_SHORT);

    cr_assert_not_null(step);
    cr_expect_eq(step->next, INVENTORY_TOMBSTONE);
    cr_expect_null(saga_step(PART_INVENTORY, INVENTORY_NONE, TRIGGER_ORDER_CREATED, GUARD_ALWAYS),
                   "whether the lines are in stock has to be said");
}
