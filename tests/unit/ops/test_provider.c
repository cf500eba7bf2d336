#include "ops/provider/behaviour.h"
#include "ops/provider/book.h"

#include <criterion/criterion.h>

static struct authorization opened(const char *token)
{
    struct authorization authorization = {.number = 1,
                                          .merchant_ref = VIEW_LITERAL("order"),
                                          .payment_token = view_str(token),
                                          .currency = VIEW_LITERAL("GBP"),
                                          .amount_minor = 1000};

    book_apply(&authorization, &(struct operation){.kind = OPERATION_AUTHORIZE});
    return authorization;
}

static struct verdict apply(struct authorization *authorization, enum operation_kind kind,
                            int64_t amount)
{
    return book_apply(
        authorization,
        &(struct operation){.kind = kind, .amount_minor = amount, .currency = VIEW_LITERAL("GBP")});
}

static void expect_violation(struct verdict verdict, const char *code)
{
    cr_expect_eq(verdict.outcome, OUTCOME_VIOLATION, "want %s", code);
    cr_expect(view_equals(verdict.code, code), "%.*s, want %s", VIEW_PRINT(verdict.code), code);
}

Test(provider_book, money_is_held_then_taken_then_given_back)
{
    struct authorization authorization = opened("tok_approve");

    cr_expect_eq(authorization.status, AUTHORIZATION_AUTHORIZED);
    cr_expect_eq(apply(&authorization, OPERATION_CAPTURE, 1000).outcome, OUTCOME_DONE);
    cr_expect_eq(authorization.captured_minor, 1000);
    cr_expect_eq(apply(&authorization, OPERATION_REFUND, 1000).outcome, OUTCOME_DONE);
    cr_expect_eq(authorization.refunded_minor, 1000);
    cr_expect_eq(authorization.status, AUTHORIZATION_REFUNDED);
}

