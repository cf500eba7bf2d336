#include "consumers/inventory/decide.h"
#include "consumers/inventory/ledger.h"
#include "consumers/inventory/recent.h"
#include "consumers/inventory/snapshot_format.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

/* --- Arranging ------------------------------------------------------------------------------ */

#define V(text) VIEW_LITERAL(text)
#define WAREHOUSE V("main")

static struct stock_item item(const char *sku, int64_t quantity)
{
    return (struct stock_item){.sku = view_str(sku), .quantity = quantity};
}

static enum err_kind apply(struct stock *stock, enum entry_kind kind, const char *id,
                           const struct stock_item *items, size_t count)
{
    const struct entry entry = {
        .kind = kind, .id = view_str(id), .items = items, .item_count = count};

    return stock_apply(stock, &entry, NULL);
}

static void receive(struct stock *stock, const char *receipt, const char *sku, int64_t quantity)
{
    const struct stock_item one = item(sku, quantity);

    cr_assert_eq(apply(stock, ENTRY_RECEIVE, receipt, &one, 1), ERR_OK);
}

/* What a SKU's units are, as text: "received on_hand held sold". */
static const char *units(const struct stock *stock, const char *code)
{
    static char text[128];
    const struct stock_sku *sku = stock_find_sku(stock, view_str(code));

    if (sku == NULL)
        return "none";
    snprintf(text, sizeof text, "%lld %lld %lld %lld", (long long)sku->received,
             (long long)sku->units[STOCK_ON_HAND], (long long)sku->units[STOCK_HELD],
             (long long)sku->units[STOCK_SOLD]);
    return text;
}

static enum saga_inventory_state state(const struct stock *stock, const char *id)
{
    const struct stock_order *order = stock_find_order(stock, view_str(id));

    return order != NULL ? order->state : INVENTORY_NONE;
}

static struct order_line line(const char *sku, int64_t quantity)
{
    return (struct order_line){.sku = view_str(sku), .kind = LINE_KIND_GOODS, .quantity = quantity};
}

static enum err_kind ask(struct decision *out, const struct stock *stock, enum event_type type,
                         const void *event, bool letter_left, struct arena *arena, struct err *err)
{
    const struct question question = {
        .type = type,
        .key = V("A"),
        .event = event,
        .letter_left = letter_left,
        .warehouse = WAREHOUSE,
        .now_us = 7,
    };

    return inventory_decide(out, stock, &question, arena, err);
}

/* Decide and apply, as the part does. */
static struct decision see(struct stock *stock, enum event_type type, const void *event,
                           struct arena *arena)
{
    struct decision decision = {0};
    struct err err = {0};

    cr_assert_eq(ask(&decision, stock, type, event, false, arena, &err), ERR_OK, "%s", err.text);
    if (decision.has_entry)
        cr_assert_eq(stock_apply(stock, &decision.entry, &err), ERR_OK, "%s", err.text);
    return decision;
}

static struct order_created created_of(const struct order_line *lines, size_t count)
{
    return (struct order_created){
        .order_id = V("A"), .warehouse = WAREHOUSE, .lines = lines, .lines_count = count};
}

static const struct order_confirmed CONFIRMED = {.order_id = {"A", 1}};
static const struct order_cancelled CANCELLED = {.order_id = {"A", 1}, .was = ORDER_STAGE_PLACED};
static const struct order_closed CLOSED = {.order_id = {"A", 1}};

/* --- What each test of a suite begins with ---------------------------------------------------- */

static struct stock shelf;
static struct arena scratch;

static void open_shelf(void)
{
    stock_init(&shelf);
}

static void close_shelf(void)
{
    stock_clear(&shelf);
    arena_clear(&scratch);
}

TestSuite(inventory_stock, .init = open_shelf, .fini = close_shelf);
TestSuite(inventory_decide, .init = open_shelf, .fini = close_shelf);

/* --- Stock ---------------------------------------------------------------------------------- */

Test(inventory_stock, a_unit_is_received_once_and_then_moves)
{
    const struct stock_item two = item("X", 2);

    receive(&shelf, "r1", "X", 10);
    cr_expect_str_eq(units(&shelf, "X"), "10 10 0 0");
    cr_expect_eq(apply(&shelf, ENTRY_HOLD, "A", &two, 1), ERR_OK);
    cr_expect_str_eq(units(&shelf, "X"), "10 8 2 0");
    cr_expect_eq(apply(&shelf, ENTRY_SELL, "A", &two, 1), ERR_OK);
    cr_expect_str_eq(units(&shelf, "X"), "10 8 0 2");
    cr_expect_eq(apply(&shelf, ENTRY_TAKE_BACK, "A", &two, 1), ERR_OK);
    cr_expect_str_eq(units(&shelf, "X"), "10 10 0 0");
    cr_expect_eq(apply(&shelf, ENTRY_FORGET, "A", NULL, 0), ERR_OK);
    cr_expect_eq(state(&shelf, "A"), INVENTORY_NONE);

    stock_keep(&shelf);
}

