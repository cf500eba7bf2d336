/* What a replay says: a progress line on standard error, the outcome on standard output. */
#ifndef TRADEWIND_REPLAY_REPORT_H
#define TRADEWIND_REPLAY_REPORT_H

#include "ops/replay/compare.h"
#include "ops/replay/swap.h"

struct report_table {
    int64_t rows;
    uint64_t checksum;
};

struct report {
    const struct fold *fold;
    bool as_json, is_dry, has_said, is_lost, is_built, is_compared, is_swapped, is_dropped;
    int64_t start_ms, said_ms, built_ms; /* monotonic; how long it took */
    int64_t left;                        /* records to be read at the start */
    uint64_t folded, unreadable;
    struct report_table *tables;
    struct arena arena;
    /* of the comparison */
    int64_t compared_ms;
    uint64_t differing;
    struct table_result *results;
    struct difference *differences;
    size_t difference_count;
    struct swap_result swapped;
};

void report_start(struct report *report, const struct shadow *shadow);
void report_progress(void *report, const struct shadow *shadow);
void report_built(struct report *report, const struct shadow *shadow);
void report_comparing(void *report, const struct compare *compare);
/** Copies. */
void report_compared(struct report *report, const struct compare *compare, int64_t took_ms);
/** Rows and checksum of each table of the shadow. */
enum err_kind report_sums(struct report *report, struct shadow *shadow, struct err *err);
/** Print the outcome; returns the exit code. */
int report_end(struct report *report, const struct shadow *shadow);
void report_clear(struct report *report);

#endif
