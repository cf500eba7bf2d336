/* The rules of the provider's book: what an operation does to an authorization. Pure.
 *
 * The book never takes more than was authorized nor gives back more than was taken, and never
 * twice. Whoever tries has made a mistake that costs money elsewhere: it is refused and recorded as
 * a violation, so that an audit sees it. */
#ifndef TRADEWIND_OPS_PROVIDER_BOOK_H
#define TRADEWIND_OPS_PROVIDER_BOOK_H

#include "runtime/bytes.h"

enum operation_kind {
    OPERATION_AUTHORIZE,
    OPERATION_CAPTURE,
    OPERATION_VOID,
    OPERATION_REFUND,
    OPERATION_KIND_COUNT,
};

/* Stored by name. */
enum authorization_status {
    AUTHORIZATION_NONE, /* not in the book */
    AUTHORIZATION_AUTHORIZED,
    AUTHORIZATION_DECLINED,
    AUTHORIZATION_CAPTURED,
    AUTHORIZATION_VOIDED,
    AUTHORIZATION_REFUNDED, /* all of it */
    AUTHORIZATION_STATUS_COUNT,
};

struct authorization {
    int64_t number;
    enum authorization_status status;
    struct view merchant_ref; /* what the merchant calls it: an order */
    struct view payment_token;
    struct view currency;
    int64_t amount_minor;
    int64_t captured_minor;
    int64_t refunded_minor;
};

/* Stored by name. */
enum outcome {
    OUTCOME_DONE,
    OUTCOME_DECLINED,  /* a business no */
    OUTCOME_VIOLATION, /* of the rules above */
    OUTCOME_COUNT,
};

struct operation {
    enum operation_kind kind;
    int64_t amount_minor; /* void: not looked at */
    struct view currency; /* void: not looked at */
};

struct verdict {
    enum outcome outcome;
    struct view
        code; /* of what was not done; empty else. Lives as long as the authorization's token */
};

/**
 * Apply an operation. authorize fills status from a new authorization's token; the others want one
 * that is in the book. Only OUTCOME_DONE and a declined authorize change it.
 */
struct verdict book_apply(struct authorization *authorization, const struct operation *operation);

const char *operation_kind_name(enum operation_kind kind);
const char *authorization_status_name(enum authorization_status status);
const char *outcome_name(enum outcome outcome);
/** The value of a name, COUNT of its enum when it is none. */
enum operation_kind operation_kind_from_name(struct view name);
enum authorization_status authorization_status_from_name(struct view name);
enum outcome outcome_from_name(struct view name);

#endif
