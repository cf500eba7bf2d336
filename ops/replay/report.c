#include "ops/replay/report.h"

#include "ops/args.h"
#include "ops/out.h"
#include "ops/replay/row_sql.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define SAY_MS 1000

/* --- While it works --------------------------------------------------------------------------- */

static void say(struct report *report, const char *text)
{
    bool is_terminal = isatty(STDERR_FILENO);

    report->has_said = true;
    fprintf(stderr, "%s%s%s", is_terminal ? "\r\x1b[K" : "", text, is_terminal ? "" : "\n");
    fflush(stderr);
    report->said_ms = clock_monotonic_ms();
}

static void end_line(const struct report *report)
{
    if (report->has_said && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\x1b[K");
}

struct report_build report_build_of(const struct shadow *shadow)
{
    return (struct report_build){&shadow->reader, shadow->folded, shadow->unreadable,
                                 shadow->unreadable_example};
}

void report_start(struct report *report, const struct report_build *build)
{
    report->start_ms = report->said_ms = clock_monotonic_ms();
    report->left = log_reader_left(build->reader);
}

void report_progress(struct report *report, const struct report_build *build)
{
    AUTO(arena_clear) struct arena arena = {0};
    int64_t now_ms = clock_monotonic_ms(), took_ms = now_ms - report->start_ms;
    int64_t left = log_reader_left(build->reader);
    uint64_t rate = took_ms > 0 ? build->reader->records * 1000 / (uint64_t)took_ms : 0;
    char text[160];

    if (report->is_built || now_ms - report->said_ms < SAY_MS)
        return;
    snprintf(text, sizeof text, "%s: %s events, %s/s, %s left, %" PRIu64 " s", report->fold->part,
             out_count(&arena, (int64_t)build->folded), out_count(&arena, (int64_t)rate),
             out_count(&arena, left), rate > 0 ? (uint64_t)left / rate : 0);
    say(report, text);
}

void report_built(struct report *report, const struct report_build *build)
{
    report->is_built = true;
    report->built_ms = clock_monotonic_ms() - report->start_ms;
    report->folded = build->folded;
}

enum err_kind report_saved(struct report *report, const char *path, enum err_kind kind)
{
    report->saved = kind == ERR_OK ? path : NULL;
    return kind;
}

void report_comparing(void *context, const struct compare *compare)
{
    struct report *report = context;
    uint64_t rows = 0;
    char text[160];

    if (clock_monotonic_ms() - report->said_ms < SAY_MS)
        return;
    for (size_t i = 0; i < compare->shadow->fold->table_count; i++)
        rows += compare->tables[i].rows;
    snprintf(text, sizeof text, "%s: %" PRIu64 " rows compared, %" PRIu64 " differ",
             report->fold->part, rows, compare->differing);
    say(report, text);
}

/* --- What is kept ----------------------------------------------------------------------------- */

static const char *keep(struct arena *arena, const char *text)
{
    return text != NULL ? arena_strdup(arena, text) : NULL;
}

static const struct key_event *keep_event(struct arena *arena, const struct key_event *event)
{
    struct key_event *kept;

    if (event == NULL)
        return NULL;
    kept = arena_alloc(arena, sizeof *kept);
    *kept = *event;
    kept->envelope.id = arena_view(arena, event->envelope.id);
    return kept;
}

void report_compared(struct report *report, const struct compare *compare, int64_t took_ms)
{
    size_t count = report->fold->table_count;

    report->is_compared = true;
    report->compared_ms = took_ms;
    report->differing = compare->differing;
    report->results = arena_array(&report->arena, count, sizeof *report->results);
    memcpy(report->results, compare->tables, count * sizeof *report->results);
    report->differences =
        arena_array(&report->arena, compare->difference_count + 1, sizeof *report->differences);
    report->difference_count = compare->difference_count;
    for (size_t i = 0; i < compare->difference_count; i++) {
        const struct difference *from = &compare->differences[i];

        report->differences[i] = (struct difference){
            .table = from->table,
            .row = keep(&report->arena, from->row),
            .column = keep(&report->arena, from->column),
            .live = keep(&report->arena, from->live),
            .shadow = keep(&report->arena, from->shadow),
            .event = keep_event(&report->arena, from->event),
        };
    }
}

enum err_kind report_sums(struct report *report, struct shadow *shadow, struct err *err)
{
    size_t count = report->fold->table_count;
    enum err_kind kind = ERR_OK;

    report->tables = arena_array(&report->arena, count, sizeof *report->tables);
    for (size_t i = 0; kind == ERR_OK && i < count; i++)
        kind = row_sum(&report->tables[i].rows, &report->tables[i].checksum, shadow->pg,
                       &report->fold->tables[i], &report->arena, err);
    return kind;
}

/* --- For people ------------------------------------------------------------------------------- */

static const char *source_of(const struct fold_table *table)
{
    return table->of == FOLD_OWN ? "own events" : "inputs";
}

static void print_tables(const struct report *report, struct arena *arena)
{
    static const char *const COLUMNS[] = {"table",    "folded from", ">rows",
                                          "checksum", ">differ",     NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < report->fold->table_count; i++) {
        out_cell(&table, "%s", report->fold->tables[i].name);
        out_cell(&table, "%s", source_of(&report->fold->tables[i]));
        out_cell(&table, "%s", out_count(arena, report->tables[i].rows));
        out_cell(&table, "%016" PRIx64, report->tables[i].checksum);
        if (!report->is_compared)
            out_cell_in(&table, OUT_DIM, "not compared");
        else
            out_cell_in(&table, report->results[i].differing > 0 ? OUT_RED : OUT_GREEN, "%s",
                        out_count(arena, (int64_t)report->results[i].differing));
    }
    out_table_print(&table, stdout);
}

static void print_event(const struct key_event *event)
{
    printf("; %s %.*s (%s/%d offset %" PRId64 ")", event_type_name(event->event.type),
           VIEW_PRINT(event->envelope.id), topic_name(event->topic), event->partition,
           event->offset);
}

static void print_difference(const struct difference *difference)
{
    printf("  %s%s%s %s: %s is %s%s%s live, %s by the topics", out_colour(OUT_RED),
           difference->table->name, out_colour(OUT_PLAIN), difference->row, difference->column,
           out_colour(OUT_BOLD), difference->live != NULL ? difference->live : "nothing",
           out_colour(OUT_PLAIN), difference->shadow != NULL ? difference->shadow : "nothing");
    if (difference->event != NULL)
        print_event(difference->event);
    printf("\n");
}

static void print_compared(const struct report *report, struct arena *arena)
{
    for (size_t i = 0; i < report->difference_count; i++)
        print_difference(&report->differences[i]);
    if (report->differing > COMPARE_EXAMPLES)
        printf("  ... and %" PRIu64 " rows more\n", report->differing - COMPARE_EXAMPLES);
    if (report->differing == 0)
        printf("%sequal%s: live state and topics say the same (compared in %s)\n",
               out_colour(OUT_GREEN), out_colour(OUT_PLAIN),
               out_duration_us(arena, report->compared_ms * 1000));
    else
        printf("%sdifferent%s: %s rows\n", out_colour(OUT_RED), out_colour(OUT_PLAIN),
               out_count(arena, (int64_t)report->differing));
}

static void print_swapped(const struct report *report, struct arena *arena)
{
    const char *part = report->fold->part;

    if (report->is_lost)
        printf("swapped: %s has a database again; %s inputs whose outcome was lost are decided "
               "again when it starts\n",
               part, out_count(arena, (int64_t)report->swapped.undecided));
    else
        printf("swapped: %s waited %s, decides %s inputs again; tradewind replay %s --undo brings "
               "back what was live, "
               "--drop drops it\n",
               part, out_duration_us(arena, report->swapped.held_ms * 1000),
               out_count(arena, (int64_t)report->swapped.undecided), part);
}

static void print_people(const struct report *report, const struct report_build *build,
                         struct arena *arena)
{
    if (report->is_dropped)
        printf("%s\n",
               report->is_dry ? "would drop the shadow and what a swap has put away" : "dropped");
    if (report->is_dry && !report->is_dropped)
        printf("would read %s records of %s; nothing was done\n", out_count(arena, report->left),
               report->fold->part);
    if (report->tables == NULL)
        return;
    printf("%s: %s events folded in %s, %s/s\n", report->fold->part,
           out_count(arena, (int64_t)report->folded),
           out_duration_us(arena, report->built_ms * 1000),
           out_count(arena, report->built_ms > 0 ? (int64_t)report->folded * 1000 / report->built_ms
                                                 : (int64_t)report->folded));
    print_tables(report, arena);
    if (report->saved != NULL)
        printf("kept as %s: tradewind replay %s --from %s begins there\n", report->saved,
               report->fold->part, report->saved);
    if (build->unreadable > 0)
        printf("  %s%" PRIu64 " records cannot be read%s: %s\n", out_colour(OUT_RED),
               build->unreadable, out_colour(OUT_PLAIN), build->example);
    if (report->is_lost && !report->is_swapped)
        printf("the database of %s is older than its topic (lost or restored)\n",
               report->fold->part);
    if (report->is_compared)
        print_compared(report, arena);
    if (report->is_swapped)
        print_swapped(report, arena);
}

/* --- For programs ----------------------------------------------------------------------------- */

static void write_tables(struct json_writer *json, const struct report *report)
{
    char checksum[20];

    json_key(json, "tables");
    json_array_start(json);
    for (size_t i = 0; report->tables != NULL && i < report->fold->table_count; i++) {
        snprintf(checksum, sizeof checksum, "%016" PRIx64, report->tables[i].checksum);
        json_object_start(json);
        json_member_str(json, "table", report->fold->tables[i].name);
        json_member_str(json, "of", source_of(&report->fold->tables[i]));
        json_member_int64(json, "rows", report->tables[i].rows);
        json_member_str(json, "checksum", checksum);
        if (report->is_compared) {
            json_member_int64(json, "ranges", (int64_t)report->results[i].ranges);
            json_member_int64(json, "differing", (int64_t)report->results[i].differing);
        }
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_event(struct json_writer *json, const struct key_event *event)
{
    json_key(json, "event");
    json_object_start(json);
    json_member_text(json, "id", event->envelope.id);
    json_member_str(json, "type", event_type_name(event->event.type));
    json_member_str(json, "topic", topic_name(event->topic));
    json_member_int64(json, "partition", event->partition);
    json_member_int64(json, "offset", event->offset);
    json_object_end(json);
}

static void write_differences(struct json_writer *json, const struct report *report)
{
    json_key(json, "differences");
    json_array_start(json);
    for (size_t i = 0; i < report->difference_count; i++) {
        const struct difference *difference = &report->differences[i];

        json_object_start(json);
        json_member_str(json, "table", difference->table->name);
        json_member_str(json, "row", difference->row);
        json_member_str(json, "column", difference->column);
        json_member_text(json, "live", view_str(difference->live));
        json_member_text(json, "topics", view_str(difference->shadow));
        if (difference->event != NULL)
            write_event(json, difference->event);
        json_object_end(json);
    }
    json_array_end(json);
}

static void print_json(const struct report *report, const struct report_build *build)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_member_str(&json, "part", report->fold->part);
    json_member_bool(&json, "dry_run", report->is_dry);
    json_member_int64(&json, "to_read", report->left);
    json_member_int64(&json, "folded", (int64_t)report->folded);
    json_member_int64(&json, "took_ms", report->built_ms);
    json_member_int64(&json, "unreadable", (int64_t)build->unreadable);
    json_member_text(&json, "saved", view_str(report->saved));
    json_member_bool(&json, "lost", report->is_lost);
    json_member_bool(&json, "compared", report->is_compared);
    json_member_bool(&json, "equal", report->is_compared && report->differing == 0);
    json_member_int64(&json, "compared_ms", report->compared_ms);
    json_member_bool(&json, "swapped", report->is_swapped);
    json_member_int64(&json, "held_ms", report->swapped.held_ms);
    json_member_int64(&json, "undecided", (int64_t)report->swapped.undecided);
    json_member_bool(&json, "dropped", report->is_dropped && !report->is_dry);
    write_tables(&json, report);
    write_differences(&json, report);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

struct view report_before(const struct report *report, struct arena *arena)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_member_bool(&json, "lost", report->is_lost);
    if (report->is_compared)
        json_member_int64(&json, "differing", (int64_t)report->differing);
    json_object_end(&json);
    return arena_view(arena, buf_view(&text));
}

struct view report_after(const struct report *report, struct arena *arena)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    if (report->tables != NULL) {
        json_member_int64(&json, "folded", (int64_t)report->folded);
        for (size_t i = 0; i < report->fold->table_count; i++) {
            char checksum[20];

            snprintf(checksum, sizeof checksum, "%016" PRIx64, report->tables[i].checksum);
            json_member_str(&json, report->fold->tables[i].name, checksum);
        }
    }
    json_object_end(&json);
    return arena_view(arena, buf_view(&text));
}

int report_end(struct report *report, const struct report_build *build)
{
    AUTO(arena_clear) struct arena arena = {0};

    end_line(report);
    if (report->as_json)
        print_json(report, build);
    else
        print_people(report, build, &arena);
    return report->differing > 0 || build->unreadable > 0 ? OPS_FOUND : OPS_OK;
}

void report_clear(struct report *report)
{
    arena_clear(&report->arena);
}
