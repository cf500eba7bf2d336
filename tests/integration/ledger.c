/* Inventory's ledger against a real store: test_ledger.py starts one and runs this. Each test has a
 * database of its own. */
#include "consumers/inventory/chain.h"
#include "consumers/inventory/ledger_store.h"
#include "consumers/inventory/snapshot_format.h"
#include "runtime/clock.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define P 4
#define V(text) VIEW_LITERAL(text)

/* --- Arranging ------------------------------------------------------------------------------ */

static const char *uri(void)
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

static struct store open_store(const char *instance, int64_t belief_ms)
{
    const struct ledger_store_options options = {.uri = uri(),
                                                 .instance = instance,
                                                 .warehouse = "main",
                                                 .partitions = P,
                                                 .belief_ms = belief_ms};
    struct store store;
    struct err err = {0};

    cr_assert_eq(ledger_store_open(&store, &options, &err), ERR_OK, "%s", err.text);
    return store;
}

static struct mark take_over(struct store *store)
{
    struct mark mark = {.topic = "shop.orders.v1", .partition = 1};
    struct err err = {0};

    cr_assert_eq(store->take_over(store->self, &mark, 1, &err), ERR_OK, "%s", err.text);
    return mark;
}

static struct mongo *open_mongo(void)
{
    struct mongo *mongo;

    cr_assert_eq(mongo_open(&mongo, uri(), "test", NULL), ERR_OK);
    return mongo;
}

