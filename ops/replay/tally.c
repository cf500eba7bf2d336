#include "ops/replay/tally.h"

#include <inttypes.h>
#include <stdlib.h>

/* Clocks of two computers differ; who compares looks at the window more closely. */
#define SLACK_US (INT64_C(3600) * 1000000)

static struct view code_of(const void *thing)
{
    return ((const struct tally_sku *)thing)->code;
}

static struct view order_of(const void *thing)
{
    return ((const struct tally_order *)thing)->id;
}

static struct view receipt_of(const void *thing)
{
    return ((const struct tally_receipt *)thing)->id;
}

void tally_init(struct tally *tally, int64_t now_us)
{
    *tally = (struct tally){
        .skus.key_of = code_of,
        .orders.key_of = order_of,
        .receipts.key_of = receipt_of,
        .since_us = now_us - STOCK_RECEIPT_WINDOW_US - SLACK_US,
    };
}

static void free_order(struct tally_order *order)
{
    free(order->memory);
    free(order);
}

void tally_clear(struct tally *tally)
{
    size_t place = 0;
    void *thing;

    while ((thing = lookup_next(&tally->skus, &place)) != NULL)
        free(thing);
    place = 0;
    while ((thing = lookup_next(&tally->orders, &place)) != NULL)
        free_order(thing);
    place = 0;
    while ((thing = lookup_next(&tally->receipts, &place)) != NULL)
        free(thing);
    lookup_clear(&tally->skus);
    lookup_clear(&tally->orders);
    lookup_clear(&tally->receipts);
}

/* --- Things ----------------------------------------------------------------------------------- */

static void *new_thing(size_t bytes, struct view key, struct view *copy)
{
    char *thing = mem_alloc(bytes + key.size);

    if (key.size > 0)
        memcpy(thing + bytes, key.data, key.size);
    *copy = view_of(thing + bytes, key.size);
    return thing;
}

struct tally_sku *tally_sku(struct tally *tally, struct view code)
{
    struct tally_sku *sku = lookup_find(&tally->skus, code);
    struct view copy;

    if (sku != NULL)
        return sku;
    sku = new_thing(sizeof *sku, code, &copy);
    sku->code = copy;
    for (int i = 0; i < TALLY_UNITS; i++)
        sku->by[i].type = EVENT_NONE;
    lookup_add(&tally->skus, sku);
    return sku;
}

struct tally_order *tally_order(struct tally *tally, struct view id)
{
    struct tally_order *order = lookup_find(&tally->orders, id);
    struct view copy;

    if (order != NULL)
        return order;
    order = new_thing(sizeof *order, id, &copy);
    order->id = copy;
    order->by.type = EVENT_NONE;
    lookup_add(&tally->orders, order);
    return order;
}

void tally_set_items(struct tally_order *order, const struct stock_item *items, size_t count)
{
    size_t bytes = count * sizeof *items;
    struct stock_item *copy;
    char *room;

    for (size_t i = 0; i < count; i++)
        bytes += items[i].sku.size;
    free(order->memory);
    order->memory = copy = mem_alloc(bytes + 1);
    room = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        memcpy(room, items[i].sku.data, items[i].sku.size);
        copy[i] = (struct stock_item){view_of(room, items[i].sku.size), items[i].quantity};
        room += items[i].sku.size;
    }
    order->items = copy;
    order->item_count = count;
}

void tally_forget(struct tally *tally, struct view id)
{
    struct tally_order *order = lookup_remove(&tally->orders, id);

    if (order != NULL)
        free_order(order);
}

