#include "consumers/inventory/ledger_store.h"

#include "consumers/inventory/chain.h"
#include "consumers/inventory/recent.h"
#include "consumers/inventory/snapshotter.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Records kept for the relay. What it misses here costs it a scan of a collection. */
#define RECENT_BYTES (4u << 20)
/* A snapshot is due when this much was written since the last one (or twice its own size): what a
 * takeover has to read, [m] 22 MB/s from FerretDB. */
#define SNAPSHOT_EVERY_BYTES (16u << 20)
#define SNAPSHOT_EVERY_DOCUMENTS 1024
#define TAKE_OVER_TRIES 5
#define COPY_AT_ONCE 100

static struct metric documents_total =
    METRIC(METRIC_COUNTER, "tradewind_ledger_documents_total", "Documents written to the ledger");
static struct metric reloads_total = METRIC(METRIC_COUNTER, "tradewind_ledger_reloads_total",
                                            "Times the ledger was read back from its store");
static struct metric insert_time =
    METRIC(METRIC_HISTOGRAM, "tradewind_ledger_insert_seconds", "One insert into the ledger");

struct ledger_store {
    struct mongo *worker, *relay;
    struct snapshotter *snapshotter;
    char *instance, *warehouse;
    char run[17]; /* of this process: random hex */
    int32_t partitions;
    int64_t belief_ms;

    /* The worker's. The relay looks at ledger only under the lock, and the worker changes the
     * pointer, and anything in it but the stock, only under it. */
    struct ledger *ledger; /* NULL: to be read */
    uint64_t epoch;        /* of the document with which we took over; 0: we did not */
    uint64_t attempts;
    int64_t believed_ms;
    size_t since_bytes, since_documents, snapshot_bytes; /* since the last snapshot; its size */
    bool beat;
    uint64_t waits_behind; /* the last document that asked to wait, and how long we do */
    int64_t waits_until_ms;
    const struct commit *commit; /* of the unit that began */
    struct entry *entries;
    size_t entry_count, entry_capacity;

    pthread_mutex_t lock;
    struct recent recent;
    uint64_t *last_numbers; /* arrays of one element a shard: what the relay may know */
    uint64_t *published;
    int64_t *published_offsets;
    int64_t *copied; /* dead letters that were copied since the last document */
    size_t copied_count;
};

/* --- Reading the chain ---------------------------------------------------------------------- */

static void drop_unit(struct ledger_store *store)
{
    store->entry_count = 0;
    store->commit = NULL;
    store->beat = false;
}

static void drop_ledger(struct ledger_store *store)
{
    struct ledger *ledger = store->ledger;

    pthread_mutex_lock(&store->lock);
    store->ledger = NULL;
    recent_forget(&store->recent);
    pthread_mutex_unlock(&store->lock);
    ledger_free(ledger);
}

/* What the relay asks for, after a document was folded or a snapshot read. Under the lock. */
static void show_relay(struct ledger_store *store, const struct ledger *ledger)
{
    for (int32_t i = 0; i < store->partitions; i++) {
        store->last_numbers[i] = ledger->last_numbers[i];
        if (store->published[i] < ledger->published[i]) {
            store->published[i] = ledger->published[i];
            store->published_offsets[i] = ledger->published_offsets[i];
        }
    }
}

struct load {
    struct ledger_store *store;
    const char *writer; /* of the attempt that is looked for; NULL: none */
    uint64_t number;
    bool found;
    size_t documents;
};

static void loaded_batch(void *context, const struct batch *batch)
{
    struct load *load = context;

    load->documents++;
    if (load->writer != NULL && batch->standing.number == load->number &&
        view_equals(batch->standing.writer, load->writer))
        load->found = true;
    pthread_mutex_lock(&load->store->lock);
    for (size_t i = 0; i < batch->record_count; i++)
        recent_add(&load->store->recent, &batch->records[i]);
    pthread_mutex_unlock(&load->store->lock);
}

static enum err_kind load_ledger(struct ledger_store *store, struct load *load, struct err *err)
{
    int64_t started_ms = clock_monotonic_ms();
    AUTO(ledger_free)
    struct ledger *ledger = ledger_new(view_str(store->warehouse), store->partitions);
    enum err_kind kind;

