/* tradewind audit: reads all there is and counts what breaks an invariant. */
#include "ops/audit_ledger.h"
#include "ops/audit_stores.h"
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/status.h"
#include "ops/world_read.h"
#include "runtime/clock.h"
#include "runtime/json.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define QUIET_MS 2000 /* nothing has changed for so long */
#define LOOK_MS 500

/* --- Waiting
 * ---------------------------------------------------------------------------------------- */

/* Until nothing is under way and nothing has changed for a while, for `seconds` at most. What is
 * down stays down meanwhile: its work is waited for in vain, and the audit says so. */
static enum err_kind wait_for_quiet(int64_t seconds, struct err *err)
{
    int64_t start_ms = clock_monotonic_ms(), changed_ms = start_ms;
    AUTO(lag_close) struct lag *lag = NULL;
    double events = -1;
    enum err_kind kind = lag_open(&lag, setting_text("TRADEWIND_KAFKA"),
                                  (int32_t)setting_integer("TRADEWIND_PARTITIONS"), err);

    while (kind == ERR_OK && clock_monotonic_ms() - start_ms < seconds * 1000) {
        AUTO(arena_clear) struct arena arena = {0};
        struct status status;
        double now;

        if ((kind = status_read(&status, lag, &arena, err)) != ERR_OK)
            break;
        now = status_sum(&status, "tradewind_events_committed_total");
        if (now != events || status_under_way(&status) > 0 || !status.broker_answers)
            changed_ms = clock_monotonic_ms();
        events = now;
        if (clock_monotonic_ms() - changed_ms >= QUIET_MS)
            break;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
    }
    return kind;
}

/* --- Reading
 * ---------------------------------------------------------------------------------------- */

static enum err_kind find_who_is_down(struct audit *audit, struct err *err)
{
    struct status status;
    enum err_kind kind = status_read(&status, NULL, audit->arena, err);

    for (size_t i = 0; kind == ERR_OK && i < ops_part_count; i++) {
        enum saga_part part = saga_part_from_name(ops_parts[i].name);

        if (part != PART_NONE)
            audit->part_is_down[part] = !status.parts[i].ready;
        if (strcmp(ops_parts[i].name, "provider") == 0)
            audit->provider_is_down = !status.parts[i].ready;
    }
    return kind;
}

/* The databases before the topics, so that all that they say is in the topics; the ledger after
 * them, for it is read in one go. What happens meanwhile is told by the time of its events. */
static enum err_kind read_all(struct audit *audit, struct err *err)
{
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    enum err_kind kind = schema_ids_open(&ids, setting_text("TRADEWIND_SCHEMAS"),
                                         setting_text("TRADEWIND_REGISTRY"), err);

    if (kind == ERR_OK)
        kind = find_who_is_down(audit, err);
    if (kind != ERR_OK)
        return kind;
    audit->started_us = clock_utc_us();
    audit_stores_read(audit);
    if ((kind = world_read(audit->world, setting_text("TRADEWIND_KAFKA"), ids, err)) != ERR_OK)
        return kind;
    audit_stores_read_numbers_after(audit);
    audit_ledger_read(audit, setting_text("TRADEWIND_MONGODB"));
    audit->now_us = clock_utc_us();
    return ERR_OK;
}

/* --- For people
 * ------------------------------------------------------------------------------------- */

static void print_finding(struct out_table *table, const struct audit_invariant *invariant,
                          const struct audit_finding *finding)
{
    if (finding->violations > 0)
        out_cell_in(table, OUT_RED, "%s", out_count(table->arena, (int64_t)finding->violations));
    else if (finding->not_checked != NULL)
        out_cell_in(table, OUT_YELLOW, "?");
    else
        out_cell_in(table, OUT_GREEN, "0");
    out_cell(table, "%s", invariant->id);
    out_cell(table, "%s", out_count(table->arena, (int64_t)finding->checked));
    out_cell(table, "%s", invariant->sentence);
}

static void print_standings(const struct audit *audit)
{
    const char *between = "";

    printf("  %zu orders: ", audit->world->orders.count);
    for (int i = 0; i < AUDIT_STANDINGS; i++)
        if (audit->standings[i] > 0) {
            printf("%s%s %s", between, out_count(audit->arena, (int64_t)audit->standings[i]),
                   audit_standing_name((enum audit_standing)i));
            between = ", ";
        }
    printf("%s\n", audit->world->orders.count == 0 ? "none" : "");
}

static void print_down(const struct audit *audit)
{
    for (int part = 0; part < PART_COUNT; part++)
        if (audit->part_is_down[part])
            printf("  %s is down\n", saga_part_name((enum saga_part)part));
    if (audit->provider_is_down)
        printf("  the payment provider is down\n");
}

static void print_notes(const struct audit *audit)
{
    for (size_t i = 0; i < audit->dead_letter_count; i++)
        if (audit->dead_letters[i].count > 0)
            printf("  %s has set %" PRIu64 " records aside (tradewind dlq ls %s)\n",
                   audit->dead_letters[i].part, audit->dead_letters[i].count,
                   audit->dead_letters[i].part);
    if (audit->world->not_events > 0)
        printf("  %" PRIu64
               " records without a number are in the topics, from foreign writers: %s\n",
               audit->world->not_events, audit->world->not_event);
}