Test(inventory_stock, what_does_not_fit_changes_nothing)
{
    const struct stock_item ten[] = {item("X", 10)}, eleven[] = {item("X", 11)},
                            none[] = {item("X", 0)}, unknown[] = {item("Y", 1)},
                            twice[] = {item("X", 6), item("X", 6)},
                            half[] = {item("W", 1), item("X", 11)};
    const struct {
        const char *what;
        enum entry_kind kind;
        const char *id;
        const struct stock_item *items;
        size_t count;
    } cases[] = {
        {"more than there is", ENTRY_HOLD, "B", eleven, 1},
        {"quantity 0", ENTRY_HOLD, "B", none, 1},
        {"a SKU that was never received", ENTRY_HOLD, "B", unknown, 1},
        {"a SKU twice", ENTRY_HOLD, "B", twice, 2},
        {"one line fits, one does not", ENTRY_HOLD, "B", half, 2},
        {"an order twice", ENTRY_HOLD, "A", ten, 1},
        {"selling what is not held", ENTRY_SELL, "B", ten, 1},
        {"selling other items", ENTRY_SELL, "A", ten, 1},
        {"taking back what is only held", ENTRY_TAKE_BACK, "A", ten, 1},
        {"taking back what was never sold", ENTRY_TAKE_BACK, "B", ten, 1},
        {"forgetting what is not decided", ENTRY_FORGET, "A", NULL, 0},
        {"remembering with items", ENTRY_REMEMBER, "B", ten, 1},
        {"a receipt twice", ENTRY_RECEIVE, "r1", ten, 1},
        {"a receipt of nothing", ENTRY_RECEIVE, "r3", NULL, 0},
        {"no id", ENTRY_RECEIVE, "", ten, 1},
        {"an id with a tab in it", ENTRY_RECEIVE, "r\t3", ten, 1},
    };
    const struct stock_item one = item("X", 1);

    receive(&shelf, "r0", "W", 1);
    receive(&shelf, "r1", "X", 11);
    cr_assert_eq(apply(&shelf, ENTRY_HOLD, "A", &one, 1), ERR_OK);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(apply(&shelf, cases[i].kind, cases[i].id, cases[i].items, cases[i].count),
                     ERR_REJECT, "%s", cases[i].what);
        cr_expect_str_eq(units(&shelf, "X"), "11 10 1 0", "%s", cases[i].what);
        cr_expect_str_eq(units(&shelf, "W"), "1 1 0 0", "%s", cases[i].what);
        cr_expect_eq(shelf.order_by_id.count, 1, "%s", cases[i].what);
    }
}

Test(inventory_stock, receipts_that_overflow_are_refused)
{
    const struct stock_item most = item("X", INT64_MAX), one = item("X", 1);

    cr_expect_eq(apply(&shelf, ENTRY_RECEIVE, "r1", &most, 1), ERR_OK);
    cr_expect_eq(apply(&shelf, ENTRY_RECEIVE, "r2", &one, 1), ERR_REJECT);
}

Test(inventory_stock, undoing_leaves_no_trace)
{
    const struct stock_item two = item("X", 2), three = item("X", 3);

    receive(&shelf, "r1", "X", 10);
    cr_assert_eq(apply(&shelf, ENTRY_HOLD, "A", &two, 1), ERR_OK);
    cr_assert_eq(apply(&shelf, ENTRY_REMEMBER, "T", NULL, 0), ERR_OK);
    stock_keep(&shelf);

    receive(&shelf, "r2", "X", 5);
    receive(&shelf, "r3", "NEW", 5);
    cr_assert_eq(apply(&shelf, ENTRY_HOLD, "B", &three, 1), ERR_OK);
    cr_assert_eq(apply(&shelf, ENTRY_UNHOLD, "B", &three, 1), ERR_OK);
    cr_assert_eq(apply(&shelf, ENTRY_SELL, "A", &two, 1), ERR_OK);
    cr_assert_eq(apply(&shelf, ENTRY_FORGET, "A", NULL, 0), ERR_OK);
    cr_assert_eq(apply(&shelf, ENTRY_TAKE_BACK, "A", &two, 1), ERR_OK);
    cr_assert_eq(apply(&shelf, ENTRY_FORGET, "T", NULL, 0), ERR_OK);
    cr_assert_eq(stock_applied(&shelf), 8);
    stock_undo(&shelf, 0);

    cr_expect_str_eq(units(&shelf, "X"), "10 8 2 0");
    cr_expect_str_eq(units(&shelf, "NEW"), "none");
    cr_expect_eq(shelf.sku_count, 1);
    cr_expect_eq(state(&shelf, "A"), INVENTORY_RESERVED);
    cr_expect_eq(state(&shelf, "B"), INVENTORY_NONE);
    cr_expect_eq(state(&shelf, "T"), INVENTORY_TOMBSTONE);
    cr_expect_null(stock_find_receipt(&shelf, V("r2")));
    cr_expect_not_null(stock_find_receipt(&shelf, V("r1")));
}

