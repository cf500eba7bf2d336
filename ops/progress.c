#include "ops/progress.h"

#include "runtime/clock.h"

#include <stdio.h>
#include <unistd.h>

#define TERMINAL_MS 200
#define LOG_MS 5000
#define SILENT_MS 1000

void progress_start(struct progress *progress, const char *what, size_t total)
{
    *progress = (struct progress){.what = what, .total = total, .started_ms = clock_monotonic_ms()};
    progress->said_ms = progress->started_ms;
}

void progress_say(struct progress *progress, size_t done)
{
    int64_t now_ms = clock_monotonic_ms(), spent_ms = now_ms - progress->started_ms;
    bool is_terminal = isatty(STDERR_FILENO), is_last = done == progress->total;
    double rate = spent_ms > 0 ? (double)done * 1000 / (double)spent_ms : 0;

    if (spent_ms < SILENT_MS ||
        (!is_last && now_ms - progress->said_ms < (is_terminal ? TERMINAL_MS : LOG_MS)))
        return;
    progress->said_ms = now_ms;
    fprintf(stderr, "%s%zu of %zu %s, %.0f/s, %.0f s left%s", is_terminal ? "\r" : "", done,
            progress->total, progress->what, rate,
            rate > 0 ? (double)(progress->total - done) / rate : 0.0,
            is_terminal && !is_last ? "\033[K" : "\n");
}