Test(provider_book, a_decline_holds_nothing_and_says_why)
{
    static const struct {
        const char *token, *code;
    } cases[] = {
        {"tok_decline", "card_declined"},
        {"tok_decline_insufficient_funds", "insufficient_funds"},
        {"tok_unheard_of", "unknown_token"},
        {"tok_approve_", "unknown_token"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct authorization authorization = {.payment_token = view_str(cases[i].token)};
        struct verdict verdict =
            book_apply(&authorization, &(struct operation){.kind = OPERATION_AUTHORIZE});

        cr_expect_eq(verdict.outcome, OUTCOME_DECLINED, "%s", cases[i].token);
        cr_expect(view_equals(verdict.code, cases[i].code), "%s", cases[i].token);
        cr_expect_eq(authorization.status, AUTHORIZATION_DECLINED);
        expect_violation(apply(&authorization, OPERATION_CAPTURE, 0), "not_authorized");
        expect_violation(apply(&authorization, OPERATION_VOID, 0), "not_authorized");
    }
}

Test(provider_book, a_capture_that_fails_leaves_the_money_held)
{
    struct authorization authorization = opened("tok_capture_fail");
    struct verdict verdict = apply(&authorization, OPERATION_CAPTURE, 1000);

    cr_expect_eq(verdict.outcome, OUTCOME_DECLINED);
    cr_expect(view_equals(verdict.code, "capture_failed"));
    cr_expect_eq(authorization.captured_minor, 0);
    cr_expect_eq(apply(&authorization, OPERATION_VOID, 0).outcome, OUTCOME_DONE);
}

Test(provider_book, nothing_is_taken_twice_or_above_what_is_held)
{
    struct authorization authorization = opened("tok_approve");

    expect_violation(apply(&authorization, OPERATION_CAPTURE, 1001), "amount_above_authorized");
    cr_expect_eq(authorization.captured_minor, 0);
    apply(&authorization, OPERATION_CAPTURE, 400);
    expect_violation(apply(&authorization, OPERATION_CAPTURE, 400), "already_captured");
    expect_violation(apply(&authorization, OPERATION_VOID, 0), "already_captured");
    cr_expect_eq(authorization.captured_minor, 400);
}

Test(provider_book, nothing_is_given_back_twice_or_above_what_was_taken)
{
    struct authorization authorization = opened("tok_approve");

    expect_violation(apply(&authorization, OPERATION_REFUND, 1), "not_captured");
    apply(&authorization, OPERATION_CAPTURE, 1000);
    cr_expect_eq(apply(&authorization, OPERATION_REFUND, 600).outcome, OUTCOME_DONE);
    cr_expect_eq(authorization.status, AUTHORIZATION_CAPTURED);
    expect_violation(apply(&authorization, OPERATION_REFUND, 401), "amount_above_captured");
    cr_expect_eq(apply(&authorization, OPERATION_REFUND, 400).outcome, OUTCOME_DONE);
    expect_violation(apply(&authorization, OPERATION_REFUND, 1), "already_refunded");
    cr_expect_eq(authorization.refunded_minor, 1000);
}

Test(provider_book, a_voided_authorization_is_over)
{
    struct authorization authorization = opened("tok_approve");

    cr_expect_eq(apply(&authorization, OPERATION_VOID, 0).outcome, OUTCOME_DONE);
    expect_violation(apply(&authorization, OPERATION_VOID, 0), "already_voided");
    expect_violation(apply(&authorization, OPERATION_CAPTURE, 1000), "already_voided");
    expect_violation(apply(&authorization, OPERATION_REFUND, 1), "not_captured");
}

Test(provider_book, another_currency_is_another_money)
{
    struct authorization authorization = opened("tok_approve");
    struct operation operation = {
        .kind = OPERATION_CAPTURE, .amount_minor = 1000, .currency = VIEW_LITERAL("EUR")};

    expect_violation(book_apply(&authorization, &operation), "currency_mismatch");
    apply(&authorization, OPERATION_CAPTURE, 1000);
    operation.kind = OPERATION_REFUND;
    expect_violation(book_apply(&authorization, &operation), "currency_mismatch");
}

Test(provider_book, zero_is_an_amount)
{
    struct authorization authorization = opened("tok_approve");

    authorization.amount_minor = 0;
    cr_expect_eq(apply(&authorization, OPERATION_CAPTURE, 0).outcome, OUTCOME_DONE);
    cr_expect_eq(apply(&authorization, OPERATION_REFUND, 0).outcome, OUTCOME_DONE);
    cr_expect_eq(authorization.status, AUTHORIZATION_REFUNDED);
}

Test(provider_book, names_go_there_and_back)
{
    for (int kind = 0; kind < OPERATION_KIND_COUNT; kind++)
        cr_expect_eq(
            (int)operation_kind_from_name(view_str(operation_kind_name((enum operation_kind)kind))),
            kind);
    for (int status = 0; status < AUTHORIZATION_STATUS_COUNT; status++)
        cr_expect_eq((int)authorization_status_from_name(
                         view_str(authorization_status_name((enum authorization_status)status))),
                     status);
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        cr_expect_eq((int)outcome_from_name(view_str(outcome_name((enum outcome)outcome))),
                     outcome);
    cr_expect_eq(outcome_from_name(VIEW_LITERAL("perhaps")), OUTCOME_COUNT);
}

Test(provider_behaviour, tokens_slow_and_lose_answers)
{
    cr_expect(behaviour_of(VIEW_LITERAL("tok_slow")).is_slow);
    cr_expect_not(behaviour_of(VIEW_LITERAL("tok_slow")).declines);
    cr_expect_eq(behaviour_of(VIEW_LITERAL("tok_timeout")).lost_answers, 2);
    cr_expect_eq(behaviour_of(VIEW_LITERAL("tok_timeout_once")).lost_answers, 1);
    cr_expect_eq(behaviour_of(VIEW_LITERAL("tok_approve")).lost_answers, 0);
}