    drop_ledger(store);
    load->store = store;
    kind = chain_load(ledger, store->worker, loaded_batch, load, err);
    if (kind != ERR_OK)
        return kind;
    metric_add(&reloads_total, 1);
    LOG_INFO("ledger_read", "the ledger was read from its store",
             log_int("number", (int64_t)ledger->number),
             log_int("documents", (int64_t)load->documents),
             log_int("skus", (int64_t)ledger->stock.sku_count),
             log_int("orders", (int64_t)ledger->stock.order_by_id.count),
             log_int("duration_ms", clock_monotonic_ms() - started_ms));
    pthread_mutex_lock(&store->lock);
    show_relay(store, ledger);
    store->ledger = ledger_free_keep(&ledger);
    pthread_mutex_unlock(&store->lock);
    store->believed_ms = started_ms;
    store->since_documents = load->documents;
    store->since_bytes = 0;
    return ERR_OK;
}

static enum err_kind need_ledger(struct ledger_store *store, struct err *err)
{
    struct load load = {0};

    return store->ledger != NULL ? ERR_OK : load_ledger(store, &load, err);
}

/* --- Writing a document --------------------------------------------------------------------- */

static void note_copied(struct ledger_store *store, const struct batch *batch)
{
    size_t left = store->copied_count - batch->copied_count;

    if (left > 0)
        memmove(store->copied, store->copied + batch->copied_count, left * sizeof *store->copied);
    store->copied_count = left;
}

static void settle(struct ledger_store *store, const struct batch *batch)
{
    pthread_mutex_lock(&store->lock);
    ledger_settle(store->ledger, batch);
    show_relay(store, store->ledger);
    note_copied(store, batch);
    for (size_t i = 0; i < batch->record_count; i++)
        recent_add(&store->recent, &batch->records[i]);
    pthread_mutex_unlock(&store->lock);
    metric_add(&documents_total, 1);
}

static void snapshot_when_due(struct ledger_store *store, size_t document_bytes)
{
    size_t every_bytes = 2 * store->snapshot_bytes > SNAPSHOT_EVERY_BYTES
                             ? 2 * store->snapshot_bytes
                             : SNAPSHOT_EVERY_BYTES;

    store->since_bytes += document_bytes;
    store->since_documents++;
    if ((store->since_bytes < every_bytes && store->since_documents < SNAPSHOT_EVERY_DOCUMENTS) ||
        snapshotter_is_busy(store->snapshotter))
        return;
    store->snapshot_bytes = snapshotter_take(store->snapshotter, store->ledger);
    store->since_bytes = 0;
    store->since_documents = 0;
}

/* The insert failed, was not answered, or was answered too late: only the chain knows. */
static enum err_kind ask_chain(struct ledger_store *store, const struct batch *batch,
                               const char *writer, struct err *err)
{
    struct load load = {.writer = writer, .number = batch->standing.number};
    struct err why = *err;
    enum err_kind kind;

    LOG_WARN("ledger_doubt", "a document of the ledger is in doubt: reading the ledger back",
             log_int("number", (int64_t)batch->standing.number), log_err(&why));
    /* The entries were applied to the memory that is dropped here. */
    store->entry_count = 0;
    kind = load_ledger(store, &load, err);
    if (kind != ERR_OK)
        return kind;
    if (load.found)
        return ERR_OK;
    return err_set(err, ERR_RETRY, "ledger document %" PRIu64 " is not ours: %s",
                   batch->standing.number, why.text);
}

/* Write the batch, whose entries are applied, as the next document. On ERR_OK it stands and is
 * settled; on ERR_RETRY the memory was dropped. */
static enum err_kind write_batch(struct ledger_store *store, struct batch *batch, struct err *err)
{
    char writer[LEDGER_WRITER_MAX];
    int64_t sent_us = clock_monotonic_us();
    size_t document_bytes;
    bson_t *document;
    bool taken;
    enum err_kind kind;

