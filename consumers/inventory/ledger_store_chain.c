#include "consumers/inventory/ledger_store_parts.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>

/* A snapshot is due when this much was written since the last one (or twice its own size), or so
 * many documents (more behind a snapshot that is large itself): what a takeover has to read, [m]
 * 22 MB/s from FerretDB, and about a millisecond a document. */
#define SNAPSHOT_EVERY_BYTES (16u << 20)
#define SNAPSHOT_EVERY_DOCUMENTS 256
#define SNAPSHOT_BYTES_PER_DOCUMENT 4096

struct metric ledger_documents_total =
    METRIC(METRIC_COUNTER, "tradewind_ledger_documents_total", "Documents written to the ledger");
struct metric ledger_reloads_total = METRIC(METRIC_COUNTER, "tradewind_ledger_reloads_total",
                                            "Times the ledger was read back from its store");
struct metric ledger_insert_time =
    METRIC(METRIC_HISTOGRAM, "tradewind_ledger_insert_seconds", "One insert into the ledger");

/* --- Reading the chain ---------------------------------------------------------------------- */

void ledger_store_drop_unit(struct ledger_store *store)
{
    store->entry_count = 0;
    store->commit = NULL;
    store->beat = false;
}

void ledger_store_drop(struct ledger_store *store)
{
    struct ledger *ledger = store->ledger;

    pthread_mutex_lock(&store->lock);
    store->ledger = NULL;
    recent_forget(&store->recent);
    recent_forget(&store->waiting);
    pthread_mutex_unlock(&store->lock);
    ledger_free(ledger);
}

/* What a document says of that, which may be less than the relay knows. Under the lock. */
static void show_published(struct ledger_store *store, const uint64_t *numbers,
                           const int64_t *offsets)
{
    for (int32_t i = 0; i < store->partitions; i++)
        if (store->published[i] < numbers[i]) {
            store->published[i] = numbers[i];
            store->published_offsets[i] = offsets[i];
        }
}

/* What the relay asks for, after a document was folded or a snapshot read. Under the lock. */
static void show_relay(struct ledger_store *store, const struct ledger *ledger)
{
    memcpy(store->last_numbers, ledger->last_numbers,
           (size_t)store->partitions * sizeof *store->last_numbers);
    show_published(store, ledger->published, ledger->published_offsets);
}

static void loaded_batch(void *context, const struct batch *batch)
{
    struct ledger_load *load = context;

    load->documents++;
    if (load->writer != NULL && batch->standing.number == load->number &&
        view_equals(batch->standing.writer, load->writer))
        load->found = true;
    pthread_mutex_lock(&load->store->lock);
    show_published(load->store, batch->standing.published, batch->standing.published_offsets);
    for (size_t i = 0; i < batch->record_count; i++)
        recent_add(&load->store->recent, &batch->records[i]);
    pthread_mutex_unlock(&load->store->lock);
}

enum err_kind ledger_store_load(struct ledger_store *store, struct ledger_load *load,
                                struct err *err)
{
    int64_t started_ms = clock_monotonic_ms();
    AUTO(ledger_free)
    struct ledger *ledger = ledger_new(view_str(store->warehouse), store->partitions);
    enum err_kind kind;

    ledger_store_drop(store);
    load->store = store;
    kind = chain_load(ledger, store->worker, loaded_batch, load, err);
    if (kind != ERR_OK)
        return kind;
    metric_add(&ledger_reloads_total, 1);
    LOG_INFO("ledger_read", "the ledger was read from its store",
             log_int("number", (int64_t)ledger->number),
             log_int("documents", (int64_t)load->documents),
             log_int("skus", (int64_t)ledger->stock.sku_count),
             log_int("orders", (int64_t)ledger->stock.order_by_id.count),
             log_int("duration_ms", clock_monotonic_ms() - started_ms));
    pthread_mutex_lock(&store->lock);
    show_relay(store, ledger);
    store->ledger = ledger_free_keep(&ledger);
    pthread_mutex_unlock(&store->lock);
    store->believed_ms = started_ms;
    store->since_documents = load->documents;
    store->since_bytes = 0;
    return ERR_OK;
}

enum err_kind ledger_store_need(struct ledger_store *store, struct err *err)
{
    struct ledger_load load = {0};

    return store->ledger != NULL ? ERR_OK : ledger_store_load(store, &load, err);
}

/* --- Writing a document --------------------------------------------------------------------- */

static void note_copied(struct ledger_store *store, const struct batch *batch)
{
    size_t left = store->copied_count - batch->copied_count;

    if (left > 0)
        memmove(store->copied, store->copied + batch->copied_count, left * sizeof *store->copied);
    store->copied_count = left;
}

