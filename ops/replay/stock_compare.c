#include "ops/replay/stock_compare.h"

#include "runtime/clock.h"

#include <sodium.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RANGE_ROWS 10000
/* Receipts are forgotten by the clock of whoever writes the ledger: near the edge either side may
 * have one that the other has not. */
#define EDGE_US (INT64_C(300) * 1000000)

enum { SKUS, ORDERS, RECEIPTS, TABLES };

/* The stock has no tables; these are what is compared. */
static const struct fold_table STOCK_TABLES[TABLES] = {
    [SKUS] = {.name = "skus", .id = "sku", .range = "sku", .key = "sku", .of = FOLD_OWN},
    [ORDERS] = {.name = "orders",
                .id = "order_id",
                .range = "order_id",
                .key = "order_id",
                .of = FOLD_OWN},
    [RECEIPTS] = {.name = "receipts",
                  .id = "receipt_id",
                  .range = "receipt_id",
                  .key = "sku",
                  .of = FOLD_OWN},
};
static const enum topic INPUTS[] = {TOPIC_ORDERS};

const struct fold stock_fold = {
    .part = "inventory",
    .publishes = TOPIC_INVENTORY,
    .inputs = INPUTS,
    .input_count = sizeof INPUTS / sizeof INPUTS[0],
    .tables = STOCK_TABLES,
    .table_count = TABLES,
};

/* --- Rows ------------------------------------------------------------------------------------- */

static const char *const UNITS[TALLY_UNITS] = {[STOCK_ON_HAND] = "on_hand",
                                               [STOCK_HELD] = "held",
                                               [STOCK_SOLD] = "sold",
                                               [TALLY_RECEIVED] = "received"};

/* A row as text: its fields, each "name=value\n", the same ones in the same order on both sides. */
static void write_row(struct buf *out, int table, const void *thing)
{
    const struct tally_sku *sku = thing;
    const struct tally_order *order = thing;
    const struct tally_receipt *receipt = thing;

    switch (table) {
    case SKUS:
        for (int i = 0; i < TALLY_UNITS; i++)
            buf_printf(out, "%s=%" PRId64 "\n", UNITS[i], sku->units[i]);
        break;
    case ORDERS:
        buf_printf(out, "state=%s\nitems=", saga_state_name(PART_INVENTORY, (int)order->state));
        for (size_t i = 0; i < order->item_count; i++)
            buf_printf(out, "%s%.*s x %" PRId64, i > 0 ? ", " : "", VIEW_PRINT(order->items[i].sku),
                       order->items[i].quantity);
        buf_append_byte(out, '\n');
        break;
    default:
        buf_printf(out, "sku=%.*s\nquantity=%" PRId64 "\n", VIEW_PRINT(receipt->sku),
                   receipt->quantity);
    }
}

static struct view key_of(int table, const void *thing)
{
    return table == SKUS     ? ((const struct tally_sku *)thing)->code
           : table == ORDERS ? ((const struct tally_order *)thing)->id
                             : ((const struct tally_receipt *)thing)->id;
}

/* The event that gave the i-th field its value. */
static const struct tally_event *event_of(int table, const void *thing, int field)
{
    return table == SKUS     ? &((const struct tally_sku *)thing)->by[field]
           : table == ORDERS ? &((const struct tally_order *)thing)->by
                             : &((const struct tally_receipt *)thing)->by;
}

/* --- Sides ------------------------------------------------------------------------------------ */

struct row {
    struct view key;
    const void *thing;
    uint64_t hash;
};

struct side {
    struct row *rows; /* ascending by key */
    size_t count, at;
};

static bool is_row(int table, const void *thing, int64_t edge_us)
{
    if (table == ORDERS)
        return ((const struct tally_order *)thing)->state != INVENTORY_NONE;
    return table != RECEIPTS || ((const struct tally_receipt *)thing)->time_us >= edge_us;
}

