#include "runtime/metrics.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Registered metrics, newest first. Only ever grows, so that a reader needs the lock for the head
 * alone. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *registered;

static void add_locked(struct metric *metric)
{
    metric->next = registered;
    registered = metric;
}

void metric_register(struct metric *metric)
{
    pthread_mutex_lock(&lock);
    add_locked(metric);
    pthread_mutex_unlock(&lock);
}

static struct metric *find_locked(const char *name, const char *labels)
{
    for (struct metric *metric = registered; metric != NULL; metric = metric->next)
        if (strcmp(metric->name, name) == 0 && metric->labels != NULL &&
            strcmp(metric->labels, labels) == 0)
            return metric;
    return NULL;
}

struct metric *metric_series(enum metric_kind kind, const char *name, const char *help,
                             const char *labels_format, ...)
{
    struct metric *metric;
    char text[512];
    va_list args;

    va_start(args, labels_format);
    vsnprintf(text, sizeof text, labels_format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    metric = find_locked(name, text);
    if (metric == NULL) {
        metric = mem_alloc(sizeof *metric);
        metric->kind = kind;
        metric->name = name;
        metric->help = help;
        metric->labels = mem_strdup(text);
        add_locked(metric);
    }
    pthread_mutex_unlock(&lock);
    assert(metric->kind == kind);
    return metric;
}

int64_t metric_bucket_bound_us(size_t i)
{
    /* 1/4096 s, doubled i times. Durations are whole microseconds, so rounding the bound down
     * moves no observation to another bucket. */
    return i + 1 < METRIC_BUCKETS ? (INT64_C(1000000) << i) / 4096 : INT64_MAX;
}

void metric_observe_us(struct metric *metric, int64_t duration_us)
{
    size_t i = 0;

    while (duration_us > metric_bucket_bound_us(i))
        i++;
    atomic_fetch_add_explicit(&metric->buckets[i], 1, memory_order_relaxed);
    metric_add(metric, duration_us);
}

/* name_suffix{labels,extra} without the value. Either part of the labels may be missing. */
static void append_series(struct buf *out, const struct metric *metric, const char *suffix,
                          const char *extra)
{
    bool labelled = metric->labels != NULL && metric->labels[0] != '\0';

    buf_append_str(out, metric->name);
    buf_append_str(out, suffix);
    if (labelled || extra[0] != '\0')
        buf_printf(out, "{%s%s%s}", labelled ? metric->labels : "",
                   labelled && extra[0] != '\0' ? "," : "", extra);
    buf_append_byte(out, ' ');
}

static void append_histogram(struct buf *out, struct metric *metric)
{
    int64_t count = 0;
    char le[48];

    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        if (i + 1 < METRIC_BUCKETS)
            snprintf(le, sizeof le, "le=\"%.12g\"", (double)(1u << i) / 4096);
        else
            snprintf(le, sizeof le, "le=\"+Inf\"");
        append_series(out, metric, "_bucket", le);
        buf_printf(out, "%" PRId64 "\n", count);
    }
    append_series(out, metric, "_sum", "");
    buf_printf(out, "%.6f\n", (double)metric_value(metric) / 1e6);
    append_series(out, metric, "_count", "");
    buf_printf(out, "%" PRId64 "\n", count);
}

static const char *kind_name(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

static void append_head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void append_process(struct buf *out)
{
    struct rusage usage;
    char line[200], *rest;
    FILE *statm = fopen("/proc/self/statm", "re");
    DIR *descriptors = opendir("/proc/self/fd");

    if (statm != NULL && fgets(line, sizeof line, statm) != NULL) { /* pages: all, resident, ... */
        (void)strtoul(line, &rest, 10);
        append_head(out, "process_resident_memory_bytes", "gauge", "Memory in RAM.");
        buf_printf(out, "process_resident_memory_bytes %lu\n",
                   strtoul(rest, NULL, 10) * (unsigned long)sysconf(_SC_PAGESIZE));
    }
    if (statm != NULL)
        fclose(statm);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        append_head(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.");
        buf_printf(out, "process_cpu_seconds_total %.6f\n",
                   (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    }
    if (descriptors != NULL) {
        int count = -3; /* ".", ".." and the folder itself */

        while (readdir(descriptors) != NULL)
            count++;
        closedir(descriptors);
        append_head(out, "process_open_fds", "gauge", "Open file descriptors.");
        buf_printf(out, "process_open_fds %d\n", count);
    }
}

static int by_series(const void *a, const void *b)
{
    const struct metric *left = *(struct metric *const *)a, *right = *(struct metric *const *)b;
    int order = strcmp(left->name, right->name);

    if (order != 0)
        return order;
    return strcmp(left->labels != NULL ? left->labels : "",
                  right->labels != NULL ? right->labels : "");
}

void metrics_write(struct buf *out)
{
    struct metric *head, **sorted;
    size_t count = 0, at = 0;

    pthread_mutex_lock(&lock);
    head = registered;
    pthread_mutex_unlock(&lock);
    for (struct metric *metric = head; metric != NULL; metric = metric->next)
        count++;
    sorted = mem_alloc(count * sizeof(struct metric *));
    for (struct metric *metric = head; metric != NULL; metric = metric->next)
        sorted[at++] = metric;
    qsort(sorted, count, sizeof *sorted, by_series);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
            append_head(out, sorted[i]->name, kind_name(sorted[i]->kind), sorted[i]->help);
        if (sorted[i]->kind == METRIC_HISTOGRAM) {
            append_histogram(out, sorted[i]);
            continue;
        }
        append_series(out, sorted[i], "", "");
        buf_printf(out, "%" PRId64 "\n", metric_value(sorted[i]));
    }
    free(sorted);
    append_process(out);
}
