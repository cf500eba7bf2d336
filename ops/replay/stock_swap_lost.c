#include "ops/replay/stock_swap.h"
#include "ops/replay/strangers.h"
#include "runtime/clock.h"

#include <stdlib.h>

#define TRIES 20 /* instances of the part that try to start write a document each */

struct lost {
    struct stock_swap *swap;
    struct stock_edit edit;
    struct arena arena;
    struct letter *letters;
    size_t letter_count, letter_capacity;
    int64_t last_letter; /* of the chain that is continued */
};

/* --- What has to be decided again ------------------------------------------------------------- */

static bool wants_an_answer(const struct key_event *event)
{
    return event->event.type == EVENT_ORDER_CREATED || event->event.type == EVENT_ORDER_CONFIRMED ||
           event->event.type == EVENT_ORDER_CANCELLED;
}

static struct letter *add_letter(struct lost *lost)
{
    struct letter *letter;

    lost->letters = arena_room(&lost->arena, lost->letters, lost->letter_count,
                               &lost->letter_capacity, sizeof *lost->letters);
    letter = &lost->letters[lost->letter_count++];
    *letter = (struct letter){.id = lost->last_letter + (int64_t)lost->letter_count,
                              .time_us = clock_utc_us()};
    return letter;
}

static void add_undecided(struct lost *lost, const struct key_event *event)
{
    struct letter *letter = add_letter(lost);

    letter->copied = true; /* nobody has to look at it */
    letter->dead = (struct dead_letter){.reason = DEAD_UNDECIDED,
                                        .error = "its outcome was lost with the database",
                                        .topic = topic_name(event->topic),
                                        .partition = event->partition,
                                        .offset = event->offset,
                                        .number = event->number,
                                        .time_ms = event->stored_ms,
                                        .key = event->envelope.subject,
                                        .headers = event->headers,
                                        .value = event->value};
    lost->swap->result->undecided++;
}

static enum err_kind find_strangers(struct lost *lost, struct err *err)
{
    static const enum topic TOPIC = TOPIC_ORDERS;
    const struct stock_shadow *shadow = lost->swap->shadow;
    struct strangers strangers = {.arena = &lost->arena};
    enum err_kind kind = strangers_read(&strangers, &shadow->reader, lost->swap->acted.part, &TOPIC,
                                        1, shadow->ids, err);

    for (size_t i = 0; kind == ERR_OK && i < strangers.count; i++) {
        const struct stranger *stranger = &strangers.list[i];

        add_letter(lost)->dead = (struct dead_letter){.reason = DEAD_NO_NUMBER,
                                                      .error = stranger->error,
                                                      .topic = topic_name(stranger->topic),
                                                      .partition = stranger->partition,
                                                      .offset = stranger->offset,
                                                      .time_ms = stranger->time_ms,
                                                      .attempts = 1,
                                                      .key = stranger->key,
                                                      .headers = stranger->headers,
                                                      .value = stranger->value};
    }
    return kind;
}

static enum err_kind find_undecided(struct lost *lost, struct err *err)
{
    static const enum topic TOPIC = TOPIC_ORDERS;
    const struct stock_shadow *shadow = lost->swap->shadow;
    const struct key_events_until until = {.position = &shadow->reader};
    struct view *keys = arena_array(&lost->arena, shadow->tally.orders.count + 1, sizeof *keys);
    const struct tally_order *order;
    struct key_event *events = NULL;
    size_t place = 0, key_count = 0, count = 0;
    enum err_kind kind = ERR_OK;

    while ((order = lookup_next(&shadow->tally.orders, &place)) != NULL)
        if (tally_is_asked(order))
            keys[key_count++] = order->id;
    if (key_count > 0)
        kind = key_events_read(&events, &count, shadow->reader.brokers, &TOPIC, 1,
                               shadow->reader.partitions, &until, keys, key_count, shadow->ids,
                               &lost->arena, err);
    for (size_t i = 0; kind == ERR_OK && i < count; i++) {
        order = lookup_find(&shadow->tally.orders, events[i].envelope.subject);
        if (order != NULL && events[i].number > order->cause && wants_an_answer(&events[i]))
            add_undecided(lost, &events[i]);
    }
    return kind;
}

/* --- The document ----------------------------------------------------------------------------- */

