#include "ops/replay/shadow.h"

static struct view id_of(const void *thing)
{
    return ((const struct aside *)thing)->id;
}

static struct view key_of(const void *thing)
{
    return ((const struct aside *)thing)->key;
}

void asides_init(struct asides *asides)
{
    *asides = (struct asides){
        .by_id = {.key_of = id_of}, .by_key = {.key_of = key_of}, .parked = {.key_of = key_of}};
}

void asides_clear(struct asides *asides)
{
    lookup_clear(&asides->by_id);
    lookup_clear(&asides->by_key);
    lookup_clear(&asides->parked);
    arena_clear(&asides->arena);
}

static struct view make_id(char out[ENVELOPE_ID_SIZE], enum topic topic, int32_t partition,
                           uint64_t number)
{
    return view_of(out, envelope_id(out, view_str(topic_writer(topic)), partition, number));
}

struct aside *asides_find(const struct asides *asides, enum topic topic, int32_t partition,
                          uint64_t number)
{
    char id[ENVELOPE_ID_SIZE];

    return asides->by_id.count == 0
               ? NULL
               : lookup_find(&asides->by_id, make_id(id, topic, partition, number));
}

struct aside *asides_add(struct asides *asides, enum topic topic, int32_t partition,
                         uint64_t number, struct view key, bool by_live)
{
    struct aside *aside = asides_find(asides, topic, partition, number);
    char id[ENVELOPE_ID_SIZE];

    if (aside != NULL)
        return aside;
    aside = arena_alloc(&asides->arena, sizeof *aside);
    *aside = (struct aside){
        .topic = topic,
        .partition = partition,
        .number = number,
        .key = arena_view(&asides->arena, key.data != NULL ? key : VIEW_LITERAL("")),
        .by_live = by_live,
        .id = arena_view(&asides->arena, make_id(id, topic, partition, number)),
    };
    lookup_add(&asides->by_id, aside);
    if (lookup_find(&asides->by_key, aside->key) == NULL)
        lookup_add(&asides->by_key, aside);
    return aside;
}

bool asides_have_key(const void *asides, struct view key)
{
    return lookup_find(&((const struct asides *)asides)->by_key, key) != NULL;
}

void asides_park(struct asides *asides, struct aside *aside)
{
    if (lookup_find(&asides->parked, aside->key) == NULL)
        lookup_add(&asides->parked, aside);
}
