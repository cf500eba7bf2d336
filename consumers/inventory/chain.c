#include "consumers/inventory/chain.h"

#include "consumers/inventory/snapshot_format.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SNAPSHOT_PREFIX "snapshot_"
#define LEDGER_PREFIX "ledger_"
/* Replies hold this many documents: even of the largest ones together less than 48 MB. */
#define PER_REPLY 10

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
    kind = mongo_read(mongo, collection, PER_REPLY, read_one, &reading, err);
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

/* --- Snapshots ------------------------------------------------------------------------------ */

static bool snapshot_number(const char *name, uint64_t *number)
{
    const char *digits = name + strlen(SNAPSHOT_PREFIX);
    const char *end = strchr(digits, '_');
    int64_t value;

    if (end == NULL || !view_to_int64(view_of(digits, (size_t)(end - digits)), &value) || value < 1)
        return false;
    *number = (uint64_t)value;
    return true;
}

enum err_kind chain_write_snapshot(struct mongo *mongo, uint64_t number, const char *run,
                                   bson_t *const *documents, size_t count, struct err *err)
{
    char name[LEDGER_NAME_SIZE];
    enum err_kind kind = ERR_OK;

    snprintf(name, sizeof name, SNAPSHOT_PREFIX "%020" PRIu64 "_%s", number, run);
    for (size_t i = 0; i < count && kind == ERR_OK; i++)
        kind = mongo_insert(mongo, name, documents[i], NULL, err);
    return kind;
}

struct snapshot_parts {
    bson_t **list;
    size_t count;
};

static enum err_kind keep_part(void *context, const bson_t *document, struct err *err)
{
    struct snapshot_parts *parts = context;

    (void)err;
    parts->list = mem_grow(parts->list, parts->count + 1, sizeof(bson_t *));
    parts->list[parts->count++] = bson_copy(document);
    return ERR_OK;
}

static int compare_parts(const void *a, const void *b)
{
    bson_iter_t left, right;

    if (!bson_iter_init_find(&left, *(bson_t *const *)a, "_id") || !BSON_ITER_HOLDS_UTF8(&left) ||
        !bson_iter_init_find(&right, *(bson_t *const *)b, "_id") || !BSON_ITER_HOLDS_UTF8(&right))
        return 0;
    return strcmp(bson_iter_utf8(&left, NULL), bson_iter_utf8(&right, NULL));
}

static void add_letter(void *context, const struct letter *letter)
{
    ledger_add_letter(context, letter);
}

/* parts are sorted: `valid` stands behind the numbers. */
static enum err_kind restore(struct ledger *ledger, const struct snapshot_parts *parts,
                             struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct standing standing;
    int64_t want;
    enum err_kind kind =
        snapshot_read_valid(&standing, &want, parts->list[parts->count - 1], &arena, err);

    if (kind == ERR_OK && (size_t)want != parts->count - 1)
        return err_set(err, ERR_RETRY,
                       "snapshot of document %" PRIu64 ": %zu parts are there, want %" PRId64,
                       standing.number, parts->count - 1, want);
    for (size_t i = 0; i < parts->count - 1 && kind == ERR_OK; i++)
        kind = snapshot_read_part(&ledger->stock, parts->list[i], add_letter, ledger, &arena, err);
    if (kind == ERR_OK)
        kind = ledger_restore(ledger, &standing, err);
    return kind;
}

static enum err_kind load_snapshot(struct ledger *ledger, struct mongo *mongo, const char *name,
                                   struct err *err)
{
    struct snapshot_parts parts = {0};
    enum err_kind kind = mongo_read(mongo, name, PER_REPLY, keep_part, &parts, err);

    if (kind == ERR_OK && parts.count == 0)
        kind = err_set(err, ERR_RETRY, "%s: it was dropped while it was being read", name);
    if (kind == ERR_OK) {
        qsort(parts.list, parts.count, sizeof(bson_t *), compare_parts);
        kind = restore(ledger, &parts, err);
    }
    for (size_t i = 0; i < parts.count; i++)
        bson_destroy(parts.list[i]);
    free(parts.list);
    return kind;
}

