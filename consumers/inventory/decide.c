#include "consumers/inventory/decide.h"

#include "events/reminder.h"

#include <inttypes.h>
#include <stdlib.h>

#define LINE_QUANTITY_MAX INT64_C(1000000000)

struct items {
    struct stock_item *list;
    size_t count;
};

static const struct order_created *told_by(const struct question *question)
{
    return order_told_by(question->type, question->event);
}

static struct view order_of(const struct question *question)
{
    switch ((int)question->type) {
    case EVENT_ORDER_CREATED:
        return ((const struct order_created *)question->event)->order_id;
    case EVENT_ORDER_CONFIRMED:
        return ((const struct order_confirmed *)question->event)->order_id;
    case EVENT_ORDER_CANCELLED:
        return ((const struct order_cancelled *)question->event)->order_id;
    case EVENT_ORDER_CLOSED:
        return ((const struct order_closed *)question->event)->order_id;
    case EVENT_ORDER_REMINDED:
        return ((const struct order_reminded *)question->event)->order.order_id;
    default:
        return VIEW_NONE;
    }
}

/* An order that is not remembered was never heard of, or was sold and settled: the order.cancelled
 * of a fulfilled order says which. */
static enum saga_inventory_state state_of(const struct stock_order *order,
                                          const struct question *question)
{
    if (order != NULL)
        return order->state;
    if (question->type == EVENT_ORDER_CANCELLED &&
        ((const struct order_cancelled *)question->event)->was == ORDER_STAGE_FULFILLED)
        return INVENTORY_SETTLED;
    return INVENTORY_NONE;
}

/* --- Lines to items ------------------------------------------------------------------------- */

static int compare_items(const void *a, const void *b)
{
    return view_compare(((const struct stock_item *)a)->sku, ((const struct stock_item *)b)->sku);
}

/* A quantity that passed is at most 10^9, so no sum of a thousand of them overflows. */
static enum err_kind take_line(struct items *items, const struct order_line *line,
                               struct view order, struct err *err)
{
    if (line->kind == LINE_KIND_CHARGE)
        return ERR_OK;
    if (line->kind != LINE_KIND_GOODS)
        return err_set(err, ERR_REJECT, "order %.*s: SKU %.*s: line kind %s, want GOODS or CHARGE",
                       VIEW_PRINT(order), VIEW_PRINT(line->sku), line_kind_name(line->kind));
    if (line->quantity < 1 || line->quantity > LINE_QUANTITY_MAX)
        return err_set(err, ERR_REJECT,
                       "order %.*s: SKU %.*s: quantity %" PRId64 ", want 1 to %" PRId64,
                       VIEW_PRINT(order), VIEW_PRINT(line->sku), line->quantity, LINE_QUANTITY_MAX);
    items->list[items->count++] = (struct stock_item){.sku = line->sku, .quantity = line->quantity};
    return ERR_OK;
}

static void sum_items_of_one_sku(struct items *items)
{
    size_t kept = 0;

    qsort(items->list, items->count, sizeof *items->list, compare_items);
    for (size_t i = 0; i < items->count; i++) {
        if (kept > 0 && view_equal(items->list[kept - 1].sku, items->list[i].sku))
            items->list[kept - 1].quantity += items->list[i].quantity;
        else
            items->list[kept++] = items->list[i];
    }
    items->count = kept;
}

static enum err_kind items_of_lines(struct items *out, const struct order_line *lines, size_t count,
                                    struct view order, struct arena *arena, struct err *err)
{
    struct items items = {0};

    if (count > STOCK_ITEMS_MAX)
        return err_set(err, ERR_REJECT, "order %.*s: %zu lines, want at most %d", VIEW_PRINT(order),
                       count, STOCK_ITEMS_MAX);
    items.list = arena_array(arena, count, sizeof *items.list);
    for (size_t i = 0; i < count; i++) {
        enum err_kind kind = take_line(&items, &lines[i], order, err);

        if (kind != ERR_OK)
            return kind;
    }
    if (items.count > 1)
        sum_items_of_one_sku(&items);
    *out = items;
    return ERR_OK;
}

