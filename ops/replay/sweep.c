#include "ops/replay/sweep.h"

#include "ops/replay/key_events.h"

#include <stdlib.h>

static const struct pg_statement SWEPT = {"sweep_swept",
                                          "select key from replay_aside a where " SHADOW_SWEPT("")};

/* --- Setting aside ---------------------------------------------------------------------------- */

struct open_keys {
    struct view *keys; /* in the order of bytes */
    int64_t *states;
    size_t count;
};

static enum err_kind find_open_keys(struct open_keys *out, struct shadow *shadow,
                                    struct arena *arena, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(shadow->pg, shadow->fold->open_keys, NULL, &rows, err);

    if (kind != ERR_OK)
        return kind;
    out->count = (size_t)rows.count;
    out->keys = arena_array(arena, out->count + 1, sizeof *out->keys);
    out->states = arena_array(arena, out->count + 1, sizeof *out->states);
    for (int row = 0; row < rows.count; row++) {
        out->keys[row] = arena_view(arena, pg_bytes(&rows, row, 0));
        out->states[row] = pg_int(&rows, row, 1);
    }
    return ERR_OK;
}

static bool find_key(const struct view *keys, size_t count, struct view key, size_t *at)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(keys[middle], key);

        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void set_aside(struct sweep *sweep, struct shadow *shadow, const struct open_keys *open,
                      const struct key_event *events, size_t count)
{
    const struct fold *fold = shadow->fold;

    for (size_t i = 0; i < count; i++) {
        const struct key_event *event = &events[i];
        size_t at;

        if (event->topic == fold->publishes ||
            !find_key(open->keys, open->count, event->envelope.subject, &at) ||
            !fold->is_open(open->states[at], event->event.type) ||
            asides_find(&shadow->asides, event->topic, event->partition, event->number) != NULL)
            continue;
        shadow_keep_aside(shadow,
                          &(struct aside_record){.topic = event->topic,
                                                 .partition = event->partition,
                                                 .offset = event->offset,
                                                 .number = event->number,
                                                 .key = event->envelope.subject,
                                                 .headers = event->headers,
                                                 .value = event->value,
                                                 .time_ms = event->stored_ms,
                                                 .reason = SHADOW_UNDECIDED,
                                                 .error = "its outcome is not in the topics"});
        sweep->undecided++;
    }
}

static enum err_kind set_open_aside(struct sweep *sweep, struct shadow *shadow,
                                    const struct open_keys *open, struct arena *arena,
                                    struct err *err)
{
    const struct key_events_until until = {.position = &shadow->reader};
    struct key_event *events = NULL;
    size_t count = 0;
    enum err_kind kind;

    if (open->count == 0)
        return ERR_OK;
    kind = key_events_read(&events, &count, shadow->reader.brokers, shadow->fold->inputs,
                           shadow->fold->input_count, shadow->reader.partitions, &until, open->keys,
                           open->count, shadow->ids, arena, err);
    if (kind != ERR_OK)
        return kind;
    set_aside(sweep, shadow, open, events, count);
    return key_events_fold_again(shadow, open->keys, open->count, err);
}

enum err_kind sweep_all(struct sweep *out, struct shadow *shadow, struct arena *arena,
                        struct err *err)
{
    struct open_keys open = {0};
    enum err_kind kind;

    *out = (struct sweep){0};
    if (shadow->fold->open_keys == NULL)
        return ERR_OK;
    kind = find_open_keys(&open, shadow, arena, err);
    return kind == ERR_OK ? set_open_aside(out, shadow, &open, arena, err) : kind;
}

/* --- What a live state has hidden ------------------------------------------------------------- */

/* A key with what lies in a table of it; lists are in the order of tables and keys. */
struct key_sum {
    size_t table;
    struct view key;
    const char *sum;
};

struct key_sums {
    struct key_sum *list;
    size_t count, capacity;
};

static enum err_kind sum_keys(struct key_sums *out, struct pg *pg, const struct shadow *shadow,
                              const struct view *keys, size_t count, struct arena *arena,
                              struct err *err)
{
    AUTO(pg_column_clear) struct pg_column column = {0};
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind = ERR_OK;

