/* tradewind import: reads the file, sends it unless --dry-run, and accounts for every line of it.
 */
#include "ops/commands.h"
#include "ops/import_send.h"
#include "ops/out.h"
#include "runtime/clock.h"
#include "runtime/json.h"
#include "runtime/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES (512u << 20)

/* What the plan says, counted for the report. */
struct plan_counts {
    size_t order_lines, guests, only_charges;
    int64_t total_minor, opening_units;
    size_t declined, capture_fails, at_once, confirmed;
    size_t goods;
};

static enum err_kind read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    enum err_kind kind = ERR_OK;

    if (file == NULL)
        return err_set(err, ERR_REJECT, "%s: it cannot be read: %s", path, strerror(errno));
    if (fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode))
        kind = err_set(err, ERR_REJECT, "%s: it is no regular file", path);
    else if ((uint64_t)about.st_size > FILE_MAX_BYTES)
        kind = err_set(err, ERR_REJECT, "%s: it is larger than %u MiB", path, FILE_MAX_BYTES >> 20);
    while (kind == ERR_OK && !feof(file)) {
        char *to = buf_reserve(out, 1 << 20);

        out->size += fread(to, 1, 1 << 20, file);
        if (ferror(file))
            kind = err_set(err, ERR_REJECT, "%s: it cannot be read: %s", path, strerror(errno));
    }
    fclose(file);
    return kind;
}

static struct plan_counts count_plan(const struct retail *retail)
{
    struct plan_counts counts = {0};

    for (size_t i = 0; i < retail->order_count; i++) {
        const struct retail_order *order = &retail->orders[i];

        counts.order_lines += order->line_count;
        counts.guests += order->is_guest;
        counts.only_charges += order->only_charges;
        counts.total_minor += order->total_minor;
        counts.declined += strcmp(order->payment_token, "tok_decline") == 0;
        counts.capture_fails += strcmp(order->payment_token, "tok_capture_fail") == 0;
        counts.at_once += order->cancel == RETAIL_CANCEL_AT_ONCE;
        counts.confirmed += order->cancel == RETAIL_CANCEL_CONFIRMED;
    }
    for (size_t i = 0; i < retail->product_count; i++) {
        counts.goods += !retail->products[i].is_charge;
        counts.opening_units += retail->products[i].opening;
    }
    return counts;
}

/* --- The report for people ---------------------------------------------------------------------
 */

static void print_row(struct out_table *table, const char *name, const struct retail_total *total,
                      const char *fate)
{
    struct arena *arena = table->arena;

    out_cell(table, "%s", name);
    out_cell(table, "%s", out_count(arena, (int64_t)total->lines));
    out_cell(table, "%s", out_count(arena, total->units));
    out_cell(table, "%s", out_money(arena, retail_minor(total->amount), RETAIL_CURRENCY));
    out_cell(table, "%s", fate);
}

static void print_buckets(const struct retail *retail, struct arena *arena)
{
    static const char *const COLUMNS[] = {
        "bucket", ">lines", ">units", (">" RETAIL_CURRENCY), "what becomes of it", NULL};
    struct retail_total all = {0};
    struct out_table table;

    out_table_start(&table, COLUMNS, arena);
    for (int i = 0; i < BUCKET_COUNT; i++) {
        const struct retail_total *total = &retail->totals[i];

        all.lines += total->lines;
        all.units += total->units;
        all.amount += total->amount;
        if (total->lines > 0 || i != BUCKET_SET_ASIDE)
            print_row(&table, retail_bucket_name((enum retail_bucket)i), total,
                      retail_bucket_fate((enum retail_bucket)i));
    }
    print_row(&table, "total", &all, "");
    out_table_print(&table, stdout);
}

static void print_set_aside(const struct retail *retail)
{
    size_t printed = 0;

    for (size_t i = 0; i < retail->line_count && printed < 10; i++)
        if (retail->lines[i].bucket == BUCKET_SET_ASIDE) {
            printf("  line %zu is set aside: %s\n", retail->lines[i].line, retail->lines[i].why);
            printed++;
        }
    if (printed < retail->totals[BUCKET_SET_ASIDE].lines)
        printf("  ... and %zu lines more\n", retail->totals[BUCKET_SET_ASIDE].lines - printed);
}

