/* Inventory's ledger against a real store: test_ledger.py starts one and runs this. */
#include "consumers/inventory/chain.h"
#include "tests/integration/ledger_work.h"

#include <criterion/criterion.h>

#include <stdlib.h>

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

static uint64_t read_from(struct store *store, int32_t shard, uint64_t from, size_t max_bytes)
{
    struct err err = {0};

    cr_assert_eq(store->read(store->self, shard, from, max_bytes, keep_number, &from, &err), ERR_OK,
                 "%s", err.text);
    return from;
}

/* A collection of the chain is read whole for one record: what else it holds is kept. */
Test(ledger, a_relay_that_is_far_behind_reads_the_chain_once_for_all_shards, .fini = drop_all)
{
    struct store store = open_store_that_keeps_nothing();
    struct mark mark = take_over(&store);

    for (int i = 0; i < 6; i++)
        mark = commit_receipt_in(&store, mark, (char[]){'r', (char)('0' + i), '\0'}, 1 + i % 2);
    cr_expect_eq(read_from(&store, 1, 1, 1), 2, "no more than was asked for");
    drop_all();

    cr_expect_eq(read_from(&store, 1, 2, 1000), 4);
    cr_expect_eq(read_from(&store, 2, 1, 1000), 4);
    store.close(store.self);
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
    int64_t one = 1;
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
    cr_assert_eq(store.load_dead_letters(store.self, 1, &loaded, &count, &work.arena, &err),
                 ERR_OK);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(loaded[0].error, "why");
    work.commit = (struct commit){.keys = keys,
                                  .key_is_parked = parked,
                                  .key_count = 2,
                                  .redriven = &one,
                                  .redriven_count = 1,
                                  .removed = &one,
                                  .removed_count = 1,
                                  .arena = &work.arena};
    cr_assert_eq(store.begin(store.self, &work.commit, &err), ERR_OK);
    cr_expect(parked[0] && !parked[1]);
    cr_expect_not(ledger_store_has_letter(store.self, V("A")), "it is being brought back");
    cr_assert_eq(store.began(store.self, &work.commit, &(bool){false}, &err), ERR_OK, "%s",
                 err.text);
    cr_assert_eq(store.commit(store.self, &work.commit, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(store.begin(store.self, &work.commit, &err), ERR_OK);
    cr_expect_eq(store.began(store.self, &work.commit, &(bool){false}, &err), ERR_RETRY);
    arena_clear(&work.arena);
    store.close(store.self);
}

static struct dead_letter letter_of(int64_t id, const char *error, int32_t attempts)
{
    return (struct dead_letter){.id = id,
                                .reason = DEAD_IMPOSSIBLE,
                                .error = error,
                                .topic = "shop.orders.v1",
                                .number = 7,
                                .attempts = attempts,
                                .key = V("A"),
                                .headers = V("h"),
                                .value = V("v")};
}

static void set_aside(struct store *store, struct mark mark, struct dead_letter *dead, size_t count)
{
    struct work work;
    struct err err = {0};

    cr_assert_eq(begin(store, &work, mark, &err), ERR_OK);
    work.commit.dead_letters = dead;
    work.commit.dead_letter_count = count;
    cr_assert_eq(store->commit(store->self, &work.commit, &err), ERR_OK, "%s", err.text);
    arena_clear(&work.arena);
}

static void note_letter(void *context, const struct dead_letter *dead)
{
    buf_printf(context, "%d %s %d;", (int)dead->id, dead->error, dead->attempts);
}

Test(ledger, a_letter_that_is_set_aside_again_keeps_its_id_and_its_place, .fini = drop_all)
{
    struct store store = open_store("inventory-1", LEDGER_BELIEF_MS);
    struct mark mark = take_over(&store);
    struct dead_letter two[] = {letter_of(0, "first", 1), letter_of(0, "second", 0)};
    struct dead_letter again = letter_of(1, "still", 2);
    AUTO(buf_clear) struct buf listed = {0};
    struct err err = {0};

    set_aside(&store, mark, two, 2);
    set_aside(&store, mark, &again, 1);
    store.close(store.self);

    store = open_store("inventory-1", LEDGER_BELIEF_MS);
    take_over(&store);
    cr_assert_eq(store.list_dead_letters(store.self, 0, 10, note_letter, &listed, &err), ERR_OK);
    cr_expect_str_eq(buf_cstr(&listed), "1 still 2;2 second 0;");
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
