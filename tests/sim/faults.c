/* What goes wrong with instances: they die, stop and wake, lose their partitions, are told to read
 * from somewhere else. What goes wrong on the way to the broker is in log.c. */
#include "tests/sim/sim.h"

void wake(struct world *world, enum saga_part part, int i)
{
    world->ready |= bit_of(ACTOR_WORK, part, i) | bit_of(ACTOR_RELAY, part, i) |
                    bit_of(ACTOR_TICK, part, i) | bit_of(ACTOR_SECOND, part, i);
}

void instance_forget(struct instance *instance)
{
    inventory_forget(instance);
    for (int shard = 0; shard < SHARDS; shard++)
        open_shard_stop(&instance->open[shard]);
}

/* --- Faults --------------------------------------------------------------------------------- */

void instance_start(struct world *world, enum saga_part part, int i)
{
    world->instances[part][i].alive = true;
    wake(world, part, i);
    TRACE(world, "%s-%d starts", saga_part_name(part), i);
}

/* Memory is lost; what it had sent may still arrive. */
static void crash(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[part][i];
    uint32_t run = instance->run;

    TRACE(world, "%s-%d dies", saga_part_name(part), i);
    for (int shard = 0; shard < SHARDS; shard++) {
        struct relay_shard *relayed = &instance->shards[shard];

        for (int k = 0; k < relayed->flight_count; k++) {
            const struct flight *flight =
                &relayed->flights[(relayed->flight_first + k) % FLIGHT_MAX];

            if (flight->state == FLIGHT_SENT && pick(dice, 2) == 0)
                network_haunt(world, part_topic[part], shard, flight->number);
        }
    }
    instance_forget(instance);
    memset(instance, 0, sizeof *instance);
    instance->run = run + 1;
}

static bool crash_step(struct world *world, uint64_t *dice)
{
    enum saga_part part = (enum saga_part)pick(dice, PART_COUNT);
    int i = (int)pick(dice, INSTANCES);

    if (!world->instances[part][i].alive) {
        if (world->instances[part][i].run == 0)
            return false; /* there is none */
        instance_start(world, part, i);
        return true;
    }
    crash(world, part, i, dice);
    if (pick(dice, 2) == 0)
        instance_start(world, part, i);
    return true;
}

static bool stop_step(struct world *world, uint64_t *dice)
{
    enum saga_part part = (enum saga_part)pick(dice, PART_COUNT);
    int i = (int)pick(dice, INSTANCES);
    struct instance *instance = &world->instances[part][i];

    if (!instance->alive)
        return false;
    instance->stopped = !instance->stopped;
    wake(world, part, i);
    TRACE(world, "%s-%d %s", saga_part_name(part), i, instance->stopped ? "stops" : "wakes");
    return true;
}

void group_give(struct world *world, enum saga_part part, int shard, int i, bool inputs, bool relay)
{
    int last = part == PART_INVENTORY ? SHARDS - 1 : shard;

    for (int s = part == PART_INVENTORY ? 0 : shard; s <= last; s++) {
        if (inputs)
            world->owner[part][s] = (uint8_t)i;
        if (relay)
            world->relayer[part][s] = (uint8_t)i;
    }
    world->assignment[part] += inputs;
    world->relay_assignment[part] += relay;
    for (int k = 0; k < INSTANCES; k++)
        world->ready |= bit_of(ACTOR_WORK, part, k) | bit_of(ACTOR_RELAY, part, k);
}

/* The groups give a shard to another instance, whether the old one is dead, stopped or busy. */
static bool move_step(struct world *world, uint64_t *dice)
{
    enum saga_part part = (enum saga_part)pick(dice, PART_COUNT);
    int shard = (int)pick(dice, SHARDS);
    int i = 1 - world->owner[part][shard];
    uint32_t which = pick(dice, 4); /* both groups move, mostly */

    if (!world->instances[part][i].alive)
        instance_start(world, part, i);
    TRACE(world, "the group gives shard %d of %s to %s-%d", shard, saga_part_name(part),
          saga_part_name(part), i);
    group_give(world, part, shard, i, which != 0, which != 1);
    return true;
}

/* Somebody has set an offset by hand, or a tool has: the offset is a hint. */
static bool offset_step(struct world *world, uint64_t *dice)
{
    enum saga_part part = (enum saga_part)pick(dice, PART_COUNT);
    int input = (int)pick(dice, (uint32_t)part_input_count[part]), shard = (int)pick(dice, SHARDS);
    struct mark *mark = &world->stores[part].marks[input][shard];
    int64_t end = world->logs[part_inputs[part][input]][shard].count;
    struct instance *owner = &world->instances[part][world->owner[part][shard]];

    if (part == PART_INVENTORY || mark->fresh || !owner->alive)
        return false;
    mark->next_offset = (int64_t)pick(dice, (uint32_t)end + 3) - 1;
    owner->assignment--; /* its group has had a change */
    world->ready |= bit_of(ACTOR_WORK, part, world->owner[part][shard]);
    TRACE(world, "%s is set to read %s/%d from %d", saga_part_name(part),
          topic_name(part_inputs[part][input]), shard, (int)mark->next_offset);
    return true;
}

bool fault_step(struct world *world, enum actor actor, uint64_t *dice)
{
    switch ((int)actor) {
    case ACTOR_CRASH:
        return crash_step(world, dice);
    case ACTOR_STOP:
        return stop_step(world, dice);
    case ACTOR_MOVE:
        return move_step(world, dice);
    case ACTOR_CUT:
        return cut_step(world, dice);
    case ACTOR_OFFSET:
        return offset_step(world, dice);
    default:
        return false;
    }
}
