#include "consumers/inventory/stock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define BIT(state) (1u << (state))

/* The stock's half of the saga: what an entry moves, and where it finds and leaves its order.
 * NONE and SETTLED and FORGOTTEN are all the absence of memory: NONE stands for it here. */
static const struct entry_rule {
    const char *name;
    enum stock_place from, to; /* the same: nothing moves */
    unsigned before;           /* bits of states */
    enum saga_inventory_state after;
} RULES[] = {
    [ENTRY_RECEIVE] = {"receive", STOCK_OUTSIDE, STOCK_ON_HAND, 0, INVENTORY_NONE},
    [ENTRY_HOLD] = {"hold", STOCK_ON_HAND, STOCK_HELD, BIT(INVENTORY_NONE), INVENTORY_RESERVED},
    [ENTRY_REJECT] = {"reject", STOCK_OUTSIDE, STOCK_OUTSIDE, BIT(INVENTORY_NONE),
                      INVENTORY_REJECTED},
    [ENTRY_SELL] = {"sell", STOCK_HELD, STOCK_SOLD, BIT(INVENTORY_RESERVED), INVENTORY_COMMITTED},
    [ENTRY_UNHOLD] = {"unhold", STOCK_HELD, STOCK_ON_HAND, BIT(INVENTORY_RESERVED),
                      INVENTORY_RELEASED},
    [ENTRY_TAKE_BACK] = {"take_back", STOCK_SOLD, STOCK_ON_HAND,
                         BIT(INVENTORY_COMMITTED) | BIT(INVENTORY_NONE), INVENTORY_RELEASED},
    [ENTRY_REMEMBER] = {"remember", STOCK_OUTSIDE, STOCK_OUTSIDE, BIT(INVENTORY_NONE),
                        INVENTORY_TOMBSTONE},
    [ENTRY_FORGET] = {"forget", STOCK_OUTSIDE, STOCK_OUTSIDE,
                      BIT(INVENTORY_REJECTED) | BIT(INVENTORY_COMMITTED) | BIT(INVENTORY_RELEASED) |
                          BIT(INVENTORY_TOMBSTONE),
                      INVENTORY_NONE},
};

struct stock_undo {
    const struct entry_rule *rule;
    struct stock_order *order; /* NULL: a receipt */
    enum saga_inventory_state before;
    struct stock_receipt *receipt;
    bool sku_is_new;
};

const char *entry_kind_name(enum entry_kind kind)
{
    return RULES[kind].name;
}

enum entry_kind entry_kind_from_name(struct view name)
{
    for (int kind = 0; kind < ENTRY_KINDS; kind++)
        if (view_equals(name, RULES[kind].name))
            return (enum entry_kind)kind;
    return ENTRY_KINDS;
}

struct entry_effect entry_effect(enum entry_kind kind)
{
    return (struct entry_effect){RULES[kind].from, RULES[kind].to, RULES[kind].after};
}

/* --- What is remembered --------------------------------------------------------------------- */

static struct view sku_key(const void *thing)
{
    return ((const struct stock_sku *)thing)->code;
}

static struct view order_key(const void *thing)
{
    return ((const struct stock_order *)thing)->id;
}

static struct view receipt_key(const void *thing)
{
    return ((const struct stock_receipt *)thing)->id;
}

void stock_init(struct stock *stock)
{
    *stock = (struct stock){
        .sku_by_code.key_of = sku_key,
        .order_by_id.key_of = order_key,
        .receipt_by_id.key_of = receipt_key,
    };
}

void stock_clear(struct stock *stock)
{
    struct stock_receipt *receipt;
    size_t place = 0;
    void *order;

    /* An order that an entry forgot lives in the undo log only. */
    stock_undo(stock, 0);
    while ((order = lookup_next(&stock->order_by_id, &place)) != NULL)
        free(order);
    while ((receipt = stock->oldest) != NULL) {
        stock->oldest = receipt->newer;
        free(receipt);
    }
    for (size_t i = 0; i < stock->sku_count; i++)
        free(stock->skus[i]);
    free(stock->skus);
    free(stock->undo);
    lookup_clear(&stock->sku_by_code);
    lookup_clear(&stock->order_by_id);
    lookup_clear(&stock->receipt_by_id);
    *stock = (struct stock){0};
}

