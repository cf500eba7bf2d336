#include "ops/watch.h"

#include "ops/out.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define EVERY_MS 1000
#define PLAIN_EVERY_MS 5000
#define REASONS_MAX 8
#define IDLE_MS 3000     /* nothing has changed for so long, and nothing is under way */
#define NOTHING_MS 20000 /* nothing ever happened */

/* A counter of another process, followed over that process's restarts. */
struct counter {
    double last, total;
    bool known;
};

/* Counters that are shown or looked at. */
enum followed { PLACED, CONFIRMED, CLOSED, EVENTS, FOLLOWED_COUNT };
static const char *const FOLLOWED[FOLLOWED_COUNT] = {
    "tradewind_orders_placed_total",
    "tradewind_orders_confirmed_total",
    "tradewind_orders_closed_total",
    "tradewind_events_committed_total",
};

struct reason {
    char name[40];
    struct counter count;
};

struct watch {
    const struct watch_options *options;
    bool is_terminal;
    struct counter *parts[FOLLOWED_COUNT]; /* one for each row of ops_parts */
    struct reason reasons[REASONS_MAX];
    size_t reason_count;
    struct metrics_histogram first; /* accepted to confirmed */
    bool first_known;
    struct metrics_histogram latency;
    double rate; /* events a second since the look before */
    double events_before;
    int64_t started_ms, looked_ms, changed_ms, printed_ms;
    double changed_sum;
    bool something_happened;
    size_t lines_shown;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* --- Counting ------------------------------------------------------------------------------------
 */

static void follow(struct counter *counter, double value)
{
    if (counter->known)
        counter->total += value >= counter->last ? value - counter->last : value;
    counter->last = value;
    counter->known = true;
}

static double total(const struct watch *watch, enum followed what)
{
    double sum = 0;

    for (size_t i = 0; i < ops_part_count; i++)
        sum += watch->parts[what][i].total;
    return sum;
}

static double cancelled(const struct watch *watch)
{
    double sum = 0;

    for (size_t i = 0; i < watch->reason_count; i++)
        sum += watch->reasons[i].count.total;
    return sum;
}

static struct reason *find_reason(struct watch *watch, struct view name)
{
    for (size_t i = 0; i < watch->reason_count; i++)
        if (view_equals(name, watch->reasons[i].name))
            return &watch->reasons[i];
    if (watch->reason_count == REASONS_MAX || name.size >= sizeof watch->reasons[0].name)
        return NULL;
    snprintf(watch->reasons[watch->reason_count].name, sizeof watch->reasons[0].name, "%.*s",
             VIEW_PRINT(name));
    return &watch->reasons[watch->reason_count++];
}

static void follow_reasons(struct watch *watch, const struct metric_samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        struct reason *reason;

        if (!view_equals(samples->samples[i].name, "tradewind_orders_cancelled_total"))
            continue;
        reason = find_reason(watch, metrics_label(&samples->samples[i], "reason"));
        if (reason != NULL)
            follow(&reason->count, samples->samples[i].value);
    }
}

static void follow_latency(struct watch *watch, const struct metric_samples *samples)
{
    struct metrics_histogram now =
        metrics_histogram(samples, "tradewind_orders_accepted_to_confirmed_seconds");

    if (now.count == 0)
        return;
    if (!watch->first_known)
        watch->first = now;
    watch->first_known = true;
    watch->latency = metrics_histogram_since(&now, &watch->first);
}

static void take_in(struct watch *watch, const struct status *status)
{
    int64_t now_ms = clock_monotonic_ms();
    double sum;

    for (size_t i = 0; i < ops_part_count; i++) {
        const struct metric_samples *samples = &status->parts[i].metrics;

        if (samples->count == 0)
            continue; /* no answer: its counters stay where they were */
        for (int what = 0; what < FOLLOWED_COUNT; what++)
            follow(&watch->parts[what][i], metrics_sum(samples, FOLLOWED[what]));
        follow_reasons(watch, samples);
        follow_latency(watch, samples);
    }
    if (watch->looked_ms > 0 && now_ms > watch->looked_ms)
        watch->rate = (total(watch, EVENTS) - watch->events_before) * 1000 /
                      (double)(now_ms - watch->looked_ms);
    watch->events_before = total(watch, EVENTS);
    watch->looked_ms = now_ms;
    sum = watch->events_before;
    if (sum > watch->changed_sum) {
        watch->changed_sum = sum;
        watch->changed_ms = now_ms;
        watch->something_happened = true;
    }
}

static bool all_answer(const struct status *status)
{
    bool all = status->broker_answers;

    for (size_t i = 0; i < ops_part_count; i++)
        all &= status->parts[i].metrics.count > 0;
    return all;
}

static bool is_idle(const struct watch *watch, const struct status *status)
{
    int64_t still_ms =
        clock_monotonic_ms() - (watch->changed_ms > 0 ? watch->changed_ms : watch->started_ms);

    return all_answer(status) && status_under_way(status) == 0 &&
           still_ms >= (watch->something_happened ? IDLE_MS : NOTHING_MS);
}

