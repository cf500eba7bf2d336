#include "consumers/payment/payment_look.h"

#include "consumers/payment/payment_store.h"
#include "runtime/clock.h"

#include <stdlib.h>

#define PAGE 1000
#define EVERY_MS 15000
#define NO_ROOM_MS 300 /* memory is full: look again after */

struct shard {
    bool is_ours;
    int64_t due_ms;
    struct buf after; /* order id: where the next page begins */
};

struct payment_look {
    struct command command;
    struct host *host;
    struct payment_calls *calls;
    bool is_under_way;
    int32_t shard;          /* of the command */
    struct owed_call *rows; /* in the arena of its unit */
    size_t count;
    int32_t shard_count;
    struct shard shards[];
};

static void on_done(struct command *command, enum err_kind outcome, const struct err *err);

struct payment_look *payment_look_new(struct host *host, struct payment_calls *calls,
                                      int command_kind)
{
    int32_t shard_count = host_partitions(host);
    struct payment_look *look =
        mem_alloc(sizeof *look + (size_t)shard_count * sizeof look->shards[0]);

    look->command = (struct command){.kind = command_kind, .key = VIEW_NONE, .done = on_done};
    look->host = host;
    look->calls = calls;
    look->shard_count = shard_count;
    return look;
}

void payment_look_free(struct payment_look *look)
{
    if (look == NULL)
        return;
    for (int32_t i = 0; i < look->shard_count; i++)
        buf_clear(&look->shards[i].after);
    free(look);
}

void payment_look_take(struct payment_look *look, int32_t shard)
{
    look->shards[shard].is_ours = true;
    look->shards[shard].due_ms = 0;
    buf_reset(&look->shards[shard].after);
}

void payment_look_leave(struct payment_look *look, int32_t shard)
{
    look->shards[shard].is_ours = false;
}

void payment_look_hurry(struct payment_look *look, int32_t shard)
{
    int64_t soon_ms = clock_monotonic_ms() + NO_ROOM_MS;

    if (look->shards[shard].due_ms > soon_ms)
        look->shards[shard].due_ms = soon_ms;
}

void payment_look_tick(struct payment_look *look, int64_t now_ms)
{
    for (int32_t i = 0; i < look->shard_count && !look->is_under_way; i++) {
        if (!look->shards[i].is_ours || look->shards[i].due_ms > now_ms)
            continue;
        look->shard = i;
        look->is_under_way = host_submit(look->host, &look->command);
        if (!look->is_under_way)
            return; /* the inbox is full: at the next tick */
    }
}

void payment_look_load(struct unit *unit, struct command *command)
{
    struct payment_look *look = (struct payment_look *)command;

    payment_store_look(unit, look->shard, buf_view(&look->shards[look->shard].after), PAGE);
}

enum err_kind payment_look_loaded(struct unit *unit, struct command *command, struct err *err)
{
    struct payment_look *look = (struct payment_look *)command;

    return payment_store_looked(unit, look->shard, &look->rows, &look->count, err);
}

/* Take the page up, in order, as far as there is room; the rest is for the next look. */
void payment_look_committed(struct command *command)
{
    struct payment_look *look = (struct payment_look *)command;
    struct shard *shard = &look->shards[look->shard];
    int64_t now_ms = clock_monotonic_ms();
    size_t taken = 0;

    if (!shard->is_ours)
        return;
    while (taken < look->count && payment_calls_set(look->calls, &look->rows[taken]))
        taken++;
    if (taken > 0) {
        buf_reset(&shard->after);
        buf_append_view(&shard->after, look->rows[taken - 1].order_id);
    }
    if (taken < look->count) {
        shard->due_ms = now_ms + NO_ROOM_MS;
    } else if (look->count == PAGE) {
        shard->due_ms = now_ms;
    } else {
        shard->due_ms = now_ms + EVERY_MS;
        buf_reset(&shard->after);
    }
}

/* An outcome other than ERR_OK leaves the shard due: the next tick looks again. */
static void on_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    (void)outcome, (void)err;
    ((struct payment_look *)command)->is_under_way = false;
}