static void drop_all(void)
{
    AUTO(mongo_close) struct mongo *mongo = open_mongo();
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;

    cr_assert_eq(mongo_collections(mongo, "", &names, &count, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++)
        mongo_drop(mongo, names[i], NULL);
}

/* A unit of work as the host makes one: a receipt, its record in shard 1, the mark moved. */
struct work {
    struct arena arena;
    struct commit commit;
    struct mark mark;
    int32_t shard;
    uint64_t last_number;
    struct journal_record record;
    struct stock_item item;
};

static enum err_kind begin(struct store *store, struct work *work, struct mark mark,
                           struct err *err)
{
    bool fenced = false;
    enum err_kind kind;

    *work = (struct work){.mark = mark, .shard = 1};
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

static void receive(struct store *store, struct work *work, const char *id)
{
    const struct entry entry = {
        .kind = ENTRY_RECEIVE, .id = view_str(id), .items = &work->item, .item_count = 1};
    struct err err = {0};

    work->item = (struct stock_item){.sku = V("X"), .quantity = 1};
    cr_assert_eq(ledger_store_enter(store->self, &entry, &err), ERR_OK, "%s", err.text);
    work->record = (struct journal_record){.shard = 1,
                                           .number = ++work->last_number,
                                           .key = V("X"),
                                           .headers = V("headers"),
                                           .value = view_str(id)};
    work->commit.records = &work->record;
    work->commit.record_count = 1;
    work->mark.next_offset++;
    work->mark.high_water++;
}

static struct mark commit_receipt(struct store *store, struct mark mark, const char *id)
{
    struct work work;
    struct err err = {0};

    cr_assert_eq(begin(store, &work, mark, &err), ERR_OK, "%s", err.text);
    receive(store, &work, id);
    cr_assert_eq(store->commit(store->self, &work.commit, &err), ERR_OK, "%s", err.text);
    mark = work.mark;
    arena_clear(&work.arena);
    return mark;
}

static int64_t on_hand(const struct store *store)
{
    const struct stock_sku *sku = stock_find_sku(ledger_store_stock(store->self), V("X"));

    return sku != NULL ? sku->units[STOCK_ON_HAND] : 0;
}

static void keep_number(void *context, const struct journal_record *record)
{
    uint64_t *next = context;

    cr_assert_eq(record->number, *next);
    (*next)++;
}

/* --- The promises --------------------------------------------------------------------------- */

Test(ledger, what_was_committed_is_there_for_who_comes_next, .fini = drop_all)
{
    struct store first = open_store("inventory-1", LEDGER_BELIEF_MS), second;
    struct mark mark = take_over(&first);
    uint64_t numbers[P], next = 1;

    cr_expect(mark.fresh && mark.next_offset == -1);
    mark = commit_receipt(&first, mark, "r1");
    mark = commit_receipt(&first, mark, "r2");
    first.close(first.self);

    second = open_store("inventory-2", LEDGER_BELIEF_MS);
    mark = take_over(&second);
    cr_expect_eq(on_hand(&second), 2);
    cr_expect(mark.high_water == 2 && mark.next_offset == 1 && !mark.fresh);
    cr_expect_eq(second.last_numbers(second.self, numbers, P, NULL), ERR_OK);
    cr_expect_eq(numbers[1], 2);
    cr_expect_eq(second.read(second.self, 1, 1, 1000, keep_number, &next, NULL), ERR_OK);
    cr_expect_eq(next, 3);
    second.close(second.self);
}

Test(ledger, whoever_was_taken_over_writes_nothing_any_more, .fini = drop_all)
{
    struct store first = open_store("inventory-1", LEDGER_BELIEF_MS),
                 second = open_store("inventory-2", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&first), other;
    struct work work;
    struct err err = {0};

    mark = commit_receipt(&first, mark, "r1");
    cr_assert_eq(begin(&first, &work, mark, &err), ERR_OK, "%s", err.text);
    other = take_over(&second);
    receive(&first, &work, "late");

    cr_expect_eq(first.commit(first.self, &work.commit, &err), ERR_RETRY);
    first.abandon(first.self);
    arena_clear(&work.arena);
    cr_expect_eq(begin(&first, &work, mark, &err), ERR_RETRY);
    cr_expect_str_eq(err.text, "fenced");
    commit_receipt(&second, other, "r2");
    cr_expect_eq(on_hand(&second), 2, "r1 and r2, not the late one");
    first.close(first.self);
    second.close(second.self);
}

Test(ledger, an_answer_that_comes_too_late_is_looked_up_and_stands, .fini = drop_all)
{
    struct store store = open_store("inventory-1", -1); /* every answer is too late */
    struct mark mark = take_over(&store);

    mark = commit_receipt(&store, mark, "r1");
    mark = commit_receipt(&store, mark, "r2");

    cr_expect_eq(on_hand(&store), 2);
    store.close(store.self);
}

Test(ledger, what_is_abandoned_leaves_no_trace, .fini = drop_all)
{
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&store);
    struct work work;
    struct err err;

    mark = commit_receipt(&store, mark, "r1");
    cr_assert_eq(begin(&store, &work, mark, &err), ERR_OK);
    receive(&store, &work, "r2");
    store.abandon(store.self);
    arena_clear(&work.arena);

    cr_expect_eq(on_hand(&store), 1);
    mark = commit_receipt(&store, mark, "r2");
    cr_expect_eq(on_hand(&store), 2);
    store.close(store.self);
}

Test(ledger, a_unit_larger_than_a_document_is_refused_whole, .fini = drop_all)
{
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&store);
    struct work work;
    struct err err;
    char *noise = malloc(LEDGER_DOCUMENT_MAX);
    uint32_t random = 1;

    for (size_t i = 0; i < LEDGER_DOCUMENT_MAX; i++)
        noise[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
    cr_assert_eq(begin(&store, &work, mark, &err), ERR_OK);
    receive(&store, &work, "r1");
    work.record.value = view_of(noise, LEDGER_DOCUMENT_MAX);

    cr_expect_eq(store.commit(store.self, &work.commit, &err), ERR_REJECT, "%s", err.text);
    store.abandon(store.self);
    arena_clear(&work.arena);
    free(noise);
    commit_receipt(&store, mark, "r1");
    cr_expect_eq(on_hand(&store), 1);
    store.close(store.self);
}

Test(ledger, dead_letters_park_their_key_until_they_are_brought_back, .fini = drop_all)
{
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&store);
    struct dead_letter dead = {.reason = DEAD_IMPOSSIBLE,
                               .error = "why",
                               .topic = "shop.orders.v1",
                               .number = 7,
                               .attempts = 1,
                               .key = V("A"),
                               .headers = V("h"),
                               .value = V("v")},
                       *loaded;
    struct view keys[] = {V("A"), V("B")};
    bool parked[2] = {false};
    struct work work;
    struct err err = {0};
    int64_t *ids, one = 1;
    size_t count;

    cr_assert_eq(begin(&store, &work, mark, &err), ERR_OK);
    work.commit.dead_letters = &dead;
    work.commit.dead_letter_count = 1;
    cr_assert_eq(store.commit(store.self, &work.commit, &err), ERR_OK, "%s", err.text);
    arena_clear(&work.arena);
    store.close(store.self);

    store = open_store("inventory-1", LEDGER_BELIEF_MS);
    mark = take_over(&store);
    work = (struct work){0};
    cr_assert_eq(store.load_dead_letters(store.self, 1, &loaded, &ids, &count, &work.arena, &err),
                 ERR_OK);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(loaded[0].error, "why");
    work.commit = (struct commit){.keys = keys,
                                  .key_is_parked = parked,
                                  .key_count = 2,
                                  .redriven = &one,
                                  .redriven_count = 1,
                                  .arena = &work.arena};
    cr_assert_eq(store.begin(store.self, &work.commit, &err), ERR_OK);
    cr_expect(parked[0] && !parked[1]);
    cr_expect_not(ledger_store_has_letter(store.self, V("A")), "it is being brought back");
    cr_assert_eq(store.began(store.self, &work.commit, &(bool){false}, &err), ERR_OK, "%s",
                 err.text);
    cr_assert_eq(store.commit(store.self, &work.commit, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(store.begin(store.self, &work.commit, &err), ERR_OK);
    cr_expect_eq(store.began(store.self, &work.commit, &(bool){false}, &err), ERR_REJECT);
    arena_clear(&work.arena);
    store.close(store.self);
}

/* --- A long chain: snapshots, old records, trimming ------------------------------------------ */

static void wait_for_snapshot(struct mongo *mongo)
{
    for (int i = 0; i < 100; i++) {
        AUTO(mongo_names_free) char **names = NULL;
        bson_t *valid = NULL;
        size_t count;

        cr_assert_eq(mongo_collections(mongo, "snapshot_", &names, &count, NULL), ERR_OK);
        if (count > 0)
            cr_assert_eq(mongo_find(mongo, names[0], SNAPSHOT_VALID, &valid, NULL), ERR_OK);
        bson_destroy(valid);
        if (valid != NULL)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    cr_assert_fail("no snapshot was written");
}

static size_t count_collections(struct mongo *mongo, const char *prefix)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;

    cr_assert_eq(mongo_collections(mongo, prefix, &names, &count, NULL), ERR_OK);
    return count;
}

Test(ledger, a_long_chain_is_read_from_its_snapshot_and_trimmed_when_it_may, .fini = drop_all,
     .timeout = 120)
{
    AUTO(mongo_close) struct mongo *mongo = open_mongo();
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&store);
    const uint64_t published[P] = {0, 1100, 0, 0}, behind[P] = {0, 100, 0, 0};
    int64_t hours_later_us = clock_utc_us() + 2 * CHAIN_KEEP_US;
    uint64_t next = 3;
    struct err err = {0};

    for (int i = 0; i < 1100; i++) {
        char id[16];

        snprintf(id, sizeof id, "r%d", i);
        mark = commit_receipt(&store, mark, id);
    }
    wait_for_snapshot(mongo);
    store.close(store.self);

    store = open_store("inventory-1", LEDGER_BELIEF_MS);
    mark = take_over(&store);
    cr_expect_eq(on_hand(&store), 1100);
    cr_expect_eq(mark.high_water, 1100);
    cr_expect_eq(store.read(store.self, 1, next, 1 << 20, keep_number, &next, &err), ERR_OK, "%s",
                 err.text);
    cr_expect_gt(next, 200, "the rest of the first collection at least");

    cr_expect_eq(count_collections(mongo, "ledger_"), 5);
    cr_expect_eq(chain_trim(mongo, published, P, clock_utc_us(), &err), ERR_OK);
    cr_expect_eq(count_collections(mongo, "ledger_"), 5, "nothing is an hour old");
    cr_expect_eq(chain_trim(mongo, behind, P, hours_later_us, &err), ERR_OK);
    cr_expect_eq(count_collections(mongo, "ledger_"), 5, "not all is published");
    cr_expect_eq(chain_trim(mongo, published, P, hours_later_us, &err), ERR_OK);
    cr_expect_eq(count_collections(mongo, "ledger_"), 1,
                 "only what is behind the snapshot is left");
    cr_expect_eq(count_collections(mongo, "snapshot_"), 1);
    store.close(store.self);

    store = open_store("inventory-1", LEDGER_BELIEF_MS);
    mark = take_over(&store);
    cr_expect_eq(on_hand(&store), 1100);
    commit_receipt(&store, mark, "after");
    cr_expect_eq(on_hand(&store), 1101);
    store.close(store.self);
}

/* --- What should not be there ---------------------------------------------------------------- */

static void insert_text(struct mongo *mongo, const char *collection, uint64_t number)
{
    char id[LEDGER_ID_SIZE];
    bson_t *document;

    ledger_id(id, number);
    document = BCON_NEW("_id", BCON_UTF8(id), "number", BCON_INT64((int64_t)number));
    cr_assert_eq(mongo_insert(mongo, collection, document, NULL, NULL), ERR_OK);
    bson_destroy(document);
}

Test(ledger, a_hole_and_a_stranger_are_named, .fini = drop_all)
{
    AUTO(mongo_close) struct mongo *mongo = open_mongo();
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = {.topic = "shop.orders.v1"};
    struct err err = {0};

    take_over(&store);
    insert_text(mongo, "ledger_0000000000", 3);
    cr_expect_eq(store.take_over(store.self, &mark, 1, &err), ERR_RETRY);
    cr_expect_str_eq(err.text, "the ledger has a hole: document 2 is not there, later ones are");

    insert_text(mongo, "ledger_0000000000", 2);
    cr_expect_eq(store.take_over(store.self, &mark, 1, &err), ERR_STOP);
    cr_expect_str_eq(err.text, "ledger document 00000000000000000002: last_numbers is missing");
    store.close(store.self);
}
