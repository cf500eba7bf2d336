#include "ops/metrics_text.h"

#include <criterion/criterion.h>

static const char PAGE[] = "# HELP tradewind_x_total Things.\n"
                           "# TYPE tradewind_x_total counter\n"
                           "tradewind_x_total{reason=\"fraud\"} 3\n"
                           "tradewind_x_total{reason=\"customer\",part=\"a\"} 4\n"
                           "process_resident_memory_bytes 21164032\n"
                           "t_seconds_bucket{le=\"0.5\"} 50\n"
                           "t_seconds_bucket{le=\"1\"} 90\n"
                           "t_seconds_bucket{le=\"+Inf\"} 100\n";

Test(metrics_text, series_of_a_name_are_added_up)
{
    struct arena arena = {0};
    struct metric_samples samples = metrics_read(view_str(PAGE), &arena);

    cr_assert_eq(samples.count, 6);
    cr_expect_eq(metrics_sum(&samples, "tradewind_x_total"), 7);
    cr_expect_eq(metrics_sum(&samples, "process_resident_memory_bytes"), 21164032);
    cr_expect_not(metrics_has(&samples, "tradewind_x"));
    cr_expect(view_equals(metrics_label(&samples.samples[1], "part"), "a"));
    cr_expect_null(metrics_label(&samples.samples[0], "part").data);
    arena_clear(&arena);
}

Test(metrics_text, a_quantile_lies_within_its_bucket_in_proportion)
{
    struct arena arena = {0};
    struct metric_samples samples = metrics_read(view_str(PAGE), &arena);
    struct metrics_histogram histogram = metrics_histogram(&samples, "t_seconds"), none = {0};

    cr_expect_eq(metrics_quantile_us(&histogram, 0.5), 500000);
    cr_expect_eq(metrics_quantile_us(&histogram, 0.7), 750000);
    cr_expect_eq(metrics_quantile_us(&histogram, 0.99), 1000000,
                 "what is beyond the last bound is at least that");
    cr_expect_eq(metrics_quantile_us(&none, 0.5), -1);
    arena_clear(&arena);
}

Test(metrics_text, what_was_measured_before_is_taken_off_unless_the_process_began_again)
{
    struct metrics_histogram before = {2, {1, 2}, {10, 20}}, later = {2, {1, 2}, {15, 40}},
                             again = {2, {1, 2}, {3, 4}};
    struct metrics_histogram since = metrics_histogram_since(&later, &before);

    cr_expect_eq(since.counts[0], 5);
    cr_expect_eq(since.counts[1], 20);
    since = metrics_histogram_since(&again, &before);
    cr_expect_eq(since.counts[1], 4);
}
