#include "ops/replay/stock_ledger.h"

#include "runtime/clock.h"

#include <inttypes.h>

#define WAREHOUSE VIEW_LITERAL("main") /* the one there is */
#define READ_TRIES 5

enum err_kind stock_ledger_open(struct stock_ledger *ledger, const char *uri, struct err *err)
{
    *ledger = (struct stock_ledger){0};
    asides_init(&ledger->asides);
    tally_init(&ledger->tally, clock_utc_us());
    return mongo_open(&ledger->mongo, uri, "tradewind replay", err);
}

static void forget(struct stock_ledger *ledger)
{
    ledger_free(ledger->standing);
    ledger->standing = NULL;
    tally_clear(&ledger->tally);
    asides_clear(&ledger->asides);
}

void stock_ledger_close(struct stock_ledger *ledger)
{
    forget(ledger);
    mongo_close(ledger->mongo);
    ledger->mongo = NULL;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static const struct tally_event UNKNOWN = {.type = EVENT_NONE};

static enum err_kind take_sku(void *context, const struct stock_sku *sku, struct err *err)
{
    struct stock_ledger *ledger = context;
    struct tally_sku *copy = tally_sku(&ledger->tally, sku->code);

    (void)err;
    memcpy(copy->units, sku->units, sizeof sku->units);
    copy->units[TALLY_RECEIVED] = sku->received;
    return ERR_OK;
}

static enum err_kind take_order(void *context, struct view id, enum saga_inventory_state state,
                                const struct stock_item *items, size_t item_count, struct err *err)
{
    struct stock_ledger *ledger = context;
    struct tally_order *order = tally_order(&ledger->tally, id);

    (void)err;
    order->state = state;
    tally_set_items(order, items, item_count);
    return ERR_OK;
}

static enum err_kind take_receipt(void *context, struct view id, const struct stock_item *item,
                                  int64_t time_us, struct err *err)
{
    struct stock_ledger *ledger = context;

    (void)err;
    tally_receive(&ledger->tally,
                  &(struct tally_receipt){id, item->sku, item->quantity, time_us, UNKNOWN});
    return ERR_OK;
}

static void take_letter(void *context, const struct letter *letter)
{
    ledger_add_letter(((struct stock_ledger *)context)->standing, letter);
}

static void begin_anew(void *context)
{
    struct stock_ledger *ledger = context;
    int64_t since_us = ledger->tally.since_us;

    tally_clear(&ledger->tally);
    tally_init(&ledger->tally, clock_utc_us());
    ledger->tally.since_us = since_us;
    ledger_forget(ledger->standing);
}

static enum err_kind take_standing(void *context, const struct standing *standing, struct err *err)
{
    return ledger_restore(((struct stock_ledger *)context)->standing, standing, err);
}

/* The ledger takes all of the batch but its entries. */
static enum err_kind take_batch(void *context, const struct batch *batch, struct err *err)
{
    struct stock_ledger *ledger = context;
    struct batch rest = *batch;

    rest.entry_count = 0;
    for (size_t i = 0; i < batch->entry_count && !batch->is_aside; i++)
        tally_apply(&ledger->tally, &batch->entries[i], batch->standing.time_us, &UNKNOWN, 0);
    ledger->documents++;
    return ledger_fold(ledger->standing, &rest, err);
}

static enum err_kind read_once(struct stock_ledger *ledger, int32_t partitions, struct err *err)
{
    const struct chain_visitor visitor = {
        .things = {.sku = take_sku,
                   .order = take_order,
                   .receipt = take_receipt,
                   .letter = take_letter,
                   .context = ledger},
        .clear = begin_anew,
        .standing = take_standing,
        .batch = take_batch,
        .context = ledger,
    };

    forget(ledger);
    ledger->documents = 0;
    asides_init(&ledger->asides);
    tally_init(&ledger->tally, clock_utc_us());
    ledger->standing = ledger_new(WAREHOUSE, partitions + 1); /* one more: what operators do */
    return chain_visit(&visitor, ledger->mongo, err);
}

enum err_kind stock_ledger_read(struct stock_ledger *ledger, int32_t partitions, struct err *err)
{
    enum err_kind kind = read_once(ledger, partitions, err);

    for (int i = 1; kind == ERR_RETRY && i < READ_TRIES; i++)
        kind = read_once(ledger, partitions, err);
    for (size_t i = 0; kind == ERR_OK && i < ledger->standing->letter_count; i++) {
        const struct dead_letter *dead = &ledger->standing->letters[i]->dead;
        enum topic topic = topic_from_name(dead->topic);

        if (dead->number > 0 && topic != TOPIC_NONE)
            asides_add(&ledger->asides, topic, dead->partition, dead->number, dead->key, true);
    }
    return kind;
}

/* --- Positions -------------------------------------------------------------------------------- */

uint64_t stock_ledger_number(const struct stock_ledger *ledger, const struct log_place *place)
{
    struct mark mark = {.topic = topic_name(place->topic), .partition = place->partition};

    if (place->topic == TOPIC_INVENTORY)
        return ledger->standing->last_numbers[place->partition];
    ledger_read_mark(ledger->standing, &mark);
    return mark.high_water;
}

const struct log_place *stock_ledger_is_behind(const struct stock_ledger *ledger,
                                               const struct stock_shadow *shadow)
{
    for (size_t i = 0; i < shadow->reader.place_count; i++) {
        const struct log_place *place = &shadow->reader.places[i];

        if (stock_ledger_number(ledger, place) < place->high_water)
            return place;
    }
    return NULL;
}

bool stock_ledger_is_lost(const struct stock_ledger *ledger, const struct stock_shadow *shadow)
{
    bool is_empty = true;

    for (size_t i = 0; i < shadow->reader.place_count; i++) {
        const struct log_place *place = &shadow->reader.places[i];
        uint64_t number = stock_ledger_number(ledger, place);

        is_empty = is_empty && number == 0;
        if (place->topic == TOPIC_INVENTORY && number < place->high_water)
            return true;
    }
    return is_empty && stock_ledger_is_behind(ledger, shadow) != NULL;
}

enum err_kind stock_ledger_follow(const struct stock_ledger *ledger, struct stock_shadow *shadow,
                                  struct err *err)
{
    const struct log_place *ahead = stock_ledger_is_behind(ledger, shadow);
    enum err_kind kind = ERR_OK;

    if (ahead != NULL)
        return err_set(err, ERR_REJECT,
                       "inventory is behind the shadow: of %s/%d it has %s number %" PRIu64
                       ", the shadow holds %" PRIu64,
                       topic_name(ahead->topic), ahead->partition,
                       ahead->topic == TOPIC_INVENTORY ? "given out" : "applied",
                       stock_ledger_number(ledger, ahead), ahead->high_water);
    for (size_t i = 0; i < shadow->reader.place_count; i++) {
        struct log_place *place = &shadow->reader.places[i];

        place->until_offset = -1;
        place->until_number = stock_ledger_number(ledger, place);
    }
    if (!log_reader_is_there(&shadow->reader))
        kind = stock_shadow_move(shadow, err);
    return kind == ERR_OK ? stock_shadow_set_aside(shadow, &ledger->asides, err) : kind;
}
