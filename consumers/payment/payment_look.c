#include "consumers/payment/payment_look.h"

#include "consumers/payment/payment_store.h"
#include "runtime/clock.h"

#include <stdlib.h>

#define PAGE 1000
#define PAGE_MIN 25 /* with room for fewer it is not worth a look */
#define EVERY_MS 15000

/* A shard is walked in the order of its order ids, a page a look. */
struct shard {
    bool is_ours;
    bool is_behind;   /* some of its calls are in the table only */
    bool is_left_any; /* one was left there since the walk began: it may lie before `after` */
    int64_t due_ms;
    struct buf after; /* order id: where the next page begins */
};

struct payment_look {
    struct command command;
    struct host *host;
    struct payment_calls *calls;
    bool is_under_way;
    int32_t shard;          /* of the command */
    size_t limit;           /* rows it reads at most */
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
    look->shards[shard].is_ours = look->shards[shard].is_behind = true;
    look->shards[shard].due_ms = 0;
    buf_reset(&look->shards[shard].after);
}

void payment_look_leave(struct payment_look *look, int32_t shard)
{
    look->shards[shard].is_ours = false;
}

bool payment_look_is_behind(const struct payment_look *look, int32_t shard)
{
    return look->shards[shard].is_behind;
}

void payment_look_left(struct payment_look *look, int32_t shard)
{
    int64_t now_ms = clock_monotonic_ms();

    look->shards[shard].is_behind = look->shards[shard].is_left_any = true;
    if (look->shards[shard].due_ms > now_ms)
        look->shards[shard].due_ms = now_ms;
}

/* The one that is due longest, so that none waits for the others to be empty; -1: none is due. */
static int32_t next_due(const struct payment_look *look, int64_t now_ms)
{
    int32_t found = -1;

    for (int32_t i = 0; i < look->shard_count; i++)
        if (look->shards[i].is_ours && look->shards[i].due_ms <= now_ms &&
            (found < 0 || look->shards[i].due_ms < look->shards[found].due_ms))
            found = i;
    return found;
}

void payment_look_tick(struct payment_look *look, int64_t now_ms)
{
    size_t room = payment_calls_room(look->calls);
    int32_t shard = next_due(look, now_ms);

    if (look->is_under_way || shard < 0 || room < PAGE_MIN)
        return;
    look->shard = shard;
    look->limit = room < PAGE ? room : PAGE;
    look->is_under_way = host_submit(look->host, &look->command); /* else at the next tick */
}

void payment_look_load(struct unit *unit, struct command *command)
{
    struct payment_look *look = (struct payment_look *)command;

    payment_store_look(unit, look->shard, buf_view(&look->shards[look->shard].after),
                       (int)look->limit);
}

enum err_kind payment_look_loaded(struct unit *unit, struct command *command, struct err *err)
{
    struct payment_look *look = (struct payment_look *)command;

    return payment_store_looked(unit, look->shard, &look->rows, &look->count, err);
}

/* At the end of a walk: all is in memory, unless something was left in the table meanwhile. */
static void begin_again(struct shard *shard, int64_t now_ms)
{
    shard->is_behind = shard->is_left_any;
    shard->is_left_any = false;
    shard->due_ms = shard->is_behind ? now_ms : now_ms + EVERY_MS;
    buf_reset(&shard->after);
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
    while (taken < look->count && payment_calls_set(look->calls, &look->rows[taken], true))
        taken++;
    if (taken > 0) {
        buf_reset(&shard->after);
        buf_append_view(&shard->after, look->rows[taken - 1].order_id);
    }
    shard->due_ms = now_ms;
    if (taken < look->count)
        shard->is_behind = true;
    else if (look->count < look->limit)
        begin_again(shard, now_ms);
}

/* Another shard may be due; after a failure the next tick sees. */
static void on_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct payment_look *look = (struct payment_look *)command;

    (void)err;
    look->is_under_way = false;
    if (outcome == ERR_OK)
        payment_look_tick(look, clock_monotonic_ms());
}
