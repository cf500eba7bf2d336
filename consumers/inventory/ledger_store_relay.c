#include "consumers/inventory/ledger_store_parts.h"
#include "runtime/clock.h"

#define COPY_AT_ONCE 100

enum err_kind ledger_store_last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                        struct err *err)
{
    struct ledger_store *store = self;

    (void)err;
    pthread_mutex_lock(&store->lock);
    memcpy(numbers, store->last_numbers, (size_t)partitions * sizeof *numbers);
    pthread_mutex_unlock(&store->lock);
    return ERR_OK;
}

enum err_kind ledger_store_published(void *self, uint64_t *numbers, int32_t partitions,
                                     struct err *err)
{
    struct ledger_store *store = self;

    (void)err;
    pthread_mutex_lock(&store->lock);
    memcpy(numbers, store->published, (size_t)partitions * sizeof *numbers);
    pthread_mutex_unlock(&store->lock);
    return ERR_OK;
}

enum err_kind ledger_store_note_published(void *self, const uint64_t *numbers,
                                          const int64_t *offsets, int32_t partitions,
                                          struct err *err)
{
    struct ledger_store *store = self;

    (void)err;
    pthread_mutex_lock(&store->lock);
    for (int32_t i = 0; i < partitions; i++)
        if (offsets[i] >= 0) {
            store->published[i] = numbers[i];
            store->published_offsets[i] = offsets[i];
        }
    pthread_mutex_unlock(&store->lock);
    return ERR_OK;
}

/* Copies, because each() may wait for others while the worker waits for the lock. */
static size_t copy_recent(struct ledger_store *store, struct recent *recent, int32_t shard,
                          uint64_t from, size_t max_bytes, struct journal_record **out,
                          struct arena *arena)
{
    const struct recent_record *first, *record;
    size_t count = 0, bytes = 0, i = 0;

    pthread_mutex_lock(&store->lock);
    first = recent_find(recent, shard, from);
    for (record = first; record != NULL && bytes < max_bytes;
         record = record->next_in_shard, count++)
        bytes += record->record.key.size + record->record.headers.size + record->record.value.size;
    *out = arena_array(arena, count + 1, sizeof **out);
    for (record = first; i < count; record = record->next_in_shard, i++)
        (*out)[i] = (struct journal_record){
            .shard = shard,
            .number = record->record.number,
            .key = arena_view(arena, record->record.key),
            .headers = arena_view(arena, record->record.headers),
            .value = arena_view(arena, record->record.value),
        };
    pthread_mutex_unlock(&store->lock);
    return count;
}

/* What the relay asks the chain for. */
struct chain_reading {
    struct ledger_store *store;
    int32_t shard;
    uint64_t next;
    size_t left_bytes;
    void (*each)(void *context, const struct journal_record *record);
    void *context;
};

/* A collection is read whole: what it holds of other shards waits for their turns, and so does what
 * is too much for this one. */
static void take_record(void *context, const struct journal_record *record)
{
    struct chain_reading *reading = context;
    struct ledger_store *store = reading->store;
    size_t bytes = record->key.size + record->headers.size + record->value.size;

    pthread_mutex_lock(&store->lock);
    if (record->number > store->published[record->shard])
        recent_add(&store->waiting, record);
    pthread_mutex_unlock(&store->lock);
    if (record->shard != reading->shard || record->number < reading->next ||
        reading->left_bytes == 0)
        return;
    reading->each(reading->context, record);
    reading->next = record->number + 1;
    reading->left_bytes -= bytes < reading->left_bytes ? bytes : reading->left_bytes;
}

enum err_kind ledger_store_read(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                                void (*each)(void *context, const struct journal_record *record),
                                void *context, struct err *err)
{
    struct ledger_store *store = self;
    AUTO(arena_clear) struct arena arena = {0};
    struct chain_reading reading = {store, shard, from, max_bytes, each, context};
    struct journal_record *records;
    uint64_t last;
    size_t count = copy_recent(store, &store->recent, shard, from, max_bytes, &records, &arena);

    if (count == 0)
        count = copy_recent(store, &store->waiting, shard, from, max_bytes, &records, &arena);
    for (size_t i = 0; i < count; i++)
        each(context, &records[i]);
    pthread_mutex_lock(&store->lock);
    last = store->last_numbers[shard];
    pthread_mutex_unlock(&store->lock);
    if (count > 0 || from > last)
        return ERR_OK;
    return chain_read_records(store->relay, shard, from, take_record, &reading, err);
}