static struct items items_of_order(const struct stock_order *order, struct arena *arena)
{
    struct items items = {.list = arena_array(arena, order->item_count, sizeof *items.list),
                          .count = order->item_count};

    for (uint32_t i = 0; i < order->item_count; i++)
        items.list[i] = (struct stock_item){.sku = order->items[i].sku->code,
                                            .quantity = order->items[i].quantity};
    return items;
}

/* What the entry and the event are about: the event's lines while the order is not remembered. */
static enum err_kind find_items(struct items *out, const struct stock_order *order,
                                const struct question *question, struct arena *arena,
                                struct err *err)
{
    if (order != NULL) {
        *out = items_of_order(order, arena);
        return ERR_OK;
    }
    if (told_by(question) != NULL) {
        const struct order_created *created = told_by(question);

        return items_of_lines(out, created->lines, created->lines_count, created->order_id, arena,
                              err);
    }
    if (state_of(order, question) == INVENTORY_SETTLED) {
        const struct order_cancelled *cancelled = question->event;

        return items_of_lines(out, cancelled->lines, cancelled->lines_count, cancelled->order_id,
                              arena, err);
    }
    *out = (struct items){0};
    return ERR_OK;
}

/* --- Guards --------------------------------------------------------------------------------- */

/* Nothing of another warehouse is here. */
static int64_t available(const struct stock *stock, const struct question *question,
                         struct view sku)
{
    const struct stock_sku *found = stock_find_sku(stock, sku);

    if (found == NULL || !view_equal(told_by(question)->warehouse, question->warehouse))
        return 0;
    return found->units[STOCK_ON_HAND];
}

static size_t find_shortages(struct shortage *out, const struct stock *stock,
                             const struct question *question, const struct items *items)
{
    size_t count = 0;

    for (size_t i = 0; i < items->count; i++) {
        int64_t there = available(stock, question, items->list[i].sku);

        if (there < items->list[i].quantity)
            out[count++] = (struct shortage){
                .sku = items->list[i].sku, .wanted = items->list[i].quantity, .available = there};
    }
    return count;
}

/* --- What the step says to do --------------------------------------------------------------- */

static void enter(struct decision *decision, enum entry_kind kind, struct view order,
                  const struct items *items)
{
    decision->has_entry = true;
    decision->entry = (struct entry){.kind = kind, .id = order};
    if (items != NULL) {
        decision->entry.items = items->list;
        decision->entry.item_count = items->count;
    }
}

static void fill_entry(struct decision *decision, enum saga_inventory_state state,
                       struct view order, const struct items *items)
{
    switch ((int)decision->step->action) {
    case ACTION_HOLD:
        enter(decision, ENTRY_HOLD, order, items);
        break;
    case ACTION_SELL:
        enter(decision, ENTRY_SELL, order, items);
        break;
    case ACTION_UNHOLD:
        enter(decision, ENTRY_UNHOLD, order, items);
        break;
    case ACTION_TAKE_BACK:
        enter(decision, ENTRY_TAKE_BACK, order, items);
        break;
    case ACTION_REMEMBER:
        enter(decision, ENTRY_REMEMBER, order, NULL);
        break;
    case ACTION_FORGET:
        enter(decision, ENTRY_FORGET, order, NULL);
        break;
    default:
        if (decision->step->next != (int)state)
            enter(decision, ENTRY_REJECT, order, NULL);
    }
}

static const void *reserved(const struct question *question, struct view order,
                            const struct items *items, struct arena *arena)
{
    struct inventory_reserved *event = arena_alloc(arena, sizeof *event);

    *event = (struct inventory_reserved){.order_id = order,
                                         .warehouse = question->warehouse,
                                         .items = items->list,
                                         .items_count = items->count,
                                         .occurred_at = question->now_us};
    return event;
}

static const void *committed(const struct question *question, struct view order,
                             const struct items *items, struct arena *arena)
{
    struct inventory_committed *event = arena_alloc(arena, sizeof *event);

    *event = (struct inventory_committed){.order_id = order,
                                          .warehouse = question->warehouse,
                                          .items = items->list,
                                          .items_count = items->count,
                                          .occurred_at = question->now_us};
    return event;
}