void tally_receive(struct tally *tally, const struct tally_receipt *receipt)
{
    struct view id, sku;
    struct tally_receipt *copy;

    if (receipt->time_us < tally->since_us || lookup_find(&tally->receipts, receipt->id) != NULL)
        return;
    copy = new_thing(sizeof *copy + receipt->sku.size, receipt->id, &id);
    *copy = *receipt;
    copy->id = view_of((char *)(copy + 1) + receipt->sku.size, receipt->id.size);
    sku = view_of(copy + 1, receipt->sku.size);
    memcpy((char *)(copy + 1), receipt->sku.data, receipt->sku.size);
    memcpy((char *)(copy + 1) + sku.size, receipt->id.data, receipt->id.size);
    copy->sku = sku;
    lookup_add(&tally->receipts, copy);
}

/* --- Entries ---------------------------------------------------------------------------------- */

/* Events of several partitions come in any order: the last is the one that was decided last. */
static void note_event(struct tally_event *last, const struct tally_event *event)
{
    if (last->type == EVENT_NONE || event->time_us > last->time_us ||
        (event->time_us == last->time_us &&
         (event->partition > last->partition ||
          (event->partition == last->partition && event->number > last->number))))
        *last = *event;
}

static void move(struct tally *tally, const struct stock_item *item, enum stock_place from,
                 enum stock_place to, const struct tally_event *by)
{
    struct tally_sku *sku = tally_sku(tally, item->sku);
    int64_t sign = from == STOCK_OUTSIDE ? 1 : -1;

    /* A number beyond all bounds comes from a byte that was flipped: it wraps, and differs. */
    sku->units[from] =
        (int64_t)((uint64_t)sku->units[from] + (uint64_t)sign * (uint64_t)item->quantity);
    sku->units[to] = (int64_t)((uint64_t)sku->units[to] + (uint64_t)item->quantity);
    note_event(&sku->by[from], by);
    note_event(&sku->by[to], by);
}

/* Both sides of an order that is forgotten may be read before the other: what has ended is what
 * both agree on. One that was fulfilled, cancelled before it was shipped and closed again ends
 * twice. */
static bool is_settled(const struct tally_order *order)
{
    switch (order->state) {
    case INVENTORY_COMMITTED:
        return order->closed == ORDER_OUTCOME_FULFILLED;
    case INVENTORY_REJECTED:
    case INVENTORY_RELEASED:
    case INVENTORY_TOMBSTONE:
        return order->closed == ORDER_OUTCOME_CANCELLED;
    case INVENTORY_NONE:
    case INVENTORY_RESERVED:
    case INVENTORY_SETTLED:
    case INVENTORY_FORGOTTEN:
        break;
    }
    return false;
}

static void forget_settled(struct tally *tally, struct tally_order *order)
{
    if (!is_settled(order))
        return;
    if (order->state != INVENTORY_COMMITTED || order->asked <= order->cause) {
        tally_forget(tally, order->id);
        return;
    }
    /* It is cancelled since, and that was read first: this much of it is known. */
    tally_set_items(order, NULL, 0);
    order->state = INVENTORY_NONE;
    order->cause = 0;
    order->closed = ORDER_OUTCOME_UNKNOWN;
}

void tally_apply(struct tally *tally, const struct entry *entry, int64_t time_us,
                 const struct tally_event *by, uint64_t cause)
{
    struct entry_effect effect = entry_effect(entry->kind);
    struct tally_order *order;

    for (size_t i = 0; i < entry->item_count && effect.from != effect.to; i++)
        move(tally, &entry->items[i], effect.from, effect.to, by);
    if (entry->kind == ENTRY_RECEIVE) {
        if (entry->item_count > 0)
            tally_receive(tally, &(struct tally_receipt){.id = entry->id,
                                                         .sku = entry->items[0].sku,
                                                         .quantity = entry->items[0].quantity,
                                                         .time_us = time_us,
                                                         .by = *by});
        return;
    }
    if (entry->kind == ENTRY_FORGET) {
        tally_forget(tally, entry->id);
        return;
    }
    order = tally_order(tally, entry->id);
    if (order->state == INVENTORY_NONE)
        tally_set_items(order, entry->items, entry->item_count);
    order->state = effect.after;
    order->by = *by;
    order->cause = cause;
    forget_settled(tally, order);
}

