#include "consumers/inventory/chain_snapshots.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bool chain_snapshot_number(const char *name, uint64_t *number)
{
    const char *digits = strchr(name, '_') + 1;
    const char *end = strchr(digits, '_');
    int64_t value;

    if (end == NULL || !view_to_int64(view_of(digits, (size_t)(end - digits)), &value) || value < 1)
        return false;
    *number = (uint64_t)value;
    return true;
}

static enum err_kind write_parts(struct mongo *mongo, const char *name, bson_t *const *documents,
                                 size_t count, struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count && kind == ERR_OK; i++)
        kind = mongo_insert(mongo, name, documents[i], NULL, err);
    return kind;
}

enum err_kind chain_write_snapshot(struct mongo *mongo, uint64_t number, const char *run,
                                   bson_t *const *documents, size_t count, struct err *err)
{
    char name[LEDGER_NAME_SIZE];

    snprintf(name, sizeof name, CHAIN_SNAPSHOT_PREFIX "%020" PRIu64 "_%s", number, run);
    return write_parts(mongo, name, documents, count, err);
}

enum err_kind chain_write_state(char name[LEDGER_NAME_SIZE], struct mongo *mongo, uint64_t number,
                                const char *run, bson_t *const *documents, size_t count,
                                struct err *err)
{
    snprintf(name, LEDGER_NAME_SIZE, CHAIN_STATE_PREFIX "%020" PRIu64 "_%s", number, run);
    return write_parts(mongo, name, documents, count, err);
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

/* parts are sorted: `valid` stands behind the numbers. */
static enum err_kind visit_parts(const struct snapshot_visitor *visitor, struct standing *standing,
                                 const struct snapshot_parts *parts, struct arena *arena,
                                 struct err *err)
{
    int64_t want;
    enum err_kind kind =
        snapshot_read_valid(standing, &want, parts->list[parts->count - 1], arena, err);

    if (kind == ERR_OK && (size_t)want != parts->count - 1)
        return err_set(err, ERR_RETRY,
                       "snapshot of document %" PRIu64 ": %zu parts are there, want %" PRId64,
                       standing->number, parts->count - 1, want);
    for (size_t i = 0; i < parts->count - 1 && kind == ERR_OK; i++)
        kind = snapshot_read_part(visitor, parts->list[i], arena, err);
    return kind;
}

/* Its texts are views of a document that is about to go. */
static void keep_texts(struct standing *standing, struct arena *arena)
{
    struct positions *positions =
        arena_array(arena, standing->position_count + 1, sizeof *positions);

    standing->writer = arena_view(arena, standing->writer);
    standing->warehouse = arena_view(arena, standing->warehouse);
    for (size_t i = 0; i < standing->position_count; i++) {
        positions[i] = standing->positions[i];
        positions[i].topic = arena_view(arena, positions[i].topic);
    }
    standing->positions = positions;
}

enum err_kind chain_visit_parts(const struct snapshot_visitor *visitor, struct standing *standing,
                                struct mongo *mongo, const char *name, struct arena *arena,
                                struct err *err)
{
    struct snapshot_parts parts = {0};
    enum err_kind kind = mongo_read(mongo, name, CHAIN_PER_REPLY, keep_part, &parts, err);

    if (kind == ERR_OK && parts.count == 0)
        kind = err_set(err, ERR_RETRY, "%s: it was dropped while it was being read", name);
    if (kind == ERR_OK) {
        qsort(parts.list, parts.count, sizeof(bson_t *), compare_parts);
        kind = visit_parts(visitor, standing, &parts, arena, err);
    }
    if (kind == ERR_OK)
        keep_texts(standing, arena);
    for (size_t i = 0; i < parts.count; i++)
        bson_destroy(parts.list[i]);
    free(parts.list);
    return kind;
}

enum err_kind chain_find_valid(struct mongo *mongo, char *const *names, size_t before,
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

/* --- Where a reader begins -------------------------------------------------------------------- */

/* The state of a name was put in place if the document of its number says so. */
static enum err_kind state_stands(struct mongo *mongo, const char *name, uint64_t number,
                                  bool *stands, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(bson_destroy) bson_t *document = NULL;
    char collection[LEDGER_NAME_SIZE], id[LEDGER_ID_SIZE];
    struct batch batch;
    enum err_kind kind;

    ledger_collection(collection, number);
    ledger_id(id, number);
    *stands = false;
    kind = mongo_find(mongo, collection, id, &document, err);
    if (kind == ERR_OK && document != NULL &&
        (kind = batch_read(&batch, document, &arena, err)) == ERR_OK)
        *stands = view_equals(batch.state, name);
    return kind;
}

enum err_kind chain_find_beginning(char out[LEDGER_NAME_SIZE], struct mongo *mongo, struct err *err)
{
    AUTO(mongo_names_free) char **snapshots = NULL;
    AUTO(mongo_names_free) char **states = NULL;
    size_t count, state_count = 0;
    uint64_t of_snapshot = 0, number;
    ptrdiff_t newest = -1;
    int64_t time_us;
    enum err_kind kind = mongo_collections(mongo, CHAIN_SNAPSHOT_PREFIX, &snapshots, &count, err);

    out[0] = '\0';
    if (kind == ERR_OK)
        kind = chain_find_valid(mongo, snapshots, count, &newest, &time_us, err);
    if (kind == ERR_OK)
        kind = mongo_collections(mongo, CHAIN_STATE_PREFIX, &states, &state_count, err);
    if (kind == ERR_OK && newest >= 0 && chain_snapshot_number(snapshots[newest], &of_snapshot))
        snprintf(out, LEDGER_NAME_SIZE, "%s", snapshots[newest]);
    for (size_t i = state_count; kind == ERR_OK && i-- > 0;) {
        bool stands;

        if (!chain_snapshot_number(states[i], &number) || number <= of_snapshot)
            break;
        kind = state_stands(mongo, states[i], number, &stands, err);
        if (kind == ERR_OK && stands) {
            snprintf(out, LEDGER_NAME_SIZE, "%s", states[i]);
            break;
        }
    }
    return kind;
}