static void print_plan(const struct retail *retail, const struct plan_counts *counts,
                       struct arena *arena)
{
    printf("\n  %s orders with %s lines, %s %s in all\n",
           out_count(arena, (int64_t)retail->order_count),
           out_count(arena, (int64_t)counts->order_lines),
           out_money(arena, counts->total_minor, RETAIL_CURRENCY), RETAIL_CURRENCY);
    printf("  from %zu customers and %zu guests; %zu of charges only\n", retail->customer_count,
           counts->guests, counts->only_charges);
    printf("  %s products, %zu of them charges; opening stock %s units\n",
           out_count(arena, (int64_t)retail->product_count), retail->product_count - counts->goods,
           out_count(arena, counts->opening_units));
    printf("  by hash of the invoice: %zu cards declined, %zu captures fail,\n"
           "  %zu orders cancelled at once and %zu after confirmation\n",
           counts->declined, counts->capture_fails, counts->at_once, counts->confirmed);
}

static void print_sent(const struct import_sent *sent, const char *run)
{
    printf("\n  run %s\n", run);
    printf(
        "  sent: %zu products, %zu receipts of stock, %zu orders accepted in %.1f s, %zu refused\n",
        sent->products, sent->receipts, sent->accepted, (double)sent->duration_ms / 1000,
        sent->refused);
    printf("  %zu orders cancelled, %zu had ended by themselves before\n", sent->cancelled,
           sent->not_cancelled);
    if (sent->held_back + sent->unanswered > 0)
        printf("  asked to come back later %zu times, not answered %zu times: sent again under the "
               "same key\n",
               sent->held_back, sent->unanswered);
    for (size_t i = 0; i < sent->example_count; i++)
        printf("  refused: %s\n", sent->examples[i]);
}

/* --- The report for programs -------------------------------------------------------------------
 */

static void write_buckets(struct json_writer *json, const struct retail *retail)
{
    json_key(json, "buckets");
    json_array_start(json);
    for (int i = 0; i < BUCKET_COUNT; i++) {
        json_object_start(json);
        json_member_str(json, "bucket", retail_bucket_name((enum retail_bucket)i));
        json_member_int64(json, "lines", (int64_t)retail->totals[i].lines);
        json_member_int64(json, "units", retail->totals[i].units);
        json_member_int64(json, "amount_minor", retail_minor(retail->totals[i].amount));
        json_member_bool(json, "sent", retail_bucket_is_sent((enum retail_bucket)i));
        json_object_end(json);
    }
    json_array_end(json);
    json_key(json, "set_aside");
    json_array_start(json);
    for (size_t i = 0; i < retail->line_count; i++)
        if (retail->lines[i].bucket == BUCKET_SET_ASIDE) {
            json_object_start(json);
            json_member_int64(json, "line", (int64_t)retail->lines[i].line);
            json_member_str(json, "why", retail->lines[i].why);
            json_object_end(json);
        }
    json_array_end(json);
}

static void write_plan(struct json_writer *json, const struct retail *retail,
                       const struct plan_counts *counts)
{
    json_key(json, "plan");
    json_object_start(json);
    json_member_int64(json, "orders", (int64_t)retail->order_count);
    json_member_int64(json, "order_lines", (int64_t)counts->order_lines);
    json_member_int64(json, "total_minor", counts->total_minor);
    json_member_int64(json, "customers", (int64_t)retail->customer_count);
    json_member_int64(json, "guests", (int64_t)counts->guests);
    json_member_int64(json, "only_charges", (int64_t)counts->only_charges);
    json_member_int64(json, "products", (int64_t)retail->product_count);
    json_member_int64(json, "goods", (int64_t)counts->goods);
    json_member_int64(json, "opening_units", counts->opening_units);
    json_member_int64(json, "declined", (int64_t)counts->declined);
    json_member_int64(json, "capture_fails", (int64_t)counts->capture_fails);
    json_member_int64(json, "cancelled_at_once", (int64_t)counts->at_once);
    json_member_int64(json, "cancelled_after_confirmation", (int64_t)counts->confirmed);
    json_object_end(json);
}

static void write_sent(struct json_writer *json, const struct import_sent *sent)
{
    json_key(json, "sent");
    json_object_start(json);
    json_member_int64(json, "products", (int64_t)sent->products);
    json_member_int64(json, "receipts", (int64_t)sent->receipts);
    json_member_int64(json, "orders_accepted", (int64_t)sent->accepted);
    json_member_int64(json, "orders_refused", (int64_t)sent->refused);
    json_member_int64(json, "orders_cancelled", (int64_t)sent->cancelled);
    json_member_int64(json, "orders_ended_before_cancel", (int64_t)sent->not_cancelled);
    json_member_int64(json, "held_back", (int64_t)sent->held_back);
    json_member_int64(json, "unanswered", (int64_t)sent->unanswered);
    json_member_int64(json, "duration_ms", sent->duration_ms);
    json_key(json, "refusals");
    json_array_start(json);
    for (size_t i = 0; i < sent->example_count; i++)
        json_put_str(json, sent->examples[i]);
    json_array_end(json);
    json_object_end(json);
}

