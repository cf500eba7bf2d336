#include "consumers/inventory/ledger_store_parts.h"
#include "runtime/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Records kept for the relay; LEDGER_RECENT_BYTES of what is not published. What it misses there it
 * reads from the chain, whose collections hold a few MiB. */
#define RECENT_BYTES (4u << 20)
#define WAITING_BYTES (32u << 20)
#define TAKE_OVER_TRIES 5

/* --- The worker's side ---------------------------------------------------------------------- */

/* Whoever took over before finds its next number taken, reads the chain, and sees this epoch. */
static enum err_kind write_epoch(struct ledger_store *store, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct batch batch = {0};
    enum err_kind kind;

    ledger_store_set_time(store);
    batch.standing = ledger_store_next_standing(store, &arena);
    batch.standing.epoch = batch.standing.number;
    kind = ledger_store_write(store, &batch, err);
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
    struct ledger_load load = {0};
    enum err_kind kind = ledger_store_load(store, &load, err);

    /* The one before may still be writing: each try reads what it wrote. */
    for (int i = 0; kind == ERR_OK && i < TAKE_OVER_TRIES; i++) {
        kind = write_epoch(store, err);
        if (kind == ERR_OK && store->ledger->epoch == store->epoch) {
            read_marks(store, marks, count);
            return ERR_OK;
        }
        kind = ledger_store_need(store, err);
    }
    return kind != ERR_OK ? kind
                          : err_set(err, ERR_RETRY, "another instance keeps writing the ledger");
}

static enum err_kind store_reload(void *self, struct mark *marks, size_t count, struct err *err)
{
    struct ledger_store *store = self;
    enum err_kind kind = ledger_store_need(store, err);

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
    ledger_store_drop(store);
    return err_set(err, ERR_RETRY, "document %" PRIu64 " of the ledger asks to wait for a replay",
                   number);
}

static enum err_kind store_begin(void *self, struct commit *commit, struct err *err)
{
    struct ledger_store *store = self;
    enum err_kind kind = ledger_store_need(store, err);

    if (kind == ERR_OK)
        kind = wait_for_replay(store, err);
    if (kind != ERR_OK)
        return kind;
    store->commit = commit;
    ledger_store_set_time(store);
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
        ledger_store_drop_unit(store);
        return ERR_OK;
    }
    batch.standing = ledger_store_next_standing(store, arena);
    last_numbers = (uint64_t *)batch.standing.last_numbers;
    for (size_t i = 0; i < commit->shard_count; i++)
        last_numbers[commit->shards[i]] = commit->last_numbers[i];
    move_positions(&batch.standing, commit, arena);
    add_letters(&batch, commit, arena);
    add_copied(store, &batch, arena);
    if (commit->flow != NULL)
        batch.standing.flow = *commit->flow;
    kind = ledger_store_write(store, &batch, err);
    if (kind == ERR_OK)
        ledger_store_drop_unit(store);
    return kind;
}

static void store_abandon(void *self)
{
    struct ledger_store *store = self;

    if (store->ledger != NULL)
        stock_undo(&store->ledger->stock, 0);
    ledger_store_drop_unit(store);
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

static enum err_kind store_ping(void *self, struct err *err)
{
    struct ledger_store *store = self;

    return mongo_ping(store->probe, err);
}

/* --- Opening and closing -------------------------------------------------------------------- */

static void store_close(void *self)
{
    struct ledger_store *store = self;

    snapshotter_stop(store->snapshotter);
    ledger_free(store->ledger);
    recent_clear(&store->recent);
    recent_clear(&store->waiting);
    mongo_close(store->worker);
    mongo_close(store->relay);
    mongo_close(store->probe);
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
        kind = mongo_open(&store->probe, uri, store->instance, err);
    if (kind == ERR_OK)
        mongo_answer_within(store->probe, STORE_PING_MS);
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
    store->journal_s = options->journal_s;
    store->belief_ms = options->belief_ms;
    store->last_numbers = mem_alloc(partitions * sizeof *store->last_numbers);
    store->published = mem_alloc(partitions * sizeof *store->published);
    store->published_offsets = mem_alloc(partitions * sizeof *store->published_offsets);
    for (size_t i = 0; i < partitions; i++)
        store->published_offsets[i] = -1;
    choose_run(store->run);
    recent_init(&store->recent, options->partitions, store->published,
                RECENT_BYTES < options->recent_bytes ? RECENT_BYTES : options->recent_bytes,
                options->recent_bytes);
    recent_init(&store->waiting, options->partitions, store->published, 0, WAITING_BYTES);
    pthread_mutex_init(&store->lock, NULL);
    kind = connect_store(store, options->uri, err);
    if (kind != ERR_OK) {
        store_close(store);
        return kind;
    }
    metric_register(&ledger_documents_total);
    metric_register(&ledger_reloads_total);
    metric_register(&ledger_insert_time);
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
        .last_numbers = ledger_store_last_numbers,
        .read = ledger_store_read,
        .published = ledger_store_published,
        .note_published = ledger_store_note_published,
        .maintain = ledger_store_maintain,
        .copy_dead_letters = ledger_store_copy_dead_letters,
        .load_dead_letters = ledger_store_load_dead_letters,
        .list_dead_letters = ledger_store_list_dead_letters,
        .find_dead_letter = ledger_store_find_dead_letter,
        .undecided = ledger_store_undecided,
        .ping = store_ping,
        .close = store_close,
    };
    return ERR_OK;
}
