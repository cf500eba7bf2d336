#include "ops/replay/live.h"

#include "ops/replay/key_events.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct pg_statement HAS_TABLES = {
    "replay_has_tables", "select to_regclass('public.positions') is not null"};
static const struct pg_statement BEGIN = {
    "replay_begin", "begin transaction isolation level repeatable read read only"};
static const struct pg_statement END = {"replay_end", "commit"};
static const struct pg_statement POSITIONS = {"replay_positions",
                                              "select topic, partition, high_water from positions"};
static const struct pg_statement SHARDS = {"replay_shards",
                                           "select shard, last_number from shards"};
static const struct pg_statement ASIDE = {
    "replay_set_aside",
    "select topic, partition, number, key from dead_letters where number is not null"};

enum err_kind live_open(struct live *live, const struct fold *fold, const char *database,
                        const struct log_reader *reader, struct err *err)
{
    enum err_kind kind;

    *live = (struct live){.fold = fold, .reader = reader};
    live->vector = mem_alloc(reader->place_count * sizeof *live->vector);
    asides_init(&live->asides);
    asides_init(&live->dropped);
    kind = pg_open(&live->pg, database, "tradewind replay, reading", err);
    if (kind == ERR_OK)
        kind = pg_script(live->pg,
                         "set timezone = 'UTC'; set enable_seqscan = on; set enable_hashjoin = on;"
                         "set plan_cache_mode = 'auto'",
                         err);
    return kind;
}

void live_close(struct live *live)
{
    pg_close(live->pg);
    live->pg = NULL;
    free(live->vector);
    live->vector = NULL;
    asides_clear(&live->asides);
    asides_clear(&live->dropped);
}

