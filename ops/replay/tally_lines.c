#include "ops/replay/tally_lines.h"

#include "runtime/lines.h"

#define PART_BYTES (1u << 20)

/* --- Writing ---------------------------------------------------------------------------------- */

struct writing {
    struct buf lines;
    enum err_kind kind;
    enum err_kind (*each)(void *context, const char *what, struct view lines, struct err *err);
    void *context;
    struct err *err;
};

static void end_part(struct writing *writing, const char *what, bool is_last)
{
    if (writing->lines.size == 0 || (writing->lines.size < PART_BYTES && !is_last) ||
        writing->kind != ERR_OK)
        return;
    writing->kind = writing->each(writing->context, what, buf_view(&writing->lines), writing->err);
    buf_reset(&writing->lines);
}

static void write_event(struct buf *lines, const struct tally_event *event)
{
    line_int64(lines, event->type);
    line_int64(lines, event->partition);
    line_int64(lines, (int64_t)event->number);
    line_int64(lines, event->offset);
    line_int64(lines, event->time_us);
}

static void write_skus(struct writing *writing, const struct tally *tally)
{
    const struct tally_sku *sku;
    size_t place = 0;

    while ((sku = lookup_next(&tally->skus, &place)) != NULL) {
        line_text(&writing->lines, sku->code);
        for (int i = 0; i < TALLY_UNITS; i++) {
            line_int64(&writing->lines, sku->units[i]);
            write_event(&writing->lines, &sku->by[i]);
        }
        line_end(&writing->lines);
        end_part(writing, "skus", false);
    }
    end_part(writing, "skus", true);
}

static void write_orders(struct writing *writing, const struct tally *tally)
{
    const struct tally_order *order;
    size_t place = 0;

    while ((order = lookup_next(&tally->orders, &place)) != NULL) {
        line_text(&writing->lines, order->id);
        line_int64(&writing->lines, order->state);
        line_int64(&writing->lines, (int64_t)order->cause);
        line_int64(&writing->lines, (int64_t)order->asked);
        line_int64(&writing->lines, order->closed);
        write_event(&writing->lines, &order->by);
        for (size_t i = 0; i < order->item_count; i++) {
            line_text(&writing->lines, order->items[i].sku);
            line_int64(&writing->lines, order->items[i].quantity);
        }
        line_end(&writing->lines);
        end_part(writing, "orders", false);
    }
    end_part(writing, "orders", true);
}

static void write_receipts(struct writing *writing, const struct tally *tally)
{
    const struct tally_receipt *receipt;
    size_t place = 0;

    while ((receipt = lookup_next(&tally->receipts, &place)) != NULL) {
        line_text(&writing->lines, receipt->id);
        line_text(&writing->lines, receipt->sku);
        line_int64(&writing->lines, receipt->quantity);
        line_int64(&writing->lines, receipt->time_us);
        write_event(&writing->lines, &receipt->by);
        line_end(&writing->lines);
        end_part(writing, "receipts", false);
    }
    end_part(writing, "receipts", true);
}

static void write_asides(struct writing *writing, const struct tally_about *about)
{
    for (size_t i = 0; i < about->aside_count; i++) {
        line_text(&writing->lines, about->aside_keys[i]);
        line_end(&writing->lines);
    }
    end_part(writing, "asides", true);
}

