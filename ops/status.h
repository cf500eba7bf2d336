/* What the parts say of themselves right now: the numbers behind `tradewind status`. */
#ifndef TRADEWIND_OPS_STATUS_H
#define TRADEWIND_OPS_STATUS_H

#include "ops/lag.h"
#include "ops/metrics_text.h"
#include "ops/parts.h"

struct part_status {
    const struct ops_part *part;
    const char *address; /* NULL: TRADEWIND_<PART>_HTTP is not set */
    bool reachable, ready;
    const char *not_ready; /* why; "" when it is ready or says nothing */
    const char *instance;
    struct metric_samples metrics;
    int64_t lag;          /* records; -1: reads nothing, or no broker answers */
    int64_t dead_letters; /* rows it has now; -1: not known */
};

struct oldest_order {
    bool exists;
    const char *id;
    const char *state;
    int64_t created_us; /* UTC */
};

struct status {
    struct part_status *parts; /* of ops_parts */
    bool broker_answers;
    struct err broker_err;
    bool orders_answer; /* the order service's database could be asked */
    struct oldest_order oldest;
};

/** Ask all parts for health and metrics, and the broker for lags (lag may be NULL: not asked). */
enum err_kind status_read(struct status *out, struct lag *lag, struct arena *arena,
                          struct err *err);
/** Ask the parts for their dead letters, and the order service's database for the oldest unfinished
 * order. */
void status_read_more(struct status *status, struct arena *arena);

/** Orders without all verdicts, records nobody has read, records not sent, calls and mails that are
 * owed. */
double status_under_way(const struct status *status);

/** Sum of a metric over all parts that answered. */
double status_sum(const struct status *status, const char *metric);

#endif
