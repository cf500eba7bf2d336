/* What makes this provider a sandbox: knobs that tests turn while it runs. Any thread. */
#ifndef TRADEWIND_OPS_PROVIDER_SANDBOX_H
#define TRADEWIND_OPS_PROVIDER_SANDBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sandbox {
    _Atomic int64_t latency_ms; /* of every answer, after the commit */
    _Atomic int64_t slow_ms;    /* on top, for tok_slow */
    _Atomic int64_t
        lost_ms;      /* on top, for an answer that is to be lost: longer than anybody waits */
    atomic_bool down; /* 503 to everything, nothing is booked */
};

#endif