/* --- Showing -------------------------------------------------------------------------------------
 */

static const char *latency(const struct watch *watch, double q, struct arena *arena)
{
    int64_t us = metrics_quantile_us(&watch->latency, q);

    return us < 0 ? "-" : out_duration_us(arena, us);
}

static void write_reasons(struct buf *out, const struct watch *watch)
{
    size_t written = 0;

    for (size_t i = 0; i < watch->reason_count; i++)
        if (watch->reasons[i].count.total > 0) {
            buf_printf(out, "%s", written++ > 0 ? ", " : " (");
            for (const char *c = watch->reasons[i].name; *c != '\0'; c++)
                buf_append_byte(out, *c == '_' ? ' ' : (uint8_t)*c);
            buf_printf(out, " %.0f", watch->reasons[i].count.total);
        }
    if (written > 0)
        buf_append_str(out, ")");
}

static void write_lags(struct buf *out, const struct status *status, struct arena *arena)
{
    for (size_t i = 0; i < ops_part_count; i++) {
        const struct part_status *part = &status->parts[i];

        if (part->part->reads[0] == NULL)
            continue;
        buf_printf(out, "  %s ", part->part->name);
        if (part->lag < 0)
            buf_append_str(out, "?");
        else
            buf_append_str(out, out_count(arena, part->lag));
    }
}

static void write_silent(struct buf *out, const struct status *status)
{
    const char *between = "";

    for (size_t i = 0; i < ops_part_count; i++)
        if (!status->parts[i].ready) {
            buf_printf(out, "%s%s", between, status->parts[i].part->name);
            between = ", ";
        }
    if (!status->broker_answers)
        buf_printf(out, "%sthe broker", between);
}

static void write_now(char out[9])
{
    char now[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(clock_utc_us(), now);
    memcpy(out, now + 11, 8);
    out[8] = '\0';
}

static void write_view(struct buf *out, const struct watch *watch, const struct status *status,
                       struct arena *arena)
{
    AUTO(buf_clear) struct buf silent = {0};
    int64_t open = (int64_t)status_sum(status, "tradewind_orders_open");
    char now[9];

    write_now(now);
    write_silent(&silent, status);
    buf_printf(out, "%sTradewind%s  %s UTC, %" PRId64 " s of looking\n", out_colour(OUT_BOLD),
               out_colour(OUT_PLAIN), now, (clock_monotonic_ms() - watch->started_ms) / 1000);
    buf_printf(out, "  orders    %s placed, %s waiting for a verdict\n",
               out_count(arena, (int64_t)total(watch, PLACED)), out_count(arena, open));
    buf_printf(out, "            %s%s confirmed%s\n", out_colour(OUT_GREEN),
               out_count(arena, (int64_t)total(watch, CONFIRMED)), out_colour(OUT_PLAIN));
    buf_printf(out, "            %s%s cancelled%s", out_colour(OUT_YELLOW),
               out_count(arena, (int64_t)cancelled(watch)), out_colour(OUT_PLAIN));
    write_reasons(out, watch);
    buf_printf(out, "\n            %s closed\n", out_count(arena, (int64_t)total(watch, CLOSED)));
    buf_printf(out, "  events    %s/s, %s in all\n", out_count(arena, (int64_t)watch->rate),
               out_count(arena, (int64_t)total(watch, EVENTS)));
    buf_printf(out, "  latency   accepted to confirmed: p50 %s, p99 %s\n",
               latency(watch, 0.5, arena), latency(watch, 0.99, arena));
    buf_append_str(out, "  lag     ");
    write_lags(out, status, arena);
    buf_append_byte(out, '\n');
    if (silent.size > 0)
        buf_printf(out, "  %snot ready: %s%s\n", out_colour(OUT_RED), buf_cstr(&silent),
                   out_colour(OUT_PLAIN));
    else
        buf_append_str(out, "  all parts are ready\n");
}

static void write_plain(struct buf *out, const struct watch *watch, const struct status *status,
                        struct arena *arena)
{
    AUTO(buf_clear) struct buf silent = {0};
    int64_t lag = 0;
    char now[9];

    write_now(now);
    write_silent(&silent, status);
    for (size_t i = 0; i < ops_part_count; i++)
        lag += status->parts[i].lag > 0 ? status->parts[i].lag : 0;
    buf_printf(out, "%s  placed %.0f  confirmed %.0f  cancelled %.0f", now, total(watch, PLACED),
               total(watch, CONFIRMED), cancelled(watch));
    write_reasons(out, watch);
    buf_printf(out, "  open %.0f  %.0f events/s  lag %" PRId64 "  p50 %s  p99 %s",
               status_sum(status, "tradewind_orders_open"), watch->rate, lag,
               latency(watch, 0.5, arena), latency(watch, 0.99, arena));
    if (silent.size > 0)
        buf_printf(out, "  not ready: %s", buf_cstr(&silent));
    buf_append_byte(out, '\n');
}

static void write_json(struct buf *out, const struct watch *watch, const struct status *status)
{
    struct json_writer json = {.out = out};

    json_object_start(&json);
    json_member_time_us(&json, "time", clock_utc_us());
    json_member_int64(&json, "placed", (int64_t)total(watch, PLACED));
    json_member_int64(&json, "confirmed", (int64_t)total(watch, CONFIRMED));
    json_member_int64(&json, "closed", (int64_t)total(watch, CLOSED));
    json_key(&json, "cancelled");
    json_object_start(&json);
    for (size_t i = 0; i < watch->reason_count; i++)
        json_member_int64(&json, watch->reasons[i].name, (int64_t)watch->reasons[i].count.total);
    json_object_end(&json);
    json_member_int64(&json, "open", (int64_t)status_sum(status, "tradewind_orders_open"));
    json_member_int64(&json, "events_per_s", (int64_t)watch->rate);
    json_member_int64(&json, "p50_us", metrics_quantile_us(&watch->latency, 0.5));
    json_member_int64(&json, "p99_us", metrics_quantile_us(&watch->latency, 0.99));
    json_key(&json, "lag");
    json_object_start(&json);
    for (size_t i = 0; i < ops_part_count; i++)
        if (status->parts[i].lag >= 0)
            json_member_int64(&json, status->parts[i].part->name, status->parts[i].lag);
    json_object_end(&json);
    json_object_end(&json);
    buf_append_byte(out, '\n');
}

/* Bytes of a line that fit into columns; sequences that switch colours take none. */
static size_t fitting(struct view line, size_t columns)
{
    size_t width = 0, i = 0;

    while (i < line.size) {
        if (line.data[i] == '\x1b') {
            while (i < line.size && line.data[i] != 'm')
                i++;
        } else if (((unsigned char)line.data[i] & 0xc0) != 0x80 && width++ == columns) {
            break;
        }
        i++;
    }
    return i;
}

/* Over the lines shown before. Lines are cut to the terminal: one that wraps would count as two. */
static void show_view(struct watch *watch, struct view text)
{
    struct winsize size;
    size_t columns =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;

    if (watch->lines_shown > 0)
        printf("\x1b[%zuA", watch->lines_shown);
    watch->lines_shown = 0;
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        struct view line = view_of(text.data, end != NULL ? (size_t)(end - text.data) : text.size);

        printf("\r\x1b[K%.*s%s\n", (int)fitting(line, columns), line.data, out_colour(OUT_PLAIN));
        watch->lines_shown++;
        text = view_of(line.data + line.size, text.size - line.size);
        if (end != NULL)
            text = view_of(text.data + 1, text.size - 1);
    }
    printf("\x1b[J");
}