const struct stock_sku *stock_find_sku(const struct stock *stock, struct view code)
{
    return lookup_find(&stock->sku_by_code, code);
}

const struct stock_order *stock_find_order(const struct stock *stock, struct view id)
{
    return lookup_find(&stock->order_by_id, id);
}

const struct stock_receipt *stock_find_receipt(const struct stock *stock, struct view id)
{
    return lookup_find(&stock->receipt_by_id, id);
}

/* A thing and its key in one allocation: the key's bytes lie behind it. */
static void *new_thing(size_t thing_bytes, struct view key, struct view *copy)
{
    char *thing = mem_alloc(thing_bytes + key.size);

    memcpy(thing + thing_bytes, key.data, key.size);
    *copy = view_of(thing + thing_bytes, key.size);
    return thing;
}

static struct stock_sku *add_sku(struct stock *stock, struct view code)
{
    struct view copy;
    struct stock_sku *sku = new_thing(sizeof *sku, code, &copy);

    sku->code = copy;
    stock->skus =
        mem_room(stock->skus, stock->sku_count, &stock->sku_capacity, sizeof *stock->skus);
    stock->skus[stock->sku_count++] = sku;
    lookup_add(&stock->sku_by_code, sku);
    return sku;
}

static void remove_newest_sku(struct stock *stock)
{
    struct stock_sku *sku = stock->skus[--stock->sku_count];

    lookup_remove(&stock->sku_by_code, sku->code);
    free(sku);
}

/* Items name SKUs that are there: the caller has looked. */
static struct stock_order *add_order(struct stock *stock, struct view id,
                                     enum saga_inventory_state state,
                                     const struct stock_item *items, size_t item_count)
{
    struct view copy;
    struct stock_order *order =
        new_thing(sizeof *order + item_count * sizeof order->items[0], id, &copy);

    order->id = copy;
    order->state = state;
    order->item_count = (uint32_t)item_count;
    for (size_t i = 0; i < item_count; i++)
        order->items[i] = (struct stock_order_item){
            .sku = lookup_find(&stock->sku_by_code, items[i].sku), .quantity = items[i].quantity};
    lookup_add(&stock->order_by_id, order);
    return order;
}

static struct stock_receipt *add_receipt(struct stock *stock, struct view id,
                                         const struct stock_sku *sku, int64_t quantity,
                                         int64_t time_us)
{
    struct view copy;
    struct stock_receipt *receipt = new_thing(sizeof *receipt, id, &copy);

    *receipt = (struct stock_receipt){
        .id = copy, .sku = sku, .quantity = quantity, .time_us = time_us, .older = stock->newest};
    if (stock->newest != NULL)
        stock->newest->newer = receipt;
    else
        stock->oldest = receipt;
    stock->newest = receipt;
    lookup_add(&stock->receipt_by_id, receipt);
    return receipt;
}

static void remove_receipt(struct stock *stock, struct stock_receipt *receipt)
{
    if (receipt->older != NULL)
        receipt->older->newer = receipt->newer;
    else
        stock->oldest = receipt->newer;
    if (receipt->newer != NULL)
        receipt->newer->older = receipt->older;
    else
        stock->newest = receipt->older;
    lookup_remove(&stock->receipt_by_id, receipt->id);
    free(receipt);
}

/* --- Does the entry fit? -------------------------------------------------------------------- */

static enum err_kind check_name(const char *what, struct view name, size_t max, struct err *err)
{
    if (name.size == 0 || name.size > max)
        return err_set(err, ERR_REJECT, "%s '%.*s': %zu bytes, want 1 to %zu", what,
                       (int)(name.size < 80 ? name.size : 80), name.data != NULL ? name.data : "",
                       name.size, max);
    /* The ledger's documents are lines of fields. */
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.data[i] < ' ')
            return err_set(err, ERR_REJECT, "%s: its byte %zu is a control character (%d)", what, i,
                           name.data[i]);
    return ERR_OK;
}

