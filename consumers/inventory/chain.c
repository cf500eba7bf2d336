#include "consumers/inventory/chain.h"

#include "consumers/inventory/chain_snapshots.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LEDGER_PREFIX "ledger_"

enum err_kind chain_append(struct mongo *mongo, const bson_t *document, uint64_t number,
                           bool *taken, struct err *err)
{
    char collection[LEDGER_NAME_SIZE];

    *taken = false;
    if (document->len > LEDGER_DOCUMENT_MAX)
        return err_set(err, ERR_REJECT, "ledger document %" PRIu64 ": %u bytes, want at most %u",
                       number, document->len, LEDGER_DOCUMENT_MAX);
    ledger_collection(collection, number);
    return mongo_insert(mongo, collection, document, taken, err);
}

/* --- One collection, in the order of its numbers -------------------------------------------- */

/* The server's order is that of insertion as a rule; a document that comes too early waits here. */
struct reading {
    uint64_t next;
    bson_t **early;
    size_t early_count;
    enum err_kind (*each)(void *context, const bson_t *document, struct err *err);
    void *context;
};

static bool number_of(const bson_t *document, uint64_t *number)
{
    bson_iter_t iter;

    if (!bson_iter_init_find(&iter, document, "number") || !BSON_ITER_HOLDS_INT64(&iter))
        return false;
    *number = (uint64_t)bson_iter_int64(&iter);
    return true;
}

static bson_t *take_early(struct reading *reading)
{
    for (size_t i = 0; i < reading->early_count; i++) {
        bson_t *document = reading->early[i];
        uint64_t number;

        if (number_of(document, &number) && number == reading->next) {
            reading->early[i] = reading->early[--reading->early_count];
            return document;
        }
    }
    return NULL;
}

static enum err_kind read_one(void *context, const bson_t *document, struct err *err)
{
    struct reading *reading = context;
    uint64_t number;
    bson_t *early;
    enum err_kind kind;

    if (!number_of(document, &number))
        return err_set(err, ERR_STOP, "the ledger holds a document without a number");
    if (number < reading->next)
        return ERR_OK;
    if (number > reading->next) {
        reading->early = mem_grow(reading->early, reading->early_count + 1, sizeof(bson_t *));
        reading->early[reading->early_count++] = bson_copy(document);
        return ERR_OK;
    }
    reading->next++;
    kind = reading->each(reading->context, document, err);
    while (kind == ERR_OK && (early = take_early(reading)) != NULL) {
        reading->next++;
        kind = reading->each(reading->context, early, err);
        bson_destroy(early);
    }
    return kind;
}

/* All documents of the collection that holds *next, from *next on; *next moves behind the last.
 * ERR_RETRY also when there is a hole: it was trimmed, or is being read while it is written. */
static enum err_kind read_collection(struct mongo *mongo, uint64_t *next,
                                     enum err_kind (*each)(void *context, const bson_t *document,
                                                           struct err *err),
                                     void *context, struct err *err)
{
    struct reading reading = {.next = *next, .each = each, .context = context};
    char collection[LEDGER_NAME_SIZE];
    enum err_kind kind;

    ledger_collection(collection, *next);
    kind = mongo_read(mongo, collection, CHAIN_PER_REPLY, read_one, &reading, err);
    if (kind == ERR_OK && reading.early_count > 0)
        kind = err_set(err, ERR_RETRY,
                       "the ledger has a hole: document %" PRIu64 " is not there, later ones are",
                       reading.next);
    for (size_t i = 0; i < reading.early_count; i++)
        bson_destroy(reading.early[i]);
    free(reading.early);
    if (kind == ERR_OK)
        *next = reading.next;
    return kind;
}

/* --- Visiting ------------------------------------------------------------------------------- */

struct visit {
    const struct chain_visitor *visitor;
    struct mongo *mongo;
    uint64_t number; /* of the last document that was given */
    struct arena arena;
};

/* From this document on stock and dead letters are what a replay has put in their place. */
static enum err_kind visit_state(struct visit *visit, struct view name, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct standing standing;

    if (visit->visitor->clear != NULL)
        visit->visitor->clear(visit->visitor->context);
    return chain_visit_parts(&visit->visitor->things, &standing, visit->mongo,
                             arena_view(&arena, name).data, &arena, err);
}

