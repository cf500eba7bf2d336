/* tradewind summary: what has become of all orders, counted from the topics, with the revenue that
 * analytics knows of. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/world_read.h"
#include "runtime/pg.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <stdio.h>

#define CURRENCIES_MAX 200
#define COUNTRIES_MAX 1000
#define COUNTRIES_SHOWN 12

struct money {
    struct world_currency currency;
    int64_t ordered_minor, captured_minor, voided_minor, refunded_minor;
};

struct country {
    const char *name, *currency;
    int64_t orders, revenue_minor;
};

struct summary {
    struct arena *arena;
    struct world *world;
    int64_t states[SAGA_STATE_MAX];
    int64_t reasons[CANCEL_REASON_COUNT]; /* of cancelled orders */
    struct money *money;
    size_t money_count;
    int64_t received, held, sold;
    int64_t mails_sent[WORLD_MAILS], mails_failed[WORLD_MAILS];
    struct country *countries;
    size_t country_count;
    const char *no_countries; /* why there are none; NULL: they are there */
};

static const char *const MAILS[WORLD_MAILS] = {"confirmation", "cancellation", "refund"};

/* --- Counting
 * --------------------------------------------------------------------------------------- */

static struct money *money_of(struct summary *summary, const struct world_order *order)
{
    for (size_t i = 0; i < summary->money_count; i++)
        if (memcmp(&summary->money[i].currency, &order->currency, sizeof order->currency) == 0)
            return &summary->money[i];
    if (summary->money_count == CURRENCIES_MAX)
        return NULL;
    summary->money[summary->money_count].currency = order->currency;
    return &summary->money[summary->money_count++];
}

static void count_order(struct summary *summary, const struct world_order *order)
{
    struct money *money = money_of(summary, order);

    summary->states[order->progress.state]++;
    if ((order->progress.state == ORDERS_CANCELLED || order->progress.state == ORDERS_CLOSED) &&
        order->reason < CANCEL_REASON_COUNT)
        summary->reasons[order->reason]++;
    if (money != NULL) {
        money->ordered_minor += order->total_minor;
        money->captured_minor += order->captured_minor;
        money->voided_minor += order->voided_minor;
        money->refunded_minor += order->refunded_minor;
    }
    for (int mail = 0; mail < WORLD_MAILS; mail++) {
        summary->mails_sent[mail] += order->mails_sent >> mail & 1;
        summary->mails_failed[mail] += order->mails_failed >> mail & 1;
    }
}

static void count_world(struct summary *summary)
{
    const struct world_order *order;
    const struct world_sku *sku;
    size_t place = 0;

    summary->money = arena_array(summary->arena, CURRENCIES_MAX, sizeof *summary->money);
    while ((order = lookup_next(&summary->world->orders, &place)) != NULL)
        if (order->created)
            count_order(summary, order);
    place = 0;
    while ((sku = lookup_next(&summary->world->skus, &place)) != NULL) {
        summary->received += sku->received;
        summary->held += sku->held;
        summary->sold += sku->sold;
    }
}

static const struct pg_statement REVENUE = {
    "summary_revenue", "select country, currency, orders, revenue_minor from revenue_by_country"
                       " order by revenue_minor desc, country limit $1::int8"};

static enum err_kind read_countries(struct summary *summary, struct err *err)
{
    const char *database = setting_of_part("analytics", "DATABASE");
    AUTO(pg_close) struct pg *pg = NULL;
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    if (database == NULL || database[0] == '\0')
        return err_set(err, ERR_STOP, "TRADEWIND_ANALYTICS_DATABASE is not set");
    if ((kind = pg_open(&pg, database, "tradewind", err)) != ERR_OK)
        return kind;
    pg_arg_int8(&args, COUNTRIES_MAX);
    if ((kind = pg_run(pg, &REVENUE, &args, &rows, err)) != ERR_OK)
        return kind;
    summary->countries =
        arena_array(summary->arena, (size_t)rows.count + 1, sizeof *summary->countries);
    for (int row = 0; row < rows.count; row++)
        summary->countries[summary->country_count++] =
            (struct country){arena_strdup(summary->arena, pg_text(&rows, row, 0)),
                             arena_strdup(summary->arena, pg_text(&rows, row, 1)),
                             pg_int(&rows, row, 2), pg_int(&rows, row, 3)};
    return ERR_OK;
}

/* --- For people
 * ------------------------------------------------------------------------------------- */

static void orders_row(struct out_table *table, const char *what, const char *reason, int64_t count,
                       enum out_colour colour)
{
    out_cell_in(table, colour, "%s", what);
    out_cell(table, "%s", reason);
    out_cell(table, "%s", out_count(table->arena, count));
}

