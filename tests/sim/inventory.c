/* Inventory's commit point, as consumers/inventory/ledger_store.c has it: decide against memory,
 * insert the next document of the chain; when its number is taken or nobody answers, drop the
 * memory and read the chain. Decisions, stock and ledger are the real ones. */
#include "consumers/inventory/decide.h"
#include "tests/sim/sim.h"

#include <stdio.h>

static const char *const topic = "orders";

/* --- Documents ------------------------------------------------------------------------------ */

/* A document points into itself: after a copy it has to point into the copy. */
static void point_into(struct chain_document *document)
{
    struct batch *batch = &document->batch;

    for (size_t i = 0; i < batch->entry_count; i++)
        if (document->entries[i].item_count > 0)
            document->entries[i].items = document->items[i];
    for (size_t i = 0; i < batch->letter_count; i++)
        document->letters[i].dead.value =
            view_of(&document->letter_facts[i], sizeof document->letter_facts[i]);
    document->positions = (struct positions){view_str(topic), document->offsets, document->numbers};
    batch->entries = document->entries;
    batch->letters = document->letters;
    batch->removed = document->removed;
    batch->standing.writer = view_str(document->writer);
    batch->standing.last_numbers = document->last_numbers;
    batch->standing.published = document->published;
    batch->standing.published_offsets = document->published_offsets;
    batch->standing.positions = &document->positions;
    batch->standing.position_count = 1;
}

/* The next document, saying what the ledger says. */
static struct chain_document *begin_document(struct world *world, int i)
{
    struct instance *instance = &world->instances[PART_INVENTORY][i];
    struct ledger *ledger = instance->ledger;
    struct chain_document *document = &world->drafts[i];

    ledger->stock.time_us = world->now_ms * 1000;
    document->item_count = document->fact_count = 0;
    document->batch = (struct batch){.standing = {
                                         .number = ledger->number + 1,
                                         .epoch = ledger->epoch,
                                         .time_us = ledger->stock.time_us,
                                         .warehouse = VIEW_LITERAL("main"),
                                         .partitions = SHARDS,
                                         .last_letter = ledger->last_letter,
                                     }};
    snprintf(document->writer, sizeof document->writer, "%c%08x%08x", 'a' + i, instance->run,
             (unsigned)++instance->attempts);
    for (int shard = 0; shard < SHARDS; shard++) {
        document->last_numbers[shard] = ledger->last_numbers[shard];
        document->published[shard] = world->stores[PART_INVENTORY].published[shard];
        document->published_offsets[shard] = 0;
        document->offsets[shard] =
            ledger->position_count > 0 ? ledger->positions[0].offsets[shard] : -1;
        document->numbers[shard] =
            ledger->position_count > 0 ? ledger->positions[0].numbers[shard] : 0;
    }
    instance->draft = document;
    return document;
}

static void check_stock(struct world *world, const struct ledger *ledger)
{
    for (int sku = 0; sku < SKUS; sku++) {
        const struct stock_sku *found = stock_find_sku(&ledger->stock, world->skus[sku]);

        if (found == NULL || found->units[STOCK_ON_HAND] != world->oracle.on_hand[sku])
            problem(world, "inventory has %d of SKU %d on hand, its events say %d",
                    found != NULL ? (int)found->units[STOCK_ON_HAND] : -1, sku,
                    (int)world->oracle.on_hand[sku]);
        else if (found->units[0] + found->units[1] + found->units[2] != found->received ||
                 found->units[0] < 0 || found->units[1] < 0 || found->units[2] < 0)
            problem(world, "SKU %d: %d received, but %d on hand, %d held, %d sold", sku,
                    (int)found->received, (int)found->units[0], (int)found->units[1],
                    (int)found->units[2]);
    }
}

/* It stands: what is in it has happened. */
static void stand(struct world *world, const struct chain_document *draft)
{
    struct chain_document *document = &world->chain[++world->chain_count];
    struct database *store = &world->stores[PART_INVENTORY];

    *document = *draft;
    point_into(document);
    for (int k = 0; k < document->item_count; k++)
        oracle_applies(world, PART_INVENTORY, 0, document->item_shards[k],
                       document->item_numbers[k]);
    for (int k = 0; k < document->fact_count; k++) {
        int shard = world->order_shard[document->facts[k].order];
        uint64_t number = ++store->last_numbers[shard];

        if (number > NUMBERS) {
            problem(world, "inventory: there is no end of events");
            return;
        }
        store->journal[shard][number] = document->facts[k];
        TRACE(world, "inventory says %s of order %d, number %d of shard %d",
              event_type_name(document->facts[k].type), document->facts[k].order, (int)number,
              shard);
        oracle_said(world, PART_INVENTORY, &document->facts[k]);
    }
}

void inventory_forget(struct instance *instance)
{
    ledger_free(instance->ledger);
    instance->ledger = NULL;
}