static enum err_kind visit_document(void *context, const bson_t *document, struct err *err)
{
    struct visit *visit = context;
    struct batch batch;
    enum err_kind kind;

    arena_reset(&visit->arena);
    kind = batch_read(&batch, document, &visit->arena, err);
    if (kind == ERR_OK && batch.state.size > 0)
        kind = visit_state(visit, batch.state, err);
    if (kind == ERR_OK)
        kind = visit->visitor->batch(visit->visitor->context, &batch, err);
    if (kind == ERR_OK)
        visit->number = batch.standing.number;
    return kind;
}

static enum err_kind visit_beginning(struct visit *visit, struct err *err)
{
    struct standing standing;
    char name[LEDGER_NAME_SIZE];
    enum err_kind kind = chain_find_beginning(name, visit->mongo, err);

    if (kind != ERR_OK || name[0] == '\0')
        return kind;
    kind = chain_visit_parts(&visit->visitor->things, &standing, visit->mongo, name, &visit->arena,
                             err);
    if (kind == ERR_OK && visit->visitor->standing != NULL)
        kind = visit->visitor->standing(visit->visitor->context, &standing, err);
    if (kind == ERR_OK)
        visit->number = standing.number;
    return kind;
}

/* Nothing may lie behind what was read: then it was cut off, or trimmed while it was read. */
static enum err_kind check_end(uint64_t number, struct mongo *mongo, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    uint64_t first;
    enum err_kind kind = mongo_collections(mongo, LEDGER_PREFIX, &names, &count, err);

    if (kind != ERR_OK || count == 0 || !ledger_collection_first(names[count - 1], &first))
        return kind;
    if (first > number + 1)
        return err_set(err, ERR_RETRY,
                       "the ledger has a hole: document %" PRIu64
                       " is not there, but the collection %s is",
                       number + 1, names[count - 1]);
    return ERR_OK;
}

enum err_kind chain_visit(const struct chain_visitor *visitor, struct mongo *mongo, struct err *err)
{
    struct visit visit = {.visitor = visitor, .mongo = mongo};
    enum err_kind kind = visit_beginning(&visit, err);

    while (kind == ERR_OK) {
        uint64_t next = visit.number + 1;
        uint64_t first_of_next_collection =
            (next / LEDGER_COLLECTION_DOCUMENTS + 1) * LEDGER_COLLECTION_DOCUMENTS;

        kind = read_collection(mongo, &next, visit_document, &visit, err);
        if (next < first_of_next_collection)
            break;
    }
    arena_clear(&visit.arena);
    return kind == ERR_OK ? check_end(visit.number, mongo, err) : kind;
}

/* --- Loading -------------------------------------------------------------------------------- */

struct loading {
    struct ledger *ledger;
    void (*each)(void *context, const struct batch *batch);
    void *context;
};

static void load_anew(void *context)
{
    ledger_forget(((struct loading *)context)->ledger);
}

static enum err_kind load_standing(void *context, const struct standing *standing, struct err *err)
{
    return ledger_restore(((struct loading *)context)->ledger, standing, err);
}

static enum err_kind load_batch(void *context, const struct batch *batch, struct err *err)
{
    struct loading *loading = context;
    enum err_kind kind = ledger_fold(loading->ledger, batch, err);

    if (kind == ERR_OK && loading->each != NULL)
        loading->each(loading->context, batch);
    return kind;
}

enum err_kind chain_load(struct ledger *ledger, struct mongo *mongo,
                         void (*each)(void *context, const struct batch *batch), void *context,
                         struct err *err)
{
    struct loading loading = {.ledger = ledger, .each = each, .context = context};
    const struct chain_visitor visitor = {
        .things = ledger_visitor(ledger),
        .clear = load_anew,
        .standing = load_standing,
        .batch = load_batch,
        .context = &loading,
    };

    return chain_visit(&visitor, mongo, err);
}

/* --- Records for the relay ------------------------------------------------------------------ */