/* Only the writer trims: it knows what is published. */
enum err_kind ledger_store_maintain(void *self, journal_prove_fn *prove, void *context,
                                    struct err *err)
{
    struct ledger_store *store = self;
    AUTO(arena_clear) struct arena arena = {0};
    size_t bytes = (size_t)store->partitions * sizeof *store->published;
    uint64_t *published = arena_alloc(&arena, bytes);
    bool leads;

    pthread_mutex_lock(&store->lock);
    recent_forget(&store->waiting); /* a backlog that is gone holds no memory */
    leads = store->ledger != NULL && store->epoch != 0 && store->ledger->epoch == store->epoch;
    memcpy(published, store->published, bytes);
    pthread_mutex_unlock(&store->lock);
    return leads ? chain_trim(store->relay, published, store->partitions,
                              store->journal_s * 1000000, clock_utc_us(), prove, context, err)
                 : ERR_OK;
}

/* --- Dead letters --------------------------------------------------------------------------- */

/* What the interface of stores calls a dead letter: views into the ledger. */
static struct dead_letter dead_of(const struct letter *letter)
{
    struct dead_letter dead = letter->dead;

    dead.id = letter->id;
    dead.set_aside_us = letter->time_us;
    dead.copied = letter->copied;
    return dead;
}

static struct dead_letter copy_dead(const struct letter *letter, struct arena *arena)
{
    const struct dead_letter dead = dead_of(letter);

    return dead_letter_copy(&dead, arena);
}

static size_t letters_to_copy(struct ledger_store *store, struct dead_letter *out,
                              struct arena *arena)
{
    size_t count = 0;

    pthread_mutex_lock(&store->lock);
    for (size_t i = 0;
         store->ledger != NULL && i < store->ledger->letter_count && count < COPY_AT_ONCE; i++) {
        const struct letter *letter = store->ledger->letters[i];

        if (letter->copied)
            continue;
        out[count++] = copy_dead(letter, arena);
    }
    pthread_mutex_unlock(&store->lock);
    return count;
}

static void note_copy(struct ledger_store *store, int64_t id)
{
    struct letter *letter;

    pthread_mutex_lock(&store->lock);
    letter = store->ledger != NULL ? ledger_find_letter(store->ledger, id) : NULL;
    if (letter != NULL) {
        letter->copied = true;
        store->copied = mem_grow(store->copied, store->copied_count + 1, sizeof *store->copied);
        store->copied[store->copied_count++] = id;
    }
    pthread_mutex_unlock(&store->lock);
}

enum err_kind ledger_store_copy_dead_letters(void *self,
                                             bool (*each)(void *context,
                                                          const struct dead_letter *dead),
                                             void *context, struct err *err)
{
    struct ledger_store *store = self;
    AUTO(arena_clear) struct arena arena = {0};
    struct dead_letter letters[COPY_AT_ONCE];
    size_t count = letters_to_copy(store, letters, &arena);

    (void)err;
    for (size_t i = 0; i < count; i++)
        if (each(context, &letters[i]))
            note_copy(store, letters[i].id);
    return ERR_OK;
}

enum err_kind ledger_store_load_dead_letters(void *self, int64_t id, struct dead_letter **out,
                                             size_t *count, struct arena *arena, struct err *err)
{
    struct ledger_store *store = self;
    const struct letter *first;
    size_t found = 0;
    enum err_kind kind = ledger_store_need(store, err);

    if (kind != ERR_OK)
        return kind;
    first = ledger_find_letter(store->ledger, id);
    *out = arena_array(arena, store->ledger->letter_count + 1, sizeof **out);
    for (size_t i = 0; first != NULL && i < store->ledger->letter_count; i++) {
        const struct letter *letter = store->ledger->letters[i];
        bool same_key = first->dead.number > 0 && letter->dead.number > 0 &&
                        view_equal(letter->dead.key, first->dead.key);

        if (letter == first || same_key)
            (*out)[found++] = copy_dead(letter, arena);
    }
    *count = found;
    return ERR_OK;
}

