#include "consumers/payment/payment_decide.h"
#include "consumers/payment/payment_provider.h"

#include <criterion/criterion.h>

#include <string.h>

#define ORDER VIEW_LITERAL("01JORDER")

/* --- The machine -------------------------------------------------------------------------------
 */

/* One way into each state of the table, as the three things that are stored. */
static const struct {
    enum saga_payment_state state;
    struct payment_memory memory;
} memories[] = {
    {PAYMENT_NONE, {0}},
    {PAYMENT_ASKING, {PAYMENT_NONE, SEEN_CREATED, CALL_AUTHORIZE}},
    {PAYMENT_AUTHORIZED, {PAYMENT_AUTHORIZED, SEEN_CREATED, CALL_NONE}},
    {PAYMENT_DECLINED, {PAYMENT_DECLINED, SEEN_CREATED, CALL_NONE}},
    {PAYMENT_WITHDRAWING, {PAYMENT_NONE, SEEN_CREATED | SEEN_CANCELLED, CALL_AUTHORIZE}},
    {PAYMENT_CAPTURING, {PAYMENT_AUTHORIZED, SEEN_CREATED | SEEN_CONFIRMED, CALL_CAPTURE}},
    {PAYMENT_CAPTURED, {PAYMENT_CAPTURED, SEEN_CREATED | SEEN_CONFIRMED, CALL_NONE}},
    {PAYMENT_FAILED, {PAYMENT_FAILED, SEEN_CREATED | SEEN_CONFIRMED, CALL_NONE}},
    {PAYMENT_REVERSING,
     {PAYMENT_AUTHORIZED, SEEN_CREATED | SEEN_CONFIRMED | SEEN_CANCELLED, CALL_CAPTURE}},
    {PAYMENT_VOIDING, {PAYMENT_AUTHORIZED, SEEN_CREATED | SEEN_CANCELLED, CALL_VOID}},
    {PAYMENT_VOIDED, {PAYMENT_VOIDED, SEEN_CREATED | SEEN_CANCELLED, CALL_NONE}},
    {PAYMENT_REFUNDING,
     {PAYMENT_CAPTURED, SEEN_CREATED | SEEN_CONFIRMED | SEEN_CANCELLED, CALL_REFUND}},
    {PAYMENT_REFUNDED,
     {PAYMENT_REFUNDED, SEEN_CREATED | SEEN_CONFIRMED | SEEN_CANCELLED, CALL_NONE}},
    {PAYMENT_TOMBSTONE, {PAYMENT_TOMBSTONE, SEEN_CANCELLED, CALL_NONE}},
};
#define MEMORY_COUNT (sizeof memories / sizeof memories[0])

static const struct payment_memory *memory_in(int state)
{
    for (size_t i = 0; i < MEMORY_COUNT; i++)
        if ((int)memories[i].state == state)
            return &memories[i].memory;
    cr_assert_fail("no memory for state %d", state);
    return NULL;
}

/* Decide, and go on from there; what is published comes back. */
static enum event_type move(struct payment_memory *memory, enum saga_trigger trigger)
{
    struct payment_decision decision;
    struct err err = {0};

    cr_assert_eq(payment_decide(&decision, memory, trigger, ORDER, &err), ERR_OK, "%s", err.text);
    *memory = decision.next;
    return decision.step->publishes;
}

Test(payment, knows_a_memory_of_every_state_of_the_table)
{
    for (int state = 0; state < SAGA_STATE_MAX; state++)
        if (saga_state_exists(PART_PAYMENT, state))
            cr_expect_eq((int)payment_state(memory_in(state)), state, "state %d", state);
}

Test(payment, follows_every_row_of_the_table)
{
    size_t rows = 0;

    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];
        struct payment_decision decision;
        struct err err = {0};

        if (step->part != PART_PAYMENT)
            continue;
        rows++;
        cr_assert_eq(payment_decide(&decision, memory_in(step->state), step->trigger, ORDER, &err),
                     ERR_OK, "%s: %s", step->because, err.text);
        cr_expect_eq(decision.step, step, "%s", step->because);
        cr_expect_eq((int)payment_state(&decision.next), step->next, "%s", step->because);
    }
    cr_expect_eq(rows, 39);
}

Test(payment, refuses_every_impossible_pair_with_its_reason)
{
    for (size_t i = 0; i < saga_impossible_count; i++) {
        const struct saga_impossible *pair = &saga_impossibles[i];
        struct payment_decision decision;
        struct err err = {0};

        if (pair->part != PART_PAYMENT)
            continue;
        cr_expect_eq(payment_decide(&decision, memory_in(pair->state), pair->trigger, ORDER, &err),
                     ERR_REJECT, "%s", pair->because);
        cr_expect(strstr(err.text, pair->because) != NULL, "%s", err.text);
        cr_expect(strstr(err.text, "01JORDER") != NULL, "%s", err.text);
    }
}

