#include "consumers/inventory/snapshotter.h"

#include "consumers/inventory/snapshot_format.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <pthread.h>
#include <stdlib.h>

struct snapshotter {
    struct mongo *mongo;
    char *run;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    uint64_t number; /* of what waits or is being written; 0: nothing */
    bson_t **documents;
    size_t count, capacity;
    size_t bytes;
};

static struct metric snapshots_total = METRIC(METRIC_COUNTER, "tradewind_ledger_snapshots_total",
                                              "Snapshots of the ledger that were written");

static void drop_documents(struct snapshotter *snapshotter)
{
    for (size_t i = 0; i < snapshotter->count; i++)
        bson_destroy(snapshotter->documents[i]);
    snapshotter->count = 0;
}

static void write_snapshot(struct snapshotter *snapshotter)
{
    int64_t started_us = clock_monotonic_us();
    struct err err;

    if (chain_write_snapshot(snapshotter->mongo, snapshotter->number, snapshotter->run,
                             snapshotter->documents, snapshotter->count, &err) != ERR_OK) {
        LOG_WARN("snapshot_failed",
                 "a snapshot of the ledger was not written: the next one will be",
                 log_int("number", (int64_t)snapshotter->number), log_err(&err));
        return;
    }
    metric_add(&snapshots_total, 1);
    LOG_INFO("snapshot", "a snapshot of the ledger was written",
             log_int("number", (int64_t)snapshotter->number),
             log_int("bytes", (int64_t)snapshotter->bytes),
             log_int("duration_ms", (clock_monotonic_us() - started_us) / 1000));
}

static void *run_snapshotter(void *context)
{
    struct snapshotter *snapshotter = context;

    pthread_mutex_lock(&snapshotter->lock);
    for (;;) {
        while (snapshotter->number == 0 && !snapshotter->stopping)
            pthread_cond_wait(&snapshotter->changed, &snapshotter->lock);
        if (snapshotter->number == 0)
            break;
        pthread_mutex_unlock(&snapshotter->lock);
        write_snapshot(snapshotter);
        drop_documents(snapshotter);
        pthread_mutex_lock(&snapshotter->lock);
        snapshotter->number = 0;
    }
    pthread_mutex_unlock(&snapshotter->lock);
    return NULL;
}

enum err_kind snapshotter_start(struct snapshotter **out, const char *uri, const char *application,
                                const char *run, struct err *err)
{
    struct snapshotter *snapshotter;
    struct mongo *mongo;
    enum err_kind kind = mongo_open(&mongo, uri, application, err);

    if (kind != ERR_OK)
        return kind;
    metric_register(&snapshots_total);
    snapshotter = mem_alloc(sizeof *snapshotter);
    snapshotter->mongo = mongo;
    snapshotter->run = mem_strdup(run);
    pthread_mutex_init(&snapshotter->lock, NULL);
    pthread_cond_init(&snapshotter->changed, NULL);
    pthread_create(&snapshotter->thread, NULL, run_snapshotter, snapshotter);
    *out = snapshotter;
    return ERR_OK;
}

void snapshotter_stop(struct snapshotter *snapshotter)
{
    if (snapshotter == NULL)
        return;
    pthread_mutex_lock(&snapshotter->lock);
    snapshotter->stopping = true;
    pthread_cond_signal(&snapshotter->changed);
    pthread_mutex_unlock(&snapshotter->lock);
    pthread_join(snapshotter->thread, NULL);
    pthread_mutex_destroy(&snapshotter->lock);
    pthread_cond_destroy(&snapshotter->changed);
    mongo_close(snapshotter->mongo);
    free(snapshotter->documents);
    free(snapshotter->run);
    free(snapshotter);
}

bool snapshotter_is_busy(struct snapshotter *snapshotter)
{
    bool busy;

    pthread_mutex_lock(&snapshotter->lock);
    busy = snapshotter->number != 0;
    pthread_mutex_unlock(&snapshotter->lock);
    return busy;
}

static void take_document(void *context, bson_t *document)
{
    struct snapshotter *snapshotter = context;

    snapshotter->documents = mem_room(snapshotter->documents, snapshotter->count,
                                      &snapshotter->capacity, sizeof *snapshotter->documents);
    snapshotter->documents[snapshotter->count++] = document;
    snapshotter->bytes += document->len;
}

size_t snapshotter_take(struct snapshotter *snapshotter, const struct ledger *ledger)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct standing standing = ledger_standing(ledger, &arena);
    size_t bytes;

    /* The thread touches none of this while it is not busy. */
    snapshotter->bytes = 0;
    snapshot_write(&ledger->stock, (const struct letter *const *)ledger->letters,
                   ledger->letter_count, &standing, take_document, snapshotter);
    bytes = snapshotter->bytes;
    pthread_mutex_lock(&snapshotter->lock);
    snapshotter->number = ledger->number;
    pthread_cond_signal(&snapshotter->changed);
    pthread_mutex_unlock(&snapshotter->lock);
    return bytes;
}
