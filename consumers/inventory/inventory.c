/* Inventory holds, sells and puts back stock: all lines of an order, or none.
 *
 * Stock belongs to a SKU and an order has many, so one writer decides for all shards: the owner of
 * the lead topic's only partition. The others stand by. State is in memory (stock.h) and on disk as
 * a ledger (ledger_store.h); what the saga wants is decided in decide.h. */
#include "consumers/inventory/inventory.h"

#include "consumers/inventory/decide.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <stdlib.h>

/* A quiet writer writes all the same this often: so that the next insert is believed without
 * reading the ledger back (LEDGER_BELIEF_MS), and one that was replaced notices. */
#define BEAT_EVERY_MS 15000

/* clang-format off */
static const struct setting SETTINGS[] = {
    {"TRADEWIND_MONGODB", NULL, SETTING_URL, 0, 0, NULL, "store of the ledger: mongodb://host:port/database"},
};
/* clang-format on */

static const enum topic INPUTS[] = {TOPIC_ORDERS};

static struct metric reserved_total =
    METRIC(METRIC_COUNTER, "tradewind_inventory_reserved_total", "Orders whose stock was held");
static struct metric rejected_total =
    METRIC(METRIC_COUNTER, "tradewind_inventory_rejected_total", "Orders that fell short of stock");
static struct metric open_orders = METRIC(METRIC_GAUGE, "tradewind_inventory_orders_remembered",
                                          "Orders that are not forgotten yet");

struct inventory {
    struct ledger_store *store;
    bool beat_waits;
    int64_t beat_at_ms;
};

struct ledger_store *inventory_store(struct host *host)
{
    return ((struct inventory *)host_context(host))->store;
}

static enum err_kind open_store(struct host *host, struct store *out, struct err *err)
{
    struct inventory *inventory;
    const struct ledger_store_options options = {
        .uri = setting_text("TRADEWIND_MONGODB"),
        .instance = host_instance(host),
        .warehouse = INVENTORY_WAREHOUSE,
        .partitions = host_partitions(host) + 1, /* one more shard: what operators do */
        .journal_s = setting_integer("TRADEWIND_JOURNAL_SECONDS"),
        .belief_ms = LEDGER_BELIEF_MS,
        .recent_bytes = LEDGER_RECENT_BYTES,
    };
    enum err_kind kind = ledger_store_open(out, &options, err);

    if (kind != ERR_OK)
        return kind;
    metric_register(&reserved_total);
    metric_register(&rejected_total);
    metric_register(&open_orders);
    inventory = mem_alloc(sizeof *inventory);
    inventory->store = out->self;
    host_set_context(host, inventory);
    return ERR_OK;
}

static void stop(struct host *host)
{
    free(host_context(host));
}

/* --- Events --------------------------------------------------------------------------------- */

static enum err_kind react(struct unit *unit, const struct event *event, struct err *err)
{
    struct ledger_store *store = inventory_store(unit_host(unit));
    struct view key = event->envelope->subject;
    const struct question question = {
        .type = event->type,
        .key = key,
        .event = event->data,
        .letter_left = event->type == EVENT_ORDER_CLOSED && ledger_store_has_letter(store, key),
        .warehouse = VIEW_LITERAL(INVENTORY_WAREHOUSE),
        .now_us = unit_now_us(unit),
    };
    struct decision decision;
    enum err_kind kind =
        inventory_decide(&decision, ledger_store_stock(store), &question, unit_arena(unit), err);

    if (kind == ERR_OK && decision.has_entry)
        kind = ledger_store_enter(store, &decision.entry, err);
    if (kind == ERR_OK && decision.publishes != EVENT_NONE)
        unit_emit(unit, decision.publishes, decision.event, key, event);
    if (kind == ERR_OK)
        metric_add(&reserved_total, decision.publishes == EVENT_INVENTORY_RESERVED);
    if (kind == ERR_OK)
        metric_add(&rejected_total, decision.publishes == EVENT_INVENTORY_REJECTED);
    return kind;
}

static bool may_drop(enum event_type type)
{
    return saga_drop(PART_INVENTORY, type) != NULL;
}

/* --- Commands ------------------------------------------------------------------------------- */

static enum err_kind act(struct unit *unit, struct command *command, struct err *err)
{
    switch ((enum inventory_command)command->kind) {
    case COMMAND_RECEIPTS:
        return inventory_act_receipts(unit, command, err);
    case COMMAND_STOCK:
        return inventory_act_stock(unit, command);
    case COMMAND_STOCK_PAGE:
        return inventory_act_stock_page(unit, command);
    case COMMAND_BEAT:
        ledger_store_beat(inventory_store(unit_host(unit)));
        return ERR_OK;
    }
    return err_set(err, ERR_REJECT, "command %d: there is none of this kind", command->kind);
}

struct beat {
    struct command command;
    struct inventory *inventory;
};

static void beat_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct beat *beat = (struct beat *)command;

    (void)outcome;
    (void)err;
    beat->inventory->beat_waits = false;
    free(beat);
}

static void tick(struct host *host, int64_t now_ms)
{
    struct inventory *inventory = host_context(host);
    struct beat *beat;

    if (!host_leads(host) || inventory->beat_waits || now_ms < inventory->beat_at_ms ||
        now_ms - ledger_store_believed_ms(inventory->store) < BEAT_EVERY_MS)
        return;
    beat = mem_alloc(sizeof *beat);
    beat->inventory = inventory;
    beat->command.kind = COMMAND_BEAT;
    beat->command.done = beat_done;
    beat->command.expires_ms = now_ms + BEAT_EVERY_MS;
    inventory->beat_at_ms = now_ms + BEAT_EVERY_MS;
    inventory->beat_waits = host_submit(host, &beat->command);
    if (!inventory->beat_waits)
        free(beat);
}

static void committed(struct unit *unit)
{
    struct ledger_store *store = inventory_store(unit_host(unit));

    metric_set(&open_orders, (int64_t)ledger_store_stock(store)->order_by_id.count);
}

const struct part part = {
    .name = "inventory",
    .ledger = INVENTORY_WAREHOUSE,
    .publishes = TOPIC_INVENTORY,
    .inputs = INPUTS,
    .input_count = sizeof INPUTS / sizeof INPUTS[0],
    .patience_ms = 5, /* payment, which asks outside, is the slower verdict all the same */
    .settings = SETTINGS,
    .setting_count = sizeof SETTINGS / sizeof SETTINGS[0],
    .routes = inventory_routes,
    .route_count = INVENTORY_ROUTES,
    .open_store = open_store,
    .lead_topic = "shop.inventory.lead.v1",
    .stop = stop,
    .react = react,
    .act = act,
    .committed = committed,
    .tick = tick,
    .may_drop = may_drop,
};
