/* The world as a whole: how it begins, who may move next, faults, the calm at the end. */
#include "producers/orders/orders_decide.h"
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum saga_part topic_part[TOPICS];
enum topic part_topic[PART_COUNT];
enum topic part_inputs[PART_COUNT][INPUTS];
int part_input_count[PART_COUNT];

static struct saga_word first_words[PART_COUNT];

void world_tables(void)
{
    for (int topic = 0; topic < TOPICS; topic++) {
        topic_part[topic] = saga_part_from_name(topic_writer((enum topic)topic));
        part_topic[topic_part[topic]] = (enum topic)topic;
    }
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        first_words[part] = saga_word_begin(part);
        for (int topic = 0; topic < TOPICS; topic++)
            if (saga_reads(part, (enum topic)topic))
                part_inputs[part][part_input_count[part]++] = (enum topic)topic;
    }
}

void problem(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (world->problem[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(world->problem, sizeof world->problem, format, arguments);
    va_end(arguments);
    TRACE(world, "PROBLEM: %s", world->problem);
}

void trace(struct world *world, const char *format, ...)
{
    va_list arguments;

    printf("%7lu.%03d s  ", (unsigned long)(world->now_ms / 1000), (int)(world->now_ms % 1000));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* --- The beginning -------------------------------------------------------------------------- */

static void begin_order(struct world *world, int o, uint64_t *dice)
{
    static const struct view ids[ORDERS] = {VIEW_INIT("0-ORDER"), VIEW_INIT("1-ORDER"),
                                            VIEW_INIT("2-ORDER")};
    const struct price prices[SKUS] = {
        {.sku = world->skus[0], 500, VIEW_LITERAL("GBP"), PRODUCT_KIND_GOODS, true, {0}},
        {.sku = world->skus[1], 700, VIEW_LITERAL("GBP"), PRODUCT_KIND_GOODS, true, {0}},
    };
    struct request_line lines[SKUS];
    struct order_request request = {
        .customer_id = VIEW_LITERAL("customer"),
        .country = pick(dice, 10) == 0 ? VIEW_LITERAL("Watched") : VIEW_LITERAL("Elsewhere"),
        .currency = VIEW_LITERAL("GBP"),
        .payment_token = VIEW_LITERAL("token"),
        .warehouse = VIEW_LITERAL("main"),
        .ordered_at_us = -1,
        .lines = lines,
        .line_count = 1 + pick(dice, SKUS),
    };
    const struct order_terms terms = {.order_id = ids[o], .deadline_ms = world->deadline_ms};
    struct refusal refusal;
    int first = request.line_count == 1 ? (int)pick(dice, SKUS) : 0;

    for (size_t k = 0; k < request.line_count; k++)
        lines[k] = (struct request_line){
            .sku = world->skus[(size_t)first + k],
            .code = world->skus[(size_t)first + k],
            .quantity = 1 + pick(dice, 3),
            .unit_price_minor = -1,
        };
    if (!order_decide_place(&world->created[o], &request, &terms, prices, SKUS, &world->arena,
                            &refusal))
        problem(world, "order %d: %s", o, refusal.detail);
    memcpy(world->lines[o], world->created[o].lines,
           request.line_count * sizeof world->lines[o][0]);
    world->created[o].lines = world->lines[o];
    world->line_counts[o] = request.line_count;
    world->order_shard[o] = (uint8_t)pick(dice, SHARDS);
    world->declines[o] = pick(dice, 8) == 0;
    world->capture_fails[o] = pick(dice, 8) == 0;
}

/* The ledger's first document: what is in stock. */
static void begin_chain(struct world *world)
{
    static const struct view receipts[SKUS] = {VIEW_INIT("first"), VIEW_INIT("second")};
    struct chain_document *document = &world->chain[++world->chain_count];

    memset(document, 0, sizeof *document);
    document->batch.standing = (struct standing){
        .number = 1,
        .writer = VIEW_LITERAL("stock"),
        .warehouse = VIEW_LITERAL("main"),
        .partitions = SHARDS,
        .last_numbers = document->last_numbers,
        .published = document->published,
        .published_offsets = document->published_offsets,
    };
    for (int sku = 0; sku < SKUS; sku++) {
        document->items[sku][0] =
            (struct stock_item){.sku = world->skus[sku], .quantity = world->stock[sku]};
        document->entries[sku] =
            (struct entry){ENTRY_RECEIVE, receipts[sku], document->items[sku], 1};
    }
    document->batch.entries = document->entries;
    document->batch.entry_count = SKUS;
}

/* Some part cannot read one kind of event of one order: it is set aside, or its schema is not known
 * for a while. */
static void begin_poison(struct world *world, uint64_t *dice)
{
    enum saga_part part = (enum saga_part)pick(dice, PART_COUNT);
    uint32_t type = 1 + pick(dice, EVENT_COUNT - 1);

    while (!saga_reacts(part, saga_trigger_of((enum event_type)type)))
        type = type % (EVENT_COUNT - 1) + 1;
    world->poison.set = true;
    world->poison.part = (uint8_t)part;
    world->poison.type = (uint8_t)type;
    world->poison.order = (uint8_t)pick(dice, (uint32_t)world->order_count);
    world->poison.is_schema = pick(dice, 4) == 0;
}

static void begin_parts(struct world *world, uint64_t *dice)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        struct database *store = &world->stores[part];
        bool two = pick(dice, 3) == 0;

        world->assignment[part] = world->relay_assignment[part] = 1;
        for (int shard = 0; shard < SHARDS; shard++) {
            for (int input = 0; input < part_input_count[part]; input++)
                store->marks[input][shard] = (struct mark){.next_offset = -1, .fresh = true};
            if (two && part != PART_INVENTORY)
                world->owner[part][shard] = world->relayer[part][shard] = (uint8_t)shard;
        }
        for (int i = 0; i <= (int)two; i++) {
            world->instances[part][i].alive = true;
            wake(world, part, i);
        }
    }
}

void world_clear(struct world *world)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        for (int i = 0; i < INSTANCES; i++)
            instance_forget(&world->instances[part][i]);
}