    snprintf(writer, sizeof writer, "%s/%s/%" PRIu64, store->instance, store->run,
             ++store->attempts);
    batch->standing.writer = view_str(writer);
    document = batch_write(batch);
    document_bytes = document->len;
    kind = chain_append(store->worker, document, batch->standing.number, &taken, err);
    bson_destroy(document);
    metric_observe_us(&insert_time, clock_monotonic_us() - sent_us);
    if (kind == ERR_REJECT && !taken)
        return kind;
    if (kind == ERR_OK && clock_monotonic_ms() - store->believed_ms > store->belief_ms)
        kind = err_set(err, ERR_RETRY,
                       "its insert was answered %" PRId64 " ms after the one before was sent",
                       clock_monotonic_ms() - store->believed_ms);
    if (kind != ERR_OK)
        return ask_chain(store, batch, writer, err);
    settle(store, batch);
    store->believed_ms = sent_us / 1000;
    snapshot_when_due(store, document_bytes);
    return ERR_OK;
}

/* What every document says, with arrays of its own: the ledger's stay as they are until it stands.
 */
static struct standing next_standing(struct ledger_store *store, struct arena *arena)
{
    struct standing standing = ledger_standing(store->ledger, arena);
    size_t bytes = (size_t)store->partitions * sizeof(uint64_t);
    uint64_t *last_numbers = arena_alloc(arena, bytes), *published = arena_alloc(arena, bytes);
    int64_t *published_offsets = arena_alloc(arena, bytes);

    memcpy(last_numbers, standing.last_numbers, bytes);
    pthread_mutex_lock(&store->lock);
    memcpy(published, store->published, bytes);
    memcpy(published_offsets, store->published_offsets, bytes);
    pthread_mutex_unlock(&store->lock);
    standing.number++;
    standing.time_us = store->ledger->stock.time_us;
    standing.last_numbers = last_numbers;
    standing.published = published;
    standing.published_offsets = published_offsets;
    return standing;
}

/* By the ledger's time, which never goes back: receipts are forgotten in the order they came. */
static void set_time(struct ledger_store *store)
{
    int64_t now_us = clock_utc_us();

    store->ledger->stock.time_us =
        now_us > store->ledger->time_us ? now_us : store->ledger->time_us;
}

/* --- The worker's side ---------------------------------------------------------------------- */

/* Whoever took over before finds its next number taken, reads the chain, and sees this epoch. */
static enum err_kind write_epoch(struct ledger_store *store, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = {0};
    enum err_kind kind;

    set_time(store);
    batch.standing = next_standing(store, &arena);
    batch.standing.epoch = batch.standing.number;
    kind = write_batch(store, &batch, err);
    if (kind == ERR_OK)
        store->epoch = batch.standing.epoch;
    return kind;
}

static void read_marks(const struct ledger_store *store, struct mark *marks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ledger_read_mark(store->ledger, &marks[i]);
        marks[i].epoch = (int64_t)store->ledger->epoch;
    }
}

static enum err_kind store_take_over(void *self, struct mark *marks, size_t count, struct err *err)
{
    struct ledger_store *store = self;
    struct load load = {0};
    enum err_kind kind = load_ledger(store, &load, err);

    /* The one before may still be writing: each try reads what it wrote. */
    for (int i = 0; kind == ERR_OK && i < TAKE_OVER_TRIES; i++) {
        kind = write_epoch(store, err);
        if (kind == ERR_OK && store->ledger->epoch == store->epoch) {
            read_marks(store, marks, count);
            return ERR_OK;
        }
        kind = need_ledger(store, err);
    }
    return kind != ERR_OK ? kind
                          : err_set(err, ERR_RETRY, "another instance keeps writing the ledger");
}

static enum err_kind store_reload(void *self, struct mark *marks, size_t count, struct err *err)
{
    struct ledger_store *store = self;
    enum err_kind kind = need_ledger(store, err);

    if (kind == ERR_OK)
        read_marks(store, marks, count);
    return kind;
}

