#include "ops/replay/stock_edit.h"

#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define HOLD_TRIES 2000

void stock_edit_init(struct stock_edit *edit, struct stock_ledger *ledger, int32_t partitions)
{
    uint64_t random = 0;

    *edit = (struct stock_edit){.ledger = ledger, .partitions = partitions};
    if (getentropy(&random, sizeof random) != 0)
        random = (uint64_t)clock_utc_us() ^ (uint64_t)getpid() << 48;
    snprintf(edit->run, sizeof edit->run, "%016" PRIx64, random);
}

struct standing stock_edit_next(const struct stock_edit *edit, struct arena *arena)
{
    const struct ledger *ledger = edit->ledger->standing;
    struct standing standing = ledger_standing(ledger, arena);
    size_t bytes = (size_t)standing.partitions * sizeof(uint64_t);
    uint64_t *last_numbers = arena_alloc(arena, bytes);
    int64_t now_us = clock_utc_us();

    memcpy(last_numbers, standing.last_numbers, bytes);
    standing.last_numbers = last_numbers;
    standing.number++;
    if (standing.epoch == 0)
        standing.epoch = standing.number; /* nobody has ever taken it over */
    if (standing.time_us < now_us)
        standing.time_us = now_us;
    return standing;
}

/* One document, at its number. */
static enum err_kind insert(struct stock_edit *edit, struct batch *batch, bool *taken,
                            struct err *err)
{
    char writer[LEDGER_WRITER_MAX];
    bson_t *document;
    enum err_kind kind;

    snprintf(writer, sizeof writer, "replay/%s/%" PRIu64, edit->run, ++edit->documents);
    batch->standing.writer = view_str(writer);
    document = batch_write(batch);
    kind = chain_append(edit->ledger->mongo, document, batch->standing.number, taken, err);
    bson_destroy(document);
    return kind;
}

/* The last document of a collection says how far all of it goes: it has to be a whole one. */
static bool ends_collection(uint64_t number)
{
    return number % LEDGER_COLLECTION_DOCUMENTS == LEDGER_COLLECTION_DOCUMENTS - 1;
}

static enum err_kind read_again(struct stock_edit *edit, struct err *err)
{
    return stock_ledger_read(edit->ledger, edit->partitions, err);
}

/* That document, as an empty one of the part. The ledger is read again for it: standings that were
 * made before are gone. */
static enum err_kind end_collection(struct stock_edit *edit, struct arena *arena, struct err *err)
{
    struct batch whole = {0};
    bool taken = false;
    enum err_kind kind = read_again(edit, err);

    if (kind == ERR_OK)
        whole.standing = stock_edit_next(edit, arena);
    if (kind == ERR_OK && ends_collection(whole.standing.number))
        kind = insert(edit, &whole, &taken, err);
    return taken ? ERR_OK : kind; /* the part has written it */
}

/* Run after the part until a number is free. */
static enum err_kind take_number(struct stock_edit *edit, uint64_t *number, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = {.is_aside = true, .asks_to_wait = true};

    *number = edit->ledger->standing->number;
    for (int i = 0; i < HOLD_TRIES; i++) {
        bool taken = true;
        enum err_kind kind;

        if (ends_collection(++*number)) {
            kind = end_collection(edit, &arena, err);
        } else {
            batch.standing = stock_edit_next(edit, &arena);
            batch.standing.number = *number;
            kind = insert(edit, &batch, &taken, err);
        }
        if (!taken || (kind != ERR_OK && kind != ERR_REJECT))
            return kind;
    }
    return err_set(err, ERR_RETRY, "inventory writes its ledger all the time");
}

enum err_kind stock_edit_hold(struct stock_edit *edit, struct err *err)
{
    uint64_t number;
    enum err_kind kind = take_number(edit, &number, err);

    if (kind == ERR_OK)
        kind = read_again(edit, err);
    if (kind != ERR_OK)
        return kind;
    if (edit->ledger->standing->number != number)
        return err_set(err, ERR_RETRY, "inventory did not wait: another instance took over");
    edit->holds = true;
    return ERR_OK;
}

enum err_kind stock_edit_append(struct stock_edit *edit, struct batch *batch, struct err *err)
{
    bool taken;
    enum err_kind kind = insert(edit, batch, &taken, err);

    if (kind == ERR_OK)
        edit->holds = false;
    return taken ? err_set(err, ERR_RETRY,
                           "document %" PRIu64 " of the ledger is taken: inventory did not wait",
                           batch->standing.number)
                 : kind;
}

void stock_edit_release(struct stock_edit *edit)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = {0};
    struct err err;

    if (!edit->holds)
        return;
    batch.standing = stock_edit_next(edit, &arena);
    stock_edit_append(edit, &batch, &err);
    edit->holds = false;
}

enum err_kind stock_edit_tell(struct batch *batch, const struct acted *acted, struct arena *arena,
                              struct err *err)
{
    uint64_t *last_numbers = (uint64_t *)batch->standing.last_numbers;
    struct journal_record *record = arena_alloc(arena, sizeof *record);
    enum err_kind kind =
        acted_record(record, acted, last_numbers[acted->partitions] + 1, arena, err);

    if (kind != ERR_OK)
        return kind;
    last_numbers[acted->partitions]++;
    batch->records = record;
    batch->record_count = 1;
    return ERR_OK;
}
