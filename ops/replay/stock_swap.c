#include "ops/replay/stock_swap.h"

#include "runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 5
#define NEAR_EVENTS 2000 /* so close behind that the rest is folded while the part waits */
#define NEAR_TRIES 50

/* --- The state -------------------------------------------------------------------------------- */

static enum err_kind cannot_be(const struct err *why, struct err *err)
{
    char text[sizeof why->text];

    memcpy(text, why->text, sizeof text);
    return err_set(err, ERR_REJECT, "not swapped: what the topics give cannot be: %s", text);
}

static enum err_kind add_skus(struct stock *stock, const struct tally *tally, struct err *err)
{
    const struct tally_sku *sku;
    enum err_kind kind = ERR_OK;
    size_t place = 0;

    while (kind == ERR_OK && (sku = lookup_next(&tally->skus, &place)) != NULL) {
        struct stock_sku copy = {.code = sku->code, .received = sku->units[TALLY_RECEIVED]};

        memcpy(copy.units, sku->units, sizeof copy.units);
        kind = stock_restore_sku(stock, &copy, err);
    }
    return kind;
}

static enum err_kind add_orders(struct stock *stock, const struct tally *tally, struct err *err)
{
    const struct tally_order *order;
    enum err_kind kind = ERR_OK;
    size_t place = 0;

    while (kind == ERR_OK && (order = lookup_next(&tally->orders, &place)) != NULL)
        if (order->state != INVENTORY_NONE)
            kind = stock_restore_order(stock, order->id, order->state, order->items,
                                       order->item_count, err);
    return kind;
}

static int by_time(const void *a, const void *b)
{
    const struct tally_receipt *left = *(const struct tally_receipt *const *)a;
    const struct tally_receipt *right = *(const struct tally_receipt *const *)b;

    return (left->time_us > right->time_us) - (left->time_us < right->time_us);
}

static enum err_kind add_receipts(struct stock *stock, const struct tally *tally, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    size_t place = 0, count = 0;
    const struct tally_receipt **receipts =
        arena_array(&arena, tally->receipts.count + 1, sizeof(struct tally_receipt *));
    const struct tally_receipt *receipt;
    enum err_kind kind = ERR_OK;

    while ((receipt = lookup_next(&tally->receipts, &place)) != NULL)
        receipts[count++] = receipt;
    qsort(receipts, count, sizeof(struct tally_receipt *), by_time);
    for (size_t i = 0; kind == ERR_OK && i < count; i++) {
        const struct stock_item item = {receipts[i]->sku, receipts[i]->quantity};

        kind = stock_restore_receipt(stock, receipts[i]->id, &item, receipts[i]->time_us, err);
    }
    return kind;
}

struct documents {
    bson_t **list;
    size_t count;
};

static void keep_document(void *context, bson_t *document)
{
    struct documents *documents = context;

    documents->list = mem_grow(documents->list, documents->count + 1, sizeof(bson_t *));
    documents->list[documents->count++] = document;
}

enum err_kind stock_write_state(char name[LEDGER_NAME_SIZE], const struct stock_edit *edit,
                                const struct stock_shadow *shadow,
                                const struct letter *const *letters, size_t letter_count,
                                const struct standing *standing, struct err *err)
{
    struct documents documents = {0};
    struct standing of_state = *standing;
    struct stock stock;
    enum err_kind kind;

    of_state.writer = view_str(edit->run);
    stock_init(&stock);
    kind = add_skus(&stock, &shadow->tally, err);
    if (kind == ERR_OK)
        kind = add_orders(&stock, &shadow->tally, err);
    if (kind == ERR_OK)
        kind = add_receipts(&stock, &shadow->tally, err);
    if (kind != ERR_OK)
        kind = cannot_be(err, err);
    else
        snapshot_write(&stock, letters, letter_count, &of_state, keep_document, &documents);
    if (kind == ERR_OK)
        kind = chain_write_state(name, edit->ledger->mongo, standing->number, edit->run,
                                 documents.list, documents.count, err);
    for (size_t i = 0; i < documents.count; i++)
        bson_destroy(documents.list[i]);
    free(documents.list);
    stock_clear(&stock);
    return kind;
}

/* --- What is put away ------------------------------------------------------------------------- */