bool inventory_load(struct world *world, struct instance *instance)
{
    struct err err;

    inventory_forget(instance);
    instance->ledger = ledger_new(VIEW_LITERAL("main"), SHARDS);
    for (int k = 1; k <= world->chain_count; k++)
        if (ledger_fold(instance->ledger, &world->chain[k].batch, &err) != ERR_OK) {
            problem(world, "inventory: %s", err.text);
            return false;
        }
    return true;
}

enum inserted { INSERTED, NOT_OURS };

/* Write the draft as the next document. */
static enum inserted insert(struct world *world, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[PART_INVENTORY][i];
    struct chain_document *draft = instance->draft;
    uint64_t number = draft->batch.standing.number;
    bool answered = !fault(world, dice, 48);
    bool arrives = answered || pick(dice, 2) == 0;
    bool ours = arrives && number == (uint64_t)world->chain_count + 1;

    if (number == CHAIN_MAX) {
        problem(world, "inventory: there is no end of documents");
        return NOT_OURS;
    }
    if (ours)
        stand(world, draft);
    if (ours && answered) {
        ledger_settle(instance->ledger, &world->chain[number].batch);
        check_stock(world, instance->ledger);
        return INSERTED;
    }
    TRACE(world, "inventory-%d: document %d is in doubt", i, (int)number);
    if (!inventory_load(world, instance))
        return NOT_OURS;
    return number <= (uint64_t)world->chain_count &&
                   strcmp(world->chain[number].writer, draft->writer) == 0
               ? INSERTED
               : NOT_OURS;
}

/* --- Taking over ---------------------------------------------------------------------------- */

bool inventory_take_over(struct world *world, int i)
{
    struct instance *instance = &world->instances[PART_INVENTORY][i];
    uint64_t dice = world->steps;

    if (!inventory_load(world, instance))
        return false;
    for (int tries = 0; tries < 5; tries++) {
        struct chain_document *document = begin_document(world, i);

        document->batch.standing.epoch = document->batch.standing.number;
        point_into(document);
        if (insert(world, i, &dice) == INSERTED) {
            instance->ledger_epoch = document->batch.standing.epoch;
            return instance->ledger->epoch == instance->ledger_epoch;
        }
    }
    return false;
}

void inventory_read_marks(const struct world *world, const struct instance *instance,
                          struct mark marks[SHARDS])
{
    (void)world;
    for (int shard = 0; shard < SHARDS; shard++) {
        marks[shard] = (struct mark){.topic = topic, .partition = shard};
        ledger_read_mark(instance->ledger, &marks[shard]);
        marks[shard].epoch = (int64_t)instance->ledger->epoch;
    }
}

/* --- A unit --------------------------------------------------------------------------------- */

static void enter(struct world *world, struct instance *instance, const struct entry *entry)
{
    struct chain_document *draft = instance->draft;
    size_t at = draft->batch.entry_count++;
    struct err err;

    if (stock_apply(&instance->ledger->stock, entry, &err) != ERR_OK)
        problem(world, "inventory: %s", err.text);
    draft->entries[at] = *entry;
    for (size_t k = 0; k < entry->item_count; k++)
        draft->items[at][k] = (struct stock_item){
            .sku = stock_find_sku(&instance->ledger->stock, entry->items[k].sku) != NULL
                       ? world->skus[entry->items[k].sku.data[0] - 'A']
                       : VIEW_NONE,
            .quantity = entry->items[k].quantity,
        };
    draft->entries[at].id = world->created[entry->id.data[0] - '0'].order_id;
}

static void react(struct world *world, struct instance *instance, const struct fact *fact)
{
    struct chain_document *draft = instance->draft;
    struct view key = world->created[fact->order].order_id;
    const struct question question = {
        .type = (enum event_type)fact->type,
        .key = key,
        .event = event_of(world, fact),
        .letter_left =
            fact->type == EVENT_ORDER_CLOSED &&
            ledger_has_letter(instance->ledger, key, draft->removed, draft->batch.removed_count),
        .warehouse = VIEW_LITERAL("main"),
    };
    struct decision decision;
    struct err err;

    if (inventory_decide(&decision, &instance->ledger->stock, &question, &world->arena, &err) !=
        ERR_OK) {
        problem(world, "inventory: %s", err.text);
        return;
    }
    if (decision.has_entry)
        enter(world, instance, &decision.entry);
    if (decision.publishes != EVENT_NONE) {
        draft->last_numbers[world->order_shard[fact->order]]++;
        draft->facts[draft->fact_count++] =
            (struct fact){(uint8_t)decision.publishes, fact->order, 0, world->stamp};
    }
}

static bool is_parked(const struct instance *instance, struct view key)
{
    const struct chain_document *draft = instance->draft;

    for (size_t k = 0; k < draft->batch.letter_count; k++)
        if (view_equal(draft->letters[k].dead.key, key))
            return true;
    return ledger_has_letter(instance->ledger, key, draft->removed, draft->batch.removed_count);
}