static void report(const char *path, const struct retail *retail, const struct import_sent *sent,
                   const char *run, bool as_json, struct arena *arena)
{
    struct plan_counts counts = count_plan(retail);
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    if (!as_json) {
        printf("%s: %s lines, each in one bucket\n\n", path,
               out_count(arena, (int64_t)retail->line_count));
        print_buckets(retail, arena);
        print_set_aside(retail);
        print_plan(retail, &counts, arena);
        if (sent != NULL)
            print_sent(sent, run);
        else
            printf("\n  dry run: nothing was sent\n");
        return;
    }
    json_object_start(&json);
    json_member_str(&json, "file", path);
    json_member_int64(&json, "lines", (int64_t)retail->line_count);
    json_member_str(&json, "currency", RETAIL_CURRENCY);
    write_buckets(&json, retail);
    write_plan(&json, retail, &counts);
    json_member_str(&json, "run", run);
    if (sent != NULL)
        write_sent(&json, sent);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

/* --- The command -------------------------------------------------------------------------------
 */

static bool is_run_name(const char *run)
{
    size_t size = strlen(run);

    return size > 0 && size <= 64 &&
           strspn(run, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == size;
}

/* 20261121T061403.123Z: the time the run began. */
static const char *new_run(struct arena *arena)
{
    char now[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(clock_utc_us(), now);
    return arena_printf(arena, "%.4s%.2s%.5s%.2s%.6sZ", now, now + 5, now + 8, now + 14, now + 17)
        .data;
}

static int send_plan(const struct command *command, const struct retail *retail, const char *path,
                     const char *run, int64_t rate, bool as_json, struct arena *arena)
{
    struct import_target target = {.run = run, .rate = rate};
    struct import_sent sent = {0};
    struct err err = {0};
    int code = ops_settings(command);

    if (code != OPS_OK)
        return code;
    target.door = setting_text("TRADEWIND_DOOR");
    target.signing_key = setting_text("TRADEWIND_SIGNING_KEY");
    if (target.signing_key[0] == '\0')
        return args_refuse(command,
                           "TRADEWIND_SIGNING_KEY is not set: the private key to sign with");
    if (import_send(retail, &target, &sent, arena, &err) != ERR_OK)
        code = ops_failed(command, &err);
    report(path, retail, &sent, run, as_json, arena);
    if (code != OPS_OK)
        return code;
    return sent.refused > 0 ? OPS_FOUND : OPS_OK;
}

int command_import(const struct command *command, int argc, char **argv)
{
    bool dry_run = false, as_json = false;
    int64_t rate = 20;
    const char *run = NULL;
    struct retail_shares shares = {
        .stock_cover = 990000, .decline = 30000, .capture_fail = 10000, .cancel = 30000};
    const struct arg args[] = {
        {"dry-run", ARG_FLAG, &dry_run, .help = "only the report; needs no server"},
        {"json", ARG_FLAG, &as_json, .help = "the report for programs"},
        {"rate", ARG_INTEGER, &rate, "N", "orders a second", .min = 1, .max = 10000},
        {"stock-cover", ARG_SHARE, &shares.stock_cover, "SHARE",
         "opening stock of a SKU, as a share of its units sold"},
        {"decline-share", ARG_SHARE, &shares.decline, "SHARE", "orders whose card is declined"},
        {"capture-fail-share", ARG_SHARE, &shares.capture_fail, "SHARE",
         "orders whose capture fails"},
        {"cancel-share", ARG_SHARE, &shares.cancel, "SHARE",
         "orders cancelled, half at once, half after confirmation"},
        {"run", ARG_TEXT, &run, "NAME", "name of the run, part of every key (default: the time)"},
    };
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf text = {0};
    struct retail retail;
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 2, 2, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if (strcmp(argv[0], "online-retail") != 0)
        return args_refuse(command, "%s: the only kind of file known is online-retail", argv[0]);
    if (run != NULL && !is_run_name(run))
        return args_refuse(command, "--run %s: want 1 to 64 letters, digits, '.', '_' or '-'", run);
    if (read_file(argv[1], &text, &err) != ERR_OK)
        return ops_failed(command, &err);
    if (retail_read(&retail, buf_view(&text), &shares, &arena, &err) != ERR_OK) {
        fprintf(stderr, "tradewind import: %s: %s\n", argv[1], err.text);
        return OPS_USAGE;
    }
    if (run == NULL)
        run = new_run(&arena);
    if (dry_run) {
        report(argv[1], &retail, NULL, run, as_json, &arena);
        return OPS_OK;
    }
    return send_plan(command, &retail, argv[1], run, rate, as_json, &arena);
}
