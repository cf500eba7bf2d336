#include "runtime/store.h"

static const char *const REASONS[] = {
    [DEAD_NO_NUMBER] = "no_number",
    [DEAD_UNDECODABLE] = "undecodable",
    [DEAD_UNKNOWN_SCHEMA] = "unknown_schema",
    [DEAD_IMPOSSIBLE] = "impossible",
    [DEAD_REFUSED] = "refused",
    [DEAD_PARKED] = "parked",
    [DEAD_UNDECIDED] = "undecided",
};

const char *dead_reason_name(enum dead_reason reason)
{
    return REASONS[reason];
}

bool dead_reason_from_name(struct view name, enum dead_reason *out)
{
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
        if (view_equals(name, REASONS[i])) {
            *out = (enum dead_reason)i;
            return true;
        }
    return false;
}

struct dead_letter dead_letter_copy(const struct dead_letter *dead, struct arena *arena)
{
    struct dead_letter copy = *dead;

    copy.topic = arena_strdup(arena, dead->topic);
    copy.error = arena_strdup(arena, dead->error);
    copy.key = arena_view(arena, dead->key);
    copy.headers = arena_view(arena, dead->headers);
    copy.value = arena_view(arena, dead->value);
    return copy;
}