/* --- Events ----------------------------------------------------------------------------------- */

static enum err_kind released_entry(struct entry *out, const struct inventory_released *released,
                                    struct err *err)
{
    switch (released->released_from) {
    case RELEASED_FROM_NOTHING:
        out->kind = ENTRY_REMEMBER;
        return ERR_OK;
    case RELEASED_FROM_HELD:
        out->kind = ENTRY_UNHOLD;
        return ERR_OK;
    case RELEASED_FROM_SOLD:
        out->kind = ENTRY_TAKE_BACK;
        return ERR_OK;
    case RELEASED_FROM_UNKNOWN:
        break;
    }
    return err_set(err, ERR_REJECT, "order %.*s: it does not say what it was released from",
                   VIEW_PRINT(released->order_id));
}

enum err_kind tally_entry_of(struct entry *out, struct stock_item *room, enum event_type type,
                             const void *event, struct err *err)
{
    switch ((int)type) {
    case EVENT_INVENTORY_RESERVED: {
        const struct inventory_reserved *reserved = event;

        *out =
            (struct entry){ENTRY_HOLD, reserved->order_id, reserved->items, reserved->items_count};
        return ERR_OK;
    }
    case EVENT_INVENTORY_REJECTED:
        *out = (struct entry){ENTRY_REJECT, ((const struct inventory_rejected *)event)->order_id,
                              NULL, 0};
        return ERR_OK;
    case EVENT_INVENTORY_COMMITTED: {
        const struct inventory_committed *committed = event;

        *out = (struct entry){ENTRY_SELL, committed->order_id, committed->items,
                              committed->items_count};
        return ERR_OK;
    }
    case EVENT_INVENTORY_RELEASED: {
        const struct inventory_released *released = event;

        *out =
            (struct entry){ENTRY_KINDS, released->order_id, released->items, released->items_count};
        return released_entry(out, released, err);
    }
    case EVENT_STOCK_RECEIVED: {
        const struct stock_received *received = event;

        *room = (struct stock_item){received->sku, received->quantity};
        *out = (struct entry){ENTRY_RECEIVE, received->receipt_id, room, 1};
        return ERR_OK;
    }
    default:
        return err_set(err, ERR_REJECT, "%s is none of inventory's events", event_type_name(type));
    }
}

enum err_kind tally_fold(struct tally *tally, enum event_type type, const void *event,
                         const struct tally_event *by, uint64_t cause, struct err *err)
{
    struct entry entry;
    struct stock_item item;
    enum err_kind kind = tally_entry_of(&entry, &item, type, event, err);

    if (kind == ERR_OK)
        tally_apply(tally, &entry, by->time_us, by, cause);
    return kind;
}

void tally_hear(struct tally *tally, enum event_type type, const void *event, uint64_t number)
{
    struct tally_order *order;

    switch ((int)type) {
    case EVENT_ORDER_CREATED:
        tally_order(tally, ((const struct order_created *)event)->order_id)->asked = number;
        break;
    case EVENT_ORDER_CONFIRMED:
        tally_order(tally, ((const struct order_confirmed *)event)->order_id)->asked = number;
        break;
    case EVENT_ORDER_CANCELLED:
        tally_order(tally, ((const struct order_cancelled *)event)->order_id)->asked = number;
        break;
    case EVENT_ORDER_CLOSED:
        order = tally_order(tally, ((const struct order_closed *)event)->order_id);
        order->closed = ((const struct order_closed *)event)->outcome;
        forget_settled(tally, order);
        break;
    default:
        break;
    }
}

/* A rejected order's cancellation is heard and not answered: there is nothing to give back. */
bool tally_is_asked(const struct tally_order *order)
{
    return order->asked > order->cause && order->state != INVENTORY_REJECTED &&
           order->state != INVENTORY_TOMBSTONE && order->state != INVENTORY_RELEASED;
}
