#include "consumers/inventory/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct ledger *ledger_new(struct view warehouse, int32_t partitions)
{
    struct ledger *ledger = mem_alloc(sizeof *ledger);
    size_t count = (size_t)partitions;

    ledger->warehouse = mem_strdup_view(warehouse);
    ledger->partitions = partitions;
    ledger->last_numbers = mem_alloc(count * sizeof *ledger->last_numbers);
    ledger->published = mem_alloc(count * sizeof *ledger->published);
    ledger->published_offsets = mem_alloc(count * sizeof *ledger->published_offsets);
    for (size_t i = 0; i < count; i++)
        ledger->published_offsets[i] = -1;
    stock_init(&ledger->stock);
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (size_t i = 0; i < ledger->position_count; i++) {
        free(ledger->positions[i].topic);
        free(ledger->positions[i].offsets);
        free(ledger->positions[i].numbers);
    }
    for (size_t i = 0; i < ledger->letter_count; i++)
        free(ledger->letters[i]);
    free(ledger->positions);
    free(ledger->letters);
    free(ledger->last_numbers);
    free(ledger->published);
    free(ledger->published_offsets);
    free(ledger->warehouse);
    stock_clear(&ledger->stock);
    free(ledger);
}

/* --- Positions ------------------------------------------------------------------------------ */

static struct ledger_positions *find_positions(const struct ledger *ledger, struct view topic)
{
    for (size_t i = 0; i < ledger->position_count; i++)
        if (view_equals(topic, ledger->positions[i].topic))
            return &ledger->positions[i];
    return NULL;
}

static void set_positions(struct ledger *ledger, const struct positions *from)
{
    struct ledger_positions *to = find_positions(ledger, from->topic);
    size_t count = (size_t)ledger->partitions;

    if (to == NULL) {
        ledger->positions =
            mem_grow(ledger->positions, ledger->position_count + 1, sizeof *ledger->positions);
        to = &ledger->positions[ledger->position_count++];
        to->topic = mem_strdup_view(from->topic);
        to->offsets = mem_alloc(count * sizeof *to->offsets);
        to->numbers = mem_alloc(count * sizeof *to->numbers);
    }
    memcpy(to->offsets, from->offsets, count * sizeof *to->offsets);
    memcpy(to->numbers, from->numbers, count * sizeof *to->numbers);
}

void ledger_read_mark(const struct ledger *ledger, struct mark *mark)
{
    const struct ledger_positions *positions = find_positions(ledger, view_str(mark->topic));

    mark->next_offset = -1;
    mark->high_water = 0;
    mark->fresh = true;
    if (positions == NULL || mark->partition >= ledger->partitions)
        return;
    mark->next_offset = positions->offsets[mark->partition];
    mark->high_water = positions->numbers[mark->partition];
    mark->fresh = mark->high_water == 0;
}

/* --- Dead letters --------------------------------------------------------------------------- */

static struct view copy_bytes(char **room, struct view bytes)
{
    struct view copy = view_of(*room, bytes.size);

    if (bytes.data == NULL)
        return VIEW_NONE;
    memcpy(*room, bytes.data, bytes.size);
    *room += bytes.size;
    return copy;
}

static const char *copy_text(char **room, const char *text)
{
    return copy_bytes(room, view_of(text, strlen(text) + 1)).data;
}

