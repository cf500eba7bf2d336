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
    const char *saved; /* the file that it was kept in */
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

/* What is being built, whatever it is built in. */
struct report_build {
    const struct log_reader *reader;
    uint64_t folded, unreadable;
    const char *example; /* of what cannot be read */
};

struct report_build report_build_of(const struct shadow *shadow);

void report_start(struct report *report, const struct report_build *build);
void report_progress(struct report *report, const struct report_build *build);
void report_built(struct report *report, const struct report_build *build);
/** kind: how saving it has gone; gives it back. Borrows path. */
enum err_kind report_saved(struct report *report, const char *path, enum err_kind kind);
void report_comparing(void *report, const struct compare *compare);
/** Copies. */
void report_compared(struct report *report, const struct compare *compare, int64_t took_ms);
/** Rows and checksum of each table of the shadow. */
enum err_kind report_sums(struct report *report, struct shadow *shadow, struct err *err);
/** What is told of it (ops.acted): how the state was, as far as that was looked into, and how it
 * is. In the arena. */
struct view report_before(const struct report *report, struct arena *arena);
struct view report_after(const struct report *report, struct arena *arena);
/** Print the outcome; returns the exit code. */
int report_end(struct report *report, const struct report_build *build);
void report_clear(struct report *report);

#endif