static void show(struct watch *watch, const struct status *status, bool last, struct arena *arena)
{
    AUTO(buf_clear) struct buf text = {0};
    int64_t now_ms = clock_monotonic_ms();

    if (watch->options->as_json)
        write_json(&text, watch, status);
    else if (watch->is_terminal)
        write_view(&text, watch, status, arena);
    else if (last || watch->printed_ms == 0 || now_ms - watch->printed_ms >= PLAIN_EVERY_MS)
        write_plain(&text, watch, status, arena);
    if (text.size == 0)
        return;
    watch->printed_ms = now_ms;
    if (watch->is_terminal && !watch->options->as_json)
        show_view(watch, buf_view(&text));
    else
        fwrite(text.data, 1, text.size, stdout);
    fflush(stdout);
}

static void wait_for_next(const struct watch *watch)
{
    int64_t passed_ms = (clock_monotonic_ms() - watch->started_ms) % EVERY_MS;
    struct timespec rest = {.tv_nsec = (EVERY_MS - passed_ms) % EVERY_MS * 1000000};

    if (rest.tv_nsec == 0)
        rest.tv_sec = EVERY_MS / 1000;
    nanosleep(&rest, NULL); /* an interrupt ends it */
}

enum err_kind watch_run(struct lag *lag, const struct watch_options *options, struct err *err)
{
    AUTO(arena_clear) struct arena counters = {0};
    AUTO(arena_clear) struct arena arena = {0};
    struct watch watch = {.options = options,
                          .is_terminal = isatty(STDOUT_FILENO),
                          .started_ms = clock_monotonic_ms()};
    struct sigaction action = {.sa_handler = on_interrupt};
    bool last = false;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    for (int i = 0; i < FOLLOWED_COUNT; i++)
        watch.parts[i] = arena_array(&counters, ops_part_count, sizeof *watch.parts[i]);
    while (!last) {
        struct status status;
        enum err_kind kind;

        arena_reset(&arena);
        if ((kind = status_read(&status, lag, &arena, err)) != ERR_OK)
            return kind;
        take_in(&watch, &status);
        last = interrupted || (options->until_idle && is_idle(&watch, &status)) ||
               (options->seconds > 0 &&
                clock_monotonic_ms() - watch.started_ms >= options->seconds * 1000);
        show(&watch, &status, last, &arena);
        if (!last)
            wait_for_next(&watch);
    }
    return ERR_OK;
}
