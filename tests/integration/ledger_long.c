/* A long chain: snapshots of it, old records, trimming, and an audit of what is left. */
#include "consumers/inventory/chain.h"
#include "consumers/inventory/chain_snapshots.h"
#include "consumers/inventory/snapshot_format.h"
#include "ops/audit_ledger.h"
#include "runtime/clock.h"
#include "runtime/lines.h"
#include "tests/integration/ledger_work.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <time.h>

#define HOUR_US (INT64_C(3600) * 1000000)

/* Until the newest snapshot is valid, and of at least that number. */
static void wait_for_snapshot(struct mongo *mongo, uint64_t wanted)
{
    for (int i = 0; i < 100; i++) {
        AUTO(mongo_names_free) char **names = NULL;
        bson_t *valid = NULL;
        size_t count;
        uint64_t number;

        cr_assert_eq(mongo_collections(mongo, "snapshot_", &names, &count, NULL), ERR_OK);
        if (count > 0 && chain_snapshot_number(names[count - 1], &number) && number >= wanted)
            cr_assert_eq(mongo_find(mongo, names[count - 1], SNAPSHOT_VALID, &valid, NULL), ERR_OK);
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

#define LONG 1100
#define LAST_OLD 1022 /* the last record in full collections: a take-over is before them */
static const uint64_t all_published[P] = {0, LONG, 0, 0};

/* A journal_prove_fn: up to *context the log was seen to hold all. */
static void prove_up_to(void *context, struct journal_range *ranges, size_t count, int64_t since_ms)
{
    const uint64_t *seen = context;

    cr_expect_gt(since_ms, clock_utc_us() / 1000 - 600000);
    cr_expect_eq(count, 1, "one shard has records");
    cr_expect_eq(ranges[0].shard, 1);
    cr_expect_eq(ranges[0].last, LAST_OLD);
    ranges[0].seen = *seen;
}

static void trim(struct mongo *mongo, const uint64_t *published, int64_t now_us, uint64_t seen)
{
    struct err err;
    enum err_kind kind = chain_trim(mongo, published, P, HOUR_US, now_us, prove_up_to, &seen, &err);

    cr_expect_eq(kind, ERR_OK, "%s", err.text);
}

/* LONG receipts of one unit each, and a snapshot somewhere behind a thousand of them. */
static void write_long_chain(struct mongo *mongo)
{
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&store);

    for (int i = 0; i < LONG; i++) {
        char id[16];

        snprintf(id, sizeof id, "r%d", i);
        mark = commit_receipt(&store, mark, id);
    }
    wait_for_snapshot(mongo, LONG / LEDGER_COLLECTION_DOCUMENTS * LEDGER_COLLECTION_DOCUMENTS);
    store.close(store.self);
}

static int64_t hours_later_us(void)
{
    return clock_utc_us() + 2 * HOUR_US;
}

Test(ledger, a_long_chain_is_read_from_its_snapshot_and_trimmed_when_it_may, .fini = drop_all,
     .timeout = 120)
{
    AUTO(mongo_close) struct mongo *mongo = open_mongo();
    const uint64_t behind[P] = {0, 100, 0, 0};
    struct store store;
    struct mark mark;
    uint64_t next = 3;
    struct err err = {0};

    write_long_chain(mongo);
    store = open_store("inventory-1", LEDGER_BELIEF_MS);
    mark = take_over(&store);
    cr_expect_eq(on_hand(&store), LONG);
    cr_expect_eq(mark.high_water, LONG);
    cr_expect_eq(store.read(store.self, 1, next, 1 << 20, keep_number, &next, &err), ERR_OK, "%s",
                 err.text);
    cr_expect_gt(next, 200, "the rest of the first collection at least");

    cr_expect_eq(count_collections(mongo, "ledger_"), 5);
    trim(mongo, all_published, clock_utc_us(), LONG);
    cr_expect_eq(count_collections(mongo, "ledger_"), 5, "nothing is an hour old");
    trim(mongo, behind, hours_later_us(), LONG);
    cr_expect_eq(count_collections(mongo, "ledger_"), 5, "not all is published");
    trim(mongo, all_published, hours_later_us(), 0);
    cr_expect_eq(count_collections(mongo, "ledger_"), 5, "nothing was seen in the log");
    trim(mongo, all_published, hours_later_us(), 600);
    cr_expect_eq(count_collections(mongo, "ledger_"), 3, "number 600 is in the third one");
    trim(mongo, all_published, hours_later_us(), LAST_OLD);
    cr_expect_eq(count_collections(mongo, "ledger_"), 1,
                 "only what is behind the snapshot is left");
    cr_expect_eq(count_collections(mongo, "snapshot_"), 1);
    store.close(store.self);

    store = open_store("inventory-1", LEDGER_BELIEF_MS);
    mark = take_over(&store);
    cr_expect_eq(on_hand(&store), LONG);
    commit_receipt(&store, mark, "after");
    cr_expect_eq(on_hand(&store), LONG + 1);
    store.close(store.self);
}

/* --- An audit of it ----------------------------------------------------------------------------
 */

struct audited {
    struct arena arena;
    struct world world;
    struct audit audit;
};

static void read_for_audit(struct audited *audited)
{
    world_init(&audited->world, P, &audited->arena);
    audited->audit = (struct audit){.world = &audited->world, .arena = &audited->arena};
    audit_ledger_read(&audited->audit, uri());
}

static void forget_audit(struct audited *audited)
{
    audit_clear(&audited->audit);
    world_clear(&audited->world);
    arena_clear(&audited->arena);
    *audited = (struct audited){0};
}

/* A document behind the last one but one, that holds more than there is. */
static void append_what_cannot_be(struct mongo *mongo)
{
    const uint64_t number = LONG + 3; /* the first is the take-over's */
    AUTO(buf_clear) struct buf entries = {0};
    char collection[32], id[LEDGER_ID_SIZE];
    bson_t *document;

    snprintf(collection, sizeof collection, "ledger_%010d",
             (int)(number / LEDGER_COLLECTION_DOCUMENTS));
    ledger_id(id, number);
    line_text(&entries, V("hold"));
    line_text(&entries, V("an order"));
    line_text(&entries, V("X"));
    line_int64(&entries, LONG + 1);
    line_end(&entries);
    buf_append_byte(&entries, 0);
    document =
        BCON_NEW("_id", BCON_UTF8(id), "number", BCON_INT64((int64_t)number), "last_numbers", "[",
                 BCON_INT64(0), BCON_INT64(LONG), BCON_INT64(0), BCON_INT64(0), "]", "entries",
                 BCON_UTF8(entries.data), "dead_letters", "[", "]", "removed_letters", "[", "]");
    cr_assert_eq(mongo_insert(mongo, collection, document, NULL, NULL), ERR_OK);
    bson_destroy(document);
}

static void drop_snapshots(struct mongo *mongo)
{
    AUTO(mongo_names_free) char **names = NULL;
    size_t count;

    cr_assert_eq(mongo_collections(mongo, "snapshot_", &names, &count, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(mongo_drop(mongo, names[i], NULL), ERR_OK);
}

Test(ledger, an_audit_of_a_trimmed_chain_begins_at_its_snapshot_and_sees_what_is_wrong_behind_it,
     .fini = drop_all, .timeout = 120)
{
    AUTO(mongo_close) struct mongo *mongo = open_mongo();
    struct audited audited = {0};
    const struct audit *audit = &audited.audit;
    const struct world_sku *sku;

    write_long_chain(mongo);
    trim(mongo, all_published, hours_later_us(), LAST_OLD);

    read_for_audit(&audited);
    cr_assert(audit->stores.ledger, "%s", audit->why_not[6]);
    sku = world_sku(&audited.world, V("X"));
    cr_expect(sku->ledger.received == LONG && sku->ledger.on_hand == LONG);
    cr_expect(audit->ledger_entries > 0 && audit->ledger_entries <= LEDGER_COLLECTION_DOCUMENTS,
              "%d entries: want those behind the snapshot", (int)audit->ledger_entries);
    cr_expect(audit->ledger_holes == 0 && audit->ledger_negative == 0);
    forget_audit(&audited);

    append_what_cannot_be(mongo);
    read_for_audit(&audited);
    cr_expect_eq(audit->ledger_holes, 1);
    cr_expect_eq(audit->ledger_negative, 1);
    cr_expect_str_eq(audit->ledger_hole_example, "behind 1101 comes 1103");
    cr_expect_str_eq(audit->ledger_negative_example,
                     "document 1103 moves 1101 of X, which leaves -1");
    forget_audit(&audited);

    drop_snapshots(mongo);
    read_for_audit(&audited);
    cr_expect_not(audit->stores.ledger);
    cr_expect_str_eq(audit->why_not[6],
                     "the ledger begins at 1024 and no snapshot of what was before is left");
    forget_audit(&audited);
}