    *out = (struct key_sums){0};
    pg_column_start(&column, PG_TEXT);
    for (size_t i = 0; i < count; i++)
        pg_column_bytes(&column, keys[i]);
    pg_arg_column(&args, &column);
    for (size_t i = 0; kind == ERR_OK && i < shadow->fold->table_count; i++) {
        kind = pg_run(pg, &shadow->key_sums[i], &args, &rows, err);
        for (int row = 0; kind == ERR_OK && row < rows.count; row++) {
            out->list = arena_room(arena, out->list, out->count, &out->capacity, sizeof *out->list);
            out->list[out->count++] =
                (struct key_sum){.table = i,
                                 .key = arena_view(arena, pg_bytes(&rows, row, 0)),
                                 .sum = arena_strdup(arena, pg_text(&rows, row, 1))};
        }
    }
    return kind;
}

static int compare_sums(const struct key_sum *a, const struct key_sum *b)
{
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    return view_compare(a->key, b->key);
}

static int compare_views(const void *a, const void *b)
{
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* Sorted, and each once. */
static size_t sort_keys(struct view *keys, size_t count)
{
    size_t kept = 0;

    if (count > 0)
        qsort(keys, count, sizeof *keys, compare_views);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !view_equal(keys[kept - 1], keys[i]))
            keys[kept++] = keys[i];
    return kept;
}

/* Keys whose rows are not the same on both sides. */
static void find_wrong(struct sweep *sweep, const struct key_sums *live,
                       const struct key_sums *shadow, struct arena *arena)
{
    size_t l = 0, s = 0;

    sweep->wrong = arena_array(arena, live->count + shadow->count + 1, sizeof *sweep->wrong);
    while (l < live->count || s < shadow->count) {
        int order = l == live->count     ? 1
                    : s == shadow->count ? -1
                                         : compare_sums(&live->list[l], &shadow->list[s]);

        if (order != 0 || strcmp(live->list[l].sum, shadow->list[s].sum) != 0)
            sweep->wrong[sweep->wrong_count++] =
                order > 0 ? shadow->list[s].key : live->list[l].key;
        l += order <= 0;
        s += order >= 0;
    }
    sweep->wrong_count = sort_keys(sweep->wrong, sweep->wrong_count);
}

struct owed {
    struct view *keys; /* sorted */
    size_t count;
};

static enum err_kind find_owed(struct owed *out, const struct live *live, struct arena *arena,
                               struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind;

    *out = (struct owed){0};
    if (live->fold->owed_keys == NULL)
        return ERR_OK;
    kind = pg_run(live->pg, live->fold->owed_keys, NULL, &rows, err);
    if (kind != ERR_OK)
        return kind;
    out->keys = arena_array(arena, (size_t)rows.count + 1, sizeof *out->keys);
    for (int row = 0; row < rows.count; row++)
        out->keys[out->count++] = arena_view(arena, pg_bytes(&rows, row, 0));
    out->count = sort_keys(out->keys, out->count);
    return ERR_OK;
}

/* Both sides at one position: of all keys for which something is owed, as the one or the other has
 * it. */
static enum err_kind look(struct sweep *sweep, struct open_keys *open, struct owed *owed,
                          struct shadow *shadow, struct live *live, struct arena *arena,
                          struct err *err)
{
    struct key_sums on_live, on_shadow;
    struct view *keys;
    size_t count;
    enum err_kind kind = live_begin(live, err);

    /* The shadow is behind it here: what becomes open on the way is the live part's, as it was. */
    if (kind == ERR_OK)
        kind = find_open_keys(open, shadow, arena, err);
    if (kind == ERR_OK)
        kind = find_owed(owed, live, arena, err);
    if (kind != ERR_OK)
        return kind;
    keys = arena_array(arena, open->count + owed->count + 1, sizeof *keys);
    if (open->count > 0)
        memcpy(keys, open->keys, open->count * sizeof *keys);
    if (owed->count > 0)
        memcpy(keys + open->count, owed->keys, owed->count * sizeof *keys);
    count = sort_keys(keys, open->count + owed->count);
    kind = sum_keys(&on_live, live->pg, shadow, keys, count, arena, err);
    if (kind == ERR_OK)
        kind = live_end(live, err);
    if (kind == ERR_OK)
        kind = live_follow(live, shadow, err);
    if (kind == ERR_OK)
        kind = sum_keys(&on_shadow, shadow->pg, shadow, keys, count, arena, err);
    if (kind == ERR_OK)
        kind = find_open_keys(open, shadow, arena, err);
    if (kind == ERR_OK)
        find_wrong(sweep, &on_live, &on_shadow, arena);
    return kind;
}