Test(payment, makes_the_call_that_each_step_asks_for)
{
    static const struct {
        enum saga_payment_state in;
        enum saga_trigger sees;
        enum payment_call call;
    } cases[] = {
        {PAYMENT_NONE, TRIGGER_ORDER_CREATED, CALL_AUTHORIZE},
        {PAYMENT_NONE, TRIGGER_ORDER_REMINDED, CALL_AUTHORIZE},
        {PAYMENT_AUTHORIZED, TRIGGER_ORDER_CONFIRMED, CALL_CAPTURE},
        {PAYMENT_AUTHORIZED, TRIGGER_ORDER_CANCELLED, CALL_VOID},
        {PAYMENT_FAILED, TRIGGER_ORDER_CANCELLED, CALL_VOID},
        {PAYMENT_WITHDRAWING, TRIGGER_PROVIDER_YES, CALL_VOID},
        {PAYMENT_REVERSING, TRIGGER_PROVIDER_NO, CALL_VOID},
        {PAYMENT_REVERSING, TRIGGER_PROVIDER_YES, CALL_REFUND},
        {PAYMENT_CAPTURED, TRIGGER_ORDER_CANCELLED, CALL_REFUND},
        {PAYMENT_ASKING, TRIGGER_ORDER_CANCELLED, CALL_NONE},
        {PAYMENT_CAPTURING, TRIGGER_ORDER_CANCELLED, CALL_NONE},
        {PAYMENT_ASKING, TRIGGER_PROVIDER_YES, CALL_NONE},
        {PAYMENT_TOMBSTONE, TRIGGER_ORDER_CREATED, CALL_NONE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct payment_decision decision;

        cr_assert_eq(
            payment_decide(&decision, memory_in((int)cases[i].in), cases[i].sees, ORDER, NULL),
            ERR_OK);
        cr_expect_eq(decision.call, cases[i].call, "case %zu", i);
    }
}

Test(payment, an_event_during_a_call_changes_the_state_and_never_the_call)
{
    struct payment_memory asking = *memory_in(PAYMENT_ASKING);
    struct payment_memory capturing = *memory_in(PAYMENT_CAPTURING);

    move(&asking, TRIGGER_ORDER_CANCELLED);
    move(&capturing, TRIGGER_ORDER_CANCELLED);

    cr_expect_eq(asking.owed, CALL_AUTHORIZE);
    cr_expect_eq(capturing.owed, CALL_CAPTURE);
}

Test(payment, no_call_is_owed_where_the_table_may_rest)
{
    for (size_t i = 0; i < MEMORY_COUNT; i++)
        if (saga_state_is_final(PART_PAYMENT, (int)memories[i].state))
            cr_expect_eq(memories[i].memory.owed, CALL_NONE, "state %d", (int)memories[i].state);
}

Test(payment, the_same_event_twice_is_impossible_not_a_second_call)
{
    static const enum saga_trigger twice[] = {TRIGGER_ORDER_CREATED, TRIGGER_ORDER_CONFIRMED};
    struct payment_memory memory = {0};

    move(&memory, TRIGGER_ORDER_CREATED);
    cr_expect_eq(payment_decide(&(struct payment_decision){0}, &memory, twice[0], ORDER, NULL),
                 ERR_REJECT);
    move(&memory, TRIGGER_PROVIDER_YES);
    move(&memory, TRIGGER_ORDER_CONFIRMED);
    cr_expect_eq(payment_decide(&(struct payment_decision){0}, &memory, twice[1], ORDER, NULL),
                 ERR_REJECT);
}

Test(payment, a_reminder_of_an_order_that_was_heard_of_changes_nothing_it_remembers)
{
    for (size_t i = 0; i < MEMORY_COUNT; i++) {
        struct payment_memory memory = memories[i].memory;

        if (memories[i].state == PAYMENT_NONE)
            continue;
        cr_expect_eq(move(&memory, TRIGGER_ORDER_REMINDED), EVENT_NONE, "%zu", i);
        cr_expect_eq(memory.settled, memories[i].memory.settled, "%zu", i);
        cr_expect_eq(memory.seen, memories[i].memory.seen, "%zu", i);
        cr_expect_eq(memory.owed, memories[i].memory.owed, "%zu", i);
    }
}

Test(payment, a_reminder_of_an_order_that_was_not_heard_of_stands_for_order_created)
{
    struct payment_memory memory = *memory_in(PAYMENT_NONE);

    move(&memory, TRIGGER_ORDER_REMINDED);

    cr_expect_eq(memory.seen, SEEN_CREATED);
    cr_expect_eq(memory.owed, CALL_AUTHORIZE);
}

Test(payment, cancelled_before_created_leaves_a_tombstone_that_never_asks)
{
    struct payment_memory memory = {0};

    cr_expect_eq(move(&memory, TRIGGER_ORDER_CANCELLED), EVENT_PAYMENT_VOIDED);
    cr_expect_eq(move(&memory, TRIGGER_ORDER_CREATED), EVENT_NONE);
    cr_expect_eq(payment_state(&memory), PAYMENT_TOMBSTONE);
    cr_expect_eq(memory.owed, CALL_NONE);
    cr_expect_eq(memory.seen, (unsigned)(SEEN_CREATED | SEEN_CANCELLED));
}

Test(payment, a_capture_that_crossed_the_cancellation_shows_in_the_books_and_goes_back)
{
    struct payment_memory memory = *memory_in(PAYMENT_CAPTURING);

    cr_expect_eq(move(&memory, TRIGGER_ORDER_CANCELLED), EVENT_NONE);
    cr_expect_eq(move(&memory, TRIGGER_PROVIDER_YES), EVENT_PAYMENT_CAPTURED);
    cr_expect_eq(move(&memory, TRIGGER_PROVIDER_DONE), EVENT_PAYMENT_REFUNDED);
    cr_expect_eq(payment_state(&memory), PAYMENT_REFUNDED);
}

Test(payment, an_authorization_that_crossed_the_cancellation_is_voided_without_a_verdict)
{
    struct payment_memory memory = *memory_in(PAYMENT_ASKING);

    cr_expect_eq(move(&memory, TRIGGER_ORDER_CANCELLED), EVENT_NONE);
    cr_expect_eq(move(&memory, TRIGGER_PROVIDER_YES), EVENT_NONE);
    cr_expect_eq(move(&memory, TRIGGER_PROVIDER_DONE), EVENT_PAYMENT_VOIDED);
    cr_expect_eq(payment_state(&memory), PAYMENT_VOIDED);
}

Test(payment, voiding_and_refunding_know_only_done)
{
    cr_expect_eq(payment_trigger_of_answer(CALL_AUTHORIZE, true), TRIGGER_PROVIDER_YES);
    cr_expect_eq(payment_trigger_of_answer(CALL_CAPTURE, false), TRIGGER_PROVIDER_NO);
    cr_expect_eq(payment_trigger_of_answer(CALL_VOID, true), TRIGGER_PROVIDER_DONE);
    cr_expect_eq(payment_trigger_of_answer(CALL_REFUND, true), TRIGGER_PROVIDER_DONE);
}

/* --- The provider's language -------------------------------------------------------------------
 */

Test(payment_provider, each_call_has_its_url_key_and_body)
{
    const struct owed_call calls[] = {
        {.operation = CALL_AUTHORIZE,
         .order_id = VIEW_LITERAL("01J"),
         .amount_minor = 1250,
         .currency = VIEW_LITERAL("GBP"),
         .payment_token = VIEW_LITERAL("tok_approve")},
        {.operation = CALL_CAPTURE,
         .order_id = VIEW_LITERAL("01J"),
         .amount_minor = 1250,
         .currency = VIEW_LITERAL("GBP"),
         .ref = VIEW_LITERAL("auth_7")},
        {.operation = CALL_VOID, .order_id = VIEW_LITERAL("01J"), .ref = VIEW_LITERAL("auth_7")},
        {.operation = CALL_REFUND,
         .order_id = VIEW_LITERAL("01J"),
         .amount_minor = 1250,
         .currency = VIEW_LITERAL("GBP"),
         .ref = VIEW_LITERAL("cap_7")},
    };
    static const struct {
        const char *url, *key, *body;
    } want[] = {
        {"http://p/v1/authorizations", "authorize:01J",
         "{\"merchant_ref\":\"01J\",\"payment_token\":\"tok_approve\",\"amount_minor\":1250,"
         "\"currency\":\"GBP\"}"},
        {"http://p/v1/authorizations/auth_7/capture", "capture:01J",
         "{\"amount_minor\":1250,\"currency\":\"GBP\"}"},
        {"http://p/v1/authorizations/auth_7/void", "void:01J", "{}"},
        {"http://p/v1/captures/cap_7/refund", "refund:01J",
         "{\"amount_minor\":1250,\"currency\":\"GBP\"}"},
    };

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        AUTO(buf_clear) struct buf url = {0};
        AUTO(buf_clear) struct buf key = {0};
        AUTO(buf_clear) struct buf body = {0};

        payment_provider_url(&url, "http://p", &calls[i]);
        payment_provider_key(&key, &calls[i]);
        payment_provider_body(&body, &calls[i]);
        cr_expect_str_eq(buf_cstr(&url), want[i].url);
        cr_expect_str_eq(buf_cstr(&key), want[i].key);
        cr_expect_str_eq(buf_cstr(&body), want[i].body);
    }
}

