/* What a stored mark lets through: see struct mark. */
#include "runtime/store.h"

bool mark_is_fenced(const struct mark *stored, const struct mark *unit)
{
    return stored->epoch != unit->epoch;
}

int64_t mark_moved_by(const struct mark *stored, const struct mark *unit)
{
    if (unit->first == 0 || stored->fresh)
        return 0;
    return (int64_t)(stored->high_water + 1 - unit->first);
}

bool mark_still_owes(const struct mark *stored, const struct mark *after, uint64_t number)
{
    return number > 0 ? number > stored->high_water : after->next_offset > stored->next_offset;
}