struct record_reading {
    void (*each)(void *context, const struct journal_record *record);
    void *context;
    struct arena arena;
};

static enum err_kind read_records(void *context, const bson_t *document, struct err *err)
{
    struct record_reading *reading = context;
    struct batch batch;
    enum err_kind kind;

    arena_reset(&reading->arena);
    kind = batch_read(&batch, document, &reading->arena, err);
    for (size_t i = 0; kind == ERR_OK && i < batch.record_count; i++)
        reading->each(reading->context, &batch.records[i]);
    return kind;
}

/* Whether the last document of a full collection has given out the number: then it, or one before
 * it, holds the record. (One that is not full is what a late writer left behind: it holds nothing.)
 */
static enum err_kind reaches(struct mongo *mongo, uint64_t first, int32_t shard, uint64_t number,
                             bool *out, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(bson_destroy) bson_t *last = NULL;
    char collection[LEDGER_NAME_SIZE], id[LEDGER_ID_SIZE];
    struct batch batch;
    enum err_kind kind;

    ledger_collection(collection, first);
    ledger_id(id, first + LEDGER_COLLECTION_DOCUMENTS - 1);
    kind = mongo_find(mongo, collection, id, &last, err);
    *out = false;
    if (kind != ERR_OK || last == NULL)
        return kind;
    kind = batch_read(&batch, last, &arena, err);
    if (kind == ERR_OK && shard < batch.standing.partitions)
        *out = batch.standing.last_numbers[shard] >= number;
    return kind;
}

enum err_kind chain_read_records(struct mongo *mongo, int32_t shard, uint64_t number,
                                 void (*each)(void *context, const struct journal_record *record),
                                 void *context, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    struct record_reading reading = {.each = each, .context = context};
    size_t low = 0, high;
    uint64_t first = 0;
    enum err_kind kind = mongo_collections(mongo, LEDGER_PREFIX, &names, &high, err);

    if (kind != ERR_OK || high == 0)
        return kind;
    high--;
    while (kind == ERR_OK && low < high) {
        size_t middle = low + (high - low) / 2;
        bool found = false;

        if (!ledger_collection_first(names[middle], &first))
            return err_set(err, ERR_STOP, "%s is no collection of the ledger", names[middle]);
        kind = reaches(mongo, first, shard, number, &found, err);
        if (found)
            high = middle;
        else
            low = middle + 1;
    }
    if (kind == ERR_OK && ledger_collection_first(names[low], &first)) {
        if (first == 0)
            first = 1;
        kind = read_collection(mongo, &first, read_records, &reading, err);
    }
    arena_clear(&reading.arena);
    return kind;
}

/* --- Trimming ------------------------------------------------------------------------------- */

/* Collections of the chain that readers need no more. */
struct trimming {
    struct mongo *mongo;
    uint64_t snapshot; /* what is above is needed */
    int64_t until_us;  /* what was written later is kept */
    int32_t partitions;
    journal_prove_fn *prove;
    void *context;
    struct arena arena;
};

/* Whether a collection is old enough and of each shard holds numbers up to limits only. may and
 * lasts: the last number of each shard when it may. */
static enum err_kind may_drop(struct trimming *trimming, uint64_t first, const uint64_t *limits,
                              uint64_t *lasts, bool *may, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(bson_destroy) bson_t *last = NULL;
    char collection[LEDGER_NAME_SIZE], id[LEDGER_ID_SIZE];
    struct batch batch;
    enum err_kind kind;

    *may = false;
    if (first + LEDGER_COLLECTION_DOCUMENTS - 1 > trimming->snapshot)
        return ERR_OK;
    ledger_collection(collection, first);
    ledger_id(id, first + LEDGER_COLLECTION_DOCUMENTS - 1);
    kind = mongo_find(trimming->mongo, collection, id, &last, err);
    /* The chain has gone past this collection, so it was full: it was dropped, and a late writer's
     * document, which nobody believed, has made it again. */
    if (kind == ERR_OK && last == NULL)
        *may = true;
    if (kind != ERR_OK || last == NULL)
        return kind;
    kind = batch_read(&batch, last, &arena, err);
    if (kind != ERR_OK || batch.standing.partitions > trimming->partitions ||
        batch.standing.time_us > trimming->until_us)
        return kind;
    for (int32_t i = 0; i < batch.standing.partitions; i++)
        if (batch.standing.last_numbers[i] > limits[i])
            return ERR_OK;
    memcpy(lasts, batch.standing.last_numbers, (size_t)batch.standing.partitions * sizeof *lasts);
    *may = true;
    return ERR_OK;
}

