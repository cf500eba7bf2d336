/* What a payment token makes the sandbox do, the way test cards do. Pure.
 *
 *     tok_approve            yes to everything (tok_approved too)
 *     tok_decline            no to the authorization; tok_decline_<code> gives the code
 *     tok_capture_fail       authorized, but never captured
 *     tok_slow               each answer waits for slow_ms
 *     tok_timeout            each operation is booked, but its first two answers are held back for
 *     tok_timeout_once       lost_ms; here only the first
 *
 * Anything else is no card of ours: declined with unknown_token. */
#ifndef TRADEWIND_OPS_PROVIDER_BEHAVIOUR_H
#define TRADEWIND_OPS_PROVIDER_BEHAVIOUR_H

#include "runtime/bytes.h"

struct behaviour {
    bool declines;
    struct view decline_code; /* view into the token, or a literal */
    bool fails_capture;
    bool is_slow;
    int lost_answers; /* of each operation */
};

struct behaviour behaviour_of(struct view token);

#endif
