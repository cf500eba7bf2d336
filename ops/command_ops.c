/* tradewind ops log: what operators did, read from the topic where each part says it. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/parts.h"
#include "ops/record.h"
#include "ops/when.h"
#include "runtime/clock.h"
#include "runtime/delivery.h"
#include "runtime/kafka.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What one part wrote: its numbers are its own, also where it shares a partition. */
struct writer {
    struct view source;
    struct number_run run;
};

struct entry {
    int64_t time_us;
    struct view source;
    uint64_t number;
    struct ops_acted event;
    struct view json;
};

struct ops_log {
    const char *part, *action, *actor, *since, *until;
    bool as_json;
    int64_t from_us, to_us;
    struct schema_ids *ids;
    struct arena arena;
    struct writer *writers;
    size_t writer_count;
    struct entry *entries;
    size_t entry_count, entry_capacity;
    size_t not_events;
};

/* --- Reading ------------------------------------------------------------------------------------
 */

static struct writer *writer_of(struct ops_log *log, struct view source)
{
    for (size_t i = 0; i < log->writer_count; i++)
        if (view_equal(log->writers[i].source, source))
            return &log->writers[i];
    log->writers = mem_grow(log->writers, log->writer_count + 1, sizeof *log->writers);
    log->writers[log->writer_count] =
        (struct writer){.source = arena_view(&log->arena, source), .run = {.whole = true}};
    return &log->writers[log->writer_count++];
}

/* A record may lie there more than once; the first one counts. */
static bool is_new(struct ops_log *log, const struct envelope *envelope, int64_t offset)
{
    struct number_run *run = &writer_of(log, envelope->source)->run;
    uint64_t highest = run->highest;

    number_run_read(run, envelope->number, offset);
    return envelope->number > highest;
}

static bool is_wanted(const struct ops_log *log, const struct record *record)
{
    const struct ops_acted *event = record->event;

    return (log->part == NULL || view_equals(event->part, log->part)) &&
           (log->action == NULL || view_equals(event->action, log->action)) &&
           (log->actor == NULL || view_equals(event->actor, log->actor)) &&
           event->occurred_at >= log->from_us && event->occurred_at < log->to_us;
}

static void keep(struct ops_log *log, const struct record *record)
{
    const struct ops_acted *event = record->event;
    AUTO(buf_clear) struct buf json = {0};

    log->entries =
        mem_room(log->entries, log->entry_count, &log->entry_capacity, sizeof *log->entries);
    record_print_json(&json, record);
    log->entries[log->entry_count++] = (struct entry){
        .time_us = event->occurred_at,
        .source = arena_view(&log->arena, record->envelope.source),
        .number = record->envelope.number,
        .event =
            {
                .part = arena_view(&log->arena, event->part),
                .action = arena_view(&log->arena, event->action),
                .subject = arena_view(&log->arena, event->subject),
                .actor = arena_view(&log->arena, event->actor),
                .reason = arena_view(&log->arena, event->reason),
                .before = arena_view(&log->arena, event->before),
                .after = arena_view(&log->arena, event->after),
            },
        .json = arena_view(&log->arena, buf_view(&json)),
    };
}

static bool each_record(void *context, const rd_kafka_message_t *message)
{
    struct ops_log *log = context;
    AUTO(arena_clear) struct arena arena = {0};
    struct record record;

    record_read(&record, message, log->ids, &arena);
    if (!record.is_event)
        log->not_events++;
    else if (is_new(log, &record.envelope, record.offset) && is_wanted(log, &record))
        keep(log, &record);
    return true;
}

static enum err_kind read_log(struct ops_log *log, struct err *err)
{
    size_t count = (size_t)setting_integer("TRADEWIND_PARTITIONS");
    int32_t *partitions = arena_array(&log->arena, count, sizeof *partitions);
    int64_t *offsets = arena_array(&log->arena, count, sizeof *offsets);
    enum err_kind kind = schema_ids_open(&log->ids, setting_text("TRADEWIND_SCHEMAS"),
                                         setting_text("TRADEWIND_REGISTRY"), err);

    for (size_t i = 0; i < count; i++) {
        partitions[i] = (int32_t)i;
        offsets[i] = RD_KAFKA_OFFSET_BEGINNING;
    }
    return kind != ERR_OK
               ? kind
               : kafka_read_to_end(setting_text("TRADEWIND_KAFKA"), topic_name(TOPIC_OPS),
                                   partitions, offsets, count, each_record, log, err);
}

/* --- Printing -----------------------------------------------------------------------------------
 */

