/* The broker: a partition is an array whose tail can be lost; and the network before it, where
 * what was sent is written, lost, written twice or written long after it was given up. */
#include "tests/sim/sim.h"

/* --- Partitions ----------------------------------------------------------------------------- */

void log_append(struct world *world, enum topic topic, int shard, uint64_t number, bool broken)
{
    struct log *log = &world->logs[topic][shard];
    const struct database *store = &world->stores[topic_part[topic]];

    if (log->count == LOG_MAX) {
        problem(world, "%s/%d: there is no end of records", topic_name(topic), shard);
        return;
    }
    if (number == 0 || number > store->last_numbers[shard]) {
        problem(world, "%s/%d: number %d was never committed", topic_name(topic), shard,
                (int)number);
        return;
    }
    log->records[log->count++] = (struct record){
        .fact = store->journal[shard][number],
        .number = number,
        .time_ms = world->now_ms,
        .broken = broken,
    };
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        if (saga_reads(part, topic))
            for (int i = 0; i < INSTANCES; i++)
                world->ready |= bit_of(ACTOR_WORK, part, i);
}

/* One owner at most, and nothing of a former one is still under way. */
static bool is_relayed_by_one(const struct world *world, enum saga_part part, int shard)
{
    int writers = 0;

    for (int i = 0; i < INSTANCES; i++) {
        const struct relay_shard *relayed = &world->instances[part][i].shards[shard];

        writers += relayed->owned || relayed->flight_count > 0;
    }
    return writers <= 1;
}

static bool has_ghost(const struct world *world, enum topic topic, int shard)
{
    for (int i = 0; i < world->ghost_count; i++)
        if (world->ghosts[i].topic == topic && world->ghosts[i].shard == shard)
            return true;
    return false;
}

/* A new leader of the partition has less than the old one. */
bool cut_step(struct world *world, uint64_t *dice)
{
    enum topic topic = (enum topic)pick(dice, TOPICS);
    int shard = (int)pick(dice, SHARDS);
    struct log *log = &world->logs[topic][shard];

    if (log->count == 0 ||
        (!world->looks_for_holes &&
         (!is_relayed_by_one(world, topic_part[topic], shard) || has_ghost(world, topic, shard))))
        return false;
    log->count -= 1 + pick(dice, (uint32_t)log->count);
    TRACE(world, "%s/%d loses its tail: it ends at %d", topic_name(topic), shard, (int)log->count);
    return true;
}

/* --- On the way ----------------------------------------------------------------------------- */

static void write_ghost(struct world *world, uint64_t *dice)
{
    int i = (int)pick(dice, (uint32_t)world->ghost_count);
    enum topic topic = (enum topic)world->ghosts[i].topic;

    TRACE(world, "%s/%d: number %d is written, long after it was given up", topic_name(topic),
          world->ghosts[i].shard, (int)world->ghosts[i].number);
    log_append(world, topic, world->ghosts[i].shard, world->ghosts[i].number, false);
    world->ghosts[i] = world->ghosts[--world->ghost_count];
}

void network_haunt(struct world *world, enum topic topic, int shard, uint64_t number)
{
    if (world->ghost_count == GHOSTS)
        return;
    world->ghosts[world->ghost_count].topic = (uint8_t)topic;
    world->ghosts[world->ghost_count].shard = (uint8_t)shard;
    world->ghosts[world->ghost_count++].number = number;
    world->ready |= UINT64_C(1) << (ACTOR_NETWORK + topic);
}

/* What becomes of the first record that is sent and not written. */
static void write_flight(struct world *world, enum topic topic, int shard, struct flight *flight,
                         uint64_t *dice)
{
    if (fault(world, dice, 24)) {
        uint32_t way = pick(dice, 4);

        TRACE(world, "%s/%d: sending %d fails%s", topic_name(topic), shard, (int)flight->number,
              way == 0   ? ""
              : way == 1 ? ", but it is written"
              : way == 2 ? ", and it will be written"
                         : " not, but it is written broken");
        flight->state = FLIGHT_FAILED;
        if (way == 2)
            network_haunt(world, topic, shard, flight->number);
        if (way == 3) {
            flight->state = FLIGHT_WRITTEN;
            flight->offset = world->logs[topic][shard].count;
        }
        if (way == 1 || way == 3)
            log_append(world, topic, shard, flight->number, way == 3);
        return;
    }
    flight->state = FLIGHT_WRITTEN;
    flight->offset = world->logs[topic][shard].count;
    log_append(world, topic, shard, flight->number, false);
    TRACE(world, "%s/%d: number %d is written at %d", topic_name(topic), shard, (int)flight->number,
          (int)flight->offset);
}

static void report_flight(struct world *world, enum saga_part part, int i, int shard)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];
    struct flight *flight = &relayed->flights[relayed->flight_first];

    relayed->flight_first = (relayed->flight_first + 1) % FLIGHT_MAX;
    relayed->flight_count--;
    if (flight->state == FLIGHT_WRITTEN)
        sender_acknowledged(&relayed->sender, flight->generation, flight->number, flight->offset);
    else
        sender_failed(&relayed->sender, flight->generation);
    TRACE(world, "%s-%d hears that %d of shard %d %s%s", saga_part_name(part), i,
          (int)flight->number, shard, flight->state == FLIGHT_WRITTEN ? "is written" : "failed",
          relayed->sender.doubt ? ": doubt" : "");
    world->ready |= bit_of(ACTOR_RELAY, part, i);
}

/* One thing happens to what one relay has under way: the next record is written, or the first is
 * reported. */
static bool move_flights(struct world *world, enum saga_part part, int i, int shard, uint64_t *dice)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];
    int next = 0;

    while (next < relayed->flight_count &&
           relayed->flights[(relayed->flight_first + next) % FLIGHT_MAX].state != FLIGHT_SENT)
        next++;
    if (relayed->flight_count == 0 || (world->instances[part][i].stopped && next > 0))
        return false;
    if (next > 0 && (next == relayed->flight_count || pick(dice, 2) == 0))
        report_flight(world, part, i, shard);
    else
        write_flight(world, part_topic[part], shard,
                     &relayed->flights[(relayed->flight_first + next) % FLIGHT_MAX], dice);
    return true;
}

bool network_step(struct world *world, enum topic topic, uint64_t *dice)
{
    enum saga_part part = topic_part[topic];
    uint32_t first = pick(dice, INSTANCES * SHARDS);

    if (world->ghost_count > 0 && pick(dice, world->calm ? 1 : 8) == 0) {
        write_ghost(world, dice);
        return true;
    }
    for (uint32_t k = 0; k < INSTANCES * SHARDS; k++) {
        uint32_t at = (first + k) % (INSTANCES * SHARDS);

        if (move_flights(world, part, (int)(at / SHARDS), (int)(at % SHARDS), dice))
            return true;
    }
    if (world->ghost_count == 0)
        world->ready &= ~(UINT64_C(1) << (ACTOR_NETWORK + topic));
    return false;
}
