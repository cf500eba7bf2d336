#include "tests/integration/ledger_work.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

const char *uri(void)
{
    static char text[256];

    if (text[0] == '\0') {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        cr_assert_not_null(getenv("TRADEWIND_MONGODB"),
                           "TRADEWIND_MONGODB: want mongodb://host:port");
        snprintf(text, sizeof text, "%.200s_test_%d_%ld", getenv("TRADEWIND_MONGODB"),
                 (int)getpid(), now.tv_nsec);
    }
    return text;
}

static struct store open_with(const char *instance, int64_t belief_ms, size_t recent_bytes)
{
    const struct ledger_store_options options = {.uri = uri(),
                                                 .instance = instance,
                                                 .warehouse = "main",
                                                 .partitions = P,
                                                 .journal_s = 3600,
                                                 .belief_ms = belief_ms,
                                                 .recent_bytes = recent_bytes};
    struct store store;
    struct err err = {0};

    cr_assert_eq(ledger_store_open(&store, &options, &err), ERR_OK, "%s", err.text);
    return store;
}

struct store open_store(const char *instance, int64_t belief_ms)
{
    return open_with(instance, belief_ms, LEDGER_RECENT_BYTES);
}

struct store open_store_that_keeps_nothing(void)
{
    return open_with("inventory-1", LEDGER_BELIEF_MS, 0);
}

struct mark take_over(struct store *store)
{
    struct mark mark = {.topic = "shop.orders.v1", .partition = 1};
    struct err err = {0};

    cr_assert_eq(store->take_over(store->self, &mark, 1, &err), ERR_OK, "%s", err.text);
    return mark;
}

struct mongo *open_mongo(void)
{
    struct mongo *mongo;

    cr_assert_eq(mongo_open(&mongo, uri(), "test", NULL), ERR_OK);
    return mongo;
}

void drop_all(void)
{
    AUTO(mongo_close) struct mongo *mongo = open_mongo();
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;

    cr_assert_eq(mongo_collections(mongo, "", &names, &count, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++)
        mongo_drop(mongo, names[i], NULL);
}

static enum err_kind begin_in(struct store *store, struct work *work, struct mark mark,
                              int32_t shard, struct err *err)
{
    bool fenced = false;
    enum err_kind kind;

    *work = (struct work){.mark = mark, .shard = shard};
    work->commit = (struct commit){.marks = &work->mark,
                                   .mark_count = 1,
                                   .shards = &work->shard,
                                   .last_numbers = &work->last_number,
                                   .shard_count = 1,
                                   .arena = &work->arena};
    kind = store->begin(store->self, &work->commit, err);
    if (kind == ERR_OK)
        kind = store->began(store->self, &work->commit, &fenced, err);
    if (fenced)
        snprintf(err->text, sizeof err->text, "fenced");
    return kind;
}

enum err_kind begin(struct store *store, struct work *work, struct mark mark, struct err *err)
{
    return begin_in(store, work, mark, 1, err);
}

void receive(struct store *store, struct work *work, const char *id)
{
    const struct entry entry = {
        .kind = ENTRY_RECEIVE, .id = view_str(id), .items = &work->item, .item_count = 1};
    struct err err = {0};

    work->item = (struct stock_item){.sku = V("X"), .quantity = 1};
    cr_assert_eq(ledger_store_enter(store->self, &entry, &err), ERR_OK, "%s", err.text);
    work->record = (struct journal_record){.shard = work->shard,
                                           .number = ++work->last_number,
                                           .key = V("X"),
                                           .headers = V("headers"),
                                           .value = view_str(id)};
    work->commit.records = &work->record;
    work->commit.record_count = 1;
    work->mark.next_offset++;
    work->mark.high_water++;
}

struct mark commit_receipt(struct store *store, struct mark mark, const char *id)
{
    return commit_receipt_in(store, mark, id, 1);
}

struct mark commit_receipt_in(struct store *store, struct mark mark, const char *id, int32_t shard)
{
    struct work work;
    struct err err = {0};

    cr_assert_eq(begin_in(store, &work, mark, shard, &err), ERR_OK, "%s", err.text);
    receive(store, &work, id);
    cr_assert_eq(store->commit(store->self, &work.commit, &err), ERR_OK, "%s", err.text);
    mark = work.mark;
    arena_clear(&work.arena);
    return mark;
}

int64_t on_hand(const struct store *store)
{
    const struct stock_sku *sku = stock_find_sku(ledger_store_stock(store->self), V("X"));

    return sku != NULL ? sku->units[STOCK_ON_HAND] : 0;
}

void keep_number(void *context, const struct journal_record *record)
{
    uint64_t *next = context;

    cr_assert_eq(record->number, *next);
    (*next)++;
}