/* How many of the collections, the oldest first, may be dropped, and the last number of each shard
 * in them. */
static enum err_kind count_droppable(struct trimming *trimming, char *const *names, size_t count,
                                     const uint64_t *limits, size_t *droppable, uint64_t *lasts,
                                     struct err *err)
{
    enum err_kind kind = ERR_OK;

    *droppable = 0;
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        uint64_t first;
        bool may;

        if (!ledger_collection_first(names[i], &first))
            return err_set(err, ERR_STOP, "%s is no collection of the ledger", names[i]);
        kind = may_drop(trimming, first, limits, lasts, &may, err);
        if (kind != ERR_OK || !may)
            return kind;
        *droppable = i + 1;
    }
    return kind;
}

/* What the oldest collection says of the numbers that it begins with, by shard. */
struct oldest {
    struct arena arena;
    uint64_t *firsts; /* of its records; 0: none */
    uint64_t *lasts;  /* given out when it was full */
    int32_t partitions;
    int64_t since_us;
};

static enum err_kind note_oldest(void *context, const bson_t *document, struct err *err)
{
    struct oldest *oldest = context;
    struct batch batch;
    enum err_kind kind;

    arena_reset(&oldest->arena);
    kind = batch_read(&batch, document, &oldest->arena, err);
    if (kind != ERR_OK)
        return kind;
    if (batch.standing.time_us < oldest->since_us)
        oldest->since_us = batch.standing.time_us;
    for (size_t i = 0; i < batch.record_count; i++) {
        const struct journal_record *record = &batch.records[i];
        uint64_t *first = &oldest->firsts[record->shard];

        if (*first == 0 || record->number < *first)
            *first = record->number;
    }
    for (int32_t i = 0; i < batch.standing.partitions && i < oldest->partitions; i++)
        if (batch.standing.last_numbers[i] > oldest->lasts[i])
            oldest->lasts[i] = batch.standing.last_numbers[i];
    return ERR_OK;
}

/* limits: instead of what is published, what was seen in the log of the collections from the one
 * that is called so up to these last numbers. */
static enum err_kind lower_limits(struct trimming *trimming, const char *collection,
                                  const uint64_t *lasts, uint64_t *limits, struct err *err)
{
    size_t partitions = (size_t)trimming->partitions, count = 0;
    struct journal_range *ranges = arena_array(&trimming->arena, partitions, sizeof *ranges);
    struct oldest oldest = {
        .firsts = arena_array(&trimming->arena, partitions, sizeof *oldest.firsts),
        .lasts = arena_array(&trimming->arena, partitions, sizeof *oldest.lasts),
        .partitions = trimming->partitions,
        .since_us = INT64_MAX,
    };
    enum err_kind kind =
        mongo_read(trimming->mongo, collection, CHAIN_PER_REPLY, note_oldest, &oldest, err);

    arena_clear(&oldest.arena);
    if (kind != ERR_OK)
        return kind;
    for (int32_t i = 0; i < trimming->partitions; i++) {
        uint64_t first = oldest.firsts[i] > 0 ? oldest.firsts[i] : oldest.lasts[i] + 1;

        if (lasts[i] >= first)
            ranges[count++] = (struct journal_range){.shard = i, .first = first, .last = lasts[i]};
    }
    if (count > 0)
        trimming->prove(trimming->context, ranges, count, oldest.since_us / 1000);
    for (size_t i = 0; i < count; i++)
        limits[ranges[i].shard] = ranges[i].seen;
    return ERR_OK;
}