Test(inventory_stock, a_part_of_a_unit_can_be_undone)
{
    size_t before;

    receive(&shelf, "r1", "X", 10);
    before = stock_applied(&shelf);
    receive(&shelf, "r2", "X", 5);
    stock_undo(&shelf, before);

    cr_expect_str_eq(units(&shelf, "X"), "10 10 0 0");
}

Test(inventory_stock, a_receipt_is_remembered_for_the_window_and_no_longer)
{
    shelf.time_us = 1;
    receive(&shelf, "old", "X", 1);
    stock_keep(&shelf);
    shelf.time_us = 1 + STOCK_RECEIPT_WINDOW_US;
    receive(&shelf, "new", "X", 1);
    stock_keep(&shelf);
    cr_expect_not_null(stock_find_receipt(&shelf, V("old")));

    shelf.time_us++;
    stock_keep(&shelf);

    cr_expect_null(stock_find_receipt(&shelf, V("old")));
    cr_expect_not_null(stock_find_receipt(&shelf, V("new")));
}

/* --- Decisions ------------------------------------------------------------------------------ */

Test(inventory_decide, an_order_holds_the_sum_of_its_lines)
{
    const struct order_line lines[] = {line("B", 1),
                                       line("A", 2),
                                       line("B", 3),
                                       {.sku = V("POST"), .kind = LINE_KIND_CHARGE, .quantity = 1}};
    const struct order_created created = created_of(lines, 4);
    const struct inventory_reserved *reserved;
    struct decision decision;

    receive(&shelf, "r1", "A", 2);
    receive(&shelf, "r2", "B", 5);
    decision = see(&shelf, EVENT_ORDER_CREATED, &created, &scratch);

    cr_assert_eq(decision.publishes, EVENT_INVENTORY_RESERVED);
    reserved = decision.event;
    cr_assert_eq(reserved->items_count, 2);
    cr_expect(view_equals(reserved->items[0].sku, "A") && reserved->items[0].quantity == 2);
    cr_expect(view_equals(reserved->items[1].sku, "B") && reserved->items[1].quantity == 4);
    cr_expect(view_equals(reserved->order_id, "A") && view_equals(reserved->warehouse, "main"));
    cr_expect_eq(reserved->occurred_at, 7);
    cr_expect_str_eq(units(&shelf, "B"), "5 1 4 0");
}

Test(inventory_decide, one_short_line_rejects_the_order_and_holds_nothing)
{
    const struct order_line lines[] = {line("A", 2), line("B", 6), line("C", 1)};
    const struct order_created created = created_of(lines, 3);
    const struct inventory_rejected *rejected;
    struct decision decision;

    receive(&shelf, "r1", "A", 2);
    receive(&shelf, "r2", "B", 5);
    decision = see(&shelf, EVENT_ORDER_CREATED, &created, &scratch);

    cr_assert_eq(decision.publishes, EVENT_INVENTORY_REJECTED);
    rejected = decision.event;
    cr_assert_eq(rejected->shortages_count, 2);
    cr_expect(view_equals(rejected->shortages[0].sku, "B"));
    cr_expect_eq(rejected->shortages[0].wanted, 6);
    cr_expect_eq(rejected->shortages[0].available, 5);
    cr_expect(view_equals(rejected->shortages[1].sku, "C"));
    cr_expect_eq(rejected->shortages[1].available, 0);
    cr_expect_str_eq(units(&shelf, "A"), "2 2 0 0");
    cr_expect_eq(state(&shelf, "A"), INVENTORY_REJECTED);
}

Test(inventory_decide, nothing_of_another_warehouse_is_here)
{
    const struct order_line lines[] = {line("A", 1)};
    struct order_created created = created_of(lines, 1);

    receive(&shelf, "r1", "A", 2);
    created.warehouse = V("north");

    cr_expect_eq(see(&shelf, EVENT_ORDER_CREATED, &created, &scratch).publishes,
                 EVENT_INVENTORY_REJECTED);
}

