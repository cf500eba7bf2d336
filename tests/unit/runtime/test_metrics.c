#include "runtime/metrics.h"

#include <criterion/criterion.h>

static struct metric plain = METRIC(METRIC_COUNTER, "tradewind_plain_total", "A counter.");

Test(metrics, series_of_a_name_stand_together_under_one_head)
{
    AUTO(buf_clear) struct buf out = {0};
    struct metric *one =
        metric_series(METRIC_GAUGE, "tradewind_lag", "Lag.", "partition=\"%d\"", 1);

    metric_register(&plain);
    metric_set(one, -4);
    metric_set(metric_series(METRIC_GAUGE, "tradewind_lag", "Lag.", "partition=\"%d\"", 0), 9);
    metric_add(&plain, 2);
    metric_add(&plain, 3);
    metrics_write(&out);

    cr_expect(strstr(buf_cstr(&out), "# HELP tradewind_lag Lag.\n"
                                     "# TYPE tradewind_lag gauge\n"
                                     "tradewind_lag{partition=\"0\"} 9\n"
                                     "tradewind_lag{partition=\"1\"} -4\n"
                                     "# HELP tradewind_plain_total A counter.\n"
                                     "# TYPE tradewind_plain_total counter\n"
                                     "tradewind_plain_total 5\n") != NULL,
              "%s", out.data);
    cr_expect(strstr(out.data, "\nprocess_resident_memory_bytes ") != NULL);
    cr_expect(strstr(out.data, "\nprocess_cpu_seconds_total ") != NULL);
    cr_expect(strstr(out.data, "\nprocess_open_fds ") != NULL);
}

Test(metrics, a_series_asked_for_again_is_the_same)
{
    struct metric *first = metric_series(METRIC_COUNTER, "tradewind_x_total", "X.", "a=\"1\"");

    cr_expect_eq(metric_series(METRIC_COUNTER, "tradewind_x_total", "X.", "a=\"1\""), first);
    cr_expect_neq(metric_series(METRIC_COUNTER, "tradewind_x_total", "X.", "a=\"2\""), first);
}

Test(metrics, a_duration_falls_into_the_bucket_of_the_next_power_of_two)
{
    static const struct {
        int64_t duration_us;
        size_t bucket;
    } cases[] = {
        {0, 0},        {-5, 0},       {244, 0},       {245, 1},       {488, 1},        {489, 2},
        {1000000, 12}, {1000001, 13}, {64000000, 18}, {64000001, 19}, {INT64_MAX, 19},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct metric metric = METRIC(METRIC_HISTOGRAM, "tradewind_t_seconds", "T.");

        metric_observe_us(&metric, cases[i].duration_us);
        for (size_t bucket = 0; bucket < METRIC_BUCKETS; bucket++)
            cr_expect_eq(metric.buckets[bucket], bucket == cases[i].bucket, "%ld us in bucket %zu",
                         (long)cases[i].duration_us, bucket);
    }
}

Test(metrics, a_histogram_is_written_cumulative_in_seconds)
{
    static struct metric metric = METRIC(METRIC_HISTOGRAM, "tradewind_t_seconds", "T.");
    AUTO(buf_clear) struct buf out = {0};

    metric.labels = "route=\"/orders\"";
    metric_register(&metric);
    metric_observe_us(&metric, 200);
    metric_observe_us(&metric, 400);
    metric_observe_us(&metric, 100000000);
    metrics_write(&out);
    buf_cstr(&out);

    cr_expect(strstr(out.data, "_bucket{route=\"/orders\",le=\"0.000244140625\"} 1\n") != NULL);
    cr_expect(strstr(out.data, "_bucket{route=\"/orders\",le=\"0.00048828125\"} 2\n") != NULL);
    cr_expect(strstr(out.data, "_bucket{route=\"/orders\",le=\"64\"} 2\n") != NULL);
    cr_expect(strstr(out.data, "_bucket{route=\"/orders\",le=\"+Inf\"} 3\n") != NULL);
    cr_expect(strstr(out.data, "_sum{route=\"/orders\"} 100.000600\n") != NULL);
    cr_expect(strstr(out.data, "_count{route=\"/orders\"} 3\n") != NULL);
}
