/* What an instance does ten times a second: gaps, deadlines, calls that are owed, mails. */
#include "tests/sim/sim.h"

/* --- Lanes ---------------------------------------------------------------------------------- */

static void tick_lane(struct world *world, enum saga_part part, int i, int input, int shard)
{
    struct instance *instance = &world->instances[part][i];
    struct lane *lane = &instance->lanes[input][shard];
    enum topic topic = part_inputs[part][input];
    struct control *nack = &world->nacks[topic][shard];

    receiver_heartbeat(&lane->receiver, world->claims[topic][shard].number, world->now_ms);
    switch (receiver_tick(&lane->receiver, world->now_ms)) {
    case RECEIVER_NOTHING:
        break;
    case RECEIVER_LOOK_BACK:
        lane->fetch = receiver_position(&lane->receiver);
        if (lane->fetch < 0)
            lane->fetch = 0;
        break;
    case RECEIVER_ASK_END:
        lane->ask_end = true;
        break;
    case RECEIVER_NACK:
        *nack = (struct control){lane->receiver.high_water + 1, nack->said + 1};
        TRACE(world, "%s-%d asks for %d of %s/%d", saga_part_name(part), i, (int)nack->number,
              topic_name(topic), shard);
        for (int k = 0; k < INSTANCES; k++)
            world->ready |= bit_of(ACTOR_RELAY, topic_part[topic], k);
        break;
    }
    if (lane->ask_end)
        receiver_end_is(&lane->receiver, world->logs[topic][shard].count, world->now_ms);
    lane->ask_end = false;
}

/* --- Deadlines ------------------------------------------------------------------------------ */

/* The look into open_orders: rows of a shard come by their number. */
static void look_into_open(struct world *world, struct instance *instance, int shard)
{
    struct open_shard *open = &instance->open[shard];
    uint64_t oldest = UINT64_MAX;

    for (uint64_t number = 1; number <= world->stores[PART_ORDERS].last_numbers[shard]; number++)
        for (int order = 0; order < world->order_count; order++) {
            if (!world->open[order] || world->order_shard[order] != shard ||
                world->created_number[order] != number)
                continue;
            open_shard_add(open, number, world->deadline_ms);
            oldest = number < oldest ? number : oldest;
        }
    open_shard_caught_up(open);
    open_shard_drop_below(open, oldest);
}

static bool is_read_since(struct instance *instance, int shard, int64_t since_ms)
{
    bool all = true;

    for (int input = 0; input < part_input_count[PART_ORDERS]; input++) {
        struct lane *lane = &instance->lanes[input][shard];

        if (lane->assigned && receiver_is_read_since(&lane->receiver, since_ms))
            continue;
        lane->ask_end = true;
        all = false;
    }
    return all;
}

static void ask_deadline(struct world *world, int i, int shard, struct open_order *due)
{
    for (int order = 0; order < world->order_count; order++)
        if (world->open[order] && world->order_shard[order] == shard &&
            world->created_number[order] == due->number &&
            world->instances[PART_ORDERS][i].inbox_count < INBOX) {
            due->asked = true;
            TRACE(world, "orders-%d: the time of order %d is up", i, order);
            worker_submit(world, PART_ORDERS, i,
                          (struct item){.kind = ITEM_DEADLINE, .order = (uint8_t)order});
            return;
        }
}

static void tick_orders(struct world *world, int i)
{
    struct instance *instance = &world->instances[PART_ORDERS][i];

    for (int shard = 0; shard < SHARDS; shard++) {
        struct relay_shard *relayed = &instance->shards[shard];
        struct open_shard *open = &instance->open[shard];
        struct open_moment moment = {world->now_ms, 0};
        struct open_order *due;
        size_t cursor = 0;

        if (!open->ours)
            continue;
        if (relayed->owned && !relayed->sender.doubt)
            moment.published = relayed->sender.published;
        open_shard_pulse(open, moment, 5000);
        while ((due = open_shard_next_due(open, world->now_ms, &cursor)) != NULL &&
               is_read_since(instance, shard, open_order_deadline_ms(due)))
            ask_deadline(world, i, shard, due);
        look_into_open(world, instance, shard);
    }
}

/* --- Calls and mails ------------------------------------------------------------------------ */

static void tick_payment(struct world *world, int i)
{
    struct instance *instance = &world->instances[PART_PAYMENT][i];
    bool looks = world->now_ms >= instance->look_at_ms;

    if (looks)
        instance->look_at_ms = world->now_ms + 15000;
    for (int order = 0; order < world->order_count; order++) {
        if (!instance->lanes[0][world->order_shard[order]].assigned)
            continue;
        if (looks && world->payments[order].owed != CALL_NONE) {
            instance->calls[order].call = world->payments[order].owed;
            instance->calls[order].under_way = false;
        }
        if (instance->calls[order].call == CALL_NONE || instance->calls[order].under_way)
            continue;
        instance->calls[order].under_way = true;
        provider_ask(world, i, order, instance->calls[order].call);
    }
}

static void tick_email(struct world *world, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[PART_EMAIL][i];

    for (int order = 0; order < world->order_count; order++)
        for (int kind = 1; kind < MAIL_KIND_COUNT; kind++)
            if (world->mails[order][kind] == EMAIL_QUEUED && instance->inbox_count < INBOX &&
                instance->lanes[0][world->order_shard[order]].assigned)
                worker_submit(world, PART_EMAIL, i,
                              (struct item){.kind = ITEM_MAIL,
                                            .order = (uint8_t)order,
                                            .what = (uint8_t)kind,
                                            .yes = pick(dice, 4) != 0});
}

/* An operator brings dead letters back, once the consumer is mended. */
static void tick_letters(struct world *world, enum saga_part part, int i, bool drop)
{
    const struct database *store = &world->stores[part];
    bool leads = world->instances[part][i].lanes[0][0].assigned;

    struct item redrive = {.kind = ITEM_REDRIVE, .yes = drop};

    if (world->poison.set)
        return;
    if (part == PART_INVENTORY && leads && inventory_next_letter(world, &redrive.order))
        worker_submit(world, part, i, redrive);
    for (int letter = 0; letter < LETTERS; letter++)
        if (store->letters[letter].there && !store->letters[letter].parked) {
            redrive.order = store->letters[letter].fact.order;
            redrive.what = (uint8_t)letter;
            worker_submit(world, part, i, redrive);
            return;
        }
}

bool tick_step(struct world *world, enum saga_part part, int i, uint64_t *dice)
{
    struct instance *instance = &world->instances[part][i];

    if (!instance->alive || instance->stopped)
        return false;
    if (instance->unit.phase != PHASE_IDLE)
        return false; /* one thread: it ticks between two units */
    for (int input = 0; input < part_input_count[part]; input++)
        for (int shard = 0; shard < SHARDS; shard++)
            if (instance->lanes[input][shard].assigned)
                tick_lane(world, part, i, input, shard);
    if (part == PART_ORDERS)
        tick_orders(world, i);
    if (part == PART_PAYMENT)
        tick_payment(world, i);
    if (part == PART_EMAIL)
        tick_email(world, i, dice);
    if (world->calm || pick(dice, 4) == 0)
        tick_letters(world, part, i, pick(dice, 4) == 0);
    world->ready |= bit_of(ACTOR_WORK, part, i);
    return true;
}
