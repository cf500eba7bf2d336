/* A relay as runtime/relay.c runs it: what is committed is sent in number order, the log is read
 * back in doubt. The rules are the sender's in runtime/delivery.c. */
#include "tests/sim/sim.h"

static bool may_work(const struct instance *instance)
{
    return instance->alive && !instance->stopped;
}

void relay_take(struct world *world, enum saga_part part, int i, int shard, bool owned)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];

    if (owned && !relayed->owned) {
        sender_start(&relayed->sender);
        relayed->reading = false;
    }
    relayed->owned = owned;
    world->ready |= bit_of(ACTOR_RELAY, part, i);
}

void relay_send(struct world *world, enum saga_part part, int i, int shard, uint64_t number)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];

    if (relayed->flight_count == FLIGHT_MAX || !sender_send(&relayed->sender, number))
        return;
    relayed->flights[(relayed->flight_first + relayed->flight_count++) % FLIGHT_MAX] =
        (struct flight){
            .number = number,
            .generation = relayed->sender.generation,
            .state = FLIGHT_SENT,
        };
    world->ready |= UINT64_C(1) << (ACTOR_NETWORK + part_topic[part]);
    TRACE(world, "%s-%d sends %d of shard %d", saga_part_name(part), i, (int)number, shard);
}

/* --- Reading back --------------------------------------------------------------------------- */

/* The offset of the first record that was written in the last minute before the last one. */
static int64_t minute_before(const struct log *log)
{
    int64_t offset = log->count;

    while (offset > 0 &&
           log->records[offset - 1].time_ms >= log->records[log->count - 1].time_ms - 60000)
        offset--;
    return offset;
}

static void finish_reading(struct world *world, enum saga_part part, int i, int shard)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];
    const struct database *store = &world->stores[part];
    const struct log *log = &world->logs[part_topic[part]][shard];
    int64_t start = log->count > 0 ? read_back_start(minute_before(log), log->count) : 0;
    struct number_run run = {.whole = start == 0};
    uint64_t reached;

    relayed->reading = false;
    for (int64_t offset = start; offset < log->count; offset++)
        number_run_read(&run, log->records[offset].number, offset);
    reached = number_run_of_log(&run, 0, relayed->reading_end, store->published[shard]);
    if (run.highest > store->last_numbers[shard])
        problem(world, "%s/%d holds number %d, which was never given out",
                topic_name(part_topic[part]), shard, (int)run.highest);
    if (relayed->owned && sender_may_read_back(&relayed->sender))
        sender_read_back(&relayed->sender, reached, number_run_end(&run, relayed->reading_end));
    TRACE(world, "%s-%d has read shard %d back: it goes on behind %d", saga_part_name(part), i,
          shard, (int)reached);
}

static bool read_back(struct world *world, enum saga_part part, int i, int shard)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];

    if (!relayed->owned || !sender_may_read_back(&relayed->sender)) {
        relayed->reading = false;
        return false;
    }
    if (relayed->reading) {
        finish_reading(world, part, i, shard);
    } else {
        relayed->reading = true;
        relayed->reading_end = world->logs[part_topic[part]][shard].count;
    }
    return true;
}

/* --- Before the journal forgets ------------------------------------------------------------- */

/* Does the log hold all that is published, as a reader takes it? What it lacks is asked for, as any
 * reader does. The journal forgets nothing here, so only the last look, in the calm, counts. */
static void look_for_holes(struct world *world, enum saga_part part, int i, int shard)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];
    struct control *nack = &world->nacks[part_topic[part]][shard];
    const struct log *log = &world->logs[part_topic[part]][shard];
    struct number_run run = number_run_from(1);

    for (int64_t offset = 0; offset < log->count; offset++)
        number_run_read(&run, log->records[offset].number, offset);
    relayed->seen_in_log = world->calm ? run.run : 0;
    if (run.run >= relayed->sender.published)
        return;
    *nack = (struct control){run.run + 1, nack->said + 1};
    TRACE(world, "%s-%d does not find %d in %s/%d and asks for it", saga_part_name(part), i,
          (int)nack->number, topic_name(part_topic[part]), shard);
}

/* --- Its turn ------------------------------------------------------------------------------- */

/* Inventory's relay follows the leader; the others have a group of their own. */
static void hear_group(struct world *world, enum saga_part part, int i)
{
    struct instance *instance = &world->instances[part][i];

    if (part == PART_INVENTORY || instance->relay_assignment == world->relay_assignment[part])
        return;
    instance->relay_assignment = world->relay_assignment[part];
    for (int shard = 0; shard < SHARDS; shard++)
        relay_take(world, part, i, shard, world->relayer[part][shard] == i);
}

static void hear_nack(struct world *world, enum saga_part part, int i, int shard)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];
    const struct control *nack = &world->nacks[part_topic[part]][shard];

    if (relayed->nack_heard == nack->said)
        return;
    relayed->nack_heard = nack->said;
    if (relayed->owned && sender_nack(&relayed->sender, nack->number, world->now_ms))
        TRACE(world, "%s-%d goes back to %d of shard %d", saga_part_name(part), i,
              (int)nack->number, shard);
}

static bool fill(struct world *world, enum saga_part part, int i, int shard)
{
    struct relay_shard *relayed = &world->instances[part][i].shards[shard];
    uint64_t number;
    bool sent = false;

    relayed->journal_last = world->stores[part].last_numbers[shard];
    while (relayed->owned && relayed->flight_count < FLIGHT_MAX &&
           (number = sender_wants(&relayed->sender, relayed->journal_last)) != 0) {
        relay_send(world, part, i, shard, number);
        sent = true;
    }
    return sent;
}

bool relay_step(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    uint32_t first = pick(dice, SHARDS);

    if (!may_work(&world->instances[part][i]))
        return false;
    hear_group(world, part, i);
    for (uint32_t k = 0; k < SHARDS; k++) {
        int shard = (int)((first + k) % SHARDS);

        if (world->calm || pick(dice, 3) == 0)
            hear_nack(world, part, i, shard);
        if (read_back(world, part, i, shard) || fill(world, part, i, shard))
            return true;
    }
    return false;
}

/* Say what is published, look whether it still lies there, note it in the store; now and then, look
 * for holes. */
bool relay_second(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    bool any = false;

    if (!may_work(&world->instances[part][i]))
        return false;
    for (int shard = 0; shard < SHARDS; shard++) {
        struct relay_shard *relayed = &world->instances[part][i].shards[shard];

        if (!relayed->owned || relayed->sender.doubt)
            continue;
        any = true;
        if (!fault(world, dice, 32))
            world->claims[part_topic[part]][shard] = (struct control){
                relayed->sender.published, world->claims[part_topic[part]][shard].said + 1};
        if (sender_end_is(&relayed->sender, world->logs[part_topic[part]][shard].count))
            TRACE(world, "%s-%d finds shard %d shorter: doubt", saga_part_name(part), i, shard);
        else
            world->stores[part].published[shard] = relayed->sender.published;
        if (world->looks_for_holes && (world->calm || pick(dice, 8) == 0))
            look_for_holes(world, part, i, shard);
    }
    world->ready |= bit_of(ACTOR_RELAY, part, i);
    return any;
}
