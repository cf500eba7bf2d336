/* The stores' rules about marks: one commit moves them with everything else, and takes only what
 * runtime/store.h lets through. */
#include "tests/sim/sim.h"

/* The locks wait for a commit that is not finished: then what it wrote is there. */
static struct mark *locked_mark(struct world *world, enum saga_part part, const struct item *item)
{
    world->stores[part].unfinished = false;
    return &world->stores[part].marks[item->input][item->shard];
}

bool store_is_fenced(struct world *world, enum saga_part part, const struct unit *unit)
{
    bool begun[INPUTS][SHARDS] = {0};

    for (int k = 0; k < unit->count; k++) {
        const struct item *item = &unit->items[k];
        struct mark mark = item->after;
        const struct mark *stored;

        if (item->kind != ITEM_RECORD)
            continue;
        stored = locked_mark(world, part, item);
        mark.first = begun[item->input][item->shard] ? 0 : item->number;
        begun[item->input][item->shard] = true;
        if (mark_is_fenced(stored, &mark) || mark_moved_by(stored, &mark) > 0)
            return true;
        if (mark_moved_by(stored, &mark) < 0)
            problem(world, "%s: a unit begins with number %d, %d is stored", saga_part_name(part),
                    (int)item->number, (int)stored->high_water);
    }
    return false;
}

/* The last record of each partition says where it stands. */
void store_moves_marks(struct world *world, enum saga_part part, const struct unit *unit)
{
    struct database *store = &world->stores[part];

    for (int k = 0; k < unit->count; k++) {
        const struct item *item = &unit->items[k];

        if (item->kind != ITEM_RECORD)
            continue;
        if (item->number > 0)
            oracle_applies(world, part, item->input, item->shard, item->number);
        store->marks[item->input][item->shard] = item->after;
    }
}