enum err_kind tally_lines_write(const struct tally *tally, const struct tally_about *about,
                                enum err_kind (*each)(void *context, const char *what,
                                                      struct view lines, struct err *err),
                                void *context, struct err *err)
{
    struct writing writing = {.each = each, .context = context, .err = err};

    write_skus(&writing, tally);
    write_orders(&writing, tally);
    write_receipts(&writing, tally);
    write_asides(&writing, about);
    buf_clear(&writing.lines);
    return writing.kind;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* A line on its way in; is_good until a field is not what it should be. */
struct reading {
    struct tally_lines *into;
    struct view rest;
    bool is_good;
};

static int64_t next_number(struct reading *reading, int64_t lowest, int64_t highest)
{
    int64_t number;
    bool is_good =
        line_next_int64(&reading->rest, &number) && lowest <= number && number <= highest;

    reading->is_good = is_good && reading->is_good;
    return is_good ? number : lowest;
}

/* Sums may be any: what cannot be shows up where two tallies are compared. */
static int64_t next_sum(struct reading *reading)
{
    return next_number(reading, INT64_MIN, INT64_MAX);
}

static uint64_t next_count(struct reading *reading)
{
    return (uint64_t)next_number(reading, 0, INT64_MAX);
}

static struct tally_event read_event(struct reading *reading)
{
    struct tally_event event = {
        .type = (enum event_type)next_number(reading, EVENT_NONE, EVENT_COUNT - 1)};

    event.partition = (int32_t)next_number(reading, 0, INT32_MAX);
    event.number = next_count(reading);
    event.offset = next_sum(reading);
    event.time_us = next_sum(reading);
    return event;
}

static void read_sku(struct reading *reading)
{
    struct tally_sku *sku = tally_sku(reading->into->tally, line_next_text(&reading->rest));

    for (int i = 0; i < TALLY_UNITS; i++) {
        sku->units[i] = next_sum(reading);
        sku->by[i] = read_event(reading);
    }
}

static enum saga_inventory_state read_state(struct reading *reading)
{
    int state = (int)next_number(reading, SAGA_STATE_NONE, SAGA_STATE_MAX - 1);

    reading->is_good = reading->is_good && saga_state_exists(PART_INVENTORY, state);
    return (enum saga_inventory_state)state;
}

static void read_order(struct reading *reading)
{
    struct tally_order *order = tally_order(reading->into->tally, line_next_text(&reading->rest));
    struct stock_item *items;
    size_t count = 0;

    order->state = read_state(reading);
    order->cause = next_count(reading);
    order->asked = next_count(reading);
    order->closed =
        (enum order_outcome)next_number(reading, ORDER_OUTCOME_UNKNOWN, ORDER_OUTCOME_CANCELLED);
    order->by = read_event(reading);
    items = arena_array(reading->into->arena, line_count(reading->rest) / 2 + 1, sizeof *items);
    while (reading->rest.size > 0 && reading->is_good) {
        items[count].sku = line_next_text(&reading->rest);
        items[count++].quantity = next_sum(reading);
    }
    tally_set_items(order, items, count);
}

static void read_receipt(struct reading *reading)
{
    struct tally_receipt receipt = {.id = line_next_text(&reading->rest)};

    receipt.sku = line_next_text(&reading->rest);
    receipt.quantity = next_sum(reading);
    receipt.time_us = next_sum(reading);
    receipt.by = read_event(reading);
    tally_receive(reading->into->tally, &receipt);
}

static void read_aside(struct reading *reading)
{
    struct tally_about *about = reading->into->about;

    about->aside_keys =
        mem_grow(about->aside_keys, about->aside_count + 1, sizeof *about->aside_keys);
    about->aside_keys[about->aside_count++] =
        arena_view(reading->into->arena, line_next_text(&reading->rest));
}

static const struct {
    const char *what;
    void (*read)(struct reading *reading);
} KINDS[] = {
    {"skus", read_sku}, {"orders", read_order}, {"receipts", read_receipt}, {"asides", read_aside}};

static size_t kind_of(const char *what)
{
    size_t i = 0;

    while (i < sizeof KINDS / sizeof KINDS[0] && strcmp(KINDS[i].what, what) != 0)
        i++;
    return i;
}

bool tally_lines_have(const char *what)
{
    return kind_of(what) < sizeof KINDS / sizeof KINDS[0];
}

bool tally_lines_read(struct tally_lines *lines, const char *what, struct view line)
{
    struct reading reading = {.into = lines, .rest = line, .is_good = tally_lines_have(what)};

    if (reading.is_good)
        KINDS[kind_of(what)].read(&reading);
    return reading.is_good && reading.rest.size == 0;
}