Test(inventory_decide, an_order_of_charges_is_reserved_without_anything)
{
    const struct order_line lines[] = {{.sku = V("POST"), .kind = LINE_KIND_CHARGE, .quantity = 1}};
    const struct order_created created = created_of(lines, 1);
    struct decision decision;

    decision = see(&shelf, EVENT_ORDER_CREATED, &created, &scratch);

    cr_expect_eq(decision.publishes, EVENT_INVENTORY_RESERVED);
    cr_expect_eq(((const struct inventory_reserved *)decision.event)->items_count, 0);
    cr_expect_eq(see(&shelf, EVENT_ORDER_CONFIRMED, &CONFIRMED, &scratch).publishes,
                 EVENT_INVENTORY_COMMITTED);
    cr_expect_eq(see(&shelf, EVENT_ORDER_CANCELLED, &CANCELLED, &scratch).publishes,
                 EVENT_INVENTORY_RELEASED);
}

/* Every row of the table: the events that lead to the state, the one that is seen, what comes of
 * it. In words: c created, s created but short, y confirmed, x cancelled, f cancelled when
 * fulfilled, z closed, l closed while a dead letter is left, r reminded, m reminded but short. */
Test(inventory_decide, does_what_each_row_of_the_table_says)
{
    static const struct {
        const char *before, *sees;
        enum saga_inventory_state becomes;
        enum event_type publishes;
        enum released_from from;
        const char *units;
    } rows[] = {
        {"", "c", INVENTORY_RESERVED, EVENT_INVENTORY_RESERVED, 0, "10 7 3 0"},
        {"", "s", INVENTORY_REJECTED, EVENT_INVENTORY_REJECTED, 0, "10 10 0 0"},
        {"", "x", INVENTORY_TOMBSTONE, EVENT_INVENTORY_RELEASED, RELEASED_FROM_NOTHING,
         "10 10 0 0"},
        {"c", "y", INVENTORY_COMMITTED, EVENT_INVENTORY_COMMITTED, 0, "10 7 0 3"},
        {"c", "x", INVENTORY_RELEASED, EVENT_INVENTORY_RELEASED, RELEASED_FROM_HELD, "10 10 0 0"},
        {"s", "x", INVENTORY_REJECTED, EVENT_NONE, 0, "10 10 0 0"},
        {"s", "z", INVENTORY_NONE, EVENT_NONE, 0, "10 10 0 0"},
        {"cy", "x", INVENTORY_RELEASED, EVENT_INVENTORY_RELEASED, RELEASED_FROM_SOLD, "10 10 0 0"},
        {"cy", "z", INVENTORY_NONE, EVENT_NONE, 0, "10 7 0 3"},
        {"cx", "z", INVENTORY_NONE, EVENT_NONE, 0, "10 10 0 0"},
        {"x", "c", INVENTORY_TOMBSTONE, EVENT_NONE, 0, "10 10 0 0"},
        {"x", "l", INVENTORY_TOMBSTONE, EVENT_NONE, 0, "10 10 0 0"},
        {"x", "z", INVENTORY_NONE, EVENT_NONE, 0, "10 10 0 0"},
        {"cyz", "f", INVENTORY_RELEASED, EVENT_INVENTORY_RELEASED, RELEASED_FROM_SOLD, "10 10 0 0"},
        {"cyzf", "z", INVENTORY_NONE, EVENT_NONE, 0, "10 10 0 0"},
        {"", "r", INVENTORY_RESERVED, EVENT_INVENTORY_RESERVED, 0, "10 7 3 0"},
        {"", "m", INVENTORY_REJECTED, EVENT_INVENTORY_REJECTED, 0, "10 10 0 0"},
        {"c", "r", INVENTORY_RESERVED, EVENT_NONE, 0, "10 7 3 0"},
        {"s", "m", INVENTORY_REJECTED, EVENT_NONE, 0, "10 10 0 0"},
        {"cy", "r", INVENTORY_COMMITTED, EVENT_NONE, 0, "10 7 0 3"},
        {"cx", "r", INVENTORY_RELEASED, EVENT_NONE, 0, "10 10 0 0"},
        {"x", "r", INVENTORY_TOMBSTONE, EVENT_NONE, 0, "10 10 0 0"},
    };
    const struct order_line lines[] = {line("X", 1), line("X", 2)}, many[] = {line("X", 11)};
    const struct order_created created = created_of(lines, 2), too_many = created_of(many, 1);
    const struct order_reminded reminded = {.order_id = V("A"), .order = created};
    const struct order_reminded reminded_short = {.order_id = V("A"), .order = too_many};
    struct order_cancelled fulfilled = CANCELLED;
    size_t steps = 0;

    fulfilled.was = ORDER_STAGE_FULFILLED;
    fulfilled.lines = lines;
    fulfilled.lines_count = 2;
    for (size_t i = 0; i < saga_step_count; i++)
        steps += saga_steps[i].part == PART_INVENTORY;
    cr_expect_leq(steps, sizeof rows / sizeof rows[0], "a row of the table is not tested");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct decision decision = {0};
        struct stock stock;
        char word[16];

        stock_init(&stock);
        receive(&stock, "r1", "X", 10);
        snprintf(word, sizeof word, "%s%s", rows[i].before, rows[i].sees);
        for (const char *letter = word; *letter != '\0'; letter++) {
            enum event_type type = EVENT_ORDER_CLOSED;
            const void *event = &CLOSED;
            struct err err = {0};

            switch (*letter) {
            case 'c':
                type = EVENT_ORDER_CREATED, event = &created;
                break;
            case 's':
                type = EVENT_ORDER_CREATED, event = &too_many;
                break;
            case 'y':
                type = EVENT_ORDER_CONFIRMED, event = &CONFIRMED;
                break;
            case 'x':
                type = EVENT_ORDER_CANCELLED, event = &CANCELLED;
                break;
            case 'f':
                type = EVENT_ORDER_CANCELLED, event = &fulfilled;
                break;
            case 'r':
                type = EVENT_ORDER_REMINDED, event = &reminded;
                break;
            case 'm':
                type = EVENT_ORDER_REMINDED, event = &reminded_short;
                break;
            default:
                break;
            }
            cr_assert_eq(ask(&decision, &stock, type, event, *letter == 'l', &arena, &err), ERR_OK,
                         "%s: %s", word, err.text);
            if (decision.has_entry)
                cr_assert_eq(stock_apply(&stock, &decision.entry, &err), ERR_OK, "%s: %s", word,
                             err.text);
            stock_keep(&stock);
        }
        cr_expect_eq(state(&stock, "A"), rows[i].becomes, "%s", word);
        cr_expect_eq(decision.publishes, rows[i].publishes, "%s", word);
        cr_expect_str_eq(units(&stock, "X"), rows[i].units, "%s", word);
        if (decision.publishes == EVENT_INVENTORY_RELEASED)
            cr_expect_eq(((const struct inventory_released *)decision.event)->released_from,
                         rows[i].from, "%s", word);
        stock_clear(&stock);
    }
}

