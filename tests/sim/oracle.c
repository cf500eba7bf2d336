/* What must be true, computed from nothing but what was committed: after every step, and at rest.
 */
#include "tests/sim/sim.h"

void oracle_begin(struct world *world)
{
    struct oracle *oracle = &world->oracle;

    for (int sku = 0; sku < SKUS; sku++)
        oracle->on_hand[sku] = world->stock[sku];
    for (int order = 0; order < world->order_count; order++) {
        for (enum saga_part part = 0; part < PART_COUNT; part++)
            oracle->words[part][order] = world->first_words[part];
        for (int kind = 0; kind < MAIL_KIND_COUNT; kind++)
            oracle->mails[order][kind] = world->first_words[PART_EMAIL];
    }
}

/* Each number of each input is applied (or set aside) exactly once, in order. */
void oracle_applies(struct world *world, enum saga_part part, int input, int shard, uint64_t number)
{
    uint64_t *applied = &world->oracle.applied[part][input][shard];

    if (number != *applied + 1)
        problem(world, "%s applies number %d of %s/%d behind number %d", saga_part_name(part),
                (int)number, topic_name(part_inputs[part][input]), shard, (int)*applied);
    *applied = number;
}

static void move_stock(struct world *world, int order, int64_t to_held, int64_t to_sold)
{
    struct oracle *oracle = &world->oracle;

    oracle->held[order] += to_held;
    oracle->sold[order] += to_sold;
    if (oracle->held[order] < 0 || oracle->sold[order] < 0 ||
        oracle->held[order] + oracle->sold[order] > 1)
        problem(world, "the stock of order %d is held %d and sold %d times", order,
                (int)oracle->held[order], (int)oracle->sold[order]);
    for (size_t line = 0; line < world->line_counts[order]; line++) {
        int sku = world->lines[order][line].sku.data[0] - 'A';

        oracle->on_hand[sku] -= (to_held + to_sold) * world->lines[order][line].quantity;
        if (oracle->on_hand[sku] < 0)
            problem(world, "oversold: %d of SKU %d on hand", (int)oracle->on_hand[sku], sku);
    }
}

static void stock_said(struct world *world, const struct fact *fact)
{
    struct oracle *oracle = &world->oracle;

    switch ((int)fact->type) {
    case EVENT_INVENTORY_RESERVED:
        move_stock(world, fact->order, 1, 0);
        return;
    case EVENT_INVENTORY_COMMITTED:
        move_stock(world, fact->order, -1, 1);
        return;
    case EVENT_INVENTORY_RELEASED:
        move_stock(world, fact->order, -oracle->held[fact->order], -oracle->sold[fact->order]);
        return;
    default:
        return;
    }
}

void oracle_said(struct world *world, enum saga_part part, const struct fact *fact)
{
    struct oracle *oracle = &world->oracle;
    struct saga_word *word = part == PART_EMAIL ? &oracle->mails[fact->order][fact->detail]
                                                : &oracle->words[part][fact->order];
    uint8_t *said = oracle->said[fact->order];

    if (!saga_word_next(word, (enum event_type)fact->type))
        problem(world, "order %d: %s is no word of %s here", fact->order,
                event_type_name(fact->type), saga_part_name(part));
    said[fact->type]++;
    if (part == PART_INVENTORY)
        stock_said(world, fact);
    if (fact->type == EVENT_ORDER_CLOSED)
        said[EVENT_NONE] = 1; /* closed, and nothing decided since */
    if (fact->type == EVENT_ORDER_CONFIRMED || fact->type == EVENT_ORDER_CANCELLED)
        said[EVENT_NONE] = 0;
}

void oracle_money(struct world *world, int order)
{
    const struct book *book = &world->books[order];

    if (book->authorizations > 1 || book->captures > 1 || book->refunds > book->captures ||
        book->voids > book->authorizations || book->held < 0 || book->taken < 0)
        problem(world, "order %d: authorized %d, captured %d, voided %d, refunded %d times", order,
                book->authorizations, book->captures, book->voids, book->refunds);
}

/* --- At rest -------------------------------------------------------------------------------- */

/* What a shard of an instance still has to do; NULL: nothing. */
static const char *shard_unrest(const struct world *world, enum saga_part part, int i, int shard)
{
    const struct instance *instance = &world->instances[part][i];
    const struct relay_shard *relayed = &instance->shards[shard];

    if (relayed->flight_count > 0)
        return "a record is under way";
    if (relayed->owned && relayed->sender.doubt)
        return "a relay is in doubt";
    if (relayed->owned && relayed->sender.published != world->stores[part].last_numbers[shard])
        return "a record is not published";
    if (world->looks_for_holes && relayed->owned &&
        relayed->seen_in_log != world->stores[part].last_numbers[shard])
        return "a log has a hole";
    for (int input = 0; input < part_input_count[part]; input++) {
        const struct lane *lane = &instance->lanes[input][shard];
        enum topic topic = part_inputs[part][input];

        if (world->owner[part][shard] == i && !lane->assigned)
            return "a partition is read by nobody";
        if (!lane->assigned)
            continue;
        if (lane->receiver.gap)
            return "a gap is open";
        if (lane->fetch != world->logs[topic][shard].count)
            return "a log is not read to its end";
        if (lane->receiver.high_water != world->stores[topic_part[topic]].last_numbers[shard])
            return "a mark is below what was published";
    }
    return NULL;
}