static int compare_rows(const void *a, const void *b)
{
    return view_compare(((const struct row *)a)->key, ((const struct row *)b)->key);
}

static const struct lookup *things_of(const struct tally *tally, int table)
{
    return table == SKUS ? &tally->skus : table == ORDERS ? &tally->orders : &tally->receipts;
}

static void side_init(struct side *side, const struct tally *tally, int table, int64_t edge_us)
{
    static const unsigned char KEY[crypto_shorthash_KEYBYTES] = "tradewind ledger";
    const struct lookup *things = things_of(tally, table);
    AUTO(buf_clear) struct buf text = {0};
    size_t place = 0;
    const void *thing;

    *side = (struct side){.rows = mem_alloc((things->count + 1) * sizeof *side->rows)};
    while ((thing = lookup_next(things, &place)) != NULL) {
        struct row *row = &side->rows[side->count];

        if (!is_row(table, thing, edge_us))
            continue;
        *row = (struct row){.key = key_of(table, thing), .thing = thing};
        buf_reset(&text);
        buf_append_view(&text, row->key);
        buf_append_byte(&text, '\n');
        write_row(&text, table, thing);
        crypto_shorthash((unsigned char *)&row->hash, (const unsigned char *)text.data, text.size,
                         KEY);
        side->count++;
    }
    if (side->count > 0)
        qsort(side->rows, side->count, sizeof *side->rows, compare_rows);
}

static void side_clear(struct side *side)
{
    free(side->rows);
}

void stock_sums(struct report_table *tables, const struct tally *tally)
{
    for (int table = 0; table < TABLES; table++) {
        struct side side;

        side_init(&side, tally, table, clock_utc_us() - STOCK_RECEIPT_WINDOW_US);
        tables[table] = (struct report_table){.rows = (int64_t)side.count};
        for (size_t i = 0; i < side.count; i++)
            tables[table].checksum += side.rows[i].hash;
        side_clear(&side);
    }
}

/* --- Differences ------------------------------------------------------------------------------ */

const char *stock_unit_name(int place)
{
    return UNITS[place];
}

const struct key_event *stock_event(const struct tally_event *event, struct arena *arena)
{
    struct key_event *told;

    if (event->type == EVENT_NONE)
        return NULL;
    told = arena_alloc(arena, sizeof *told);
    *told = (struct key_event){.topic = TOPIC_INVENTORY,
                               .partition = event->partition,
                               .offset = event->offset,
                               .number = event->number};
    told->event.type = event->type;
    told->envelope.time_us = event->time_us;
    told->envelope.id =
        arena_printf(arena, "inventory/main/%d/%" PRIu64, event->partition, event->number);
    return told;
}

/* The next field of a row; empty name: there is none. */
static struct view next_field(struct view *rest, struct view *value)
{
    const char *equals = rest->size > 0 ? memchr(rest->data, '=', rest->size) : NULL;
    const char *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    struct view name;

    if (equals == NULL || end == NULL)
        return VIEW_LITERAL("");
    name = view_of(rest->data, (size_t)(equals - rest->data));
    *value = view_of(equals + 1, (size_t)(end - equals - 1));
    *rest = view_of(end + 1, (size_t)(rest->data + rest->size - end - 1));
    return name;
}

static void note_field(struct compare *compare, int table, const struct row *live,
                       const struct row *shadow, int field, struct view name,
                       const struct view *values)
{
    struct arena *arena = &compare->arena;
    struct difference *difference = &compare->differences[compare->difference_count++];
    const struct row *either = live != NULL ? live : shadow;

    *difference = (struct difference){
        .table = &STOCK_TABLES[table],
        .row = arena_printf(arena, "%s=%.*s", STOCK_TABLES[table].id, VIEW_PRINT(either->key)).data,
        .column = arena_view(arena, name).data,
        .live = live != NULL ? arena_view(arena, values[0]).data : NULL,
        .shadow = shadow != NULL ? arena_view(arena, values[1]).data : NULL,
        .event = shadow != NULL ? stock_event(event_of(table, shadow->thing, field), arena) : NULL,
    };
}

