#include "ops/replay/stock_lock.h"

#include "runtime/bson_read.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define COLLECTION "lock"
#define HELD_US (INT64_C(10) * 1000000)
#define SAY_MS 2000

struct holder {
    uint64_t number;
    int64_t until_us;
    char who[80];
};

static enum err_kind read_holder(void *context, const bson_t *document, struct err *err)
{
    struct holder *holder = context;
    struct bson_reader reader = {.what = "the replay's lock", .err = err};
    uint64_t number = (uint64_t)bson_read_int64(&reader, document, "number", 1, INT64_MAX);
    int64_t until_us = bson_read_int64(&reader, document, "until_us", 0, INT64_MAX);
    struct view who = bson_read_text(&reader, document, "who", sizeof holder->who - 1);

    if (reader.kind != ERR_OK || number < holder->number)
        return reader.kind;
    holder->number = number;
    holder->until_us = until_us;
    snprintf(holder->who, sizeof holder->who, "%.*s", VIEW_PRINT(who));
    return ERR_OK;
}

static enum err_kind held_by(const char *who, struct err *err)
{
    return err_set(err, ERR_REJECT,
                   "somebody else replays inventory: %s UTC; wait until that has ended", who);
}

static enum err_kind say(struct stock_lock *lock, struct mongo *mongo, struct err *err)
{
    AUTO(bson_destroy) bson_t *document = bson_new();
    bool taken = false;
    char id[32];
    enum err_kind kind;

    snprintf(id, sizeof id, "%020" PRIu64, lock->number + 1);
    BSON_APPEND_UTF8(document, "_id", id);
    BSON_APPEND_INT64(document, "number", (int64_t)lock->number + 1);
    BSON_APPEND_INT64(document, "until_us", clock_utc_us() + HELD_US);
    BSON_APPEND_UTF8(document, "who", lock->who);
    kind = mongo_insert(mongo, COLLECTION, document, &taken, err);
    if (kind == ERR_OK) {
        lock->number++;
        lock->said_ms = clock_monotonic_ms();
    }
    return taken ? held_by("another process, just now", err) : kind;
}

enum err_kind stock_lock_take(struct stock_lock *lock, struct mongo *mongo, struct err *err)
{
    struct holder holder = {0};
    char now[CLOCK_RFC3339_SIZE];
    enum err_kind kind = mongo_read(mongo, COLLECTION, 100, read_holder, &holder, err);

    if (kind == ERR_OK && holder.number > 0 && holder.until_us > clock_utc_us())
        return held_by(holder.who, err);
    clock_format_rfc3339(clock_utc_us(), now);
    *lock = (struct stock_lock){.number = holder.number};
    snprintf(lock->who, sizeof lock->who, "tradewind replay, process %d, since %.8s", (int)getpid(),
             now + 11);
    if (kind == ERR_OK)
        kind = say(lock, mongo, err);
    if (kind == ERR_OK)
        lock->mongo = mongo;
    return kind;
}

enum err_kind stock_lock_keep(struct stock_lock *lock, struct err *err)
{
    enum err_kind kind;

    if (clock_monotonic_ms() - lock->said_ms < SAY_MS)
        return ERR_OK;
    kind = say(lock, lock->mongo, err);
    if (kind == ERR_REJECT)
        lock->mongo = NULL; /* not ours to release */
    return kind;
}

void stock_lock_release(struct stock_lock *lock)
{
    struct err err;

    if (lock->mongo != NULL)
        mongo_drop(lock->mongo, COLLECTION, &err);
    lock->mongo = NULL;
}
