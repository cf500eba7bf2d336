#include "consumers/email/email_decide.h"
#include "consumers/email/email_letter.h"

#include <criterion/criterion.h>

/* --- The machine ---------------------------------------------------------------------------- */

Test(email, three_events_are_told_and_no_other)
{
    for (enum event_type type = EVENT_NONE; type < EVENT_COUNT; type++) {
        enum mail_kind want = type == EVENT_ORDER_CONFIRMED    ? MAIL_KIND_CONFIRMATION
                              : type == EVENT_ORDER_CANCELLED  ? MAIL_KIND_CANCELLATION
                              : type == EVENT_PAYMENT_REFUNDED ? MAIL_KIND_REFUND
                                                               : MAIL_KIND_UNKNOWN;

        cr_expect_eq(email_kind_of(type), want, "%s", event_type_name(type));
    }
}

Test(email, every_state_and_trigger_is_decided_as_the_table_says)
{
    static const struct {
        enum saga_email_state state;
        enum saga_trigger trigger;
        enum err_kind kind;
        enum saga_email_state next;
        enum event_type publishes;
    } cases[] = {
        {EMAIL_NONE, TRIGGER_ORDER_CONFIRMED, ERR_OK, EMAIL_QUEUED, EVENT_NONE},
        {EMAIL_NONE, TRIGGER_ORDER_CANCELLED, ERR_OK, EMAIL_QUEUED, EVENT_NONE},
        {EMAIL_NONE, TRIGGER_PAYMENT_REFUNDED, ERR_OK, EMAIL_QUEUED, EVENT_NONE},
        {EMAIL_QUEUED, TRIGGER_MAIL_TAKEN, ERR_OK, EMAIL_SENT, EVENT_EMAIL_SENT},
        {EMAIL_QUEUED, TRIGGER_MAIL_GIVEN_UP, ERR_OK, EMAIL_GIVEN_UP, EVENT_EMAIL_FAILED},
        {EMAIL_QUEUED, TRIGGER_ORDER_CONFIRMED, ERR_REJECT, 0, EVENT_NONE},
        {EMAIL_SENT, TRIGGER_ORDER_CANCELLED, ERR_REJECT, 0, EVENT_NONE},
        {EMAIL_SENT, TRIGGER_MAIL_TAKEN, ERR_REJECT, 0, EVENT_NONE},
        {EMAIL_GIVEN_UP, TRIGGER_PAYMENT_REFUNDED, ERR_REJECT, 0, EVENT_NONE},
        {EMAIL_NONE, TRIGGER_MAIL_TAKEN, ERR_REJECT, 0, EVENT_NONE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct saga_step *step = NULL;
        struct err err = {0};

        cr_assert_eq(email_decide(&step, cases[i].state, cases[i].trigger, VIEW_LITERAL("01J"),
                                  MAIL_KIND_CONFIRMATION, &err),
                     cases[i].kind, "case %zu: %s", i, err.text);
        if (cases[i].kind != ERR_OK) {
            cr_expect_not_null(strstr(err.text, "impossible"), "case %zu: %s", i, err.text);
            continue;
        }
        cr_expect_eq(step->next, (int)cases[i].next, "case %zu", i);
        cr_expect_eq(step->publishes, cases[i].publishes, "case %zu", i);
    }
}

Test(email, a_message_id_is_the_same_each_time)
{
    AUTO(arena_clear) struct arena arena = {0};

    cr_expect_str_eq(
        email_message_id(MAIL_KIND_REFUND, VIEW_LITERAL("01JABC"), "example.test", &arena).data,
        "refund.01JABC@example.test");
}

Test(email, a_reason_names_no_address)
{
    AUTO(arena_clear) struct arena arena = {0};

    cr_expect_str_eq(
        email_without_addresses("550 5.1.1 <ada@example.test>: no such user", &arena).data,
        "550 5.1.1 @ no such user");
    cr_expect_str_eq(email_without_addresses("", &arena).data, "");
    cr_expect_str_eq(email_without_addresses(" a  b ", &arena).data, " a  b ");
}

Test(email, a_mail_that_is_not_taken_waits_longer_each_time)
{
    cr_expect_eq(email_pause_us(1), 1000000);
    cr_expect_eq(email_pause_us(2), 2000000);
    cr_expect_eq(email_pause_us(5), 16000000);
    cr_expect_eq(email_pause_us(20), 300000000);
    cr_expect_eq(email_pause_us(INT64_MAX), 300000000);
}

/* --- Letters -------------------------------------------------------------------------------- */

static const struct order_line lines[] = {
    {.code = VIEW_INIT("85123a"), .quantity = 6, .unit_price_minor = 255},
    {.code = VIEW_INIT("<b>\"M\"&'</b>"), .quantity = 1, .unit_price_minor = 123450},
};
static const struct order_created created = {
    .order_id = VIEW_INIT("01JABC"),
    .currency = VIEW_INIT("GBP"),
    .lines = lines,
    .lines_count = 2,
    .total_minor = 124980,
};

static struct letter letter_of(struct letter_facts facts, struct arena *arena)
{
    struct letter letter;

    facts.shop = "Tradewind";
    if (facts.created == NULL)
        facts.created = &created;
    letter_write(&letter, &facts, arena);
    return letter;
}

static void expect_both(const struct letter *letter, const char *part)
{
    cr_expect_not_null(strstr(letter->text, part), "text without \"%s\":\n%s", part, letter->text);
    cr_expect_not_null(strstr(letter->html, part), "html without \"%s\":\n%s", part, letter->html);
}

Test(letter, a_confirmation_has_the_lines_and_the_total)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct letter letter = letter_of(
        (struct letter_facts){.kind = MAIL_KIND_CONFIRMATION, .name = VIEW_LITERAL("Ada")}, &arena);

    cr_expect_str_eq(letter.subject, "Your order is confirmed (01JABC)");
    expect_both(&letter, "Hello Ada,");
    expect_both(&letter, "01JABC");
    expect_both(&letter, "85123a");
    expect_both(&letter, "GBP 2.55");
    expect_both(&letter, "GBP 15.30");
    expect_both(&letter, "GBP 1,249.80");
    expect_both(&letter, "Tradewind");
    cr_expect_not_null(strstr(letter.text, "  6 x 85123a at GBP 2.55: GBP 15.30\n"));
}