static void note_row(struct compare *compare, int table, const struct row *live,
                     const struct row *shadow)
{
    AUTO(buf_clear) struct buf left = {0};
    AUTO(buf_clear) struct buf right = {0};
    struct view rest[2], values[2];

    compare->tables[table].differing++;
    if (compare->differing++ >= COMPARE_EXAMPLES)
        return;
    if (live != NULL)
        write_row(&left, table, live->thing);
    if (shadow != NULL)
        write_row(&right, table, shadow->thing);
    rest[0] = buf_view(live != NULL ? &left : &right);
    rest[1] = buf_view(shadow != NULL ? &right : &left);
    for (int field = 0; field < TALLY_UNITS; field++) {
        struct view name = next_field(&rest[0], &values[0]);

        if (name.size == 0)
            break;
        next_field(&rest[1], &values[1]);
        if (live == NULL || shadow == NULL || !view_equal(values[0], values[1]))
            note_field(compare, table, live, shadow, field, name, values);
    }
}

/* --- Ranges ----------------------------------------------------------------------------------- */

/* How many rows of a side from where it stands have keys up to the last. */
static size_t rows_up_to(const struct side *side, const struct view *last)
{
    size_t end = side->at;

    while (end < side->count && (last == NULL || view_compare(side->rows[end].key, *last) <= 0))
        end++;
    return end - side->at;
}

static uint64_t checksum(const struct side *side, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += side->rows[side->at + i].hash;
    return sum;
}

static void drill_down(struct compare *compare, int table, const struct row *live,
                       size_t live_count, const struct row *shadow, size_t shadow_count)
{
    size_t i = 0, j = 0;

    while (i < live_count || j < shadow_count) {
        int order = i == live_count     ? 1
                    : j == shadow_count ? -1
                                        : view_compare(live[i].key, shadow[j].key);

        if (order < 0)
            note_row(compare, table, &live[i++], NULL);
        else if (order > 0)
            note_row(compare, table, NULL, &shadow[j++]);
        else {
            if (live[i].hash != shadow[j].hash)
                note_row(compare, table, &live[i], &shadow[j]);
            i++;
            j++;
        }
    }
}

static void compare_table(struct compare *compare, int table, struct side *live,
                          struct side *shadow)
{
    struct table_result *result = &compare->tables[table];

    *result = (struct table_result){.table = &STOCK_TABLES[table], .rows = live->count};
    while (live->at < live->count || shadow->at < shadow->count) {
        bool is_last = live->count - live->at <= RANGE_ROWS;
        size_t on_live = is_last ? live->count - live->at : RANGE_ROWS;
        size_t on_shadow =
            rows_up_to(shadow, is_last ? NULL : &live->rows[live->at + on_live - 1].key);

        result->ranges++;
        if (on_live != on_shadow || checksum(live, on_live) != checksum(shadow, on_shadow))
            drill_down(compare, table, live->rows + live->at, on_live, shadow->rows + shadow->at,
                       on_shadow);
        live->at += on_live;
        shadow->at += on_shadow;
    }
}

void stock_compare(struct compare *compare, const struct stock_ledger *ledger,
                   const struct stock_shadow *shadow)
{
    int64_t edge_us = ledger->standing->time_us - STOCK_RECEIPT_WINDOW_US + EDGE_US;

    compare->tables = arena_array(&compare->arena, TABLES, sizeof *compare->tables);
    compare->differences = arena_array(&compare->arena, (size_t)COMPARE_EXAMPLES * TALLY_UNITS,
                                       sizeof *compare->differences);
    for (int table = 0; table < TABLES; table++) {
        struct side live, other;

        side_init(&live, &ledger->tally, table, edge_us);
        side_init(&other, &shadow->tally, table, edge_us);
        compare_table(compare, table, &live, &other);
        side_clear(&live);
        side_clear(&other);
    }
}