void world_begin(struct world *world, uint64_t seed)
{
    uint64_t dice = seed * 0x9e3779b97f4a7c15u + 1;
    bool tracing = world->tracing;

    world_clear(world);
    memset(world, 0, offsetof(struct world, arena));
    world->tracing = tracing;
    arena_reset(&world->arena);
    for (int topic = 0; topic < TOPICS; topic++)
        for (int shard = 0; shard < SHARDS; shard++)
            world->logs[topic][shard].count = 0;
    pick(&dice, 2);
    world->now_ms = 1000;
    world->skus[0] = VIEW_LITERAL("A");
    world->skus[1] = VIEW_LITERAL("B");
    world->order_count = 1 + (int)(pick(&dice, 3) * pick(&dice, 3) / 2);
    world->cancels_left = (int)pick(&dice, 3);
    world->faults_left = (int)pick(&dice, 6);
    world->deadline_ms = pick(&dice, 2) == 0 ? 20000 : 900000;
    world->looks_for_holes = pick(&dice, 2) == 0; /* what it mends hides other mistakes */
    memcpy(world->first_words, first_words, sizeof first_words);
    for (int sku = 0; sku < SKUS; sku++)
        world->stock[sku] = 1 + pick(&dice, 6);
    for (int order = 0; order < world->order_count; order++)
        begin_order(world, order, &dice);
    if (pick(&dice, 3) == 0)
        begin_poison(world, &dice);
    begin_chain(world);
    begin_parts(world, &dice);
    world->nudges_left =
        (int)(pick(&dice, 2) * (1 + pick(&dice, 2))); /* half the worlds have none */
    oracle_begin(world);
    world->ready |= UINT64_C(1) << ACTOR_CUSTOMER;
}

/* --- The clock, the customer, the operator -------------------------------------------------- */