Test(payment_provider, only_plain_words_are_an_answer)
{
    static const struct {
        enum payment_call call;
        int status;
        const char *body;
        enum provider_says says;
    } cases[] = {
        {CALL_AUTHORIZE, 201, "{\"id\":\"auth_1\",\"status\":\"authorized\"}", PROVIDER_YES},
        {CALL_AUTHORIZE, 200, "{\"id\":\"auth_1\",\"status\":\"authorized\"}", PROVIDER_YES},
        {CALL_AUTHORIZE, 402, "{\"id\":\"auth_1\",\"code\":\"card_declined\"}", PROVIDER_NO},
        {CALL_CAPTURE, 201, "{\"id\":\"cap_1\",\"status\":\"captured\"}", PROVIDER_YES},
        {CALL_CAPTURE, 402, "{\"id\":\"cap_1\"}", PROVIDER_NO},
        {CALL_VOID, 201, "{\"id\":\"void_1\",\"status\":\"voided\"}", PROVIDER_YES},
        {CALL_REFUND, 201, "{\"id\":\"ref_1\",\"status\":\"refunded\"}", PROVIDER_YES},
        /* a time-out is no no */
        {CALL_AUTHORIZE, 0, "", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 503, "{}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 429, "{}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 401, "{}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 409, "{\"id\":\"auth_1\"}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 422, "{\"id\":\"auth_1\"}", PROVIDER_NOTHING},
        /* money that is held or taken comes back: there is no no */
        {CALL_VOID, 402, "{\"id\":\"void_1\"}", PROVIDER_NOTHING},
        {CALL_REFUND, 402, "{\"id\":\"ref_1\"}", PROVIDER_NOTHING},
        /* not its words */
        {CALL_AUTHORIZE, 201, "<html>", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 201, "{\"status\":\"authorized\"}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 201, "{\"id\":\"a/../b\",\"status\":\"authorized\"}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 201, "{\"id\":7,\"status\":\"authorized\"}", PROVIDER_NOTHING},
        {CALL_AUTHORIZE, 201, "{\"id\":\"auth_1\",\"status\":\"pending\"}", PROVIDER_NOTHING},
        {CALL_CAPTURE, 201, "{\"id\":\"cap_1\",\"status\":\"authorized\"}", PROVIDER_NOTHING},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct err err = {0};
        struct provider_answer answer = payment_provider_read(
            cases[i].call, cases[i].status, view_str(cases[i].body), &arena, &err);

        cr_expect_eq(answer.says, cases[i].says, "case %zu: %s", i, err.text);
        cr_expect_eq(answer.says == PROVIDER_NOTHING, err.kind == ERR_RETRY, "case %zu", i);
    }
}

Test(payment_provider, a_no_counts_also_when_its_code_cannot_be_kept)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct err err;
    struct provider_answer no = payment_provider_read(
        CALL_AUTHORIZE, 402, VIEW_LITERAL("{\"id\":\"auth_9\",\"code\":\"a\\u0000b\"}"), &arena,
        &err);

    cr_expect_eq(no.says, PROVIDER_NO);
    cr_expect(view_equals(no.code, "") && no.code.data != NULL);
}

Test(payment_provider, an_answer_brings_its_id_and_the_code_of_a_no)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct provider_answer no = payment_provider_read(
        CALL_AUTHORIZE, 402,
        VIEW_LITERAL("{\"id\":\"auth_9\",\"status\":\"declined\",\"code\":\"insufficient_funds\"}"),
        &arena, NULL);

    cr_expect(view_equals(no.ref, "auth_9"));
    cr_expect(view_equals(no.code, "insufficient_funds"));
}

Test(payment_provider, an_id_is_short_and_plain)
{
    cr_expect(payment_provider_is_id(VIEW_LITERAL("01J8ZQ-a_b")));
    cr_expect_not(payment_provider_is_id(VIEW_LITERAL("")));
    cr_expect_not(payment_provider_is_id(VIEW_NONE));
    cr_expect_not(payment_provider_is_id(VIEW_LITERAL("a b")));
    cr_expect_not(payment_provider_is_id(VIEW_LITERAL("a\r\nX: 1")));
    cr_expect_not(payment_provider_is_id(
        VIEW_LITERAL("12345678901234567890123456789012345678901234567890123456789012345")));
}
