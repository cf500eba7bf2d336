#include "runtime/delivery.h"
#include "runtime/store.h"

#include <criterion/criterion.h>

static struct receiver receiver_with(uint64_t high_water)
{
    struct receiver receiver;

    receiver_start(&receiver, high_water, (int64_t)high_water, false);
    return receiver;
}

Test(receiver, applies_the_next_number_and_no_other)
{
    struct receiver receiver = receiver_with(10);

    cr_expect_eq(receiver_read(&receiver, 10, 10), RECEIVER_DUPLICATE);
    cr_expect_eq(receiver_read(&receiver, 12, 11), RECEIVER_GAP);
    cr_expect_eq(receiver_read(&receiver, 11, 12), RECEIVER_APPLY);
    cr_expect_eq(receiver_read(&receiver, 11, 13), RECEIVER_DUPLICATE);
    cr_expect_eq(receiver_read(&receiver, 12, 14), RECEIVER_APPLY);
    cr_expect_eq(receiver.high_water, 12);
}

Test(receiver, stores_a_position_below_the_first_record_that_a_gap_dropped)
{
    struct receiver receiver = receiver_with(10);

    receiver_read(&receiver, 11, 20);
    receiver_read(&receiver, 13, 21);
    receiver_read(&receiver, 14, 22);

    cr_expect_eq(receiver_position(&receiver), 21);
    receiver_read(&receiver, 12, 23);
    cr_expect_eq(receiver_position(&receiver), 24);
}

Test(receiver, looks_back_once_and_then_asks_once_a_second)
{
    struct receiver receiver = receiver_with(10);

    receiver_read(&receiver, 12, 11);

    cr_expect_eq(receiver_tick(&receiver, 5000), RECEIVER_LOOK_BACK);
    cr_expect_eq(receiver_tick(&receiver, 5100), RECEIVER_NOTHING);
    cr_expect_eq(receiver_tick(&receiver, 6000), RECEIVER_NACK);
    cr_expect_eq(receiver_tick(&receiver, 6900), RECEIVER_NOTHING);
    cr_expect_eq(receiver_tick(&receiver, 7000), RECEIVER_NACK);
    receiver_read(&receiver, 11, 13);
    cr_expect_eq(receiver_tick(&receiver, 9000), RECEIVER_NOTHING);
}

Test(receiver, a_new_group_starts_at_the_first_number_of_the_log)
{
    struct receiver receiver;

    receiver_start(&receiver, 0, -1, true);

    cr_expect_eq(receiver_read(&receiver, 41, 100), RECEIVER_APPLY);
    cr_expect_eq(receiver_read(&receiver, 42, 101), RECEIVER_APPLY);
    cr_expect_eq(receiver_read(&receiver, 1, 102), RECEIVER_DUPLICATE);
}

Test(receiver, a_new_group_misses_a_first_record_that_never_came)
{
    struct receiver receiver;

    receiver_start(&receiver, 0, -1, true);

    cr_expect_eq(receiver_read(&receiver, 2, 0), RECEIVER_GAP);
    cr_expect_eq(receiver_position(&receiver), -1);
    cr_expect_eq(receiver_read(&receiver, 1, 1), RECEIVER_APPLY);
    cr_expect_eq(receiver_read(&receiver, 2, 2), RECEIVER_APPLY);
}

Test(receiver, a_lagging_reader_asks_for_nothing)
{
    struct receiver receiver = receiver_with(10);

    receiver_heartbeat(&receiver, 15, 1000);

    cr_expect_eq(receiver_tick(&receiver, 1100), RECEIVER_NOTHING);
    for (uint64_t n = 11; n <= 15; n++)
        receiver_read(&receiver, n, (int64_t)n);
    receiver_at_end(&receiver, 1200);
    cr_expect_eq(receiver_tick(&receiver, 9000), RECEIVER_NOTHING);
}

Test(receiver, a_lost_tail_is_asked_for_when_the_end_was_read_and_the_heartbeat_claims_more)
{
    struct receiver receiver = receiver_with(10);

    receiver_at_end(&receiver, 500);
    receiver_heartbeat(&receiver, 12, 1000);
    cr_expect_eq(receiver_tick(&receiver, 1500), RECEIVER_NOTHING);
    cr_expect_eq(receiver_tick(&receiver, 3000), RECEIVER_ASK_END);
    receiver_at_end(&receiver, 3001);

    cr_expect_eq(receiver_tick(&receiver, 3100), RECEIVER_LOOK_BACK);
    cr_expect_eq(receiver_tick(&receiver, 4100), RECEIVER_NACK);
    cr_expect_eq(receiver_read(&receiver, 11, 30), RECEIVER_APPLY);
}