static void pass(struct world *world, int64_t ms)
{
    world->now_ms += ms;
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        for (int i = 0; i < INSTANCES; i++)
            if (world->instances[part][i].alive)
                world->ready |= bit_of(ACTOR_TICK, part, i) | bit_of(ACTOR_SECOND, part, i);
    world->ready |= UINT64_C(1) << ACTOR_CUSTOMER;
    if (world->nudges_left > 0)
        world->ready |= UINT64_C(1) << ACTOR_OPERATOR;
}

static bool clock_step(struct world *world, uint64_t *dice)
{
    static const int64_t leaps[] = {50, 200, 400, 1100, 1100, 2500, 31000, 900000};
    int64_t ms = leaps[pick(dice, sizeof leaps / sizeof leaps[0])];

    pass(world, ms);
    TRACE(world, "%d ms later", (int)ms);
    return true;
}

static bool customer_step(struct world *world, uint64_t *dice)
{
    int o = (int)pick(dice, (uint32_t)world->order_count);
    int i = (int)pick(dice, INSTANCES);
    bool wants = world->cancels_left > 0;

    for (int order = 0; order < world->order_count; order++)
        wants |= world->progress[order].state == ORDERS_NONE;
    if (!wants)
        return false;
    if (!world->instances[PART_ORDERS][i].alive)
        i = 1 - i;
    if (world->progress[o].state == ORDERS_NONE) {
        worker_submit(world, PART_ORDERS, i,
                      (struct item){.kind = ITEM_PLACE, .order = (uint8_t)o});
        TRACE(world, "the customer places order %d at orders-%d", o, i);
    } else if (world->cancels_left > 0 && pick(dice, world->calm ? 1 : 4) == 0) {
        world->cancels_left--;
        worker_submit(world, PART_ORDERS, i,
                      (struct item){.kind = ITEM_CANCEL, .order = (uint8_t)o});
        TRACE(world, "the customer cancels order %d at orders-%d", o, i);
    }
    return !world->calm;
}

/* Nudges an order at any moment, whether it needs that or not. */
static bool operator_step(struct world *world, uint64_t *dice)
{
    int o = (int)pick(dice, (uint32_t)world->order_count);
    int i = (int)pick(dice, INSTANCES);

    if (world->nudges_left == 0 || world->calm || pick(dice, 4) != 0)
        return false; /* until time has passed */
    if (!world->instances[PART_ORDERS][i].alive)
        i = 1 - i;
    world->nudges_left--;
    worker_submit(world, PART_ORDERS, i, (struct item){.kind = ITEM_NUDGE, .order = (uint8_t)o});
    TRACE(world, "the operator nudges order %d at orders-%d", o, i);
    return true;
}

/* --- Steps ---------------------------------------------------------------------------------- */

static bool act(struct world *world, unsigned actor, uint64_t *dice)
{
    enum saga_part part = (enum saga_part)(actor % ACTOR_RELAY / INSTANCES);
    int i = (int)(actor % INSTANCES);

    static_assert(ACTOR_TICK == 2 * (int)ACTOR_RELAY && ACTOR_SECOND == 3 * (int)ACTOR_RELAY,
                  "an instance's actors are numbered alike");
    if (actor < ACTOR_RELAY)
        return worker_step(world, part, i, dice);
    if (actor < ACTOR_TICK)
        return relay_step(world, part, i, dice);
    if (actor < ACTOR_SECOND) {
        world->ready &= ~(UINT64_C(1) << actor);
        return tick_step(world, part, i, dice);
    }
    if (actor < ACTOR_NETWORK) {
        world->ready &= ~(UINT64_C(1) << actor);
        return relay_second(world, part, i, dice);
    }
    if (actor < ACTOR_PROVIDER)
        return network_step(world, (enum topic)(actor - ACTOR_NETWORK), dice);
    switch (actor) {
    case ACTOR_PROVIDER:
        return provider_step(world, dice);
    case ACTOR_CUSTOMER:
        return customer_step(world, dice);
    case ACTOR_OPERATOR:
        return operator_step(world, dice);
    case ACTOR_CLOCK:
        return clock_step(world, dice);
    default:
        return fault_step(world, (enum actor)actor, dice);
    }
}