static void settle(struct ledger_store *store, const struct batch *batch)
{
    pthread_mutex_lock(&store->lock);
    ledger_settle(store->ledger, batch);
    show_relay(store, store->ledger);
    note_copied(store, batch);
    for (size_t i = 0; i < batch->record_count; i++)
        recent_add(&store->recent, &batch->records[i]);
    pthread_mutex_unlock(&store->lock);
    metric_add(&ledger_documents_total, 1);
}

static void snapshot_when_due(struct ledger_store *store, size_t document_bytes)
{
    size_t every_bytes = 2 * store->snapshot_bytes > SNAPSHOT_EVERY_BYTES
                             ? 2 * store->snapshot_bytes
                             : SNAPSHOT_EVERY_BYTES;
    size_t every_documents =
        SNAPSHOT_EVERY_DOCUMENTS + store->snapshot_bytes / SNAPSHOT_BYTES_PER_DOCUMENT;

    store->since_bytes += document_bytes;
    store->since_documents++;
    if ((store->since_bytes < every_bytes && store->since_documents < every_documents) ||
        snapshotter_is_busy(store->snapshotter))
        return;
    store->snapshot_bytes = snapshotter_take(store->snapshotter, store->ledger);
    store->since_bytes = 0;
    store->since_documents = 0;
}

/* The insert failed, was not answered, or was answered too late: only the chain knows. */
static enum err_kind ask_chain(struct ledger_store *store, const struct batch *batch,
                               const char *writer, struct err *err)
{
    struct ledger_load load = {.writer = writer, .number = batch->standing.number};
    struct err why = *err;
    enum err_kind kind;

    LOG_WARN("ledger_doubt", "a document of the ledger is in doubt: reading the ledger back",
             log_int("number", (int64_t)batch->standing.number), log_err(&why));
    /* The entries were applied to the memory that is dropped here. */
    store->entry_count = 0;
    kind = ledger_store_load(store, &load, err);
    if (kind != ERR_OK)
        return kind;
    if (load.found)
        return ERR_OK;
    return err_set(err, ERR_RETRY, "ledger document %" PRIu64 " is not ours: %s",
                   batch->standing.number, why.text);
}

static enum err_kind write_as(struct ledger_store *store, struct batch *batch, const char *writer,
                              struct err *err)
{
    int64_t sent_us = clock_monotonic_us();
    size_t document_bytes;
    bson_t *document;
    bool taken;
    enum err_kind kind;

    document = batch_write(batch);
    document_bytes = document->len;
    kind = chain_append(store->worker, document, batch->standing.number, &taken, err);
    bson_destroy(document);
    metric_observe_us(&ledger_insert_time, clock_monotonic_us() - sent_us);
    if (kind == ERR_REJECT && !taken)
        return kind;
    if (kind == ERR_OK && clock_monotonic_ms() - store->believed_ms > store->belief_ms)
        kind = err_set(err, ERR_RETRY,
                       "its insert was answered %" PRId64 " ms after the one before was sent",
                       clock_monotonic_ms() - store->believed_ms);
    if (kind != ERR_OK)
        return ask_chain(store, batch, writer, err);
    settle(store, batch);
    store->believed_ms = sent_us / 1000;
    snapshot_when_due(store, document_bytes);
    return ERR_OK;
}

enum err_kind ledger_store_write(struct ledger_store *store, struct batch *batch, struct err *err)
{
    char writer[LEDGER_WRITER_MAX];
    enum err_kind kind;

    snprintf(writer, sizeof writer, "%s/%s/%" PRIu64, store->instance, store->run,
             ++store->attempts);
    batch->standing.writer = view_str(writer);
    kind = write_as(store, batch, writer, err);
    batch->standing.writer = VIEW_NONE; /* it lives no longer than this call */
    return kind;
}

/* What every document says, with arrays of its own: the ledger's stay as they are until it stands.
 */
struct standing ledger_store_next_standing(struct ledger_store *store, struct arena *arena)
{
    struct standing standing = ledger_standing(store->ledger, arena);
    size_t bytes = (size_t)store->partitions * sizeof(uint64_t);
    uint64_t *last_numbers = arena_alloc(arena, bytes), *published = arena_alloc(arena, bytes);
    int64_t *published_offsets = arena_alloc(arena, bytes);

    memcpy(last_numbers, standing.last_numbers, bytes);
    pthread_mutex_lock(&store->lock);
    memcpy(published, store->published, bytes);
    memcpy(published_offsets, store->published_offsets, bytes);
    pthread_mutex_unlock(&store->lock);
    standing.number++;
    standing.time_us = store->ledger->stock.time_us;
    standing.last_numbers = last_numbers;
    standing.published = published;
    standing.published_offsets = published_offsets;
    return standing;
}

/* By the ledger's time, which never goes back: receipts are forgotten in the order they came. */
void ledger_store_set_time(struct ledger_store *store)
{
    int64_t now_us = clock_utc_us();

    store->ledger->stock.time_us =
        now_us > store->ledger->time_us ? now_us : store->ledger->time_us;
}