static void print_orders(const struct summary *summary)
{
    static const char *const COLUMNS[] = {"orders", "because of", ">number", NULL};
    struct out_table table;
    int64_t under_way = summary->states[ORDERS_PLACED] + summary->states[ORDERS_CONFIRMED];
    int64_t all = under_way + summary->states[ORDERS_FULFILLED] +
                  summary->states[ORDERS_CANCELLED] + summary->states[ORDERS_CLOSED];

    out_table_start(&table, COLUMNS, summary->arena);
    orders_row(&table, "fulfilled", "", summary->states[ORDERS_FULFILLED], OUT_GREEN);
    for (int reason = 0; reason < CANCEL_REASON_COUNT; reason++)
        if (summary->reasons[reason] > 0)
            orders_row(
                &table, "cancelled",
                record_symbol(summary->arena, cancel_reason_name((enum cancel_reason)reason)),
                summary->reasons[reason], OUT_YELLOW);
    if (summary->states[ORDERS_CANCELLED] > 0)
        orders_row(&table, "", "of these still on the way back", summary->states[ORDERS_CANCELLED],
                   OUT_PLAIN);
    if (under_way > 0)
        orders_row(&table, "under way", "", under_way, OUT_PLAIN);
    orders_row(&table, "all", "", all, OUT_BOLD);
    out_table_print(&table, stdout);
}

static void print_money(const struct summary *summary)
{
    static const char *const COLUMNS[] = {
        "money", ">ordered", ">captured", ">refunded", ">captured - refunded", ">voided", NULL};
    struct out_table table;

    out_table_start(&table, COLUMNS, summary->arena);
    for (size_t i = 0; i < summary->money_count; i++) {
        const struct money *money = &summary->money[i];
        const char *currency = money->currency.code;

        out_cell(&table, "%s", currency);
        out_cell(&table, "%s", out_money(summary->arena, money->ordered_minor, currency));
        out_cell(&table, "%s", out_money(summary->arena, money->captured_minor, currency));
        out_cell(&table, "%s", out_money(summary->arena, money->refunded_minor, currency));
        out_cell_in(
            &table, OUT_BOLD, "%s",
            out_money(summary->arena, money->captured_minor - money->refunded_minor, currency));
        out_cell(&table, "%s", out_money(summary->arena, money->voided_minor, currency));
    }
    if (summary->money_count > 0) {
        putchar('\n');
        out_table_print(&table, stdout);
    }
}

static void print_stock_and_mails(const struct summary *summary)
{
    static const char *const STOCK[] = {"stock, units", ">received", ">on hand",
                                        ">held",        ">sold",     NULL};
    static const char *const COLUMNS[] = {"mails", ">sent", ">given up", NULL};
    struct arena *arena = summary->arena;
    struct out_table table;

    out_table_start(&table, STOCK, arena);
    out_cell(&table, "of %s products", out_count(arena, (int64_t)summary->world->skus.count));
    out_cell(&table, "%s", out_count(arena, summary->received));
    out_cell(&table, "%s", out_count(arena, summary->received - summary->held - summary->sold));
    out_cell(&table, "%s", out_count(arena, summary->held));
    out_cell(&table, "%s", out_count(arena, summary->sold));
    putchar('\n');
    out_table_print(&table, stdout);
    out_table_start(&table, COLUMNS, arena);
    for (int mail = 0; mail < WORLD_MAILS; mail++) {
        out_cell(&table, "%s", MAILS[mail]);
        out_cell(&table, "%s", out_count(arena, summary->mails_sent[mail]));
        out_cell(&table, "%s", out_count(arena, summary->mails_failed[mail]));
    }
    putchar('\n');
    out_table_print(&table, stdout);
}

static void print_countries(const struct summary *summary)
{
    static const char *const COLUMNS[] = {"revenue by country, from analytics", ">orders",
                                          ">revenue", "", NULL};
    struct out_table table;

    putchar('\n');
    if (summary->no_countries != NULL) {
        printf("  revenue by country: the analytics database does not answer: %s\n",
               summary->no_countries);
        return;
    }
    out_table_start(&table, COLUMNS, summary->arena);
    for (size_t i = 0; i < summary->country_count && i < COUNTRIES_SHOWN; i++) {
        const struct country *country = &summary->countries[i];

        out_cell(&table, "%s", country->name);
        out_cell(&table, "%s", out_count(summary->arena, country->orders));
        out_cell(&table, "%s",
                 out_money(summary->arena, country->revenue_minor, country->currency));
        out_cell(&table, "%s", country->currency);
    }
    out_table_print(&table, stdout);
    if (summary->country_count > COUNTRIES_SHOWN)
        printf("  ... and %zu more (--json has all)\n", summary->country_count - COUNTRIES_SHOWN);
}