static const char *instance_unrest(const struct world *world, enum saga_part part, int i)
{
    const struct instance *instance = &world->instances[part][i];
    const char *why = NULL;

    if (!instance->alive)
        return instance->run > 0 ? "an instance is dead" : NULL;
    if (instance->unit.phase != PHASE_IDLE || instance->inbox_count > 0)
        return "a unit of work is not done";
    if (instance->assignment != world->assignment[part])
        return "an instance has not heard of its group";
    for (int shard = 0; shard < SHARDS && why == NULL; shard++)
        why = shard_unrest(world, part, i, shard);
    return why;
}

static const char *order_unrest(const struct world *world, int order)
{
    if (!saga_state_is_final(PART_ORDERS, (int)world->progress[order].state))
        return "an order is not at its end";
    if (!saga_state_is_final(PART_PAYMENT, (int)payment_state(&world->payments[order])))
        return "a payment is not at its end";
    if (!saga_state_is_final(PART_FRAUD, (int)world->frauds[order]))
        return "an order was never screened";
    for (int kind = 1; kind < MAIL_KIND_COUNT; kind++)
        if (!saga_state_is_final(PART_EMAIL, (int)world->mails[order][kind]))
            return "a mail is not at its end";
    return NULL;
}

const char *oracle_unrest(const struct world *world)
{
    const char *why = NULL;
    uint8_t order;

    if (world->cancels_left > 0)
        return "a customer wants to cancel";
    if (world->ghost_count > 0)
        return "a record that was given up is under way";
    if (inventory_next_letter(world, &order))
        return "inventory has a dead letter";
    for (int k = 0; k < world->order_count && why == NULL; k++)
        why = order_unrest(world, k);
    for (int k = 0; k < CALLS && why == NULL; k++)
        why = world->calls[k].there ? "the provider is asked" : NULL;
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        for (int letter = 0; letter < LETTERS && why == NULL; letter++)
            why = world->stores[part].letters[letter].there ? "a dead letter is left" : NULL;
        for (int i = 0; i < INSTANCES && why == NULL; i++)
            why = instance_unrest(world, part, i);
    }
    return why;
}

/* --- The end -------------------------------------------------------------------------------- */

static void end_order(struct world *world, int order)
{
    const struct oracle *oracle = &world->oracle;
    const struct book *book = &world->books[order];
    const uint8_t *said = oracle->said[order];
    bool fulfilled = world->progress[order].state == ORDERS_FULFILLED;

    if (fulfilled && (oracle->sold[order] != 1 || book->taken != 1 || book->held != 0))
        problem(world, "order %d is fulfilled: stock sold %d times, money taken %d, held %d", order,
                (int)oracle->sold[order], book->taken, book->held);
    if (!fulfilled &&
        (oracle->sold[order] + oracle->held[order] != 0 || book->taken != 0 || book->held != 0))
        problem(world, "order %d is cancelled: stock held %d, sold %d, money held %d, taken %d",
                order, (int)oracle->held[order], (int)oracle->sold[order], book->held, book->taken);
    if (said[EVENT_NONE] != 1)
        problem(world, "order %d: its last word is not order.closed", order);
    if (said[EVENT_ORDER_CLOSED] !=
        (said[EVENT_ORDER_CANCELLED] > 0) + (fulfilled || world->was_fulfilled[order]))
        problem(world, "order %d is closed %d times", order, said[EVENT_ORDER_CLOSED]);
    for (enum saga_part part = 0; part < PART_EMAIL; part++)
        if (!saga_word_can_end(&oracle->words[part][order]))
            problem(world, "order %d: %s cannot end here", order, saga_part_name(part));
    for (int kind = 1; kind < MAIL_KIND_COUNT; kind++)
        if (!saga_word_can_end(&oracle->mails[order][kind]))
            problem(world, "order %d: its mails cannot end here", order);
}

static bool same(const struct fact *a, const struct fact *b)
{
    return a->type == b->type && a->order == b->order && a->detail == b->detail &&
           a->stamp == b->stamp;
}

static void end_log(struct world *world, enum topic topic, int shard)
{
    const struct log *log = &world->logs[topic][shard];
    const struct database *store = &world->stores[topic_part[topic]];
    uint64_t reached = 0;

    for (int64_t offset = 0; offset < log->count; offset++) {
        const struct record *record = &log->records[offset];

        if (record->number == reached + 1)
            reached++;
        if (!same(&record->fact, &store->journal[shard][record->number]))
            problem(world, "%s/%d: number %d has two contents", topic_name(topic), shard,
                    (int)record->number);
    }
    if (reached != store->last_numbers[shard])
        problem(world, "%s/%d: the log holds 1..%d, but 1..%d was committed", topic_name(topic),
                shard, (int)reached, (int)store->last_numbers[shard]);
}

void oracle_end(struct world *world)
{
    for (int order = 0; order < world->order_count; order++)
        end_order(world, order);
    for (int topic = 0; topic < TOPICS; topic++)
        for (int shard = 0; shard < SHARDS; shard++)
            end_log(world, (enum topic)topic, shard);
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        for (int input = 0; input < part_input_count[part]; input++)
            for (int shard = 0; shard < SHARDS; shard++) {
                enum topic topic = part_inputs[part][input];

                if (world->oracle.applied[part][input][shard] !=
                    world->stores[topic_part[topic]].last_numbers[shard])
                    problem(world, "%s has applied %d of %s/%d", saga_part_name(part),
                            (int)world->oracle.applied[part][input][shard], topic_name(topic),
                            shard);
            }
}