static enum err_kind check_items(struct view id, const struct stock_item *items, size_t count,
                                 struct err *err)
{
    if (count > STOCK_ITEMS_MAX)
        return err_set(err, ERR_REJECT, "%.*s: %zu SKUs, want at most %d", VIEW_PRINT(id), count,
                       STOCK_ITEMS_MAX);
    for (size_t i = 0; i < count; i++) {
        enum err_kind kind = check_name("SKU", items[i].sku, STOCK_SKU_MAX, err);

        if (kind != ERR_OK)
            return kind;
        if (items[i].quantity < 1)
            return err_set(err, ERR_REJECT, "%.*s: SKU %.*s: quantity %" PRId64 ", want at least 1",
                           VIEW_PRINT(id), VIEW_PRINT(items[i].sku), items[i].quantity);
        if (i > 0 && view_compare(items[i - 1].sku, items[i].sku) >= 0)
            return err_set(err, ERR_REJECT,
                           "%.*s: SKU %.*s behind %.*s, want them ascending, each once",
                           VIEW_PRINT(id), VIEW_PRINT(items[i].sku), VIEW_PRINT(items[i - 1].sku));
    }
    return ERR_OK;
}

static enum err_kind check_receive(const struct stock *stock, const struct entry *entry,
                                   struct err *err)
{
    const struct stock_sku *sku;

    if (entry->item_count != 1)
        return err_set(err, ERR_REJECT, "receipt %.*s: %zu SKUs, want 1", VIEW_PRINT(entry->id),
                       entry->item_count);
    if (stock_find_receipt(stock, entry->id) != NULL)
        return err_set(err, ERR_REJECT, "receipt %.*s: it is counted", VIEW_PRINT(entry->id));
    sku = stock_find_sku(stock, entry->items[0].sku);
    /* The other three numbers are never above this one. */
    if (sku != NULL && entry->items[0].quantity > INT64_MAX - sku->received)
        return err_set(err, ERR_REJECT,
                       "receipt %.*s: %" PRId64 " more of SKU %.*s, of which %" PRId64
                       " were received, want a sum of at most 2^63 - 1",
                       VIEW_PRINT(entry->id), entry->items[0].quantity, VIEW_PRINT(sku->code),
                       sku->received);
    return ERR_OK;
}

static bool are_items_of(const struct stock_order *order, const struct entry *entry)
{
    if (order->item_count != entry->item_count)
        return false;
    for (uint32_t i = 0; i < order->item_count; i++)
        if (order->items[i].quantity != entry->items[i].quantity ||
            !view_equal(order->items[i].sku->code, entry->items[i].sku))
            return false;
    return true;
}

static enum err_kind check_step(const struct stock *stock, const struct entry_rule *rule,
                                const struct entry *entry, const struct stock_order *order,
                                struct err *err)
{
    enum saga_inventory_state state = order != NULL ? order->state : INVENTORY_NONE;

    if ((rule->before & BIT(state)) == 0)
        return err_set(err, ERR_REJECT, "order %.*s: '%s' does not fit, it is %s",
                       VIEW_PRINT(entry->id), rule->name,
                       saga_state_name(PART_INVENTORY, (int)state));
    if (rule->from == rule->to) {
        if (entry->item_count != 0)
            return err_set(err, ERR_REJECT, "order %.*s: '%s' of %zu SKUs, it moves none",
                           VIEW_PRINT(entry->id), rule->name, entry->item_count);
        return ERR_OK;
    }
    if (order != NULL && !are_items_of(order, entry))
        return err_set(err, ERR_REJECT, "order %.*s: '%s' of other items than it has",
                       VIEW_PRINT(entry->id), rule->name);
    for (size_t i = 0; i < entry->item_count; i++) {
        const struct stock_sku *sku = stock_find_sku(stock, entry->items[i].sku);
        int64_t there = sku != NULL ? sku->units[rule->from] : 0;

        if (there < entry->items[i].quantity)
            return err_set(err, ERR_REJECT,
                           "order %.*s: '%s' of %" PRId64 " of SKU %.*s, but only %" PRId64
                           " are there",
                           VIEW_PRINT(entry->id), rule->name, entry->items[i].quantity,
                           VIEW_PRINT(entry->items[i].sku), there);
    }
    return ERR_OK;
}

