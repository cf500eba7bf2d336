#include "ops/replay/abreast.h"

#include "runtime/bytes.h"

#include <stdlib.h>

void abreast_init(struct abreast *abreast, size_t count, size_t lead)
{
    *abreast = (struct abreast){
        .places = mem_alloc(count * sizeof *abreast->places), .count = count, .lead = lead};
    abreast_start(abreast);
}

void abreast_clear(struct abreast *abreast)
{
    free(abreast->places);
    *abreast = (struct abreast){0};
}

void abreast_start(struct abreast *abreast)
{
    for (size_t i = 0; i < abreast->count; i++)
        abreast->places[i] =
            (struct abreast_place){.time_ms = INT64_MIN, .mark_ms = INT64_MIN, .has_more = true};
    abreast->is_due = false;
}

void abreast_read(struct abreast *abreast, size_t i, int64_t time_ms)
{
    struct abreast_place *place;

    if (abreast->count == 0)
        return;
    place = &abreast->places[i];
    place->has_more = true;
    if (time_ms > place->time_ms)
        place->time_ms = time_ms;
    if (++place->since >= abreast->lead)
        abreast->is_due = true;
}

void abreast_at_end(struct abreast *abreast, size_t i)
{
    if (abreast->count == 0)
        return;
    abreast->places[i].has_more = false;
    abreast->is_due = true; /* somebody may have waited for it */
}

static int64_t slowest_ms(const struct abreast *abreast)
{
    int64_t time_ms = INT64_MAX;

    for (size_t i = 0; i < abreast->count; i++)
        if (abreast->places[i].has_more && abreast->places[i].time_ms < time_ms)
            time_ms = abreast->places[i].time_ms;
    return time_ms;
}

static void look_at(struct abreast_place *place, int64_t slowest)
{
    bool waits = place->mark_ms > slowest;

    place->is_changed = waits != place->waits;
    place->waits = waits;
    if (!waits) {
        place->mark_ms = place->time_ms;
        place->since = 0;
    }
}

bool abreast_look(struct abreast *abreast, bool nothing_came)
{
    int64_t slowest;
    bool any = false;

    if (!abreast->is_due && !nothing_came)
        return false;
    abreast->is_due = false;
    slowest = slowest_ms(abreast);
    for (size_t i = 0; i < abreast->count; i++) {
        struct abreast_place *place = &abreast->places[i];

        place->is_changed = false;
        if (place->waits || place->since >= abreast->lead)
            look_at(place, slowest);
        any |= place->is_changed;
    }
    return any;
}