Test(inventory_decide, the_same_event_twice_is_impossible_and_changes_nothing)
{
    const struct order_line lines[] = {line("X", 3)};
    const struct order_created created = created_of(lines, 1);
    struct decision decision;
    struct err err;

    receive(&shelf, "r1", "X", 10);
    see(&shelf, EVENT_ORDER_CREATED, &created, &scratch);

    cr_expect_eq(ask(&decision, &shelf, EVENT_ORDER_CREATED, &created, false, &scratch, &err),
                 ERR_REJECT);
    cr_expect_str_eq(
        err.text,
        "order A: impossible: order.created while it is reserved here: an order is created once");
    cr_expect_str_eq(units(&shelf, "X"), "10 7 3 0");
}

Test(inventory_decide, events_in_the_wrong_order_are_impossible)
{
    struct decision decision;
    struct err err;

    cr_expect_eq(ask(&decision, &shelf, EVENT_ORDER_CONFIRMED, &CONFIRMED, false, &scratch, &err),
                 ERR_REJECT);
    cr_expect_eq(ask(&decision, &shelf, EVENT_ORDER_CLOSED, &CLOSED, false, &scratch, &err),
                 ERR_REJECT);
}

Test(inventory_decide, lines_that_are_no_lines_are_refused)
{
    const struct {
        const char *what;
        struct order_line line;
    } cases[] = {
        {"quantity 0", line("X", 0)},
        {"a negative quantity", line("X", -1)},
        {"more than 10^9", line("X", 1000000001)},
        {"the largest number", line("X", INT64_MAX)},
        {"an unknown kind", {.sku = V("X"), .kind = LINE_KIND_UNKNOWN, .quantity = 1}},
    };

    receive(&shelf, "r1", "X", INT64_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct order_created created = created_of(&cases[i].line, 1);
        struct decision decision;
        struct err err;

        cr_expect_eq(ask(&decision, &shelf, EVENT_ORDER_CREATED, &created, false, &scratch, &err),
                     ERR_REJECT, "%s", cases[i].what);
    }
}

Test(inventory_decide, what_does_not_concern_it_is_passed_over)
{
    const struct stock_received received = {.sku = V("X")};
    struct decision decision;

    cr_assert_eq(ask(&decision, &shelf, EVENT_STOCK_RECEIVED, &received, false, &scratch, NULL),
                 ERR_OK);
    cr_expect(!decision.has_entry && decision.publishes == EVENT_NONE);
}

/* --- Documents ------------------------------------------------------------------------------ */

#define P 3