enum err_kind live_has_tables(struct live *live, bool *has_tables, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(live->pg, &HAS_TABLES, NULL, &rows, err);

    if (kind == ERR_OK)
        *has_tables = pg_bool(&rows, 0, 0);
    return kind;
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static void note_number(struct live *live, enum topic topic, int64_t partition, int64_t number)
{
    const struct log_place *place = log_reader_place(live->reader, topic, (int32_t)partition);

    if (place != NULL)
        live->vector[place - live->reader->places] = (uint64_t)number;
}

static enum err_kind read_vector(struct live *live, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(live->pg, &POSITIONS, NULL, &rows, err);

    memset(live->vector, 0, live->reader->place_count * sizeof *live->vector);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        note_number(live, topic_from_name(pg_text(&rows, row, 0)), pg_int(&rows, row, 1),
                    pg_int(&rows, row, 2));
    if (kind != ERR_OK || live->fold->publishes == TOPIC_NONE)
        return kind;
    kind = pg_run(live->pg, &SHARDS, NULL, &rows, err);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        note_number(live, live->fold->publishes, pg_int(&rows, row, 0), pg_int(&rows, row, 1));
    return kind;
}

enum err_kind live_read(struct live *live, struct err *err)
{
    const struct aside *dropped;
    size_t place = 0;
    struct pg_rows rows;
    enum err_kind kind = read_vector(live, err);

    if (kind == ERR_OK)
        kind = pg_run(live->pg, &ASIDE, NULL, &rows, err);
    if (kind != ERR_OK)
        return kind;
    asides_clear(&live->asides);
    asides_init(&live->asides);
    for (int row = 0; row < rows.count; row++) {
        enum topic topic = topic_from_name(pg_text(&rows, row, 0));

        if (topic != TOPIC_NONE)
            asides_add(&live->asides, topic, (int32_t)pg_int(&rows, row, 1),
                       (uint64_t)pg_int(&rows, row, 2), pg_bytes(&rows, row, 3), true);
    }
    while ((dropped = lookup_next(&live->dropped.by_id, &place)) != NULL)
        asides_add(&live->asides, dropped->topic, dropped->partition, dropped->number, dropped->key,
                   true);
    return ERR_OK;
}

enum err_kind live_begin(struct live *live, struct err *err)
{
    enum err_kind kind = pg_run(live->pg, &BEGIN, NULL, NULL, err);

    return kind == ERR_OK ? live_read(live, err) : kind;
}

enum err_kind live_end(struct live *live, struct err *err)
{
    return pg_run(live->pg, &END, NULL, NULL, err);
}

void live_queue_end(struct live *live)
{
    pg_queue(live->pg, &END, NULL);
}

/* --- Following -------------------------------------------------------------------------------- */

const struct log_place *live_is_behind(const struct live *live, const struct shadow *shadow)
{
    for (size_t i = 0; i < shadow->reader.place_count; i++)
        if (live->vector[i] < shadow->reader.places[i].high_water)
            return &shadow->reader.places[i];
    return NULL;
}

static bool is_applied(const struct shadow *shadow, const struct aside *aside)
{
    const struct log_place *place =
        log_reader_place(&shadow->reader, aside->topic, aside->partition);

    return place != NULL && place->high_water >= aside->number;
}

static void add_key(struct view **keys, size_t *count, struct view key)
{
    for (size_t i = 0; i < *count; i++)
        if (view_equal((*keys)[i], key))
            return;
    (*keys)[(*count)++] = key;
}

/* Keys of which the shadow holds what the live part does not, or the other way round, because one
 * of them has set something aside. */
static void find_changed(const struct live *live, struct shadow *shadow, struct view **keys,
                         size_t *count, struct arena *arena)
{
    size_t place = 0;
    const struct aside *aside;

    *keys = arena_array(arena, live->asides.by_id.count + shadow->asides.by_id.count + 1,
                        sizeof **keys);
    *count = 0;
    while ((aside = lookup_next(&live->asides.by_id, &place)) != NULL) {
        const struct aside *known = lookup_find(&shadow->asides.by_id, aside->id);

        if ((known == NULL || !known->by_live) && is_applied(shadow, aside))
            add_key(keys, count, arena_view(arena, aside->key));
    }
    place = 0;
    while ((aside = lookup_next(&shadow->asides.by_id, &place)) != NULL)
        if (aside->by_live && lookup_find(&live->asides.by_id, aside->id) == NULL)
            add_key(keys, count, arena_view(arena, aside->key));
}

/* From now on the shadow sets aside what the live part does. */
static void take_asides(const struct live *live, struct shadow *shadow)
{
    struct asides before = shadow->asides;
    struct aside *aside;
    size_t place = 0;

    asides_init(&shadow->asides);
    while ((aside = lookup_next(&live->asides.by_id, &place)) != NULL)
        asides_add(&shadow->asides, aside->topic, aside->partition, aside->number, aside->key,
                   true);
    place = 0;
    while ((aside = lookup_next(&before.by_id, &place)) != NULL)
        if (!aside->by_live && lookup_find(&shadow->asides.by_id, aside->id) == NULL)
            asides_park(&shadow->asides, asides_add(&shadow->asides, aside->topic, aside->partition,
                                                    aside->number, aside->key, false));
    asides_clear(&before);
}

enum err_kind live_share_asides(const struct live *live, struct shadow *shadow, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view *changed;
    size_t count;

    find_changed(live, shadow, &changed, &count, &arena);
    take_asides(live, shadow);
    return count > 0 ? key_events_fold_again(shadow, changed, count, err) : ERR_OK;
}

enum err_kind live_follow(const struct live *live, struct shadow *shadow, struct err *err)
{
    const struct log_place *ahead = live_is_behind(live, shadow);
    enum err_kind kind;

    if (ahead != NULL)
        return err_set(err, ERR_REJECT,
                       "%s is behind the shadow: of %s/%d it has %s number %" PRIu64
                       ", the shadow holds %" PRIu64,
                       shadow->fold->part, topic_name(ahead->topic), ahead->partition,
                       ahead->topic == shadow->fold->publishes ? "given out" : "applied",
                       live->vector[ahead - shadow->reader.places], ahead->high_water);
    kind = live_share_asides(live, shadow, err);
    for (size_t i = 0; i < shadow->reader.place_count; i++) {
        shadow->reader.places[i].until_offset = -1;
        shadow->reader.places[i].until_number = live->vector[i];
    }
    if (kind == ERR_OK && !log_reader_is_there(&shadow->reader))
        kind = shadow_move(shadow, err);
    return kind;
}

bool live_is_lost(const struct live *live, const struct shadow *shadow)
{
    bool is_empty = true, is_older = false;

    for (size_t i = 0; i < shadow->reader.place_count; i++) {
        const struct log_place *place = &shadow->reader.places[i];

        is_empty = is_empty && live->vector[i] == 0;
        is_older = is_older ||
                   (place->topic == shadow->fold->publishes && live->vector[i] < place->high_water);
    }
    return is_older || (is_empty && live_is_behind(live, shadow) != NULL);
}
