/* Schema ids that nobody knows. The first record of one is waited for, then asked for once more,
 * and then set aside; those that come behind it with the same id need not go that way again: who
 * waits for the schema has waited. When it is there after all, they are read. */
#include "events/host.h"
#include "runtime/clock.h"

/* So long a record of that id is set aside without waiting. */
#define GIVEN_UP_FOR_MS 600000
/* How often it is looked for meanwhile, however many records there are. */
#define LOOK_EVERY_MS 1000

static struct unknown_schema *find(struct host *host, int32_t id)
{
    for (size_t i = 0; i < UNKNOWN_SCHEMAS_MAX; i++)
        if (host->unknown[i].given_up_ms > 0 && host->unknown[i].id == id)
            return &host->unknown[i];
    return NULL;
}

bool unknown_is_given_up(struct host *host, int32_t id)
{
    const struct unknown_schema *unknown = find(host, id);

    return unknown != NULL && clock_monotonic_ms() - unknown->given_up_ms < GIVEN_UP_FOR_MS;
}

void unknown_give_up(struct host *host, int32_t id)
{
    struct unknown_schema *place = find(host, id);

    if (unknown_is_given_up(host, id))
        return;
    for (size_t i = 0; place == NULL && i < UNKNOWN_SCHEMAS_MAX; i++)
        if (host->unknown[i].given_up_ms == 0)
            place = &host->unknown[i];
    if (place == NULL) { /* the oldest makes room */
        place = &host->unknown[0];
        for (size_t i = 1; i < UNKNOWN_SCHEMAS_MAX; i++)
            if (host->unknown[i].given_up_ms < place->given_up_ms)
                place = &host->unknown[i];
    }
    *place = (struct unknown_schema){.id = id, .given_up_ms = clock_monotonic_ms()};
}

bool unknown_may_look(struct host *host, int32_t id)
{
    struct unknown_schema *unknown = find(host, id);
    int64_t now_ms = clock_monotonic_ms();

    if (unknown == NULL)
        return true;
    if (now_ms - unknown->looked_ms < LOOK_EVERY_MS)
        return false;
    unknown->looked_ms = now_ms;
    return true;
}
