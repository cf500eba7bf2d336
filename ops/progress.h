/* A line about long work on standard error: how far, how fast, how long still. */
#ifndef TRADEWIND_OPS_PROGRESS_H
#define TRADEWIND_OPS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *what; /* "dead letters redriven" */
    size_t total;
    int64_t started_ms, said_ms;
};

void progress_start(struct progress *progress, const char *what, size_t total);
/** done of total; says so five times a second on a terminal, else every 5 seconds. The last one
 * ends the line. Work of less than a second says nothing. */
void progress_say(struct progress *progress, size_t done);

#endif