static void fill_positions(struct lost *lost, struct standing *standing)
{
    const struct log_reader *reader = &lost->swap->shadow->reader;
    size_t count = (size_t)standing->partitions;
    uint64_t *numbers = arena_array(&lost->arena, count, sizeof *numbers);
    uint64_t *last_numbers = arena_array(&lost->arena, count, sizeof *last_numbers);
    int64_t *offsets = arena_array(&lost->arena, count, sizeof *offsets);
    int64_t *published_offsets = arena_array(&lost->arena, count, sizeof *published_offsets);
    struct positions *positions = arena_alloc(&lost->arena, sizeof *positions);

    for (size_t i = 0; i < count; i++)
        published_offsets[i] = offsets[i] = -1;
    for (size_t i = 0; i < reader->place_count; i++) {
        const struct log_place *place = &reader->places[i];

        if (place->topic == TOPIC_INVENTORY) {
            last_numbers[place->partition] = place->high_water;
            published_offsets[place->partition] =
                place->high_water > 0 ? place->next_offset - 1 : -1;
        } else {
            numbers[place->partition] = place->high_water;
            offsets[place->partition] = place->next_offset;
        }
    }
    *positions = (struct positions){view_str(topic_name(TOPIC_ORDERS)), offsets, numbers};
    standing->positions = positions;
    standing->position_count = 1;
    standing->last_numbers = last_numbers;
    standing->published = last_numbers;
    standing->published_offsets = published_offsets;
}

static enum err_kind fill_state(struct lost *lost, struct batch *batch, struct err *err)
{
    struct stock_swap *swap = lost->swap;
    struct standing *standing = &batch->standing;
    uint64_t told, *published;
    int64_t told_offset;
    size_t shared = (size_t)swap->acted.partitions;
    const struct letter **letters =
        arena_array(&lost->arena, lost->letter_count + 1, sizeof(struct letter *));
    char *state = arena_alloc(&lost->arena, LEDGER_NAME_SIZE);
    enum err_kind kind = acted_last_number(&told, &told_offset, swap->shadow->reader.brokers,
                                           swap->acted.part, swap->acted.partitions, err);

    if (kind != ERR_OK)
        return kind;
    for (size_t i = 0; i < lost->letter_count; i++)
        letters[i] = &lost->letters[i];
    fill_positions(lost, standing);
    standing->last_letter = lost->last_letter + (int64_t)lost->letter_count;
    standing->epoch = standing->number; /* nobody who took over before it writes behind it */
    ((uint64_t *)standing->last_numbers)[shared] = told;
    ((int64_t *)standing->published_offsets)[shared] = told_offset;
    published = arena_array(&lost->arena, shared + 1, sizeof *published);
    memcpy(published, standing->last_numbers, (shared + 1) * sizeof *published);
    standing->published = published;
    kind = stock_edit_tell(batch, &swap->acted, &lost->arena, err);
    if (kind == ERR_OK)
        kind = stock_write_state(state, &lost->edit, swap->shadow, letters, lost->letter_count,
                                 standing, err);
    batch->state = view_str(state);
    return kind;
}

/* Instances of the part that try to start, and refuse, write a document first: look again. */
static enum err_kind put_in_place(struct lost *lost, struct err *err)
{
    enum err_kind kind = ERR_RETRY;

    for (int i = 0; i < TRIES && kind == ERR_RETRY; i++) {
        struct batch batch = {0};

        kind = stock_ledger_read(lost->swap->ledger, lost->edit.partitions, err);
        if (kind != ERR_OK)
            continue;
        batch.standing = stock_edit_next(&lost->edit, &lost->arena);
        kind = fill_state(lost, &batch, err);
        if (kind == ERR_OK)
            kind = stock_edit_append(&lost->edit, &batch, err);
    }
    return kind;
}

enum err_kind stock_swap_into_lost(struct stock_swap *swap, struct err *err)
{
    struct lost lost = {.swap = swap};
    int64_t start_ms = clock_monotonic_ms();
    enum err_kind kind;

    stock_edit_init(&lost.edit, swap->ledger, swap->shadow->reader.partitions);
    lost.last_letter = swap->ledger->standing->last_letter;
    kind = find_strangers(&lost, err);
    if (kind == ERR_OK)
        kind = find_undecided(&lost, err);
    if (kind == ERR_OK)
        kind = put_in_place(&lost, err);
    swap->result->held_ms = clock_monotonic_ms() - start_ms;
    arena_clear(&lost.arena);
    return kind;
}