Test(receiver, a_record_that_does_not_decode_is_asked_for_once_more_and_no_more)
{
    struct receiver receiver = receiver_with(10);

    cr_assert_eq(receiver_read(&receiver, 11, 11), RECEIVER_APPLY);
    cr_expect(receiver_undecodable(&receiver, 11));
    cr_expect_eq(receiver.high_water, 10);
    cr_expect_eq(receiver_position(&receiver), 11);
    cr_expect_eq(receiver_read(&receiver, 12, 12), RECEIVER_GAP);
    cr_expect_eq(receiver_tick(&receiver, 5000), RECEIVER_NACK);

    cr_assert_eq(receiver_read(&receiver, 11, 13), RECEIVER_APPLY);
    cr_expect_not(receiver_undecodable(&receiver, 13));
    cr_expect_eq(receiver.high_water, 11);
}

Test(receiver, the_same_undecodable_record_read_again_is_no_second_try)
{
    struct receiver receiver = receiver_with(10);

    cr_assert_eq(receiver_read(&receiver, 11, 11), RECEIVER_APPLY);
    cr_assert(receiver_undecodable(&receiver, 11));

    cr_assert_eq(receiver_read(&receiver, 11, 11), RECEIVER_APPLY);
    cr_expect(receiver_undecodable(&receiver, 11));
    cr_expect_eq(receiver.high_water, 10);
    cr_assert_eq(receiver_read(&receiver, 11, 13), RECEIVER_APPLY);
    cr_expect_not(receiver_undecodable(&receiver, 13));
}

Test(receiver, what_the_writer_has_no_more_is_read_again_where_it_lies_and_that_is_the_last_try)
{
    struct receiver receiver = receiver_with(10);

    cr_assert_eq(receiver_read(&receiver, 11, 11), RECEIVER_APPLY);
    cr_assert(receiver_undecodable(&receiver, 11));
    cr_assert_eq(receiver_read(&receiver, 12, 12), RECEIVER_GAP);
    cr_assert_eq(receiver_tick(&receiver, 5000), RECEIVER_NACK);

    receiver_gone(&receiver, 11);

    cr_expect_eq(receiver_tick(&receiver, 5100), RECEIVER_LOOK_BACK);
    cr_expect_eq(receiver_position(&receiver), 11);
    cr_assert_eq(receiver_read(&receiver, 11, 11), RECEIVER_APPLY);
    cr_expect_not(receiver_undecodable(&receiver, 11));
    cr_expect_eq(receiver.high_water, 11);
}

Test(receiver, a_record_that_never_came_stays_missing_though_its_writer_has_it_no_more)
{
    struct receiver receiver = receiver_with(10);

    receiver_read(&receiver, 12, 12);
    receiver_tick(&receiver, 5000);
    receiver_gone(&receiver, 11);
    receiver_gone(&receiver, 12);

    cr_expect_eq(receiver_tick(&receiver, 6000), RECEIVER_NACK);
    cr_expect_eq(receiver_read(&receiver, 12, 12), RECEIVER_GAP);
}

static struct sender sender_after(uint64_t run, int64_t end)
{
    struct sender sender = {0};

    sender_start(&sender);
    sender_read_back(&sender, run, end);
    return sender;
}

Test(sender, sends_nothing_before_its_log_was_read_back)
{
    struct sender sender = {0};

    sender_start(&sender);

    cr_expect_not(sender_send(&sender, 1));
    cr_expect_eq(sender_wants(&sender, 5), 0);
    cr_expect(sender_may_read_back(&sender));
    sender_read_back(&sender, 3, 3);
    cr_expect_eq(sender_wants(&sender, 5), 4);
}

Test(sender, sends_in_number_order_and_nothing_else)
{
    struct sender sender = sender_after(3, 3);

    cr_expect_not(sender_send(&sender, 5));
    cr_expect(sender_send(&sender, 4));
    cr_expect_not(sender_send(&sender, 4));
    cr_expect(sender_send(&sender, 5));
}