static void print_people(const struct audit *audit, uint64_t violations, uint64_t unchecked)
{
    static const char *const COLUMNS[] = {">violations", "invariant", ">checked", "", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, audit->arena);
    for (size_t i = 0; i < audit_invariant_count; i++)
        print_finding(&table, &audit_invariants[i], &audit->findings[i]);
    out_table_print(&table, stdout);
    putchar('\n');
    for (size_t i = 0; i < audit_invariant_count; i++) {
        const struct audit_finding *finding = &audit->findings[i];

        for (size_t e = 0; e < finding->example_count; e++)
            printf("  %s%s%s: %s\n", out_colour(OUT_RED), audit_invariants[i].id,
                   out_colour(OUT_PLAIN), finding->examples[e]);
        if (finding->violations > finding->example_count)
            printf("  %s: ... and %" PRIu64 " more\n", audit_invariants[i].id,
                   finding->violations - finding->example_count);
        if (finding->not_checked != NULL)
            printf("  %s%s%s: not checked: %s\n", out_colour(OUT_YELLOW), audit_invariants[i].id,
                   out_colour(OUT_PLAIN), finding->not_checked);
    }
    print_standings(audit);
    print_down(audit);
    print_notes(audit);
    printf("  %s records read; %s%" PRIu64 " violations%s",
           out_count(audit->arena, (int64_t)audit->world->record_count),
           out_colour(violations > 0 ? OUT_RED : OUT_GREEN), violations, out_colour(OUT_PLAIN));
    if (unchecked > 0)
        printf(", %" PRIu64 " invariants not checked", unchecked);
    printf("\n");
}

/* --- For programs
 * ----------------------------------------------------------------------------------- */

static void write_finding(struct json_writer *json, const struct audit_invariant *invariant,
                          const struct audit_finding *finding)
{
    json_object_start(json);
    json_member_str(json, "id", invariant->id);
    json_member_str(json, "sentence", invariant->sentence);
    json_member_int64(json, "checked", (int64_t)finding->checked);
    json_member_int64(json, "violations", (int64_t)finding->violations);
    json_member_text(json, "not_checked", view_str(finding->not_checked));
    json_key(json, "examples");
    json_array_start(json);
    for (size_t e = 0; e < finding->example_count; e++)
        json_put_str(json, finding->examples[e]);
    json_array_end(json);
    json_object_end(json);
}

static void write_orders(struct json_writer *json, const struct audit *audit)
{
    static const char *const NAMES[AUDIT_STANDINGS] = {"settled", "moving", "young",
                                                       "waiting", "parked", "stuck"};

    json_key(json, "orders");
    json_object_start(json);
    json_member_int64(json, "all", (int64_t)audit->world->orders.count);
    for (int i = 0; i < AUDIT_STANDINGS; i++)
        json_member_int64(json, NAMES[i], (int64_t)audit->standings[i]);
    json_object_end(json);
}

static void write_dead_letters(struct json_writer *json, const struct audit *audit)
{
    json_key(json, "dead_letters");
    json_object_start(json);
    for (size_t i = 0; i < audit->dead_letter_count; i++)
        json_member_int64(json, audit->dead_letters[i].part, (int64_t)audit->dead_letters[i].count);
    json_object_end(json);
}

static void print_json(const struct audit *audit, uint64_t violations, uint64_t unchecked)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    json_member_int64(&json, "violations", (int64_t)violations);
    json_member_int64(&json, "not_checked", (int64_t)unchecked);
    json_member_int64(&json, "records", (int64_t)audit->world->record_count);
    json_member_int64(&json, "records_without_number", (int64_t)audit->world->not_events);
    write_orders(&json, audit);
    write_dead_letters(&json, audit);
    json_key(&json, "down");
    json_array_start(&json);
    for (int part = 0; part < PART_COUNT; part++)
        if (audit->part_is_down[part])
            json_put_str(&json, saga_part_name((enum saga_part)part));
    if (audit->provider_is_down)
        json_put_str(&json, "provider");
    json_array_end(&json);
    json_key(&json, "invariants");
    json_array_start(&json);
    for (size_t i = 0; i < audit_invariant_count; i++)
        write_finding(&json, &audit_invariants[i], &audit->findings[i]);
    json_array_end(&json);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

/* --- The command
 * ------------------------------------------------------------------------------------- */

static bool all_stores_read(const struct audit *audit)
{
    const struct audit_stores *stores = &audit->stores;

    return stores->orders && stores->payment && stores->provider && stores->fraud &&
           stores->analytics && stores->email && stores->ledger;
}

int command_audit(const struct command *command, int argc, char **argv)
{
    bool as_json = false;
    int64_t wait_s = 0;
    const struct arg args[] = {
        {"wait", ARG_INTEGER, &wait_s, "SECONDS",
         "first wait until nothing is under way, so long at most", .min = 0, .max = 86400},
        {"json", ARG_FLAG, &as_json, .help = "for programs"},
    };
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(world_clear) struct world world = {0};
    AUTO(audit_clear) struct audit audit = {.world = &world, .arena = &arena};
    uint64_t violations, unchecked = 0;
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 0, 0, &argc, &argv);

    if (code != ARGS_MORE || (code = ops_settings(command)) != OPS_OK)
        return code;
    if (wait_s > 0 && wait_for_quiet(wait_s, &err) != ERR_OK)
        return ops_failed(command, &err);
    world_init(&world, (int32_t)setting_integer("TRADEWIND_PARTITIONS"), &arena);
    if (read_all(&audit, &err) != ERR_OK)
        return ops_failed(command, &err);
    violations = audit_run(&audit);
    for (size_t i = 0; i < audit_invariant_count; i++)
        unchecked += audit.findings[i].not_checked != NULL;
    if (as_json)
        print_json(&audit, violations, unchecked);
    else
        print_people(&audit, violations, unchecked);
    return violations > 0 ? OPS_FOUND : all_stores_read(&audit) ? OPS_OK : OPS_UNREACHABLE;
}