static const uint64_t NUMBERS[P] = {1, 0, 7}, PUBLISHED[P] = {1, 0, 6};
static const int64_t OFFSETS[P] = {10, -1, 30};
static const uint64_t APPLIED[P] = {9, 0, 12};
static const struct positions POSITIONS[] = {{{"shop.orders.v1", 14}, OFFSETS, APPLIED}};

static struct standing standing_of(uint64_t number)
{
    return (struct standing){
        .number = number,
        .epoch = 1,
        .time_us = 1000 * (int64_t)number,
        .writer = V("inventory-1/0123456789abcdef/1"),
        .warehouse = WAREHOUSE,
        .partitions = P,
        .last_numbers = NUMBERS,
        .published = PUBLISHED,
        .published_offsets = OFFSETS,
        .positions = POSITIONS,
        .position_count = 1,
    };
}

/* One batch with everything in it. */
static const struct stock_item X10[] = {{{"X", 1}, 10}}, X3[] = {{{"X", 1}, 3}};
static const struct entry ENTRIES[] = {
    {ENTRY_RECEIVE, {"r1", 2}, X10, 1},
    {ENTRY_HOLD, {"A", 1}, X3, 1},
    {ENTRY_SELL, {"A", 1}, X3, 1},
    {ENTRY_REMEMBER, {"T", 1}, NULL, 0},
};
static const struct journal_record RECORDS[] = {
    {2, 7, {"A", 1}, {"h\0h", 3}, {"\xff\x00value", 7}},
    {0, 1, {"X", 1}, {"", 0}, {"", 0}},
};
static const struct letter LETTERS[] = {
    {1,
     5,
     false,
     {DEAD_IMPOSSIBLE,
      "cut \xc3",
      "shop.orders.v1",
      2,
      99,
      13,
      123,
      1,
      {"B", 1},
      {"hh", 2},
      {"v", 1}}},
    {2,
     5,
     false,
     {DEAD_NO_NUMBER, "", "shop.orders.v1", 2, 100, 0, -1, 1, {NULL, 0}, {"", 0}, {NULL, 0}}},
};
static const int64_t COPIED[] = {2};

static struct batch batch_of(uint64_t number)
{
    struct batch batch = {
        .standing = standing_of(number),
        .entries = ENTRIES,
        .entry_count = 4,
        .records = RECORDS,
        .record_count = 2,
        .letters = LETTERS,
        .letter_count = 2,
        .copied = COPIED,
        .copied_count = 1,
    };

    batch.standing.last_letter = 2;
    return batch;
}

Test(inventory_ledger, a_document_reads_as_it_was_written)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = batch_of(42), read;
    bson_t *document = batch_write(&batch);
    struct err err = {0};

    cr_assert_eq(batch_read(&read, document, &arena, &err), ERR_OK, "%s", err.text);
    cr_expect_eq(read.standing.number, 42);
    cr_expect_eq(read.standing.epoch, 1);
    cr_expect_eq(read.standing.time_us, 42000);
    cr_expect(view_equal(read.standing.writer, batch.standing.writer));
    cr_expect_eq(read.standing.partitions, P);
    cr_expect_arr_eq(read.standing.last_numbers, NUMBERS, sizeof NUMBERS);
    cr_expect_arr_eq(read.standing.published_offsets, OFFSETS, sizeof OFFSETS);
    cr_assert_eq(read.standing.position_count, 1);
    cr_expect(view_equals(read.standing.positions[0].topic, "shop.orders.v1"));
    cr_expect_arr_eq(read.standing.positions[0].offsets, OFFSETS, sizeof OFFSETS);
    cr_expect_arr_eq(read.standing.positions[0].numbers, APPLIED, sizeof APPLIED);
    cr_assert_eq(read.entry_count, 4);
    cr_expect_eq(read.entries[1].kind, ENTRY_HOLD);
    cr_expect(view_equals(read.entries[1].id, "A") && read.entries[1].items[0].quantity == 3);
    cr_assert_eq(read.record_count, 2);
    cr_expect(read.records[0].shard == 2 && read.records[0].number == 7);
    cr_expect(view_equal(read.records[0].headers, RECORDS[0].headers));
    cr_expect(view_equal(read.records[0].value, RECORDS[0].value));
    cr_assert_eq(read.letter_count, 2);
    cr_expect_eq(read.letters[0].dead.reason, DEAD_IMPOSSIBLE);
    cr_expect_str_eq(read.letters[0].dead.error, "cut ?", "a server takes only UTF-8");
    cr_expect_eq(read.letters[0].dead.number, 13);
    cr_expect_null(read.letters[1].dead.value.data);
    cr_expect_eq(read.copied_count, 1);
    bson_destroy(document);
}

/* Every byte of a document set to every wrong value that is cheap to try: never a crash, and what
 * is read is within bounds (the sanitizer looks). */
