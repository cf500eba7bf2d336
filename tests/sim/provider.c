/* The payment provider and the way to it: it does a thing once for each idempotency key, and keeps
 * a book that nobody else writes. Requests and answers are lost, late, or come twice. */
#include "consumers/payment/payment_provider.h"
#include "tests/sim/sim.h"

void provider_ask(struct world *world, int i, int order, enum payment_call call)
{
    struct instance *instance = &world->instances[PART_PAYMENT][i];

    for (int k = 0; k < CALLS; k++)
        if (!world->calls[k].there) {
            world->calls[k] = (struct call){
                .there = true,
                .order = (uint8_t)order,
                .instance = (uint8_t)i,
                .run = instance->run,
                .call = call,
            };
            world->ready |= UINT64_C(1) << ACTOR_PROVIDER;
            TRACE(world, "payment-%d asks the provider to %s order %d", i, payment_call_name(call),
                  order);
            return;
        }
    instance->calls[order].under_way = false; /* no connection is free: at the next tick */
}

static uint64_t key_of(const struct world *world, const struct call *call)
{
    const struct owed_call owed = {
        .operation = call->call,
        .order_id = world->created[call->order].order_id,
    };
    char room[64];
    struct buf key = {.data = room, .capacity = sizeof room};
    uint64_t hash;

    payment_provider_key(&key, &owed);
    hash = key.size > 0 ? view_hash(buf_view(&key)) : 0;
    return hash;
}

static bool carry_out(struct world *world, const struct call *call, struct book *book)
{
    switch (call->call) {
    case CALL_AUTHORIZE:
        if (world->declines[call->order])
            return false;
        book->held++;
        book->authorizations++;
        return true;
    case CALL_CAPTURE:
        if (world->capture_fails[call->order] || book->held == 0)
            return false;
        book->held--;
        book->taken++;
        book->captures++;
        return true;
    case CALL_VOID:
        if (book->held > 0)
            book->held--;
        book->voids++;
        return true;
    case CALL_REFUND:
        if (book->taken > 0)
            book->taken--;
        book->refunds++;
        return true;
    case CALL_NONE:
    case CALL_COUNT:
        break;
    }
    return false;
}

static void process(struct world *world, struct call *call)
{
    struct book *book = &world->books[call->order];
    uint64_t key = key_of(world, call);

    call->done = true;
    if (key != 0 && book->keys[call->call] == key) {
        call->yes = book->yes[call->call];
        return;
    }
    call->yes = carry_out(world, call, book);
    book->keys[call->call] = key;
    book->yes[call->call] = call->yes;
    TRACE(world, "the provider: %s of order %d: %s", payment_call_name(call->call), call->order,
          call->yes ? "done" : "no");
    oracle_money(world, call->order);
}

static void answer(struct world *world, struct call *call, uint64_t *dice)
{
    struct instance *instance = &world->instances[PART_PAYMENT][call->instance];

    if (instance->alive && instance->run == call->run &&
        instance->calls[call->order].call == call->call)
        worker_submit(world, PART_PAYMENT, call->instance,
                      (struct item){.kind = ITEM_ANSWER,
                                    .order = call->order,
                                    .what = (uint8_t)call->call,
                                    .yes = call->yes});
    call->there = !call->twice && fault(world, dice, 32);
    call->twice = true;
}

/* The client gave up waiting: it will ask again, and this may still be done. */
static void give_up(struct world *world, struct call *call)
{
    struct instance *instance = &world->instances[PART_PAYMENT][call->instance];

    if (instance->alive && instance->run == call->run)
        instance->calls[call->order].under_way = false;
    call->run = UINT32_MAX; /* nobody hears the answer */
    TRACE(world, "payment-%d waits no longer for an answer about order %d", call->instance,
          call->order);
}

bool provider_step(struct world *world, uint64_t *dice)
{
    uint32_t first = pick(dice, CALLS);

    for (uint32_t k = 0; k < CALLS; k++) {
        struct call *call = &world->calls[(first + k) % CALLS];

        if (!call->there)
            continue;
        if (call->run != UINT32_MAX && fault(world, dice, 24)) {
            give_up(world, call);
            call->there = pick(dice, 2) == 0; /* or the request is lost */
        } else if (!call->done) {
            process(world, call);
        } else {
            answer(world, call, dice);
        }
        return true;
    }
    return false;
}