Test(sender, published_moves_over_the_unbroken_run)
{
    struct sender sender = sender_after(3, 3);

    for (uint64_t n = 4; n <= 6; n++)
        sender_send(&sender, n);
    sender_acknowledged(&sender, sender.generation, 4, 3);
    cr_expect_eq(sender.published, 4);
    sender_acknowledged(&sender, sender.generation, 5, 4);
    cr_expect_eq(sender.published, 5);
}

Test(sender, an_error_or_an_old_offset_is_a_doubt_until_nothing_is_under_way)
{
    struct sender sender = sender_after(3, 10);

    sender_send(&sender, 4);
    sender_send(&sender, 5);
    sender_acknowledged(&sender, sender.generation, 4, 7);
    cr_expect(sender.doubt);
    cr_expect_not(sender_may_read_back(&sender));
    sender_failed(&sender, sender.generation - 1);
    cr_expect(sender_may_read_back(&sender));
    cr_expect_eq(sender.published, 3);
}

Test(sender, a_shorter_log_is_a_doubt)
{
    struct sender sender = sender_after(3, 10);

    cr_expect_not(sender_end_is(&sender, 10));
    cr_expect(sender_end_is(&sender, 9));
    cr_expect(sender.doubt);
}

Test(sender, a_nack_moves_back_never_forward_and_once_a_second)
{
    struct sender sender = sender_after(8, 8);

    cr_expect_not(sender_nack(&sender, 9, 1000));
    cr_expect(sender_nack(&sender, 5, 1000));
    cr_expect_eq(sender_wants(&sender, 8), 5);
    sender_send(&sender, 5);
    cr_expect_not(sender_nack(&sender, 5, 1500));
    cr_expect(sender_nack(&sender, 5, 2000));
    cr_expect_eq(sender.published, 8);
}

Test(number_run, is_what_an_unbroken_reader_reaches)
{
    static const uint64_t log[] = {7, 5, 6, 7, 8, 10, 11, 9, 10};
    struct number_run run = {0};

    for (size_t i = 0; i < sizeof log / sizeof log[0]; i++)
        number_run_read(&run, log[i], (int64_t)i);

    cr_expect_eq(run.run, 10);
    cr_expect_eq(run.highest, 11);
}

Test(read_back, begins_a_minute_and_all_that_can_be_under_way_before_the_end)
{
    cr_expect_eq(read_back_start(0, 0), 0);
    cr_expect_eq(read_back_start(5, 6), 0, "the one record of the minute may lie behind a hole");
    cr_expect_eq(read_back_start(20000, 50000), 20000);
    cr_expect_eq(read_back_start(49999, 50000), 39999);
}

Test(number_run, of_a_whole_log_begins_with_1)
{
    struct number_run run = {.whole = true};

    number_run_read(&run, 2, 0);
    number_run_read(&run, 3, 1);
    cr_expect_eq(number_run_of_log(&run, 0, 2, 0), 0);
    number_run_read(&run, 1, 2);
    number_run_read(&run, 2, 3);
    cr_expect_eq(number_run_of_log(&run, 0, 4, 0), 2);
}

Test(number_run, ends_behind_what_was_written_while_it_was_read)
{
    struct number_run run = {.whole = true};

    cr_expect_eq(number_run_end(&run, 5), 5, "nothing was read");
    number_run_read(&run, 1, 4);
    cr_expect_eq(number_run_end(&run, 5), 5);
    number_run_read(&run, 2, 5);
    cr_expect_eq(number_run_end(&run, 5), 6);
}

Test(mark, a_unit_goes_on_exactly_behind_what_is_stored)
{
    const struct mark stored = {.epoch = 3, .high_water = 10, .next_offset = 10};
    const struct mark fresh = {.epoch = 3, .next_offset = -1, .fresh = true};
    const struct mark next = {.epoch = 3, .high_water = 12, .first = 11};
    const struct mark again = {.epoch = 3, .high_water = 10, .first = 9};
    const struct mark later = {.epoch = 3, .high_water = 14, .first = 13};
    const struct mark none = {.epoch = 3, .high_water = 7};

    cr_expect_eq(mark_moved_by(&stored, &next), 0);
    cr_expect_eq(mark_moved_by(&stored, &again), 2);
    cr_expect_eq(mark_moved_by(&stored, &later), -2);
    cr_expect_eq(mark_moved_by(&stored, &none), 0, "records outside the sequence only");
    cr_expect_eq(mark_moved_by(&fresh, &later), 0, "a new group begins anywhere");
}