static enum err_kind not_known(struct err *err)
{
    return err_set(err, ERR_RETRY, "this instance has not read the ledger: another one leads");
}

enum err_kind ledger_store_list_dead_letters(void *self, int64_t after, int32_t limit,
                                             void (*each)(void *context,
                                                          const struct dead_letter *dead),
                                             void *context, struct err *err)
{
    struct ledger_store *store = self;
    AUTO(arena_clear) struct arena arena = {0};
    struct dead_letter *found = arena_array(&arena, (size_t)limit, sizeof *found);
    int32_t count = 0;
    bool known;

    pthread_mutex_lock(&store->lock);
    known = store->ledger != NULL;
    for (size_t i = 0; known && i < store->ledger->letter_count && count < limit; i++) {
        struct letter without_value = *store->ledger->letters[i];

        without_value.dead.value = VIEW_LITERAL("");
        if (without_value.id > after)
            found[count++] = copy_dead(&without_value, &arena);
    }
    pthread_mutex_unlock(&store->lock);
    for (int32_t i = 0; i < count; i++)
        each(context, &found[i]);
    return known ? ERR_OK : not_known(err);
}

enum err_kind ledger_store_find_dead_letter(void *self, int64_t id, const struct dead_letter **out,
                                            struct arena *arena, struct err *err)
{
    struct ledger_store *store = self;
    const struct letter *letter = NULL;
    struct dead_letter *found = NULL;
    bool known;

    pthread_mutex_lock(&store->lock);
    known = store->ledger != NULL;
    if (known)
        letter = ledger_find_letter(store->ledger, id);
    if (letter != NULL) {
        found = arena_alloc(arena, sizeof *found);
        *found = copy_dead(letter, arena);
    }
    pthread_mutex_unlock(&store->lock);
    *out = found;
    return known ? ERR_OK : not_known(err);
}

static struct view key_of_letter(const void *letter)
{
    return ((const struct letter *)letter)->dead.key;
}

/* Letters are sorted by their ids: the first of a key is the one that the others wait behind. */
static void find_undecided(struct lookup *out, const struct ledger *ledger, size_t max)
{
    struct lookup seen = {.key_of = key_of_letter};

    for (size_t i = 0; i < ledger->letter_count && out->count < max; i++) {
        struct letter *letter = ledger->letters[i];

        if (letter->dead.number == 0 || lookup_find(&seen, letter->dead.key) != NULL)
            continue;
        lookup_add(&seen, letter);
        if (letter->dead.reason == DEAD_UNDECIDED)
            lookup_add(out, letter);
    }
    lookup_clear(&seen);
}

/* Who keeps the ledger applies all partitions. */
enum err_kind ledger_store_undecided(void *self, const int32_t *partitions, size_t partition_count,
                                     size_t max, struct dead_letter **out, size_t *count,
                                     struct arena *arena, struct err *err)
{
    struct ledger_store *store = self;
    struct lookup found = {.key_of = key_of_letter};
    bool known;

    (void)partitions;
    (void)partition_count;
    *count = 0;
    pthread_mutex_lock(&store->lock);
    known = store->ledger != NULL;
    if (known) {
        const struct ledger *ledger = store->ledger;

        find_undecided(&found, ledger, max);
        *out = arena_array(arena, found.count > 0 ? ledger->letter_count : 1, sizeof **out);
        for (size_t i = 0; found.count > 0 && i < ledger->letter_count; i++)
            if (ledger->letters[i]->dead.number > 0 &&
                lookup_find(&found, ledger->letters[i]->dead.key) != NULL)
                (*out)[(*count)++] = copy_dead(ledger->letters[i], arena);
    }
    pthread_mutex_unlock(&store->lock);
    lookup_clear(&found);
    return known ? ERR_OK : not_known(err);
}