/* --- Forth and back ------------------------------------------------------------------------- */

static void move_items(const struct stock_order *order, enum stock_place from, enum stock_place to)
{
    if (from == to)
        return;
    for (uint32_t i = 0; i < order->item_count; i++) {
        order->items[i].sku->units[from] -= order->items[i].quantity;
        order->items[i].sku->units[to] += order->items[i].quantity;
    }
}

static struct stock_undo *log_undo(struct stock *stock)
{
    stock->undo =
        mem_room(stock->undo, stock->undo_count, &stock->undo_capacity, sizeof *stock->undo);
    return &stock->undo[stock->undo_count++];
}

static enum err_kind apply_receive(struct stock *stock, const struct entry *entry, struct err *err)
{
    enum err_kind kind = check_receive(stock, entry, err);
    struct stock_sku *sku;
    struct stock_undo *undo;
    bool is_new;

    if (kind != ERR_OK)
        return kind;
    sku = lookup_find(&stock->sku_by_code, entry->items[0].sku);
    is_new = sku == NULL;
    if (is_new)
        sku = add_sku(stock, entry->items[0].sku);
    sku->received += entry->items[0].quantity;
    sku->units[STOCK_ON_HAND] += entry->items[0].quantity;
    undo = log_undo(stock);
    *undo = (struct stock_undo){
        .receipt = add_receipt(stock, entry->id, sku, entry->items[0].quantity, stock->time_us),
        .sku_is_new = is_new,
    };
    return ERR_OK;
}

enum err_kind stock_apply(struct stock *stock, const struct entry *entry, struct err *err)
{
    const struct entry_rule *rule = &RULES[entry->kind];
    struct stock_order *order;
    enum err_kind kind = check_name(entry->kind == ENTRY_RECEIVE ? "receipt" : "order", entry->id,
                                    STOCK_ID_MAX, err);

    if (kind == ERR_OK)
        kind = check_items(entry->id, entry->items, entry->item_count, err);
    if (kind != ERR_OK)
        return kind;
    if (entry->kind == ENTRY_RECEIVE)
        return apply_receive(stock, entry, err);

    order = lookup_find(&stock->order_by_id, entry->id);
    kind = check_step(stock, rule, entry, order, err);
    if (kind != ERR_OK)
        return kind;
    struct stock_undo undo = {
        .rule = rule,
        .before = order != NULL ? order->state : INVENTORY_NONE,
    };
    if (order == NULL)
        order = add_order(stock, entry->id, rule->after, entry->items, entry->item_count);
    order->state = rule->after;
    move_items(order, rule->from, rule->to);
    if (rule->after == INVENTORY_NONE)
        lookup_remove(&stock->order_by_id, order->id);
    undo.order = order;
    *log_undo(stock) = undo;
    return ERR_OK;
}

size_t stock_applied(const struct stock *stock)
{
    return stock->undo_count;
}

static void undo_receive(struct stock *stock, const struct stock_undo *undo)
{
    struct stock_sku *sku = lookup_find(&stock->sku_by_code, undo->receipt->sku->code);

    sku->received -= undo->receipt->quantity;
    sku->units[STOCK_ON_HAND] -= undo->receipt->quantity;
    remove_receipt(stock, undo->receipt);
    if (undo->sku_is_new)
        remove_newest_sku(stock);
}

static void undo_step(struct stock *stock, const struct stock_undo *undo)
{
    move_items(undo->order, undo->rule->to, undo->rule->from);
    if (undo->before == INVENTORY_NONE) {
        lookup_remove(&stock->order_by_id, undo->order->id);
        free(undo->order);
        return;
    }
    undo->order->state = undo->before;
    if (undo->rule->after == INVENTORY_NONE)
        lookup_add(&stock->order_by_id, undo->order);
}

void stock_undo(struct stock *stock, size_t applied)
{
    assert(applied <= stock->undo_count);
    while (stock->undo_count > applied) {
        const struct stock_undo *undo = &stock->undo[--stock->undo_count];

        if (undo->order != NULL)
            undo_step(stock, undo);
        else
            undo_receive(stock, undo);
    }
}

