#include "ops/replay/stock_explain.h"

/* An event whose entry is not in its document, and the record that it is. */
struct culprit {
    struct view key;
    int32_t partition;
    uint64_t number;
    struct entry entry;
    bool has_entry;
};

struct explain {
    struct compare *compare;
    const struct stock_shadow *shadow;
    const struct culprit **by; /* one a difference; NULL: none */
    struct view *keys;         /* of the records of those */
    size_t key_count;
};

/* --- One document ----------------------------------------------------------------------------- */

static bool is_same(const struct entry *a, const struct entry *b)
{
    if (a->kind != b->kind || !view_equal(a->id, b->id) || a->item_count != b->item_count)
        return false;
    for (size_t i = 0; i < a->item_count; i++)
        if (a->items[i].quantity != b->items[i].quantity ||
            !view_equal(a->items[i].sku, b->items[i].sku))
            return false;
    return true;
}

static bool is_about(const struct entry *entry, struct view key)
{
    if (view_equal(entry->id, key))
        return true;
    for (size_t i = 0; i < entry->item_count; i++)
        if (view_equal(entry->items[i].sku, key))
            return true;
    return false;
}

static bool read_culprit(struct culprit *out, const struct journal_record *record,
                         const struct schema_ids *ids, struct arena *arena)
{
    struct stock_item *room = arena_alloc(arena, sizeof *room);
    enum event_type type;
    const void *event;

    *out =
        (struct culprit){.key = record->key, .partition = record->shard, .number = record->number};
    out->has_entry = event_decode(&type, &event, record->value, ids, arena, NULL) == ERR_OK &&
                     tally_entry_of(&out->entry, room, type, event, NULL) == ERR_OK;
    return out->has_entry;
}

/* The key in "sku=T1": what the difference is about. */
static struct view key_of(const struct difference *difference)
{
    return view_str(strchr(difference->row, '=') + 1);
}

static void keep_culprit(struct explain *explain, size_t difference, const struct culprit *culprit)
{
    struct arena *arena = &explain->compare->arena;
    struct culprit *kept = arena_alloc(arena, sizeof *kept);

    *kept = (struct culprit){.key = arena_view(arena, culprit->key),
                             .partition = culprit->partition,
                             .number = culprit->number};
    explain->by[difference] = kept;
    explain->keys[explain->key_count++] = kept->key;
}

/* What differs and is in a changed entry, or in the event that it should be. */
static void blame(struct explain *explain, const struct culprit *culprit,
                  const struct entry *entries, const bool *is_known, size_t count)
{
    for (size_t i = 0; i < explain->compare->difference_count; i++) {
        struct view key = key_of(&explain->compare->differences[i]);
        bool is_it = is_about(&culprit->entry, key);

        for (size_t e = 0; e < count && !is_it; e++)
            is_it = !is_known[e] && is_about(&entries[e], key);
        if (is_it && explain->by[i] == NULL)
            keep_culprit(explain, i, culprit);
    }
}

static enum err_kind look_into_batch(void *context, const struct batch *batch, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct explain *explain = context;
    struct culprit *culprits = arena_array(&arena, batch->record_count + 1, sizeof *culprits);
    bool *is_known = arena_array(&arena, batch->entry_count + 1, sizeof *is_known);
    size_t count = 0;

    (void)err;
    for (size_t i = 0; i < batch->entry_count; i++)
        is_known[i] = batch->entries[i].kind == ENTRY_FORGET; /* of which there is no event */
    for (size_t i = 0; i < batch->record_count; i++) {
        struct culprit *culprit = &culprits[count];
        size_t e = 0;

        if (batch->records[i].shard >= explain->shadow->reader.partitions ||
            !read_culprit(culprit, &batch->records[i], explain->shadow->ids, &arena))
            continue;
        while (e < batch->entry_count &&
               (is_known[e] || !is_same(&batch->entries[e], &culprit->entry)))
            e++;
        if (e < batch->entry_count)
            is_known[e] = true;
        else
            count++;
    }
    for (size_t i = 0; i < count; i++)
        blame(explain, &culprits[i], batch->entries, is_known, batch->entry_count);
    return ERR_OK;
}

/* --- All of them ------------------------------------------------------------------------------ */

/* Where the culprits lie in their topic. */
static enum err_kind name_events(struct explain *explain, struct err *err)
{
    static const enum topic TOPIC = TOPIC_INVENTORY;
    const struct log_reader *reader = &explain->shadow->reader;
    const struct key_events_until until = {.position = reader};
    struct key_event *events = NULL;
    size_t count = 0;
    enum err_kind kind = ERR_OK;

    if (explain->key_count > 0)
        kind = key_events_read(&events, &count, reader->brokers, &TOPIC, 1, reader->partitions,
                               &until, explain->keys, explain->key_count, explain->shadow->ids,
                               &explain->compare->arena, err);
    for (size_t i = 0; kind == ERR_OK && i < explain->compare->difference_count; i++)
        for (size_t e = 0; e < count && explain->by[i] != NULL; e++)
            if (events[e].partition == explain->by[i]->partition &&
                events[e].number == explain->by[i]->number)
                explain->compare->differences[i].event = &events[e];
    return kind;
}

enum err_kind stock_explain(struct compare *compare, struct mongo *mongo,
                            const struct stock_shadow *shadow, struct err *err)
{
    struct explain explain = {
        .compare = compare,
        .shadow = shadow,
        .by = arena_array(&compare->arena, compare->difference_count + 1, sizeof *explain.by),
        .keys = arena_array(&compare->arena, compare->difference_count + 1, sizeof *explain.keys),
    };
    const struct chain_visitor visitor = {.batch = look_into_batch, .context = &explain};
    enum err_kind kind = chain_visit(&visitor, mongo, err);

    return kind == ERR_OK ? name_events(&explain, err) : kind;
}
