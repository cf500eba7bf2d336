/* A worker as events/worker.c and runtime/intake*.c run it: takes what is next, makes one unit of
 * it, stores it, tells the relay. Between any two of these it may be stopped or die. */
#include "tests/sim/sim.h"

/* --- Taking over and leaving ---------------------------------------------------------------- */

/* The group gave its partitions to somebody, or asked for them back: forget all of them. */
void worker_leave(struct world *world, enum saga_part part, int i)
{
    struct instance *instance = &world->instances[part][i];

    for (int shard = 0; shard < SHARDS; shard++) {
        for (int input = 0; input < part_input_count[part]; input++)
            instance->lanes[input][shard].assigned = false;
        open_shard_stop(&instance->open[shard]);
        if (part == PART_INVENTORY)
            relay_take(world, part, i, shard, false);
    }
    for (int order = 0; order < ORDERS; order++)
        instance->calls[order].call = CALL_NONE;
}

static void start_lane(struct lane *lane, const struct mark *mark)
{
    lane->assigned = true;
    lane->epoch = mark->epoch;
    lane->fetch = mark->next_offset < 0 ? 0 : mark->next_offset;
    lane->ask_end = false;
    receiver_start(&lane->receiver, mark->high_water, mark->next_offset, mark->fresh);
}

static void take_over(struct world *world, enum saga_part part, int i, int shard)
{
    struct instance *instance = &world->instances[part][i];
    struct database *store = &world->stores[part];

    store->unfinished = false; /* raising the epoch waits for its locks */
    for (int input = 0; input < part_input_count[part]; input++) {
        store->marks[input][shard].epoch++;
        start_lane(&instance->lanes[input][shard], &store->marks[input][shard]);
    }
    if (part == PART_ORDERS)
        open_shard_start(&instance->open[shard]);
    instance->look_at_ms = 0;
}

static bool lead(struct world *world, int i)
{
    struct instance *instance = &world->instances[PART_INVENTORY][i];
    struct mark marks[SHARDS];

    if (!inventory_take_over(world, i))
        return false;
    inventory_read_marks(world, instance, marks);
    for (int shard = 0; shard < SHARDS; shard++) {
        start_lane(&instance->lanes[0][shard], &marks[shard]);
        relay_take(world, PART_INVENTORY, i, shard, true);
    }
    return true;
}

static bool hear_group(struct world *world, enum saga_part part, int i)
{
    struct instance *instance = &world->instances[part][i];

    if (instance->assignment == world->assignment[part])
        return false;
    instance->assignment = world->assignment[part];
    worker_leave(world, part, i);
    if (part == PART_INVENTORY) {
        if (world->owner[part][0] == i && !lead(world, i))
            instance->assignment--; /* it tries again */
    } else {
        for (int shard = 0; shard < SHARDS; shard++)
            if (world->owner[part][shard] == i)
                take_over(world, part, i, shard);
    }
    TRACE(world, "%s-%d hears who has which shard", saga_part_name(part), i);
    return true;
}

/* --- Reading -------------------------------------------------------------------------------- */

/* Look at the record just applied, as the owner of the intake does; false: it is not taken yet. */
static bool look(const struct world *world, enum saga_part part, struct lane *lane, int64_t offset,
                 const struct record *record, struct item *item)
{
    bool poisoned = world->poison.set && world->poison.part == part &&
                    world->poison.type == record->fact.type &&
                    world->poison.order == record->fact.order;

    if (poisoned && world->poison.is_schema && !record->broken &&
        !receiver_has_waited(&lane->receiver, world->now_ms)) {
        receiver_hold(&lane->receiver, offset, world->now_ms);
        return false;
    }
    if (!poisoned && !record->broken) {
        receiver_taken(&lane->receiver);
        return true;
    }
    item->undecodable = true;
    return !receiver_undecodable(&lane->receiver, offset);
}

/* One record of the lane; true when it is in the unit. */
static bool judge(struct world *world, enum saga_part part, struct lane *lane, struct item *item)
{
    enum topic topic = part_inputs[part][item->input];
    int64_t offset = lane->fetch++;
    const struct record *record = &world->logs[topic][item->shard].records[offset];

    if (receiver_read(&lane->receiver, record->number, offset) != RECEIVER_APPLY ||
        !look(world, part, lane, offset, record, item))
        return false;
    item->kind = ITEM_RECORD;
    item->number = record->number;
    item->fact = record->fact;
    item->after = (struct mark){
        .epoch = lane->epoch,
        .next_offset = receiver_position(&lane->receiver),
        .high_water = lane->receiver.high_water,
        .fresh = lane->receiver.fresh,
    };
    return true;
}