static const void *released(const struct question *question, struct view order,
                            const struct decision *decision, struct arena *arena)
{
    struct inventory_released *event = arena_alloc(arena, sizeof *event);

    *event = (struct inventory_released){
        .order_id = order,
        .warehouse = question->warehouse,
        .items = decision->entry.items,
        .items_count = decision->entry.item_count,
        .released_from = decision->entry.kind == ENTRY_UNHOLD      ? RELEASED_FROM_HELD
                         : decision->entry.kind == ENTRY_TAKE_BACK ? RELEASED_FROM_SOLD
                                                                   : RELEASED_FROM_NOTHING,
        .occurred_at = question->now_us};
    return event;
}

static const void *rejected(const struct question *question, struct view order,
                            const struct shortage *shortages, size_t count, struct arena *arena)
{
    struct inventory_rejected *event = arena_alloc(arena, sizeof *event);

    *event = (struct inventory_rejected){.order_id = order,
                                         .warehouse = question->warehouse,
                                         .shortages = shortages,
                                         .shortages_count = count,
                                         .occurred_at = question->now_us};
    return event;
}

static enum err_kind impossible(struct view order, enum saga_inventory_state state,
                                enum saga_trigger trigger, struct err *err)
{
    const struct saga_impossible *pair = saga_impossible(PART_INVENTORY, (int)state, trigger);

    return err_set(err, ERR_REJECT, "order %.*s: impossible: %s while it is %s here: %s",
                   VIEW_PRINT(order), saga_trigger_name(trigger),
                   saga_state_name(PART_INVENTORY, (int)state),
                   pair != NULL ? pair->because : "no row of the saga table knows it");
}

enum err_kind inventory_decide(struct decision *out, const struct stock *stock,
                               const struct question *question, struct arena *arena,
                               struct err *err)
{
    enum saga_trigger trigger = saga_trigger_of(question->type);
    struct view id = order_of(question);
    const struct stock_order *order = stock_find_order(stock, id);
    enum saga_inventory_state state = state_of(order, question);
    enum saga_guard guard = question->letter_left ? GUARD_LETTER_LEFT : GUARD_NO_LETTER;
    struct decision decision = {.publishes = EVENT_NONE};
    struct shortage *shortages = NULL;
    size_t shortage_count = 0;
    struct items items;
    enum err_kind kind;

    if (!saga_reacts(PART_INVENTORY, trigger)) {
        *out = decision;
        return ERR_OK;
    }
    if (!view_equal(id, question->key))
        return err_set(err, ERR_REJECT, "order %.*s: its record has the key '%.*s'", VIEW_PRINT(id),
                       VIEW_PRINT(question->key));
    kind = find_items(&items, order, question, arena, err);
    if (kind != ERR_OK)
        return kind;
    if (told_by(question) != NULL) {
        shortages = arena_array(arena, items.count, sizeof *shortages);
        shortage_count = find_shortages(shortages, stock, question, &items);
        guard = shortage_count > 0 ? GUARD_SHORT : GUARD_IN_STOCK;
    }
    decision.step = saga_step(PART_INVENTORY, (int)state, trigger, guard);
    if (decision.step == NULL)
        return impossible(id, state, trigger, err);

    fill_entry(&decision, state, id, &items);
    decision.publishes = decision.step->publishes;
    switch ((int)decision.publishes) {
    case EVENT_INVENTORY_RESERVED:
        decision.event = reserved(question, id, &items, arena);
        break;
    case EVENT_INVENTORY_COMMITTED:
        decision.event = committed(question, id, &items, arena);
        break;
    case EVENT_INVENTORY_RELEASED:
        decision.event = released(question, id, &decision, arena);
        break;
    case EVENT_INVENTORY_REJECTED:
        decision.event = rejected(question, id, shortages, shortage_count, arena);
        break;
    default:
        break;
    }
    *out = decision;
    return ERR_OK;
}