static int by_time(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = view_compare(a->source, b->source);

    if (a->time_us != b->time_us)
        return a->time_us < b->time_us ? -1 : 1;
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static void print_people(struct ops_log *log)
{
    static const char *const COLUMNS[] = {"when (UTC)", "who",    "part",  "did", "to",
                                          "why",        "before", "after", NULL};
    struct out_table table;

    if (log->entry_count == 0) {
        printf("nothing of that kind was done\n");
        return;
    }
    out_table_start(&table, COLUMNS, &log->arena);
    for (size_t i = 0; i < log->entry_count; i++) {
        const struct ops_acted *event = &log->entries[i].event;
        char time[CLOCK_RFC3339_SIZE];

        clock_format_rfc3339(log->entries[i].time_us, time);
        out_cell(&table, "%.19s", time);
        out_cell_in(&table, OUT_BOLD, "%.*s", VIEW_PRINT(event->actor));
        out_cell(&table, "%.*s", VIEW_PRINT(event->part));
        out_cell_in(&table, OUT_BOLD, "%.*s", VIEW_PRINT(event->action));
        out_cell(&table, "%.*s", VIEW_PRINT(event->subject));
        out_cell(&table, "%s%.*s", event->reason.size == 0 ? "-" : "", VIEW_PRINT(event->reason));
        out_cell(&table, "%.*s", VIEW_PRINT(event->before));
        out_cell(&table, "%.*s", VIEW_PRINT(event->after));
    }
    out_table_print(&table, stdout);
}

static void print_json(const struct ops_log *log)
{
    printf("[");
    for (size_t i = 0; i < log->entry_count; i++)
        printf("%s%.*s", i > 0 ? ",\n " : "", VIEW_PRINT(log->entries[i].json));
    printf("]\n");
}

/* Numbers begin at 1 and have no gaps: what is missing was done, and is not told. */
static int complain(const struct command *command, const struct ops_log *log)
{
    int code = OPS_OK;

    for (size_t i = 0; i < log->writer_count; i++) {
        const struct writer *writer = &log->writers[i];

        if (writer->run.first == 1 && writer->run.run == writer->run.highest)
            continue;
        fprintf(stderr,
                "tradewind %s: %.*s: number %" PRIu64 " is missing, the highest is %" PRIu64 "\n",
                command->name, VIEW_PRINT(writer->source),
                writer->run.first > 1 ? 1 : writer->run.run + 1, writer->run.highest);
        code = OPS_FOUND;
    }
    if (log->not_events > 0)
        fprintf(stderr, "tradewind %s: %zu records of %s are no events: somebody else wrote them\n",
                command->name, log->not_events, topic_name(TOPIC_OPS));
    return code;
}

/* --- The call -----------------------------------------------------------------------------------
 */

static int check_options(const struct command *command, struct ops_log *log, const char *verb)
{
    int64_t now_us = clock_utc_us();

    log->to_us = INT64_MAX;
    if (strcmp(verb, "log") != 0)
        return args_refuse(command, "%s: want log", verb);
    if (log->part != NULL && ops_part_find(log->part) == NULL)
        return args_refuse(command, "--part %s: there is no such part; want one of %s", log->part,
                           ops_part_names());
    if (log->since != NULL && !when_parse(log->since, now_us, &log->from_us))
        return args_refuse(command, "--since %s: want a time or a duration, like 15m", log->since);
    if (log->until != NULL && !when_parse(log->until, now_us, &log->to_us))
        return args_refuse(command, "--until %s: want a time or a duration, like 15m", log->until);
    return OPS_OK;
}

int command_ops(const struct command *command, int argc, char **argv)
{
    struct ops_log log = {0};
    const struct arg args[] = {
        {"part", ARG_TEXT, &log.part, "PART", "what was done through this part"},
        {"action", ARG_TEXT, &log.action, "ACTION", "of this kind, like dead_letter.redrive"},
        {"actor", ARG_TEXT, &log.actor, "NAME", "by this person"},
        {"since", ARG_TEXT, &log.since, "WHEN",
         "since a time (2026-01-31T12:00:00Z) or so long ago (15m, 2h, 7d)"},
        {"until", ARG_TEXT, &log.until, "WHEN", "before it"},
        {"json", ARG_FLAG, &log.as_json, .help = "for programs"},
    };
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 1, 1, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if ((code = check_options(command, &log, argv[0])) != OPS_OK ||
        (code = ops_settings(command)) != OPS_OK)
        return code;
    if (read_log(&log, &err) != ERR_OK) {
        code = ops_failed(command, &err);
    } else {
        if (log.entry_count > 0)
            qsort(log.entries, log.entry_count, sizeof *log.entries, by_time);
        log.as_json ? print_json(&log) : print_people(&log);
        code = complain(command, &log);
    }
    schema_ids_free(log.ids);
    free(log.writers);
    free(log.entries);
    arena_clear(&log.arena);
    return code;
}