bool world_step(struct world *world, const struct step *step)
{
    uint64_t dice = step->dice;
    bool faulty = step->actor >= ACTOR_CRASH;
    bool done;

    if (faulty && (world->faults_left == 0 || world->calm))
        return false;
    done = act(world, step->actor, &dice);
    world->steps += done;
    world->faults_left -= faulty && done;
    if (!done)
        world->ready &= ~(UINT64_C(1) << step->actor);
    arena_reset(&world->arena);
    return done;
}

struct step world_choose(struct world *world, uint64_t *seed)
{
    struct step step;
    uint32_t way = pick(seed, 64);
    uint64_t turned;
    unsigned turn;

    if (way < 3 && world->faults_left > 0) {
        step.actor = (uint8_t)(ACTOR_CRASH + pick(seed, ACTOR_COUNT - ACTOR_CRASH));
    } else if (way < 8 || world->ready == 0) {
        step.actor = ACTOR_CLOCK;
    } else {
        turn = pick(seed, 64);
        turned = turn == 0 ? world->ready : world->ready >> turn | world->ready << (64 - turn);
        step.actor = (uint8_t)(((unsigned)__builtin_ctzll(turned) + turn) % 64);
    }
    pick(seed, 2);
    step.dice = *seed;
    return step;
}

/* --- The calm ------------------------------------------------------------------------------- */

static void mend(struct world *world)
{
    world->calm = true;
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        for (int i = 0; i < INSTANCES; i++) {
            struct instance *instance = &world->instances[part][i];

            if (!instance->alive && instance->run > 0)
                instance_start(world, part, i);
            instance->stopped = false;
            if (instance->alive)
                wake(world, part, i);
        }
        for (int shard = 0; shard < SHARDS; shard++) /* the groups agree in the end */
            if (world->relayer[part][shard] != world->owner[part][shard])
                group_give(world, part, shard, world->owner[part][shard], false, true);
    }
    for (int topic = 0; topic < TOPICS; topic++)
        world->ready |= UINT64_C(1) << (ACTOR_NETWORK + topic);
    world->ready |= UINT64_C(1) << ACTOR_PROVIDER | UINT64_C(1) << ACTOR_CUSTOMER;
    TRACE(world, "from here on nothing fails");
}

/* Everybody in turn until nobody has anything to do at this moment. */
static void settle(struct world *world)
{
    uint64_t turns = 0;

    while (world->ready != 0 && world->problem[0] == '\0') {
        uint64_t turn = world->ready;

        while (turn != 0 && world->problem[0] == '\0') {
            struct step step = {
                .actor = (uint8_t)__builtin_ctzll(turn),
                .dice = ((uint64_t)world->now_ms + ++turns) * 0x9e3779b97f4a7c15u,
            };

            turn &= turn - 1;
            world_step(world, &step);
        }
        if (turns > 20000)
            problem(world, "it does not come to rest: somebody always has something to do");
    }
}

/* A consumer that cannot read something is mended this long into the calm. */
enum { MENDED_AFTER_S = 6 };

void world_calm(struct world *world)
{
    int quiet = 0;

    mend(world);
    for (int second = 0; quiet < 3 && world->problem[0] == '\0'; second++) {
        const char *unrest;

        if (second == MENDED_AFTER_S) {
            world->poison.set = false;
            TRACE(world, "what could not be read can be read again");
        }
        settle(world);
        unrest = oracle_unrest(world);
        quiet = unrest == NULL ? quiet + 1 : 0;
        if (second == 100)
            problem(world, "it does not end: %s", unrest != NULL ? unrest : "it rests too late");
        pass(world, second < 30 ? 1000 : 60000);
    }
    if (world->problem[0] == '\0')
        oracle_end(world);
}