/* False: there is nothing to read. */
static bool read_lane(struct world *world, enum saga_part part, int i, int input, int shard)
{
    struct instance *instance = &world->instances[part][i];
    struct lane *lane = &instance->lanes[input][shard];
    const struct log *log = &world->logs[part_inputs[part][input]][shard];
    struct item item = {.input = (uint8_t)input, .shard = (uint8_t)shard};

    if (!lane->assigned)
        return false;
    if (lane->fetch > log->count) { /* out of range */
        receiver_log_is_shorter(&lane->receiver);
        lane->fetch = 0;
        TRACE(world, "%s-%d finds %s/%d shorter", saga_part_name(part), i,
              topic_name(part_inputs[part][input]), shard);
    }
    if (lane->fetch == log->count) {
        receiver_at_end(&lane->receiver, world->now_ms);
        return false;
    }
    if (judge(world, part, lane, &item)) {
        instance->unit.items[instance->unit.count++] = item;
        TRACE(world, "%s-%d takes %s, number %d of shard %d", saga_part_name(part), i,
              event_type_name(item.fact.type), (int)item.number, shard);
    }
    return true;
}

static void read_records(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    struct unit *unit = &world->instances[part][i].unit;
    uint32_t lanes = (uint32_t)part_input_count[part] * SHARDS;
    uint32_t reads = 1 + pick(dice, 6);
    uint32_t idle = 0, at = pick(dice, lanes);

    while (reads > 0 && idle < lanes && unit->count < UNIT_MAX) {
        if (read_lane(world, part, i, (int)(at / SHARDS), (int)(at % SHARDS))) {
            reads--;
            idle = 0;
            if (pick(dice, 2) == 0)
                continue; /* the same lane again */
        } else {
            idle++;
        }
        at = (at + 1) % lanes;
    }
}

static void take_inbox(struct instance *instance, uint64_t *dice)
{
    struct unit *unit = &instance->unit;
    int taken = 0;

    while (taken < instance->inbox_count && unit->count < UNIT_MAX) {
        /* A redrive has a unit of its own. */
        bool alone = instance->inbox[taken].kind == ITEM_REDRIVE;

        if (alone && unit->count > 0)
            break;
        unit->items[unit->count++] = instance->inbox[taken++];
        if (alone || pick(dice, 4) == 0)
            break;
    }
    instance->inbox_count -= taken;
    memmove(instance->inbox, instance->inbox + taken,
            (size_t)instance->inbox_count * sizeof *instance->inbox);
}

static bool leads_or_shares(const struct world *world, enum saga_part part, int i)
{
    return part != PART_INVENTORY || world->instances[part][i].lanes[0][0].assigned;
}

static bool take(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[part][i];
    bool heard = hear_group(world, part, i);

    if (pick(dice, 2) == 0)
        take_inbox(instance, dice);
    if (instance->unit.count == 0 || instance->unit.items[0].kind != ITEM_REDRIVE)
        read_records(world, part, i, dice);
    if (instance->unit.count == 0)
        take_inbox(instance, dice);
    if (!leads_or_shares(world, part, i))
        instance->unit.count = 0;
    if (instance->unit.count > 0)
        instance->unit.phase = PHASE_TAKEN;
    return heard || instance->unit.count > 0;
}

/* --- Storing -------------------------------------------------------------------------------- */

static void store_unit(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    struct unit *unit = &world->instances[part][i].unit;
    struct database *store = &world->stores[part];

    unit->said_count = 0;
    if (store_is_fenced(world, part, unit) || fault(world, dice, 64)) {
        TRACE(world, "%s-%d cannot store its unit", saga_part_name(part), i);
        unit->phase = PHASE_UNKNOWN;
        return;
    }
    memcpy(store->seen, store->marks, sizeof store->seen);
    world->stamp++;
    for (int k = 0; k < unit->count; k++)
        part_do(world, part, unit, &unit->items[k]);
    store_moves_marks(world, part, unit);
    unit->phase = PHASE_STORED;
    if (fault(world, dice, 64)) {
        store->unfinished = pick(dice, 2) == 0;
        unit->phase = PHASE_UNKNOWN;
    }
    TRACE(world, "%s-%d stores its unit%s", saga_part_name(part), i,
          unit->phase == PHASE_STORED ? "" : ", but does not hear so");
}