Test(inventory_ledger, hostile_documents_are_refused_or_read_within_their_bounds)
{
    struct batch batch = batch_of(42);
    bson_t *document = batch_write(&batch);
    uint32_t size = document->len;
    uint8_t *bytes = malloc(size);

    for (uint32_t at = 0; at < size; at++)
        for (int change = 0; change < 3; change++) {
            static const uint8_t WRONG[] = {0x00, 0x7f, 0xff};
            AUTO(arena_clear) struct arena arena = {0};
            struct batch read;
            struct err err;
            bson_t hostile;

            memcpy(bytes, bson_get_data(document), size);
            bytes[at] = WRONG[change];
            if (bson_init_static(&hostile, bytes, size))
                batch_read(&read, &hostile, &arena, &err);
        }
    free(bytes);
    bson_destroy(document);
}

Test(inventory_ledger, what_is_no_document_of_the_ledger_is_named)
{
    AUTO(arena_clear) struct arena arena = {0};
    bson_t *document = BCON_NEW("_id", BCON_UTF8("00000000000000000042"), "format", BCON_INT32(1),
                                "last_numbers", "[", "]");
    struct batch read;
    struct err err;

    cr_expect_eq(batch_read(&read, document, &arena, &err), ERR_STOP);
    cr_expect_str_eq(err.text, "ledger document 00000000000000000042: number is missing");
    bson_destroy(document);
}

static void keep_document(void *context, bson_t *document)
{
    bson_t ***next = context;

    *(*next)++ = document;
}

static struct ledger *ledger_of_one_batch(void)
{
    struct ledger *ledger = ledger_new(WAREHOUSE, P);
    struct batch batch = batch_of(1);
    struct err err = {0};

    cr_assert_eq(ledger_fold(ledger, &batch, &err), ERR_OK, "%s", err.text);
    return ledger;
}

Test(inventory_ledger, folding_a_batch_gives_what_its_writer_has)
{
    struct ledger *ledger = ledger_of_one_batch();
    struct mark mark = {.topic = "shop.orders.v1", .partition = 2},
                fresh = {.topic = "shop.orders.v1", .partition = 1};

    cr_expect_eq(ledger->number, 1);
    cr_expect_str_eq(units(&ledger->stock, "X"), "10 7 0 3");
    cr_expect_eq(state(&ledger->stock, "A"), INVENTORY_COMMITTED);
    ledger_read_mark(ledger, &mark);
    cr_expect(mark.next_offset == 30 && mark.high_water == 12 && !mark.fresh);
    ledger_read_mark(ledger, &fresh);
    cr_expect(fresh.next_offset == -1 && fresh.high_water == 0 && fresh.fresh);
    cr_expect(ledger_has_letter(ledger, V("B"), NULL, 0));
    cr_expect_not(ledger_has_letter(ledger, V("B"), (const int64_t[]){1}, 1),
                  "it is being brought back");
    cr_expect_not(ledger_has_letter(ledger, V("A"), NULL, 0));
    cr_expect(ledger_find_letter(ledger, 2)->copied);
    ledger_free(ledger);
}

Test(inventory_ledger, a_batch_out_of_place_is_refused)
{
    struct ledger *ledger = ledger_of_one_batch();
    struct batch again = batch_of(1), later = batch_of(3), elsewhere = batch_of(2),
                 unfit = batch_of(2);
    struct err err;

    elsewhere.standing.warehouse = V("north");
    cr_expect_eq(ledger_fold(ledger, &again, &err), ERR_STOP);
    cr_expect_eq(ledger_fold(ledger, &later, &err), ERR_STOP);
    cr_expect_eq(ledger_fold(ledger, &elsewhere, &err), ERR_STOP);
    cr_expect_eq(ledger_fold(ledger, &unfit, &err), ERR_STOP,
                 "its first entry is a receipt that is counted");
    cr_expect_str_eq(err.text, "ledger document 2, entry 0: receipt r1: it is counted");
    cr_expect_eq(ledger->number, 1);
    ledger_free(ledger);
}

Test(inventory_ledger, letters_that_are_brought_back_are_gone)
{
    struct ledger *ledger = ledger_of_one_batch();
    struct batch batch = batch_of(2);

    batch.entry_count = batch.letter_count = batch.copied_count = 0;
    batch.removed = (const int64_t[]){1};
    batch.removed_count = 1;
    cr_assert_eq(ledger_fold(ledger, &batch, NULL), ERR_OK);

    cr_expect_null(ledger_find_letter(ledger, 1));
    cr_expect_not_null(ledger_find_letter(ledger, 2));
    cr_expect_eq(ledger->last_letter, 2);
    ledger_free(ledger);
}

