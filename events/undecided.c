/* A replay has made the part's state from the topics, but inputs whose outcome was lost with a
 * database, or hidden by rows that were wrong, are not in it. It left them as dead letters with the
 * reason `undecided`; the part decides them when it starts, or soon after the swap when it runs.
 * What comes meanwhile for such a key waits behind them. */
#include "events/host.h"
#include "runtime/log.h"

#include <stdlib.h>

#define LOOK_MAX 500
#define LOOK_EVERY_MS 1000  /* while there are some */
#define LOOK_AGAIN_MS 10000 /* for those of a swap */

struct again {
    struct bring_back back;
    struct host *host;
};

static void decided(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct again *again = (struct again *)command;

    again->host->undecided--;
    if (outcome != ERR_OK)
        LOG_WARN("undecided", "an input that a replay left to be decided is not decided yet",
                 log_int("dead_letter", again->back.id), log_err(err));
    buf_clear(&again->back.report);
    free(again);
}

static void submit(struct host *host, int64_t id)
{
    struct again *again = mem_alloc(sizeof *again);

    again->host = host;
    again->back.id = id;
    again->back.command.kind = COMMAND_REDRIVE;
    again->back.command.done = decided;
    host->undecided++;
    if (host_submit(host, &again->back.command))
        return;
    host->undecided--;
    free(again);
}

void undecided_tick(struct host *host, int64_t now_ms)
{
    int64_t ids[LOOK_MAX];
    size_t count = 0;
    struct err err;

    if (host->undecided > 0 || now_ms < host->undecided_at_ms || !atomic_load(&host->assigned) ||
        host->store.undecided == NULL)
        return;
    host->undecided_at_ms = now_ms + LOOK_EVERY_MS;
    if (host->store.undecided(host->store.self, ids, LOOK_MAX, &count, &err) != ERR_OK)
        return; /* the database is away: later */
    if (count == 0)
        host->undecided_at_ms = now_ms + LOOK_AGAIN_MS;
    if (count > 0)
        LOG_INFO("deciding_again", "inputs that a replay left are decided",
                 log_int("keys", (int64_t)count));
    for (size_t i = 0; i < count; i++)
        submit(host, ids[i]);
}