/* Who must know that it is stored. */
static void tell(struct world *world, enum saga_part part, int i)
{
    struct instance *instance = &world->instances[part][i];
    struct unit *unit = &instance->unit;

    for (int k = 0; k < unit->said_count; k++) {
        int shard = unit->said[k].shard;
        const struct fact *fact = &world->stores[part].journal[shard][unit->said[k].number];
        struct open_shard *open = &instance->open[shard];

        if (instance->shards[shard].owned)
            relay_send(world, part, i, shard, unit->said[k].number);
        if (fact->type == EVENT_ORDER_CREATED)
            open_shard_placed(open, unit->said[k].number);
        else if (fact->type == EVENT_ORDER_CONFIRMED ||
                 (fact->type == EVENT_ORDER_CANCELLED && fact->detail == ORDER_STAGE_PLACED))
            open_shard_decided(open, world->created_number[fact->order],
                               fact->type == EVENT_ORDER_CONFIRMED);
    }
    for (int k = 0; k < unit->count && part == PART_PAYMENT; k++) {
        int order = unit->items[k].order;

        if (unit->items[k].kind == ITEM_RECORD)
            order = unit->items[k].fact.order;
        if (instance->calls[order].call != world->payments[order].owed)
            instance->calls[order].under_way = false;
        instance->calls[order].call = world->payments[order].owed;
    }
    unit->count = 0;
    unit->phase = PHASE_IDLE;
    world->ready |= bit_of(ACTOR_TICK, part, i) | bit_of(ACTOR_RELAY, part, i);
}

/* What do the positions say? Commands are made again: that must change nothing. */
static void reload(struct world *world, enum saga_part part, int i)
{
    struct instance *instance = &world->instances[part][i];
    struct unit *unit = &instance->unit;
    const struct database *store = &world->stores[part];
    struct mark ledger[SHARDS];
    int kept = 0;

    if (part == PART_INVENTORY) {
        if (instance->ledger == NULL && !inventory_load(world, instance))
            return;
        inventory_read_marks(world, instance, ledger);
    }
    for (int k = 0; k < unit->count; k++) {
        const struct item *item = &unit->items[k];
        const struct mark *now;

        if (item->kind == ITEM_RECORD) {
            now = part == PART_INVENTORY ? &ledger[item->shard]
                  : store->unfinished    ? &store->seen[item->input][item->shard]
                                         : &store->marks[item->input][item->shard];
            if (mark_is_fenced(now, &item->after)) {
                instance->lanes[item->input][item->shard].assigned = false;
                continue;
            }
            if (!mark_still_owes(now, &item->after, item->number))
                continue;
        }
        unit->items[kept++] = *item;
    }
    unit->count = kept;
    unit->phase = kept > 0 && leads_or_shares(world, part, i) ? PHASE_TAKEN : PHASE_IDLE;
    if (unit->phase == PHASE_IDLE)
        unit->count = 0;
    TRACE(world, "%s-%d reads its positions again: %d left", saga_part_name(part), i, kept);
}

/* --- Its turn ------------------------------------------------------------------------------- */

void worker_submit(struct world *world, enum saga_part part, int i, struct item item)
{
    struct instance *instance = &world->instances[part][i];

    if (!instance->alive || instance->inbox_count == INBOX)
        return;
    instance->inbox[instance->inbox_count++] = item;
    world->ready |= bit_of(ACTOR_WORK, part, i);
}

bool worker_step(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[part][i];

    if (!instance->alive || instance->stopped)
        return false;
    switch (instance->unit.phase) {
    case PHASE_IDLE:
        return take(world, part, i, dice);
    case PHASE_TAKEN:
        if (part == PART_INVENTORY)
            inventory_begin(world, i, dice);
        else
            store_unit(world, part, i, dice);
        return true;
    case PHASE_DECIDED:
        inventory_insert(world, i, dice);
        return true;
    case PHASE_STORED:
        tell(world, part, i);
        return true;
    case PHASE_UNKNOWN:
        reload(world, part, i);
        return true;
    }
    return false;
}
