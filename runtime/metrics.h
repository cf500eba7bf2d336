/* Metrics: counters, gauges and histograms that any thread may change, written as Prometheus text.
 *
 * A metric is a static struct of the file that counts; metrics_register makes it visible.
 * Names follow Prometheus: tradewind_<what>_<unit>, counters end in _total, times in _seconds. */
#ifndef TRADEWIND_RUNTIME_METRICS_H
#define TRADEWIND_RUNTIME_METRICS_H

#include "runtime/bytes.h"

#include <stdatomic.h>

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM, /* of durations; bounds are powers of two from 1/4096 s to 64 s */
};

#define METRIC_BUCKETS 20

struct metric {
    enum metric_kind kind;
    const char *name;
    const char *labels; /* `topic="shop.orders.v1",partition="3"` or NULL */
    const char *help;
    _Atomic int64_t value;                   /* counter, gauge; histogram: sum in us */
    _Atomic int64_t buckets[METRIC_BUCKETS]; /* histogram: not cumulative; the last is the rest */
    struct metric *next;
};

#define METRIC(metric_kind, metric_name, metric_help)                                              \
    {                                                                                              \
        .kind = (metric_kind), .name = (metric_name), .help = (metric_help)                        \
    }

/** Show this metric from now on; it must live as long as the process. Once per metric. */
void metric_register(struct metric *metric);
/** The series of this name with these labels; made and registered when it is new. Never freed. */
struct metric *metric_series(enum metric_kind kind, const char *name, const char *help,
                             const char *labels_format, ...) __attribute__((format(printf, 4, 5)));

static inline void metric_add(struct metric *metric, int64_t amount)
{
    atomic_fetch_add_explicit(&metric->value, amount, memory_order_relaxed);
}

static inline void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline int64_t metric_value(const struct metric *metric)
{
    return atomic_load_explicit(&((struct metric *)metric)->value, memory_order_relaxed);
}

void metric_observe_us(struct metric *metric, int64_t duration_us);
/** The upper bound of bucket i in microseconds; INT64_MAX for the last. */
int64_t metric_bucket_bound_us(size_t i);

/** Append all registered metrics in the Prometheus text format, grouped by name; also process_*
 * (resident memory, CPU seconds, open descriptors). */
void metrics_write(struct buf *out);

#endif