/* Where the letter is, or would be. */
static size_t place_of_letter(const struct ledger *ledger, int64_t id)
{
    size_t low = 0, high = ledger->letter_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ledger->letters[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void ledger_add_letter(struct ledger *ledger, const struct letter *letter)
{
    const struct dead_letter *dead = &letter->dead;
    size_t bytes = dead->key.size + dead->headers.size + dead->value.size + strlen(dead->topic) +
                   strlen(dead->error) + 2;
    struct letter *copy = mem_alloc(sizeof *copy + bytes);
    char *room = (char *)(copy + 1);
    size_t place;

    *copy = *letter;
    copy->dead.key = copy_bytes(&room, dead->key);
    copy->dead.headers = copy_bytes(&room, dead->headers);
    copy->dead.value = copy_bytes(&room, dead->value);
    copy->dead.topic = copy_text(&room, dead->topic);
    copy->dead.error = copy_text(&room, dead->error);
    ledger->letters = mem_room(ledger->letters, ledger->letter_count, &ledger->letter_capacity,
                               sizeof *ledger->letters);
    place = place_of_letter(ledger, letter->id);
    if (place < ledger->letter_count && ledger->letters[place]->id == letter->id) {
        free(ledger->letters[place]);
    } else {
        memmove(&ledger->letters[place + 1], &ledger->letters[place],
                (ledger->letter_count - place) * sizeof(struct letter *));
        ledger->letter_count++;
    }
    ledger->letters[place] = copy;
    if (ledger->last_letter < letter->id)
        ledger->last_letter = letter->id;
}

struct letter *ledger_find_letter(const struct ledger *ledger, int64_t id)
{
    size_t place = place_of_letter(ledger, id);

    return place < ledger->letter_count && ledger->letters[place]->id == id ? ledger->letters[place]
                                                                            : NULL;
}

static void remove_letter(struct ledger *ledger, int64_t id)
{
    size_t place = place_of_letter(ledger, id);

    if (ledger_find_letter(ledger, id) == NULL)
        return;
    free(ledger->letters[place]);
    ledger->letter_count--;
    memmove(&ledger->letters[place], &ledger->letters[place + 1],
            (ledger->letter_count - place) * sizeof(struct letter *));
}

static bool is_among(int64_t id, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

bool ledger_has_letter(const struct ledger *ledger, struct view key, const int64_t *except,
                       size_t except_count)
{
    for (size_t i = 0; i < ledger->letter_count; i++)
        if (ledger->letters[i]->dead.number > 0 && view_equal(ledger->letters[i]->dead.key, key) &&
            !is_among(ledger->letters[i]->id, except, except_count))
            return true;
    return false;
}

/* --- Folding -------------------------------------------------------------------------------- */

static enum err_kind check_standing(const struct ledger *ledger, const struct standing *standing,
                                    struct err *err)
{
    if (!view_equals(standing->warehouse, ledger->warehouse))
        return err_set(err, ERR_STOP,
                       "ledger document %" PRIu64 ": it is of warehouse '%.*s', want '%s'",
                       standing->number, VIEW_PRINT(standing->warehouse), ledger->warehouse);
    /* A ledger from before operators' actions were recorded has one shard less. */
    if (standing->partitions != ledger->partitions &&
        standing->partitions + 1 != ledger->partitions)
        return err_set(err, ERR_STOP,
                       "ledger document %" PRIu64 ": it is of %d partitions, want %d",
                       standing->number, standing->partitions, ledger->partitions);
    return ERR_OK;
}

static void take_standing(struct ledger *ledger, const struct standing *standing)
{
    size_t count = (size_t)ledger->partitions;

    ledger->number = standing->number;
    ledger->epoch = standing->epoch;
    ledger->time_us = standing->time_us;
    snprintf(ledger->writer, sizeof ledger->writer, "%.*s", VIEW_PRINT(standing->writer));
    memcpy(ledger->last_numbers, standing->last_numbers, count * sizeof *ledger->last_numbers);
    /* What is known here may be newer than what the document says. */
    for (size_t i = 0; i < count; i++)
        if (ledger->published[i] < standing->published[i]) {
            ledger->published[i] = standing->published[i];
            ledger->published_offsets[i] = standing->published_offsets[i];
        }
    for (size_t i = 0; i < standing->position_count; i++)
        set_positions(ledger, &standing->positions[i]);
    if (ledger->last_letter < standing->last_letter)
        ledger->last_letter = standing->last_letter;
    ledger->flow = standing->flow;
}

void ledger_settle(struct ledger *ledger, const struct batch *batch)
{
    take_standing(ledger, &batch->standing);
    for (size_t i = 0; i < batch->letter_count; i++)
        ledger_add_letter(ledger, &batch->letters[i]);
    for (size_t i = 0; i < batch->removed_count; i++)
        remove_letter(ledger, batch->removed[i]);
    for (size_t i = 0; i < batch->copied_count; i++) {
        struct letter *letter = ledger_find_letter(ledger, batch->copied[i]);

        if (letter != NULL)
            letter->copied = true;
    }
    stock_keep(&ledger->stock);
}

enum err_kind ledger_fold(struct ledger *ledger, const struct batch *batch, struct err *err)
{
    enum err_kind kind = check_standing(ledger, &batch->standing, err);

    if (kind != ERR_OK)
        return kind;
    if (batch->standing.number != ledger->number + 1)
        return err_set(err, ERR_STOP, "ledger document %" PRIu64 ": it comes behind %" PRIu64,
                       batch->standing.number, ledger->number);
    ledger->asks_to_wait = batch->asks_to_wait;
    if (batch->is_aside) {
        ledger->number = batch->standing.number;
        return ERR_OK;
    }
    ledger->stock.time_us = batch->standing.time_us;
    for (size_t i = 0; i < batch->entry_count; i++) {
        struct err why;

        if (stock_apply(&ledger->stock, &batch->entries[i], &why) != ERR_OK) {
            stock_undo(&ledger->stock, 0);
            return err_set(err, ERR_STOP, "ledger document %" PRIu64 ", entry %zu: %s",
                           batch->standing.number, i, why.text);
        }
    }
    ledger_settle(ledger, batch);
    return ERR_OK;
}

void ledger_forget(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->letter_count; i++)
        free(ledger->letters[i]);
    ledger->letter_count = 0;
    stock_clear(&ledger->stock);
    stock_init(&ledger->stock);
}

static enum err_kind restore_sku(void *context, const struct stock_sku *sku, struct err *err)
{
    return stock_restore_sku(&((struct ledger *)context)->stock, sku, err);
}

static enum err_kind restore_order(void *context, struct view id, enum saga_inventory_state state,
                                   const struct stock_item *items, size_t item_count,
                                   struct err *err)
{
    return stock_restore_order(&((struct ledger *)context)->stock, id, state, items, item_count,
                               err);
}

static enum err_kind restore_receipt(void *context, struct view id, const struct stock_item *item,
                                     int64_t time_us, struct err *err)
{
    return stock_restore_receipt(&((struct ledger *)context)->stock, id, item, time_us, err);
}

static void restore_letter(void *context, const struct letter *letter)
{
    ledger_add_letter(context, letter);
}

struct snapshot_visitor ledger_visitor(struct ledger *ledger)
{
    return (struct snapshot_visitor){.sku = restore_sku,
                                     .order = restore_order,
                                     .receipt = restore_receipt,
                                     .letter = restore_letter,
                                     .context = ledger};
}

enum err_kind ledger_restore(struct ledger *ledger, const struct standing *standing,
                             struct err *err)
{
    enum err_kind kind = check_standing(ledger, standing, err);

    if (kind == ERR_OK)
        take_standing(ledger, standing);
    return kind;
}

struct standing ledger_standing(const struct ledger *ledger, struct arena *arena)
{
    struct positions *positions = arena_array(arena, ledger->position_count + 1, sizeof *positions);

    for (size_t i = 0; i < ledger->position_count; i++)
        positions[i] = (struct positions){.topic = view_str(ledger->positions[i].topic),
                                          .offsets = ledger->positions[i].offsets,
                                          .numbers = ledger->positions[i].numbers};
    return (struct standing){
        .number = ledger->number,
        .epoch = ledger->epoch,
        .time_us = ledger->time_us,
        .writer = view_str(ledger->writer),
        .warehouse = view_str(ledger->warehouse),
        .partitions = ledger->partitions,
        .last_numbers = ledger->last_numbers,
        .published = ledger->published,
        .published_offsets = ledger->published_offsets,
        .positions = positions,
        .position_count = ledger->position_count,
        .last_letter = ledger->last_letter,
        .flow = ledger->flow,
    };
}
