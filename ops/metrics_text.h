/* Metrics as parts write them (Prometheus text), read again. */
#ifndef TRADEWIND_OPS_METRICS_TEXT_H
#define TRADEWIND_OPS_METRICS_TEXT_H

#include "runtime/arena.h"

struct metric_sample {
    struct view name;
    struct view labels; /* between the braces: route="/orders",le="0.5"; empty: none */
    double value;
};

struct metric_samples {
    struct metric_sample *samples;
    size_t count;
};

/** All samples of a page; lines that are none are passed over. Views into text; the array lives in
 * the arena. */
struct metric_samples metrics_read(struct view text, struct arena *arena);

/** Sum of all series of a name; 0 when there are none. */
double metrics_sum(const struct metric_samples *samples, const char *name);
bool metrics_has(const struct metric_samples *samples, const char *name);

/** The value of a label of one sample; VIEW_NONE: it has no such label. */
struct view metrics_label(const struct metric_sample *sample, const char *label);

/* A histogram's buckets, cumulative as they are written, in the order of their bounds. */
#define METRICS_BUCKETS_MAX 40

struct metrics_histogram {
    size_t count;
    double bounds_s[METRICS_BUCKETS_MAX]; /* the last is infinite */
    double counts[METRICS_BUCKETS_MAX];
};

/** The buckets of name (without "_bucket"), series with different labels added up. */
struct metrics_histogram metrics_histogram(const struct metric_samples *samples, const char *name);
/** What came on top of before; when the process began again in between, all of now. */
struct metrics_histogram metrics_histogram_since(const struct metrics_histogram *now,
                                                 const struct metrics_histogram *before);
/** The q-quantile in microseconds, between the bounds of its bucket in proportion; -1: nothing was
 * measured. */
int64_t metrics_quantile_us(const struct metrics_histogram *histogram, double q);

#endif