/* The newest one below `before` that is valid; index of it in names, or -1. */
static enum err_kind find_valid(struct mongo *mongo, char *const *names, size_t before,
                                ptrdiff_t *found, int64_t *time_us, struct err *err)
{
    *found = -1;
    for (size_t i = before; i-- > 0;) {
        AUTO(arena_clear) struct arena arena = {0};
        AUTO(bson_destroy) bson_t *valid = NULL;
        struct standing standing;
        int64_t parts;
        enum err_kind kind = mongo_find(mongo, names[i], SNAPSHOT_VALID, &valid, err);

        if (kind == ERR_OK && valid != NULL)
            kind = snapshot_read_valid(&standing, &parts, valid, &arena, err);
        if (kind != ERR_OK)
            return kind;
        if (valid != NULL) {
            *found = (ptrdiff_t)i;
            *time_us = standing.time_us;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* --- Loading -------------------------------------------------------------------------------- */

struct loading {
    struct ledger *ledger;
    struct arena arena;
    void (*each)(void *context, const struct batch *batch);
    void *context;
};

static enum err_kind fold_document(void *context, const bson_t *document, struct err *err)
{
    struct loading *loading = context;
    struct batch batch;
    enum err_kind kind;

    arena_reset(&loading->arena);
    kind = batch_read(&batch, document, &loading->arena, err);
    if (kind == ERR_OK)
        kind = ledger_fold(loading->ledger, &batch, err);
    if (kind == ERR_OK && loading->each != NULL)
        loading->each(loading->context, &batch);
    return kind;
}

static enum err_kind load_newest_snapshot(struct ledger *ledger, struct mongo *mongo,
                                          struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    ptrdiff_t newest;
    int64_t time_us;
    enum err_kind kind = mongo_collections(mongo, SNAPSHOT_PREFIX, &names, &count, err);

    if (kind == ERR_OK)
        kind = find_valid(mongo, names, count, &newest, &time_us, err);
    if (kind == ERR_OK && newest >= 0)
        kind = load_snapshot(ledger, mongo, names[newest], err);
    return kind;
}

/* Nothing may lie behind what was read: then it was cut off, or trimmed while it was read. */
static enum err_kind check_end(const struct ledger *ledger, struct mongo *mongo, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    uint64_t first;
    enum err_kind kind = mongo_collections(mongo, LEDGER_PREFIX, &names, &count, err);

    if (kind != ERR_OK || count == 0 || !ledger_collection_first(names[count - 1], &first))
        return kind;
    if (first > ledger->number + 1)
        return err_set(err, ERR_RETRY,
                       "the ledger has a hole: document %" PRIu64
                       " is not there, but the collection %s is",
                       ledger->number + 1, names[count - 1]);
    return ERR_OK;
}

enum err_kind chain_load(struct ledger *ledger, struct mongo *mongo,
                         void (*each)(void *context, const struct batch *batch), void *context,
                         struct err *err)
{
    struct loading loading = {.ledger = ledger, .each = each, .context = context};
    enum err_kind kind = load_newest_snapshot(ledger, mongo, err);

    while (kind == ERR_OK) {
        uint64_t next = ledger->number + 1;
        uint64_t first_of_next_collection =
            (next / LEDGER_COLLECTION_DOCUMENTS + 1) * LEDGER_COLLECTION_DOCUMENTS;

        kind = read_collection(mongo, &next, fold_document, &loading, err);
        if (next < first_of_next_collection)
            break;
    }
    arena_clear(&loading.arena);
    return kind == ERR_OK ? check_end(ledger, mongo, err) : kind;
}

/* --- Records for the relay ------------------------------------------------------------------ */

struct record_search {
    int32_t shard;
    uint64_t next;
    size_t left_bytes;
    struct arena arena;
    void (*each)(void *context, const struct journal_record *record);
    void *context;
};

static enum err_kind pick_records(void *context, const bson_t *document, struct err *err)
{
    struct record_search *search = context;
    struct batch batch;
    enum err_kind kind;

    if (search->left_bytes == 0)
        return ERR_OK;
    arena_reset(&search->arena);
    kind = batch_read(&batch, document, &search->arena, err);
    for (size_t i = 0; kind == ERR_OK && i < batch.record_count && search->left_bytes > 0; i++) {
        const struct journal_record *record = &batch.records[i];
        size_t bytes = record->key.size + record->headers.size + record->value.size;

        if (record->shard != search->shard || record->number < search->next)
            continue;
        search->each(search->context, record);
        search->next = record->number + 1;
        search->left_bytes -= bytes < search->left_bytes ? bytes : search->left_bytes;
    }
    return kind;
}

/* Whether the last document of a full collection has given out the number: then it, or one before
 * it, holds the record. (One that is not full is what a late writer left behind: it holds nothing.)
 */
static enum err_kind reaches(struct mongo *mongo, uint64_t first,
                             const struct record_search *search, bool *out, struct err *err)
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
    if (kind == ERR_OK && search->shard < batch.standing.partitions)
        *out = batch.standing.last_numbers[search->shard] >= search->next;
    return kind;
}

enum err_kind chain_read_records(struct mongo *mongo, int32_t shard, uint64_t from,
                                 size_t max_bytes,
                                 void (*each)(void *context, const struct journal_record *record),
                                 void *context, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    struct record_search search = {
        .shard = shard, .next = from, .left_bytes = max_bytes, .each = each, .context = context};
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
        kind = reaches(mongo, first, &search, &found, err);
        if (found)
            high = middle;
        else
            low = middle + 1;
    }
    if (kind == ERR_OK && ledger_collection_first(names[low], &first)) {
        if (first == 0)
            first = 1;
        kind = read_collection(mongo, &first, pick_records, &search, err);
    }
    arena_clear(&search.arena);
    return kind;
}

/* --- Trimming ------------------------------------------------------------------------------- */

static enum err_kind may_drop(struct mongo *mongo, uint64_t first, const uint64_t *published,
                              int32_t partitions, int64_t now_us, bool *may, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(bson_destroy) bson_t *last = NULL;
    char collection[LEDGER_NAME_SIZE], id[LEDGER_ID_SIZE];
    struct batch batch;
    enum err_kind kind;

    *may = false;
    ledger_collection(collection, first);
    ledger_id(id, first + LEDGER_COLLECTION_DOCUMENTS - 1);
    kind = mongo_find(mongo, collection, id, &last, err);
    /* The chain has gone past this collection, so it was full: it was dropped, and a late writer's
     * document, which nobody believed, has made it again. */
    if (kind == ERR_OK && last == NULL)
        *may = true;
    if (kind != ERR_OK || last == NULL)
        return kind;
    kind = batch_read(&batch, last, &arena, err);
    if (kind != ERR_OK || batch.standing.partitions > partitions ||
        batch.standing.time_us > now_us - CHAIN_KEEP_US)
        return kind;
    for (int32_t i = 0; i < batch.standing.partitions; i++)
        if (batch.standing.last_numbers[i] > published[i])
            return ERR_OK;
    *may = true;
    return ERR_OK;
}

/* Collections of the chain below a snapshot's number. *first_left: the first number that is there
 * after. */
static enum err_kind trim_ledger(struct mongo *mongo, uint64_t snapshot, const uint64_t *published,
                                 int32_t partitions, int64_t now_us, uint64_t *first_left,
                                 struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    enum err_kind kind = mongo_collections(mongo, LEDGER_PREFIX, &names, &count, err);

    *first_left = 0;
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        uint64_t first;
        bool may;

        if (!ledger_collection_first(names[i], &first))
            continue;
        *first_left = first;
        if (first + LEDGER_COLLECTION_DOCUMENTS - 1 > snapshot)
            return ERR_OK;
        kind = may_drop(mongo, first, published, partitions, now_us, &may, err);
        if (kind != ERR_OK || !may)
            return kind;
        kind = mongo_drop(mongo, names[i], err);
        LOG_DEBUG("ledger_trimmed", "a collection of the ledger was dropped",
                  log_str("collection", names[i]));
    }
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
        enum err_kind kind = find_valid(mongo, names + i, 1, &valid, &time_us, err);

        if (kind != ERR_OK)
            return kind;
        if (valid == 0 && snapshot_number(names[i], &number) && number + 1 >= first_left &&
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

enum err_kind chain_trim(struct mongo *mongo, const uint64_t *published, int32_t partitions,
                         int64_t now_us, struct err *err)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;
    ptrdiff_t anchor;
    uint64_t number, first_left;
    int64_t time_us = 0;
    enum err_kind kind = mongo_collections(mongo, SNAPSHOT_PREFIX, &names, &count, err);

    if (kind != ERR_OK)
        return kind;
    anchor = (ptrdiff_t)count;
    do {
        kind = find_valid(mongo, names, (size_t)anchor, &anchor, &time_us, err);
        if (kind != ERR_OK || anchor < 0)
            return kind;
    } while (time_us > now_us - CHAIN_SNAPSHOT_AGE_US || !snapshot_number(names[anchor], &number));
    kind = trim_ledger(mongo, number, published, partitions, now_us, &first_left, err);
    if (kind == ERR_OK)
        kind = trim_snapshots(mongo, names, (size_t)anchor, first_left, err);
    return kind;
}