/* --- For programs
 * ----------------------------------------------------------------------------------- */

static void write_orders(struct json_writer *json, const struct summary *summary)
{
    json_key(json, "orders");
    json_object_start(json);
    for (int state = ORDERS_PLACED; state <= ORDERS_CLOSED; state++)
        json_member_int64(json, saga_state_name(PART_ORDERS, state), summary->states[state]);
    json_object_end(json);
    json_key(json, "cancelled_because_of");
    json_object_start(json);
    for (int reason = 1; reason < CANCEL_REASON_COUNT; reason++) {
        char name[40] = "";
        const char *symbol = cancel_reason_name((enum cancel_reason)reason);

        for (size_t i = 0; symbol[i] != '\0' && i < sizeof name - 1; i++)
            name[i] =
                (char)(symbol[i] >= 'A' && symbol[i] <= 'Z' ? symbol[i] - 'A' + 'a' : symbol[i]);
        json_member_int64(json, name, summary->reasons[reason]);
    }
    json_object_end(json);
}

static void write_money(struct json_writer *json, const struct summary *summary)
{
    json_key(json, "money");
    json_array_start(json);
    for (size_t i = 0; i < summary->money_count; i++) {
        json_object_start(json);
        json_member_str(json, "currency", summary->money[i].currency.code);
        json_member_int64(json, "ordered_minor", summary->money[i].ordered_minor);
        json_member_int64(json, "captured_minor", summary->money[i].captured_minor);
        json_member_int64(json, "refunded_minor", summary->money[i].refunded_minor);
        json_member_int64(json, "voided_minor", summary->money[i].voided_minor);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_rest(struct json_writer *json, const struct summary *summary)
{
    json_key(json, "stock");
    json_object_start(json);
    json_member_int64(json, "products", (int64_t)summary->world->skus.count);
    json_member_int64(json, "received", summary->received);
    json_member_int64(json, "on_hand", summary->received - summary->held - summary->sold);
    json_member_int64(json, "held", summary->held);
    json_member_int64(json, "sold", summary->sold);
    json_object_end(json);
    json_key(json, "mails");
    json_object_start(json);
    for (int mail = 0; mail < WORLD_MAILS; mail++) {
        json_key(json, MAILS[mail]);
        json_object_start(json);
        json_member_int64(json, "sent", summary->mails_sent[mail]);
        json_member_int64(json, "given_up", summary->mails_failed[mail]);
        json_object_end(json);
    }
    json_object_end(json);
    json_key(json, "revenue_by_country");
    if (summary->no_countries != NULL)
        json_put_null(json);
    else
        json_array_start(json);
    for (size_t i = 0; i < summary->country_count; i++) {
        json_object_start(json);
        json_member_str(json, "country", summary->countries[i].name);
        json_member_str(json, "currency", summary->countries[i].currency);
        json_member_int64(json, "orders", summary->countries[i].orders);
        json_member_int64(json, "revenue_minor", summary->countries[i].revenue_minor);
        json_object_end(json);
    }
    if (summary->no_countries == NULL)
        json_array_end(json);
}

static void print_json(const struct summary *summary)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    json_object_start(&json);
    write_orders(&json, summary);
    write_money(&json, summary);
    write_rest(&json, summary);
    json_object_end(&json);
    printf("%s\n", buf_cstr(&text));
}

int command_summary(const struct command *command, int argc, char **argv)
{
    bool as_json = false;
    const struct arg args[] = {
        {"json", ARG_FLAG, &as_json, .help = "for programs, with all countries"}};
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(world_clear) struct world world = {0};
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    struct summary summary = {.arena = &arena, .world = &world};
    struct err err = {0};
    int code = args_parse(command, args, 1, 0, 0, &argc, &argv);

    if (code != ARGS_MORE || (code = ops_settings(command)) != OPS_OK)
        return code;
    world_init(&world, (int32_t)setting_integer("TRADEWIND_PARTITIONS"), &arena);
    if (schema_ids_open(&ids, setting_text("TRADEWIND_SCHEMAS"), setting_text("TRADEWIND_REGISTRY"),
                        &err) != ERR_OK ||
        world_read(&world, setting_text("TRADEWIND_KAFKA"), ids, &err) != ERR_OK)
        return ops_failed(command, &err);
    count_world(&summary);
    if (read_countries(&summary, &err) != ERR_OK)
        summary.no_countries = arena_strdup(&arena, err.text);
    if (as_json) {
        print_json(&summary);
    } else {
        print_orders(&summary);
        print_money(&summary);
        print_stock_and_mails(&summary);
        print_countries(&summary);
    }
    return summary.no_countries != NULL ? OPS_UNREACHABLE : OPS_OK;
}
