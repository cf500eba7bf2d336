#include "ops/provider/book.h"

#include "ops/provider/behaviour.h"

static const struct verdict done = {.outcome = OUTCOME_DONE, .code = {"", 0}};

static struct verdict declined(struct view code)
{
    return (struct verdict){.outcome = OUTCOME_DECLINED, .code = code};
}

static struct verdict violation(const char *code)
{
    return (struct verdict){.outcome = OUTCOME_VIOLATION, .code = view_str(code)};
}

static struct verdict authorize(struct authorization *authorization)
{
    struct behaviour behaviour = behaviour_of(authorization->payment_token);

    if (behaviour.declines) {
        authorization->status = AUTHORIZATION_DECLINED;
        return declined(behaviour.decline_code);
    }
    authorization->status = AUTHORIZATION_AUTHORIZED;
    return done;
}

/* Why money that is not held any more, or never was, can be neither taken nor let go. */
static struct verdict not_held(const struct authorization *authorization)
{
    switch (authorization->status) {
    case AUTHORIZATION_CAPTURED:
    case AUTHORIZATION_REFUNDED:
        return violation("already_captured");
    case AUTHORIZATION_VOIDED:
        return violation("already_voided");
    case AUTHORIZATION_NONE:
    case AUTHORIZATION_AUTHORIZED:
    case AUTHORIZATION_DECLINED:
    case AUTHORIZATION_STATUS_COUNT:
        break;
    }
    return violation("not_authorized");
}

static struct verdict capture(struct authorization *authorization,
                              const struct operation *operation)
{
    if (authorization->status != AUTHORIZATION_AUTHORIZED)
        return not_held(authorization);
    if (!view_equal(operation->currency, authorization->currency))
        return violation("currency_mismatch");
    if (operation->amount_minor > authorization->amount_minor)
        return violation("amount_above_authorized");
    if (behaviour_of(authorization->payment_token).fails_capture)
        return declined(VIEW_LITERAL("capture_failed"));
    authorization->captured_minor = operation->amount_minor;
    authorization->status = AUTHORIZATION_CAPTURED;
    return done;
}

static struct verdict let_go(struct authorization *authorization)
{
    if (authorization->status != AUTHORIZATION_AUTHORIZED)
        return not_held(authorization);
    authorization->status = AUTHORIZATION_VOIDED;
    return done;
}

static struct verdict refund(struct authorization *authorization, const struct operation *operation)
{
    if (authorization->status == AUTHORIZATION_REFUNDED)
        return violation("already_refunded");
    if (authorization->status != AUTHORIZATION_CAPTURED)
        return violation("not_captured");
    if (!view_equal(operation->currency, authorization->currency))
        return violation("currency_mismatch");
    if (operation->amount_minor > authorization->captured_minor - authorization->refunded_minor)
        return violation("amount_above_captured");
    authorization->refunded_minor += operation->amount_minor;
    if (authorization->refunded_minor == authorization->captured_minor)
        authorization->status = AUTHORIZATION_REFUNDED;
    return done;
}

struct verdict book_apply(struct authorization *authorization, const struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_AUTHORIZE:
        return authorize(authorization);
    case OPERATION_CAPTURE:
        return capture(authorization, operation);
    case OPERATION_VOID:
        return let_go(authorization);
    case OPERATION_REFUND:
        return refund(authorization, operation);
    case OPERATION_KIND_COUNT:
        break;
    }
    return violation("unknown_operation");
}

/* --- Names ------------------------------------------------------------------------------------ */

static const char *const kind_names[OPERATION_KIND_COUNT] = {
    [OPERATION_AUTHORIZE] = "authorize",
    [OPERATION_CAPTURE] = "capture",
    [OPERATION_VOID] = "void",
    [OPERATION_REFUND] = "refund",
};

static const char *const status_names[AUTHORIZATION_STATUS_COUNT] = {
    [AUTHORIZATION_NONE] = "none",         [AUTHORIZATION_AUTHORIZED] = "authorized",
    [AUTHORIZATION_DECLINED] = "declined", [AUTHORIZATION_CAPTURED] = "captured",
    [AUTHORIZATION_VOIDED] = "voided",     [AUTHORIZATION_REFUNDED] = "refunded",
};

static const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_DONE] = "done",
    [OUTCOME_DECLINED] = "declined",
    [OUTCOME_VIOLATION] = "violation",
};

static int find_name(const char *const *names, int count, struct view name)
{
    int i = 0;

    while (i < count && !view_equals(name, names[i]))
        i++;
    return i;
}

const char *operation_kind_name(enum operation_kind kind)
{
    return kind_names[kind];
}

const char *authorization_status_name(enum authorization_status status)
{
    return status_names[status];
}

const char *outcome_name(enum outcome outcome)
{
    return outcome_names[outcome];
}

enum operation_kind operation_kind_from_name(struct view name)
{
    return (enum operation_kind)find_name(kind_names, OPERATION_KIND_COUNT, name);
}

enum authorization_status authorization_status_from_name(struct view name)
{
    return (enum authorization_status)find_name(status_names, AUTHORIZATION_STATUS_COUNT, name);
}

enum outcome outcome_from_name(struct view name)
{
    return (enum outcome)find_name(outcome_names, OUTCOME_COUNT, name);
}
