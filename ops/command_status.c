/* tradewind status: the parts, what they lag behind, and the oldest order that is not finished. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/status.h"
#include "ops/watch.h"
#include "runtime/clock.h"
#include "runtime/json.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>

#define MIB 1048576.0

static void cell_count(struct out_table *table, int64_t count, bool bad)
{
    if (count < 0)
        out_cell(table, "-");
    else
        out_cell_in(table, bad && count > 0 ? OUT_YELLOW : OUT_PLAIN, "%s",
                    out_count(table->arena, count));
}

static void print_part(struct out_table *table, const struct part_status *part)
{
    bool measured = part->metrics.count > 0;

    out_cell(table, "%s", part->part->name);
    out_cell(table, "%s", part->address != NULL ? part->address : "-");
    if (part->ready && metrics_sum(&part->metrics, "tradewind_intake_paused") > 0)
        out_cell_in(table, OUT_YELLOW, "paused");
    else if (part->ready)
        out_cell_in(table, OUT_GREEN, "ready");
    else
        out_cell_in(table, OUT_RED, "%s",
                    part->reachable         ? "not ready"
                    : part->address == NULL ? "no address"
                                            : "no answer");
    out_cell(table, "%s", part->instance[0] != '\0' ? part->instance : "-");
    if (measured)
        out_cell(table, "%.0f MiB",
                 metrics_sum(&part->metrics, "process_resident_memory_bytes") / MIB);
    else
        out_cell(table, "-");
    cell_count(table, part->lag, false);
    cell_count(table,
               measured ? (int64_t)metrics_sum(&part->metrics, "tradewind_relay_unpublished") : -1,
               false);
    cell_count(table, part->dead_letters, true);
    out_cell(table, "%s", part->not_ready);
}

static void print_people(const struct status *status, struct arena *arena)
{
    static const char *const COLUMNS[] = {"part",    "address", "state",          "instance",
                                          ">memory", ">lag",    ">not published", ">dead letters",
                                          "",        NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, arena);
    for (size_t i = 0; i < ops_part_count; i++)
        print_part(&table, &status->parts[i]);
    out_table_print(&table, stdout);
    putchar('\n');
    if (!status->broker_answers)
        printf("  %sno broker answers:%s %s\n", out_colour(OUT_RED), out_colour(OUT_PLAIN),
               status->broker_err.text);
    if (!status->orders_answer)
        printf(
            "  oldest unfinished order: not known, the order service's database does not answer\n");
    else if (!status->oldest.exists)
        printf("  every order is finished\n");
    else
        printf("  oldest unfinished order: %s, %s, placed %s ago (tradewind order %s)\n",
               status->oldest.id, status->oldest.state,
               out_duration_us(arena, clock_utc_us() - status->oldest.created_us),
               status->oldest.id);
}

static void write_count(struct json_writer *json, const char *name, int64_t count)
{
    json_key(json, name);
    if (count < 0)
        json_put_null(json);
    else
        json_put_int64(json, count);
}

static void write_part(struct json_writer *json, const struct part_status *part)
{
    bool measured = part->metrics.count > 0;

    json_object_start(json);
    json_member_str(json, "part", part->part->name);
    json_member_text(json, "address", view_str(part->address));
    json_member_bool(json, "reachable", part->reachable);
    json_member_bool(json, "ready", part->ready);
    json_member_str(json, "not_ready", part->not_ready);
    json_member_bool(json, "paused", metrics_sum(&part->metrics, "tradewind_intake_paused") > 0);
    json_member_str(json, "instance", part->instance);
    write_count(json, "resident_bytes",
                measured ? (int64_t)metrics_sum(&part->metrics, "process_resident_memory_bytes")
                         : -1);
    write_count(json, "lag", part->lag);
    write_count(json, "not_published",
                measured ? (int64_t)metrics_sum(&part->metrics, "tradewind_relay_unpublished")
                         : -1);
    write_count(json, "dead_letters", part->dead_letters);
    json_object_end(json);
}

static void print_json(const struct status *status)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_key(&json, "parts");
    json_array_start(&json);
    for (size_t i = 0; i < ops_part_count; i++)
        write_part(&json, &status->parts[i]);
    json_array_end(&json);
    json_member_bool(&json, "broker_answers", status->broker_answers);
    json_key(&json, "oldest_unfinished_order");
    if (status->oldest.exists) {
        json_object_start(&json);
        json_member_str(&json, "order_id", status->oldest.id);
        json_member_str(&json, "state", status->oldest.state);
        json_member_time_us(&json, "created_at", status->oldest.created_us);
        json_object_end(&json);
    } else {
        json_put_null(&json);
    }
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

static int show_once(const struct command *command, struct lag *lag, bool as_json)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct status status;
    struct err err = {0};
    bool all_reachable = true, all_ready = true;

    if (status_read(&status, lag, &arena, &err) != ERR_OK)
        return ops_failed(command, &err);
    status_read_more(&status, &arena);
    if (as_json)
        print_json(&status);
    else
        print_people(&status, &arena);
    for (size_t i = 0; i < ops_part_count; i++) {
        all_reachable &= status.parts[i].reachable;
        all_ready &= status.parts[i].ready;
    }
    return !all_reachable || !status.broker_answers ? OPS_UNREACHABLE
           : all_ready                              ? OPS_OK
                                                    : OPS_FOUND;
}

int command_status(const struct command *command, int argc, char **argv)
{
    bool as_json = false, watch = false;
    struct watch_options options = {0};
    const struct arg args[] = {
        {"watch", ARG_FLAG, &watch,
         .help = "a live view, once a second; plain lines when it is no terminal"},
        {"until-idle", ARG_FLAG, &options.until_idle,
         .help = "with --watch: end when no order is under way any more"},
        {"seconds", ARG_INTEGER, &options.seconds, "N",
         "with --watch: end after N seconds; 0: never", .min = 0, .max = 1000000},
        {"json", ARG_FLAG, &as_json, .help = "for programs; with --watch an object a second"},
    };
    AUTO(lag_close) struct lag *lag = NULL;
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 0, 0, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if (!watch && (options.until_idle || options.seconds > 0))
        return args_refuse(command, "--until-idle and --seconds belong to --watch");
    if ((code = ops_settings(command)) != OPS_OK)
        return code;
    options.as_json = as_json;
    if (lag_open(&lag, setting_text("TRADEWIND_KAFKA"),
                 (int32_t)setting_integer("TRADEWIND_PARTITIONS"), &err) != ERR_OK)
        return ops_failed(command, &err);
    if (!watch)
        return show_once(command, lag, as_json);
    return watch_run(lag, &options, &err) == ERR_OK ? OPS_OK : ops_failed(command, &err);
}