/* *first_left: the first number that is there after. */
static enum err_kind trim_ledger(struct trimming *trimming, const uint64_t *published,
                                 uint64_t *first_left, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t bytes = (size_t)trimming->partitions * sizeof *published;
    uint64_t *limits = arena_alloc(&trimming->arena, bytes);
    uint64_t *lasts = arena_array(&trimming->arena, (size_t)trimming->partitions, sizeof *lasts);
    size_t count, droppable;
    enum err_kind kind = mongo_collections(trimming->mongo, LEDGER_PREFIX, &names, &count, err);

    *first_left = 0;
    if (kind != ERR_OK)
        return kind;
    memcpy(limits, published, bytes);
    kind = count_droppable(trimming, names, count, limits, &droppable, lasts, err);
    if (kind == ERR_OK && droppable > 0) {
        kind = lower_limits(trimming, names[0], lasts, limits, err);
        if (kind == ERR_OK)
            kind = count_droppable(trimming, names, droppable, limits, &droppable, lasts, err);
    }
    for (size_t i = 0; kind == ERR_OK && i < droppable; i++) {
        kind = mongo_drop(trimming->mongo, names[i], err);
        LOG_DEBUG("ledger_trimmed", "a collection of the ledger was dropped",
                  log_str("collection", names[i]));
    }
    if (kind == ERR_OK && count > 0)
        ledger_collection_first(names[droppable < count ? droppable : count - 1], first_left);
    return kind;
}

/* Of those up to the one that readers begin with (anchor), keep one in ten minutes that has all
 * documents behind it: who checks the ledger begins there. */
static enum err_kind trim_snapshots(struct mongo *mongo, char *const *names, size_t anchor,
                                    uint64_t first_left, struct err *err)
{
    int64_t kept_us = INT64_MIN / 2;

    for (size_t i = 0; i < anchor; i++) {
        uint64_t number;
        ptrdiff_t valid;
        int64_t time_us = 0;
        enum err_kind kind = chain_find_valid(mongo, names + i, 1, &valid, &time_us, err);

        if (kind != ERR_OK)
            return kind;
        if (valid == 0 && chain_snapshot_number(names[i], &number) && number + 1 >= first_left &&
            time_us >= kept_us + CHAIN_SNAPSHOT_SPACING_US) {
            kept_us = time_us;
            continue;
        }
        kind = mongo_drop(mongo, names[i], err);
        if (kind != ERR_OK)
            return kind;
    }
    return ERR_OK;
}

/* States that a replay put in place, or meant to, in documents that are trimmed. */
static enum err_kind trim_states(struct mongo *mongo, uint64_t first_left, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_collections(mongo, CHAIN_STATE_PREFIX, &names, &count, err);

    for (size_t i = 0; kind == ERR_OK && i < count; i++) {
        uint64_t number;

        if (chain_snapshot_number(names[i], &number) && number < first_left)
            kind = mongo_drop(mongo, names[i], err);
    }
    return kind;
}

enum err_kind chain_trim(struct mongo *mongo, const uint64_t *published, int32_t partitions,
                         int64_t keep_us, int64_t now_us, journal_prove_fn *prove, void *context,
                         struct err *err)
{
    struct trimming trimming = {
        .mongo = mongo,
        .until_us = now_us - keep_us,
        .partitions = partitions,
        .prove = prove,
        .context = context,
    };
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    ptrdiff_t anchor;
    uint64_t first_left;
    int64_t time_us = 0;
    enum err_kind kind = mongo_collections(mongo, CHAIN_SNAPSHOT_PREFIX, &names, &count, err);

    if (kind != ERR_OK)
        return kind;
    anchor = (ptrdiff_t)count;
    do {
        kind = chain_find_valid(mongo, names, (size_t)anchor, &anchor, &time_us, err);
        if (kind != ERR_OK || anchor < 0)
            return kind;
    } while (time_us > now_us - CHAIN_SNAPSHOT_AGE_US ||
             !chain_snapshot_number(names[anchor], &trimming.snapshot));
    kind = trim_ledger(&trimming, published, &first_left, err);
    arena_clear(&trimming.arena);
    if (kind == ERR_OK)
        kind = trim_snapshots(mongo, names, (size_t)anchor, first_left, err);
    if (kind == ERR_OK)
        kind = trim_states(mongo, first_left, err);
    return kind;
}