void stock_keep(struct stock *stock)
{
    for (size_t i = 0; i < stock->undo_count; i++)
        if (stock->undo[i].order != NULL && stock->undo[i].rule->after == INVENTORY_NONE)
            free(stock->undo[i].order);
    stock->undo_count = 0;
    while (stock->oldest != NULL &&
           stock->oldest->time_us < stock->time_us - STOCK_RECEIPT_WINDOW_US)
        remove_receipt(stock, stock->oldest);
}

/* --- Reading a snapshot --------------------------------------------------------------------- */

enum err_kind stock_restore_sku(struct stock *stock, const struct stock_sku *sku, struct err *err)
{
    struct stock_sku *copy;
    int64_t sum = 0;
    bool fits = true;
    enum err_kind kind = check_name("SKU", sku->code, STOCK_SKU_MAX, err);

    if (kind != ERR_OK)
        return kind;
    for (int place = 0; place < STOCK_PLACES; place++)
        fits =
            fits && sku->units[place] >= 0 && !__builtin_add_overflow(sum, sku->units[place], &sum);
    if (!fits || sum != sku->received)
        return err_set(err, ERR_REJECT,
                       "SKU %.*s: received %" PRId64 ", on hand %" PRId64 ", held %" PRId64
                       ", sold %" PRId64
                       ": want the first to be the sum of the others, none negative",
                       VIEW_PRINT(sku->code), sku->received, sku->units[STOCK_ON_HAND],
                       sku->units[STOCK_HELD], sku->units[STOCK_SOLD]);
    if (stock_find_sku(stock, sku->code) != NULL)
        return err_set(err, ERR_REJECT, "SKU %.*s: it is there twice", VIEW_PRINT(sku->code));
    copy = add_sku(stock, sku->code);
    memcpy(copy->units, sku->units, sizeof copy->units);
    copy->received = sku->received;
    return ERR_OK;
}

enum err_kind stock_restore_order(struct stock *stock, struct view id,
                                  enum saga_inventory_state state, const struct stock_item *items,
                                  size_t item_count, struct err *err)
{
    enum err_kind kind = check_name("order", id, STOCK_ID_MAX, err);

    if (kind == ERR_OK)
        kind = check_items(id, items, item_count, err);
    if (kind != ERR_OK)
        return kind;
    if ((RULES[ENTRY_FORGET].before & BIT(state)) == 0 && state != INVENTORY_RESERVED)
        return err_set(err, ERR_REJECT, "order %.*s: state %s is not one to remember",
                       VIEW_PRINT(id), saga_state_name(PART_INVENTORY, (int)state));
    if (stock_find_order(stock, id) != NULL)
        return err_set(err, ERR_REJECT, "order %.*s: it is there twice", VIEW_PRINT(id));
    for (size_t i = 0; i < item_count; i++)
        if (stock_find_sku(stock, items[i].sku) == NULL)
            return err_set(err, ERR_REJECT, "order %.*s: SKU %.*s is not there", VIEW_PRINT(id),
                           VIEW_PRINT(items[i].sku));
    add_order(stock, id, state, items, item_count);
    return ERR_OK;
}

enum err_kind stock_restore_receipt(struct stock *stock, struct view id,
                                    const struct stock_item *item, int64_t time_us, struct err *err)
{
    const struct stock_sku *sku = stock_find_sku(stock, item->sku);
    enum err_kind kind = check_name("receipt", id, STOCK_ID_MAX, err);

    if (kind != ERR_OK)
        return kind;
    if (sku == NULL || item->quantity < 1)
        return err_set(err, ERR_REJECT,
                       "receipt %.*s: %" PRId64
                       " of SKU %.*s, want at least 1 of one that is there",
                       VIEW_PRINT(id), item->quantity, VIEW_PRINT(item->sku));
    if (stock_find_receipt(stock, id) != NULL)
        return err_set(err, ERR_REJECT, "receipt %.*s: it is there twice", VIEW_PRINT(id));
    add_receipt(stock, id, sku, item->quantity, time_us);
    return ERR_OK;
}