static int64_t place_of_key(const struct commit *commit, struct view key)
{
    size_t low = 0, high = commit->key_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(commit->keys[middle], key);

        if (order == 0)
            return (int64_t)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* A replay is about to put a state in place of ours: it comes behind the document that asks to
 * wait. */
static enum err_kind wait_for_replay(struct ledger_store *store, struct err *err)
{
    uint64_t number = store->ledger->number;
    int64_t now_ms = clock_monotonic_ms();

    if (!store->ledger->asks_to_wait)
        return ERR_OK;
    if (store->waits_behind != number) {
        store->waits_behind = number;
        store->waits_until_ms = now_ms + LEDGER_WAIT_MS;
    }
    if (now_ms >= store->waits_until_ms)
        return ERR_OK;
    drop_ledger(store);
    return err_set(err, ERR_RETRY, "document %" PRIu64 " of the ledger asks to wait for a replay",
                   number);
}

static enum err_kind store_begin(void *self, struct commit *commit, struct err *err)
{
    struct ledger_store *store = self;
    enum err_kind kind = need_ledger(store, err);

    if (kind == ERR_OK)
        kind = wait_for_replay(store, err);
    if (kind != ERR_OK)
        return kind;
    store->commit = commit;
    set_time(store);
    for (size_t i = 0; i < commit->shard_count; i++)
        commit->last_numbers[i] = store->ledger->last_numbers[commit->shards[i]];
    for (size_t i = 0; i < store->ledger->letter_count; i++) {
        const struct dead_letter *dead = &store->ledger->letters[i]->dead;
        int64_t place = dead->number > 0 ? place_of_key(commit, dead->key) : -1;

        if (place >= 0)
            commit->key_is_parked[place] = true;
    }
    return ERR_OK;
}

static enum err_kind store_began(void *self, struct commit *commit, bool *fenced, struct err *err)
{
    struct ledger_store *store = self;

    *fenced = false;
    for (size_t i = 0; i < commit->mark_count; i++)
        if (commit->marks[i].epoch != (int64_t)store->ledger->epoch) {
            *fenced = true;
            return err_set(err, ERR_RETRY,
                           "%s/%d: epoch %" PRIu64 " holds it now, ours is %" PRId64,
                           commit->marks[i].topic, commit->marks[i].partition, store->ledger->epoch,
                           commit->marks[i].epoch);
        }
    if (store->epoch == 0 || store->epoch != store->ledger->epoch)
        return err_set(err, ERR_RETRY,
                       "another instance writes the ledger: its epoch is %" PRIu64
                       ", ours %" PRIu64,
                       store->ledger->epoch, store->epoch);
    for (size_t i = 0; i < commit->redriven_count; i++)
        if (ledger_find_letter(store->ledger, commit->redriven[i]) == NULL)
            return err_set(err, ERR_RETRY,
                           "dead letter %" PRId64 ": it was redriven or dropped already",
                           commit->redriven[i]);
    return ERR_OK;
}

/* The positions with the unit's marks in them. */
static void move_positions(struct standing *standing, const struct commit *commit,
                           struct arena *arena)
{
    size_t partitions = (size_t)standing->partitions, bytes = partitions * sizeof(int64_t);
    struct positions *moved =
        arena_array(arena, standing->position_count + commit->mark_count, sizeof *moved);
    int64_t *offsets = NULL;
    uint64_t *numbers = NULL;
    size_t count = standing->position_count;

    memcpy(moved, standing->positions, count * sizeof *moved);
    for (size_t i = 0; i < commit->mark_count; i++) {
        const struct mark *mark = &commit->marks[i];
        size_t place = 0;

        /* Marks are sorted by topic. */
        if (i == 0 || strcmp(commit->marks[i - 1].topic, mark->topic) != 0) {
            while (place < count && !view_equals(moved[place].topic, mark->topic))
                place++;
            offsets = arena_alloc(arena, bytes);
            numbers = arena_alloc(arena, bytes);
            if (place < count) {
                memcpy(offsets, moved[place].offsets, bytes);
                memcpy(numbers, moved[place].numbers, bytes);
            } else {
                memset(offsets, 0xff, bytes); /* -1: from the beginning */
                count++;
            }
            moved[place] = (struct positions){view_str(mark->topic), offsets, numbers};
        }
        offsets[mark->partition] = mark->next_offset;
        numbers[mark->partition] = mark->high_water;
    }
    standing->positions = moved;
    standing->position_count = count;
}

static void add_letters(struct batch *batch, const struct commit *commit, struct arena *arena)
{
    struct letter *letters = arena_array(arena, commit->dead_letter_count, sizeof *letters);

    for (size_t i = 0; i < commit->dead_letter_count; i++) {
        const struct dead_letter *dead = &commit->dead_letters[i];

        letters[i] = (struct letter){
            .id = dead->id != 0 ? dead->id : ++batch->standing.last_letter,
            .time_us = dead->id != 0 ? dead->set_aside_us : batch->standing.time_us,
            .copied = dead->copied,
            .dead = *dead,
        };
    }
    batch->letters = letters;
    batch->letter_count = commit->dead_letter_count;
    batch->removed = commit->removed;
    batch->removed_count = commit->removed_count;
}

static void add_copied(struct ledger_store *store, struct batch *batch, struct arena *arena)
{
    int64_t *copied;

    pthread_mutex_lock(&store->lock);
    copied = arena_array(arena, store->copied_count, sizeof *copied);
    batch->copied_count = store->copied_count;
    if (store->copied_count > 0)
        memcpy(copied, store->copied, store->copied_count * sizeof *copied);
    pthread_mutex_unlock(&store->lock);
    batch->copied = copied;
}

static enum err_kind store_commit(void *self, struct commit *commit, struct err *err)
{
    struct ledger_store *store = self;
    struct arena *arena = commit->arena;
    struct batch batch = {
        .entries = store->entries,
        .entry_count = store->entry_count,
        .records = commit->records,
        .record_count = commit->record_count,
    };
    uint64_t *last_numbers;
    enum err_kind kind;

    if (store->entry_count + commit->record_count + commit->mark_count + commit->dead_letter_count +
                commit->redriven_count ==
            0 &&
        commit->flow == NULL && !store->beat) {
        drop_unit(store);
        return ERR_OK;
    }
    batch.standing = next_standing(store, arena);
    last_numbers = (uint64_t *)batch.standing.last_numbers;
    for (size_t i = 0; i < commit->shard_count; i++)
        last_numbers[commit->shards[i]] = commit->last_numbers[i];
    move_positions(&batch.standing, commit, arena);
    add_letters(&batch, commit, arena);
    add_copied(store, &batch, arena);
    if (commit->flow != NULL)
        batch.standing.flow = *commit->flow;
    kind = write_batch(store, &batch, err);
    if (kind == ERR_OK)
        drop_unit(store);
    return kind;
}

static void store_abandon(void *self)
{
    struct ledger_store *store = self;

    if (store->ledger != NULL)
        stock_undo(&store->ledger->stock, 0);
    drop_unit(store);
}

static struct pg *store_session(void *self)
{
    (void)self;
    return NULL;
}

static enum err_kind store_read_flow(void *self, struct flow *out, struct err *err)
{
    struct ledger_store *store = self;

    if (store->ledger == NULL)
        return err_set(err, ERR_RETRY, "the ledger is not read yet");
    *out = store->ledger->flow;
    return ERR_OK;
}

/* --- The hooks' side ------------------------------------------------------------------------ */

const struct stock *ledger_store_stock(const struct ledger_store *store)
{
    return &store->ledger->stock;
}

enum err_kind ledger_store_enter(struct ledger_store *store, const struct entry *entry,
                                 struct err *err)
{
    enum err_kind kind = stock_apply(&store->ledger->stock, entry, err);

    if (kind != ERR_OK)
        return kind;
    store->entries = mem_room(store->entries, store->entry_count, &store->entry_capacity,
                              sizeof *store->entries);
    store->entries[store->entry_count++] = *entry;
    return ERR_OK;
}

size_t ledger_store_entered(const struct ledger_store *store)
{
    return store->entry_count;
}

void ledger_store_take_back(struct ledger_store *store, size_t entered)
{
    assert(stock_applied(&store->ledger->stock) == store->entry_count);
    stock_undo(&store->ledger->stock, entered);
    store->entry_count = entered;
}

bool ledger_store_has_letter(struct ledger_store *store, struct view key)
{
    return ledger_has_letter(store->ledger, key, store->commit->redriven,
                             store->commit->redriven_count);
}

void ledger_store_beat(struct ledger_store *store)
{
    store->beat = true;
}

int64_t ledger_store_believed_ms(const struct ledger_store *store)
{
    return store->believed_ms;
}

/* --- The relay's side ----------------------------------------------------------------------- */

static enum err_kind store_last_numbers(void *self, uint64_t *numbers, int32_t partitions,
                                        struct err *err)
{
    struct ledger_store *store = self;

    (void)err;
    pthread_mutex_lock(&store->lock);
    memcpy(numbers, store->last_numbers, (size_t)partitions * sizeof *numbers);
    pthread_mutex_unlock(&store->lock);
    return ERR_OK;
}

static enum err_kind store_published(void *self, uint64_t *numbers, int32_t partitions,
                                     struct err *err)
{
    struct ledger_store *store = self;

    (void)err;
    pthread_mutex_lock(&store->lock);
    memcpy(numbers, store->published, (size_t)partitions * sizeof *numbers);
    pthread_mutex_unlock(&store->lock);
    return ERR_OK;
}

static enum err_kind store_note_published(void *self, const uint64_t *numbers,
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
static size_t copy_recent(struct ledger_store *store, int32_t shard, uint64_t from,
                          size_t max_bytes, struct journal_record **out, struct arena *arena)
{
    const struct recent_record *first, *record;
    size_t count = 0, bytes = 0, i = 0;

    pthread_mutex_lock(&store->lock);
    first = recent_find(&store->recent, shard, from);
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

static enum err_kind store_read(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                                void (*each)(void *context, const struct journal_record *record),
                                void *context, struct err *err)
{
    struct ledger_store *store = self;
    AUTO(arena_clear) struct arena arena = {0};
    struct journal_record *records;
    uint64_t last;
    size_t count = copy_recent(store, shard, from, max_bytes, &records, &arena);

    for (size_t i = 0; i < count; i++)
        each(context, &records[i]);
    pthread_mutex_lock(&store->lock);
    last = store->last_numbers[shard];
    pthread_mutex_unlock(&store->lock);
    if (count > 0 || from > last)
        return ERR_OK;
    return chain_read_records(store->relay, shard, from, max_bytes, each, context, err);
}

/* Only the writer trims: it knows what is published. */
static enum err_kind store_maintain(void *self, struct err *err)
{
    struct ledger_store *store = self;
    AUTO(arena_clear) struct arena arena = {0};
    size_t bytes = (size_t)store->partitions * sizeof *store->published;
    uint64_t *published = arena_alloc(&arena, bytes);
    bool leads;

    pthread_mutex_lock(&store->lock);
    leads = store->ledger != NULL && store->epoch != 0 && store->ledger->epoch == store->epoch;
    memcpy(published, store->published, bytes);
    pthread_mutex_unlock(&store->lock);
    return leads ? chain_trim(store->relay, published, store->partitions, clock_utc_us(), err)
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

static enum err_kind
store_copy_dead_letters(void *self, bool (*each)(void *context, const struct dead_letter *dead),
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

static enum err_kind store_load_dead_letters(void *self, int64_t id, struct dead_letter **out,
                                             size_t *count, struct arena *arena, struct err *err)
{
    struct ledger_store *store = self;
    const struct letter *first;
    size_t found = 0;
    enum err_kind kind = need_ledger(store, err);

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

static enum err_kind store_list_dead_letters(void *self, int64_t after, int32_t limit,
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

static enum err_kind store_find_dead_letter(void *self, int64_t id, const struct dead_letter **out,
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

/* Letters are sorted by their ids: the first of a key is the one that the others wait behind. */
static bool is_first_of_key(const struct ledger *ledger, size_t place)
{
    const struct dead_letter *dead = &ledger->letters[place]->dead;

    for (size_t i = 0; i < place; i++)
        if (ledger->letters[i]->dead.number > 0 &&
            view_equal(ledger->letters[i]->dead.key, dead->key))
            return false;
    return true;
}

static enum err_kind store_undecided(void *self, int64_t *ids, size_t max, size_t *count,
                                     struct err *err)
{
    struct ledger_store *store = self;
    bool known;

    *count = 0;
    pthread_mutex_lock(&store->lock);
    known = store->ledger != NULL;
    for (size_t i = 0; known && i < store->ledger->letter_count && *count < max; i++)
        if (store->ledger->letters[i]->dead.reason == DEAD_UNDECIDED &&
            is_first_of_key(store->ledger, i))
            ids[(*count)++] = store->ledger->letters[i]->id;
    pthread_mutex_unlock(&store->lock);
    return known ? ERR_OK : not_known(err);
}

/* --- Opening and closing -------------------------------------------------------------------- */

static void store_close(void *self)
{
    struct ledger_store *store = self;

    snapshotter_stop(store->snapshotter);
    ledger_free(store->ledger);
    recent_clear(&store->recent);
    mongo_close(store->worker);
    mongo_close(store->relay);
    pthread_mutex_destroy(&store->lock);
    free(store->entries);
    free(store->last_numbers);
    free(store->published);
    free(store->published_offsets);
    free(store->copied);
    free(store->instance);
    free(store->warehouse);
    free(store);
}

static enum err_kind connect_store(struct ledger_store *store, const char *uri, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_open(&store->worker, uri, store->instance, err);

    if (kind == ERR_OK)
        kind = mongo_open(&store->relay, uri, store->instance, err);
    if (kind == ERR_OK)
        kind = mongo_collections(store->worker, "", &names, &count, err);
    if (kind == ERR_OK)
        kind = snapshotter_start(&store->snapshotter, uri, store->instance, store->run, err);
    return kind;
}

static void choose_run(char run[17])
{
    uint64_t random = 0;

    if (getentropy(&random, sizeof random) != 0)
        random = (uint64_t)clock_utc_us() ^ (uint64_t)getpid() << 48;
    snprintf(run, 17, "%016" PRIx64, random);
}

enum err_kind ledger_store_open(struct store *out, const struct ledger_store_options *options,
                                struct err *err)
{
    struct ledger_store *store = mem_alloc(sizeof *store);
    size_t partitions = (size_t)options->partitions;
    enum err_kind kind;

    store->instance = mem_strdup(options->instance);
    store->warehouse = mem_strdup(options->warehouse);
    store->partitions = options->partitions;
    store->belief_ms = options->belief_ms;
    store->last_numbers = mem_alloc(partitions * sizeof *store->last_numbers);
    store->published = mem_alloc(partitions * sizeof *store->published);
    store->published_offsets = mem_alloc(partitions * sizeof *store->published_offsets);
    for (size_t i = 0; i < partitions; i++)
        store->published_offsets[i] = -1;
    choose_run(store->run);
    recent_init(&store->recent, options->partitions, RECENT_BYTES);
    pthread_mutex_init(&store->lock, NULL);
    kind = connect_store(store, options->uri, err);
    if (kind != ERR_OK) {
        store_close(store);
        return kind;
    }
    metric_register(&documents_total);
    metric_register(&reloads_total);
    metric_register(&insert_time);
    *out = (struct store){
        .self = store,
        .take_over = store_take_over,
        .reload = store_reload,
        .begin = store_begin,
        .began = store_began,
        .commit = store_commit,
        .abandon = store_abandon,
        .session = store_session,
        .read_flow = store_read_flow,
        .last_numbers = store_last_numbers,
        .read = store_read,
        .published = store_published,
        .note_published = store_note_published,
        .maintain = store_maintain,
        .copy_dead_letters = store_copy_dead_letters,
        .load_dead_letters = store_load_dead_letters,
        .list_dead_letters = store_list_dead_letters,
        .find_dead_letter = store_find_dead_letter,
        .undecided = store_undecided,
        .close = store_close,
    };
    return ERR_OK;
}