Test(inventory_ledger, a_snapshot_is_the_ledger_it_was_made_of)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct ledger *ledger = ledger_of_one_batch(), *copy = ledger_new(WAREHOUSE, P);
    const struct snapshot_visitor visitor = ledger_visitor(copy);
    struct standing standing = ledger_standing(ledger, &arena), read;
    bson_t *documents[16], **end = documents;
    struct batch next = batch_of(2);
    int64_t parts;
    struct err err = {0};

    snapshot_write(&ledger->stock, (const struct letter *const *)ledger->letters,
                   ledger->letter_count, &standing, keep_document, &end);
    cr_assert_eq(end - documents, 6, "SKUs, orders, receipts, two letters, valid");
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(snapshot_read_part(&visitor, documents[i], &arena, &err), ERR_OK, "%s",
                     err.text);
    cr_assert_eq(snapshot_read_valid(&read, &parts, documents[5], &arena, &err), ERR_OK, "%s",
                 err.text);
    cr_expect_eq(parts, 5);
    cr_assert_eq(ledger_restore(copy, &read, &err), ERR_OK, "%s", err.text);

    cr_expect_eq(copy->number, 1);
    cr_expect_eq(copy->epoch, 1);
    cr_expect_str_eq(units(&copy->stock, "X"), "10 7 0 3");
    cr_expect_eq(state(&copy->stock, "A"), INVENTORY_COMMITTED);
    cr_expect_eq(stock_find_order(&copy->stock, V("A"))->item_count, 1);
    cr_expect_eq(state(&copy->stock, "T"), INVENTORY_TOMBSTONE);
    cr_expect_not_null(stock_find_receipt(&copy->stock, V("r1")));
    cr_expect_eq(copy->letter_count, 2);
    cr_expect(copy->letters[1]->copied);
    next.entries = &(const struct entry){ENTRY_TAKE_BACK, {"A", 1}, X3, 1};
    next.entry_count = 1;
    next.letter_count = 0;
    cr_expect_eq(ledger_fold(copy, &next, &err), ERR_OK, "%s", err.text);
    for (size_t i = 0; i < 6; i++)
        bson_destroy(documents[i]);
    ledger_free(ledger);
    ledger_free(copy);
}

/* --- Recent records ------------------------------------------------------------------------- */

#define ROW_BYTES (sizeof(struct recent_record) + 15)

Test(inventory_recent, keeps_the_newest_in_bounds_and_finds_them_by_number)
{
    struct recent recent;
    struct journal_record record = {.key = V("key"), .headers = V("headers"), .value = V("value")};
    const uint64_t published[] = {1000, 1000};

    recent_init(&recent, 2, published, 40 * ROW_BYTES, 80 * ROW_BYTES);
    for (uint64_t number = 1; number <= 100; number++) {
        record.shard = (int32_t)(number % 2);
        record.number = (number + 1) / 2;
        recent_add(&recent, &record);
    }

    cr_expect_null(recent_find(&recent, 0, 30));
    cr_expect_eq(recent_find(&recent, 0, 31)->record.number, 31);
    cr_expect_eq(recent_find(&recent, 0, 31)->next_in_shard->record.number, 32);
    cr_expect_eq(recent_find(&recent, 1, 50)->record.number, 50);
    cr_expect_eq(recent_find(&recent, 1, 40)->record.number, 40);
    cr_expect_null(recent_find(&recent, 1, 51));

    record.number = 70;
    recent_add(&recent, &record);
    cr_expect_null(recent_find(&recent, 0, 50), "behind a hole nothing is kept");
    cr_expect_eq(recent_find(&recent, 0, 70)->record.number, 70);
    recent_clear(&recent);
}

Test(inventory_recent, keeps_what_is_not_published_yet_in_larger_bounds)
{
    struct recent recent;
    struct journal_record record = {.key = V("key"), .headers = V("headers"), .value = V("value")};
    uint64_t published[] = {25};

    recent_init(&recent, 1, published, 40 * ROW_BYTES, 80 * ROW_BYTES);
    for (record.number = 1; record.number <= 100; record.number++)
        recent_add(&recent, &record);
    cr_expect_null(recent_find(&recent, 0, 25));
    cr_expect_eq(recent_find(&recent, 0, 26)->record.number, 26);

    for (; record.number <= 120; record.number++)
        recent_add(&recent, &record);
    cr_expect_null(recent_find(&recent, 0, 40), "nothing is kept beyond the larger bounds");
    cr_expect_eq(recent_find(&recent, 0, 41)->record.number, 41);

    published[0] = 120;
    recent_add(&recent, &record);
    cr_expect_null(recent_find(&recent, 0, 81));
    cr_expect_eq(recent_find(&recent, 0, 82)->record.number, 82);
    recent_clear(&recent);
}