static void set_aside(struct world *world, struct instance *instance, const struct item *item,
                      bool parked)
{
    struct chain_document *draft = instance->draft;
    size_t at = draft->batch.letter_count++;

    draft->letter_facts[at] = item->fact;
    draft->letters[at] = (struct letter){.id = ++draft->batch.standing.last_letter,
                                         .dead = {
                                             .reason = parked ? DEAD_PARKED : DEAD_UNDECODABLE,
                                             .error = "",
                                             .topic = topic,
                                             .number = item->number,
                                             .key = world->created[item->fact.order].order_id,
                                         }};
    TRACE(world, "inventory sets %s of order %d aside%s", event_type_name(item->fact.type),
          item->fact.order, parked ? ", parked" : "");
}

/* All letters of the order, oldest first; the first may be dropped instead. */
static void bring_back(struct world *world, struct instance *instance, const struct item *item)
{
    struct chain_document *draft = instance->draft;
    const struct ledger *ledger = instance->ledger;
    struct view key = world->created[item->order].order_id;
    struct fact facts[UNIT_MAX];
    size_t count = 0;

    for (size_t k = 0; k < ledger->letter_count && count < UNIT_MAX; k++) {
        if (!view_equal(ledger->letters[k]->dead.key, key))
            continue;
        memcpy(&facts[count++], ledger->letters[k]->dead.value.data, sizeof facts[0]);
        draft->removed[draft->batch.removed_count++] = ledger->letters[k]->id;
    }
    for (size_t k = 0; k < count; k++) {
        if (k == 0 && item->yes &&
            saga_drop(PART_INVENTORY, (enum event_type)facts[0].type) != NULL)
            TRACE(world, "inventory drops %s of order %d", event_type_name(facts[0].type),
                  item->order);
        else
            react(world, instance, &facts[k]);
    }
}

/* Somebody else writes the chain: what is here is not to be believed. */
static bool is_fenced(const struct instance *instance)
{
    const struct mark stored = {.epoch = (int64_t)instance->ledger->epoch};

    for (int k = 0; k < instance->unit.count; k++)
        if (instance->unit.items[k].kind == ITEM_RECORD &&
            mark_is_fenced(&stored, &instance->unit.items[k].after))
            return true;
    return instance->ledger_epoch == 0 || instance->ledger_epoch != instance->ledger->epoch;
}

void inventory_begin(struct world *world, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[PART_INVENTORY][i];
    struct chain_document *draft;

    (void)dice;
    if (instance->ledger == NULL && !inventory_load(world, instance))
        return;
    if (is_fenced(instance)) {
        instance->unit.phase = PHASE_UNKNOWN;
        return;
    }
    draft = begin_document(world, i);
    world->stamp++;
    for (int k = 0; k < instance->unit.count; k++) {
        const struct item *item = &instance->unit.items[k];

        if (item->kind == ITEM_RECORD) {
            bool behind = is_parked(instance, world->created[item->fact.order].order_id);

            if (item->undecodable || behind)
                set_aside(world, instance, item, behind && !item->undecodable);
            else
                react(world, instance, &item->fact);
            draft->offsets[item->shard] = item->after.next_offset;
            draft->numbers[item->shard] = item->after.high_water;
            draft->item_shards[draft->item_count] = item->shard;
            draft->item_numbers[draft->item_count++] = item->number;
        } else if (item->kind == ITEM_REDRIVE) {
            bring_back(world, instance, item);
        }
    }
    point_into(draft);
    instance->unit.phase = PHASE_DECIDED;
}

void inventory_insert(struct world *world, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[PART_INVENTORY][i];
    struct unit *unit = &instance->unit;
    const struct chain_document *draft = instance->draft;

    if (fault(world, dice, 64)) { /* it never leaves: the entries are taken back */
        stock_undo(&instance->ledger->stock, 0);
        unit->phase = PHASE_UNKNOWN;
        return;
    }
    unit->said_count = 0;
    unit->phase = insert(world, i, dice) == INSERTED ? PHASE_STORED : PHASE_UNKNOWN;
    if (unit->phase == PHASE_UNKNOWN)
        return;
    for (int k = 0; k < draft->fact_count; k++) {
        int shard = world->order_shard[draft->facts[k].order];
        int behind = 0;

        for (int later = k + 1; later < draft->fact_count; later++)
            behind += world->order_shard[draft->facts[later].order] == shard;
        unit->said[unit->said_count].shard = (uint8_t)shard;
        unit->said[unit->said_count++].number = draft->last_numbers[shard] - (uint64_t)behind;
    }
    TRACE(world, "inventory-%d stores its unit as document %d", i,
          (int)draft->batch.standing.number);
}

bool inventory_next_letter(const struct world *world, uint8_t *order)
{
    for (int i = 0; i < INSTANCES; i++) {
        const struct ledger *ledger = world->instances[PART_INVENTORY][i].ledger;

        if (ledger == NULL || ledger->number != (uint64_t)world->chain_count)
            continue;
        if (ledger->letter_count > 0)
            *order = (uint8_t)(ledger->letters[0]->dead.key.data[0] - '0');
        return ledger->letter_count > 0;
    }
    return false;
}