enum err_kind stock_swap_stands(void *context, const struct tally_about *about, bool *stands,
                                struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(bson_destroy) bson_t *document = NULL;
    struct stock_ledger *ledger = context;
    char collection[LEDGER_NAME_SIZE], id[LEDGER_ID_SIZE];
    struct batch batch;
    enum err_kind kind;

    ledger_collection(collection, about->swap_number);
    ledger_id(id, about->swap_number);
    kind = mongo_find(ledger->mongo, collection, id, &document, err);
    if (kind == ERR_OK && document != NULL)
        kind = batch_read(&batch, document, &arena, err);
    if (kind == ERR_OK)
        /* The chain has come by there: what is not there any more was trimmed. */
        *stands = document != NULL ? view_equals(batch.state, about->swap_state)
                                   : ledger->standing->number >= about->swap_number;
    return kind;
}

static enum err_kind put_away(struct stock_swap *swap, uint64_t number, const char *state,
                              struct err *err)
{
    struct tally_about about = {.swap_number = number,
                                .aside_keys = swap->shadow->about.aside_keys,
                                .aside_count = swap->shadow->about.aside_count};

    snprintf(about.swap_state, sizeof about.swap_state, "%s", state);
    return tally_save(swap->old, &swap->ledger->tally, &swap->shadow->reader, &about, err);
}

/* --- Swapping --------------------------------------------------------------------------------- */

/* Come so close that little is left to be done while the part waits. */
static enum err_kind come_near(struct stock_swap *swap, int32_t partitions, struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (int i = 0; i < NEAR_TRIES && kind == ERR_OK; i++) {
        uint64_t before = swap->shadow->folded;

        if ((kind = stock_ledger_read(swap->ledger, partitions, err)) == ERR_OK)
            kind = stock_ledger_follow(swap->ledger, swap->shadow, err);
        if (swap->shadow->folded - before < NEAR_EVENTS)
            break;
    }
    return kind;
}

/* The part waits. */
static enum err_kind put_in_place(struct stock_swap *swap, struct stock_edit *edit, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = {0};
    char state[LEDGER_NAME_SIZE];
    const struct ledger *ledger = swap->ledger->standing;
    enum err_kind kind = stock_ledger_follow(swap->ledger, swap->shadow, err);

    if (kind == ERR_OK) {
        batch.standing = stock_edit_next(edit, &arena);
        kind = stock_edit_tell(&batch, &swap->acted, &arena, err);
    }
    if (kind == ERR_OK)
        kind = stock_write_state(state, edit, swap->shadow,
                                 (const struct letter *const *)ledger->letters,
                                 ledger->letter_count, &batch.standing, err);
    if (kind == ERR_OK)
        kind = put_away(swap, batch.standing.number, state, err);
    if (kind != ERR_OK)
        return kind;
    batch.state = view_str(state);
    return stock_edit_append(edit, &batch, err);
}

static enum err_kind swap_once(struct stock_swap *swap, struct err *err)
{
    int32_t partitions = swap->shadow->reader.partitions;
    struct stock_edit edit;
    int64_t start_ms;
    enum err_kind kind = come_near(swap, partitions, err);

    if (kind != ERR_OK)
        return kind;
    stock_edit_init(&edit, swap->ledger, partitions);
    start_ms = clock_monotonic_ms();
    kind = stock_edit_hold(&edit, err);
    if (kind == ERR_OK)
        kind = put_in_place(swap, &edit, err);
    swap->result->held_ms = clock_monotonic_ms() - start_ms;
    stock_edit_release(&edit);
    return kind;
}

enum err_kind stock_swap(struct stock_swap *swap, struct err *err)
{
    enum err_kind kind = ERR_RETRY;

    for (int i = 0; i < TRIES && kind == ERR_RETRY; i++)
        kind = swap_once(swap, err);
    return kind == ERR_OK ? tally_drop_older(swap->old, err) : kind;
}

enum err_kind stock_swap_tell(struct stock_ledger *ledger, const struct acted *acted,
                              struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = {0};
    struct stock_edit edit;
    enum err_kind kind = ERR_RETRY;

    stock_edit_init(&edit, ledger, acted->partitions);
    for (int i = 0; i < TRIES && kind == ERR_RETRY; i++) {
        kind = stock_edit_hold(&edit, err);
        if (kind != ERR_OK)
            continue;
        batch.standing = stock_edit_next(&edit, &arena);
        kind = stock_edit_tell(&batch, acted, &arena, err);
        if (kind == ERR_OK)
            kind = stock_edit_append(&edit, &batch, err);
        stock_edit_release(&edit);
    }
    return kind;
}