Test(letter, what_comes_from_outside_is_escaped_in_html_and_plain_in_text)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct letter letter =
        letter_of((struct letter_facts){.kind = MAIL_KIND_CONFIRMATION,
                                        .name = VIEW_LITERAL("<script>alert('x')</script>")},
                  &arena);

    cr_expect_null(strstr(letter.html, "<script>"));
    cr_expect_null(strstr(letter.html, "<b>"));
    cr_expect_not_null(strstr(letter.html, "Hello &lt;script&gt;alert(&#39;x&#39;)"));
    cr_expect_not_null(strstr(letter.html, "&lt;b&gt;&quot;M&quot;&amp;&#39;&lt;/b&gt;"));
    cr_expect_not_null(strstr(letter.text, "<b>\"M\"&'</b>"));
}

Test(letter, each_reason_of_a_cancellation_is_told_in_its_own_words)
{
    AUTO(arena_clear) struct arena arena = {0};
    const char *seen[CANCEL_REASON_COUNT];

    for (enum cancel_reason reason = 0; reason < CANCEL_REASON_COUNT; reason++) {
        struct letter letter = letter_of((struct letter_facts){.kind = MAIL_KIND_CANCELLATION,
                                                               .reason = reason,
                                                               .was = ORDER_STAGE_PLACED},
                                         &arena);

        seen[reason] = letter.text;
        for (enum cancel_reason other = 0; other < reason; other++)
            cr_expect_str_neq(letter.text, seen[other], "%s reads like %s",
                              cancel_reason_name(reason), cancel_reason_name(other));
        cr_expect_null(strstr(letter.text, "fraud"), "suspicion is told");
    }
}

Test(letter, a_cancellation_says_what_happens_to_the_money)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct letter placed = letter_of((struct letter_facts){.kind = MAIL_KIND_CANCELLATION,
                                                           .reason = CANCEL_REASON_CUSTOMER,
                                                           .was = ORDER_STAGE_PLACED},
                                     &arena);
    struct letter fulfilled = letter_of((struct letter_facts){.kind = MAIL_KIND_CANCELLATION,
                                                              .reason = CANCEL_REASON_CUSTOMER,
                                                              .was = ORDER_STAGE_FULFILLED},
                                        &arena);

    expect_both(&placed, "You have not been charged.");
    expect_both(&fulfilled, "the money is on its way back");
}

Test(letter, a_refund_names_the_amount_in_its_currency)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct letter letter = letter_of((struct letter_facts){.kind = MAIL_KIND_REFUND,
                                                           .amount_minor = 5000,
                                                           .currency = VIEW_LITERAL("JPY")},
                                     &arena);

    expect_both(&letter, "We have refunded JPY 5,000 for your order.");
    expect_both(&letter, "Hello,");
    cr_expect_null(strstr(letter.text, "85123a"), "a refund has no lines");
}

Test(letter, an_order_of_a_thousand_lines_is_cut)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct order_line many[1000];
    struct order_created order = created;
    struct letter letter;

    for (size_t i = 0; i < 1000; i++)
        many[i] = lines[0];
    order.lines = many;
    order.lines_count = 1000;
    letter =
        letter_of((struct letter_facts){.kind = MAIL_KIND_CONFIRMATION, .created = &order}, &arena);

    expect_both(&letter, "and 800 more");
    cr_expect_lt(strlen(letter.html), 100000);
}
