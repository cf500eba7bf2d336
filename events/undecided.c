/* A replay has made the part's state from the topics, but inputs whose outcome was lost with a
 * database, or hidden by rows that were wrong, are not in it. It left them as dead letters with the
 * reason `undecided`; the part decides them when it starts, or soon after the swap when it runs.
 * What comes meanwhile for such a key waits behind them.
 *
 * There may be as many as orders are open: each instance decides those of its partitions, many keys
 * in a unit, and takes what comes in between. */
#include "events/host.h"
#include "runtime/log.h"

#define KEYS_MAX 200        /* of a unit */
#define LOOK_AGAIN_MS 10000 /* for those of a swap, while there are none */
#define LOOK_LATER_MS 1000  /* after a failure */

/* The partitions whose inputs this instance applies. */
static size_t find_ours(const struct host *host, int32_t *partitions)
{
    size_t count = 0;

    for (int32_t i = 0; i < host->partitions; i++)
        if (intake_epoch(host->intake, 0, i) > 0)
            partitions[count++] = i;
    return count;
}

void undecided_tick(struct host *host, int64_t now_ms)
{
    struct dead_letter *letters = NULL;
    int32_t *ours;
    size_t ours_count, count = 0;
    struct err err;

    if (host->intake == NULL || now_ms < host->undecided_at_ms || host->store.undecided == NULL)
        return;
    ours = arena_array(&host->arena, (size_t)host->partitions, sizeof *ours);
    ours_count = find_ours(host, ours);
    if (ours_count == 0)
        return;
    host->undecided_at_ms = now_ms + LOOK_LATER_MS;
    if (host->store.undecided(host->store.self, ours, ours_count, KEYS_MAX, &letters, &count,
                              &host->arena, &err) != ERR_OK)
        return; /* the store is away */
    if (count == 0) {
        host->undecided_at_ms = now_ms + LOOK_AGAIN_MS;
        return;
    }
    LOG_INFO("deciding_again", "inputs that a replay left are decided",
             log_int("letters", (int64_t)count));
    if (redrive_together(host, letters, count, &err) == ERR_OK)
        host->undecided_at_ms = now_ms;
    else
        LOG_WARN("undecided", "inputs that a replay left to be decided are not decided yet",
                 log_int("dead_letter", letters[0].id), log_err(&err));
}