enum err_kind sweep_hidden(struct sweep *out, struct shadow *shadow, struct live *live,
                           struct arena *arena, struct err *err)
{
    struct open_keys open = {0}, hidden = {0};
    struct owed owed;
    enum err_kind kind;

    *out = (struct sweep){0};
    if (shadow->fold->open_keys == NULL)
        return ERR_OK;
    kind = look(out, &open, &owed, shadow, live, arena, err);
    if (kind != ERR_OK)
        return kind;
    hidden.keys = arena_array(arena, open.count + 1, sizeof *hidden.keys);
    hidden.states = arena_array(arena, open.count + 1, sizeof *hidden.states);
    for (size_t i = 0; i < open.count; i++) {
        size_t at;
        bool is_owed =
            live->fold->owed_keys == NULL || find_key(owed.keys, owed.count, open.keys[i], &at);

        if (is_owed && !find_key(out->wrong, out->wrong_count, open.keys[i], &at))
            continue;
        hidden.keys[hidden.count] = open.keys[i];
        hidden.states[hidden.count++] = open.states[i];
    }
    return set_open_aside(out, shadow, &hidden, arena, err);
}

/* --- Handing over ----------------------------------------------------------------------------- */

static enum err_kind forget_wrong(const struct sweep *sweep, const struct live *live,
                                  struct err *err)
{
    AUTO(pg_column_clear) struct pg_column keys = {0};
    struct pg_args args = {0};

    if (sweep->wrong_count == 0 || live->fold->forget_owed == NULL)
        return ERR_OK;
    pg_column_start(&keys, PG_TEXT);
    for (size_t i = 0; i < sweep->wrong_count; i++)
        pg_column_bytes(&keys, sweep->wrong[i]);
    pg_arg_column(&args, &keys);
    return pg_run(live->pg, live->fold->forget_owed, &args, NULL, err);
}

/* They go from the shadow's own table: it stays with the rows that are put away, in which those
 * inputs are. */
#define HAND_OVER(schema)                                                                          \
    "with taken as (delete from " schema ".replay_aside a where " SHADOW_SWEPT(                    \
        schema ".") " returning *)"                                                                \
                    " insert into dead_letters (topic, partition, record_offset, number, key, "    \
                    "headers, value,"                                                              \
                    "  record_time_ms, reason, error, copied)"                                     \
                    " select topic, partition, record_offset, number, key, headers, value, "       \
                    "record_time_ms, reason,"                                                      \
                    "  error, reason = '" SHADOW_UNDECIDED                                         \
                    "' from taken order by record_time_ms, topic, partition, number"

enum err_kind sweep_hand_over(const struct sweep *sweep, const struct shadow *shadow,
                              const struct live *live, struct err *err)
{
    enum err_kind kind = forget_wrong(sweep, live, err);

    if (kind != ERR_OK)
        return kind;
    return pg_script(live->pg,
                     strcmp(shadow->schema, SHADOW_NEW) == 0 ? HAND_OVER(SHADOW_NEW)
                                                             : HAND_OVER(SHADOW_OLD),
                     err);
}

enum err_kind sweep_take_back(struct shadow *shadow, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct pg_rows rows;
    struct view *keys;
    size_t count = 0;
    enum err_kind kind;

    shadow_drop_batch(shadow);
    kind = shadow_load(shadow, err);
    if (kind == ERR_OK)
        kind = pg_run(shadow->pg, &SWEPT, NULL, &rows, err);
    if (kind != ERR_OK || rows.count == 0)
        return kind;
    keys = arena_array(&arena, (size_t)rows.count, sizeof *keys);
    for (int row = 0; row < rows.count; row++)
        keys[count++] = arena_view(&arena, pg_bytes(&rows, row, 0));
    count = sort_keys(keys, count);
    /* They are no longer aside and are folded in one transaction: who dies before it takes them
     * back again. */
    return key_events_fold_again(shadow, keys, count, err);
}
