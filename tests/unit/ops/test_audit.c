/* A small shop with nothing wrong in it; then one thing is made wrong at a time, and the audit
 * names it. */
#include "ops/audit.h"
#include "runtime/murmur2.h"

#include <criterion/criterion.h>

#include <stdio.h>

#define PARTITIONS 3
#define HOUR_US (INT64_C(3600) * 1000000)
#define NOW_US (INT64_C(1800000000) * 1000000)

#define GOOD "01ARZ3NDEKTSV4RRFFQ69G5FAV" /* fulfilled */
#define BACK "01ARZ3NDEKTSV4RRFFQ69G5FAW" /* fulfilled, then cancelled by the customer */
#define OPEN "01ARZ3NDEKTSV4RRFFQ69G5FAX" /* placed a minute ago */

static struct arena arena;
static struct world world;
static struct audit audit;
static uint64_t numbers[TOPIC_COUNT][PARTITIONS];
static int64_t clock_us;

static struct record record_of(enum event_type type, const char *key, const void *event)
{
    enum topic topic = event_topic(type);
    int32_t shard = (int32_t)partition_of(view_str(key), PARTITIONS);

    return (struct record){.topic_name = topic_name(topic),
                           .topic = topic,
                           .partition = shard,
                           .key = view_str(key),
                           .is_event = true,
                           .type = type,
                           .event = event,
                           .envelope = {.type = type,
                                        .source = topic == TOPIC_INVENTORY
                                                      ? view_str("inventory/main")
                                                      : view_str(topic_writer(topic)),
                                        .shard = shard,
                                        .number = numbers[topic][shard] + 1,
                                        .time_us = clock_us,
                                        .subject = view_str(key)}};
}

static void publish(enum event_type type, const char *key, const void *event)
{
    struct record record = record_of(type, key, event);

    numbers[record.topic][record.partition]++;
    world_feed(&world, &record, 1000 + record.envelope.number);
}

static const struct stock_item ITEMS[] = {{{"MUG", 3}, 2}};
static const struct order_line LINES[] = {
    {.sku = {"MUG", 3}, .kind = LINE_KIND_GOODS, .quantity = 2, .unit_price_minor = 500},
    {.sku = {"POST", 4}, .kind = LINE_KIND_CHARGE, .quantity = 1, .unit_price_minor = 200},
};

static void create(const char *id)
{
    publish(EVENT_ORDER_CREATED, id,
            &(struct order_created){.currency = VIEW_LITERAL("GBP"),
                                    .lines = LINES,
                                    .lines_count = 2,
                                    .total_minor = 1200,
                                    .deadline_ms = 900000,
                                    .occurred_at = clock_us});
}

static void fulfil(const char *id)
{
    create(id);
    publish(EVENT_INVENTORY_RESERVED, id,
            &(struct inventory_reserved){.items = ITEMS, .items_count = 1});
    publish(EVENT_PAYMENT_AUTHORIZED, id,
            &(struct payment_authorized){.amount_minor = 1200, .currency = VIEW_LITERAL("GBP")});
    publish(EVENT_FRAUD_CLEARED, id, &(struct fraud_cleared){0});
    publish(EVENT_ORDER_CONFIRMED, id, &(struct order_confirmed){0});
    publish(EVENT_INVENTORY_COMMITTED, id,
            &(struct inventory_committed){.items = ITEMS, .items_count = 1});
    publish(EVENT_PAYMENT_CAPTURED, id,
            &(struct payment_captured){.amount_minor = 1200, .currency = VIEW_LITERAL("GBP")});
    publish(EVENT_ORDER_CLOSED, id, &(struct order_closed){.outcome = ORDER_OUTCOME_FULFILLED});
}

static void take_back(const char *id)
{
    publish(
        EVENT_ORDER_CANCELLED, id,
        &(struct order_cancelled){.reason = CANCEL_REASON_CUSTOMER, .was = ORDER_STAGE_FULFILLED});
    publish(EVENT_INVENTORY_RELEASED, id,
            &(struct inventory_released){
                .items = ITEMS, .items_count = 1, .released_from = RELEASED_FROM_SOLD});
    publish(EVENT_PAYMENT_REFUNDED, id,
            &(struct payment_refunded){.amount_minor = 1200, .currency = VIEW_LITERAL("GBP")});
    publish(EVENT_ORDER_CLOSED, id, &(struct order_closed){.outcome = ORDER_OUTCOME_CANCELLED});
}

static void mail(const char *id, enum mail_kind kind, const char *message_id)
{
    publish(EVENT_EMAIL_SENT, id,
            &(struct email_sent){.kind = kind, .message_id = view_str(message_id)});
}

static struct world_order *order(const char *id)
{
    return world_find(&world, view_str(id));
}

/* What healthy stores say of what the topics say. */
static void fill_stores(const char *id)
{
    struct world_order *o = order(id);

    o->orders_row.exists = true;
    o->orders_row.state = (int16_t)o->progress.state;
    o->orders_row.reason = o->reason;
    o->orders_row.total_minor = o->total_minor;
    o->payment_rows = o->payment_count;
    o->payment_row_facts = o->payment_facts;
    o->has_book = o->captured_count > 0;
    o->book_captured_minor = o->captured_minor;
    o->book_refunded_minor = o->refunded_minor;
    o->book_charges = o->captured_count;
    o->fraud_row = o->fraud;
    o->mails_kept = o->mails_sent;
    o->analytics.exists = true;
    o->analytics.total_minor = o->total_minor;
    o->analytics.line_count = o->line_count;
    o->analytics.lines_minor = o->lines_minor;
    o->analytics.cancelled = o->analytics.closed_cancelled = o->progress.state == ORDERS_CLOSED;
    o->analytics.closed_fulfilled = o->was_confirmed;
    o->analytics.reason = o->reason;
    o->analytics.captured_minor = o->captured_minor;
    o->analytics.refunded_minor = o->refunded_minor;
}

static void open_shop(void)
{
    struct world_sku *mug;

    memset(numbers, 0, sizeof numbers);
    world_init(&world, PARTITIONS, &arena);
    audit =
        (struct audit){.world = &world, .arena = &arena, .started_us = NOW_US, .now_us = NOW_US};
    audit.stores = (struct audit_stores){true, true, true, true, true, true, true};
    clock_us = NOW_US - HOUR_US;
    publish(EVENT_STOCK_RECEIVED, "MUG",
            &(struct stock_received){.sku = VIEW_LITERAL("MUG"), .quantity = 10});
    fulfil(GOOD);
    mail(GOOD, MAIL_KIND_CONFIRMATION, "confirmation-1@shop");
    fulfil(BACK);
    take_back(BACK);
    mail(BACK, MAIL_KIND_CONFIRMATION, "confirmation-2@shop");
    mail(BACK, MAIL_KIND_CANCELLATION, "cancellation-2@shop");
    mail(BACK, MAIL_KIND_REFUND, "refund-2@shop");
    clock_us = NOW_US - HOUR_US / 60;
    create(OPEN);
    fill_stores(GOOD);
    fill_stores(BACK);
    fill_stores(OPEN);
    mug = world_sku(&world, view_str("MUG"));
    mug->ledger.exists = true;
    mug->ledger.received = 10, mug->ledger.on_hand = 8, mug->ledger.sold = 2;
}

static void close_shop(void)
{
    audit_clear(&audit);
    world_clear(&world);
    arena_clear(&arena);
}

/* --- Violations, one for each invariant
 * -------------------------------------------------------------- */

static void an_order_hangs(void)
{
    audit.now_us = NOW_US + HOUR_US;
}

static void the_database_has_another_state(void)
{
    order(GOOD)->orders_row.state = ORDERS_CONFIRMED;
}

static void a_total_is_no_sum(void)
{
    order(GOOD)->lines_minor++;
}

static void stock_is_sold_twice(void)
{
    publish(EVENT_INVENTORY_COMMITTED, GOOD,
            &(struct inventory_committed){.items = ITEMS, .items_count = 1});
}

static void stock_stays_held(void)
{
    order(BACK)->released = 0;
}

static void a_unit_vanishes(void)
{
    world_sku(&world, view_str("MUG"))->ledger.on_hand--;
}

static void an_entry_goes_below_zero(void)
{
    audit.ledger_negative = 1;
    audit.ledger_negative_example = "document 7 moves 3 of MUG, which leaves -1";
}

static void too_little_is_captured(void)
{
    order(GOOD)->captured_minor -= 100;
}

static void a_refund_is_missing(void)
{
    order(BACK)->refunded_minor = 0;
}

static void the_sum_is_off(void)
{
    order(GOOD)->total_minor += 5;
}

static void the_book_says_otherwise(void)
{
    order(BACK)->book_held_minor = 1200;
}

static void a_card_is_charged_twice(void)
{
    order(GOOD)->book_charges = 2;
}

static void a_number_is_missing(void)
{
    struct record record =
        record_of(EVENT_PRODUCT_WITHDRAWN, "MUG", &(struct product_withdrawn){0});

    record.envelope.number = 2;
    world_feed(&world, &record, 7);
}

static void a_number_has_two_contents(void)
{
    struct record record = record_of(EVENT_STOCK_RECEIVED, "MUG",
                                     &(struct stock_received){.sku = VIEW_LITERAL("MUG")});

    record.envelope.number = 1;
    world_feed(&world, &record, 7);
}

static void a_record_does_not_decode(void)
{
    struct record record = record_of(EVENT_FRAUD_CLEARED, GOOD, NULL);

    record.is_event = false;
    err_set(&record.why, ERR_REJECT, "score: 3 bytes are left");
    world_feed(&world, &record, 7);
}

static void a_part_says_what_it_cannot(void)
{
    publish(EVENT_PAYMENT_AUTHORIZED, BACK,
            &(struct payment_authorized){.amount_minor = 1200, .currency = VIEW_LITERAL("GBP")});
}

static void a_part_meets_the_impossible(void)
{
    audit_note_dead_letter(&audit, "payment", view_str(OPEN), "impossible", true,
                           "payment, captured: order.created");
}

static void payment_lost_a_row(void)
{
    order(GOOD)->payment_rows--;
}

static void fraud_has_another_verdict(void)
{
    order(GOOD)->fraud_row = 2;
}

static void analytics_lacks_an_order(void)
{
    order(GOOD)->analytics.exists = false;
}

static void analytics_lacks_money(void)
{
    order(GOOD)->analytics.captured_minor = 0;
}

static void two_mails_share_an_id(void)
{
    mail(OPEN, MAIL_KIND_CONFIRMATION, "confirmation-1@shop");
}

static void email_lost_a_row(void)
{
    order(GOOD)->mails_kept = 0;
}

static void nobody_tells_the_customer(void)
{
    order(GOOD)->mails_sent = order(GOOD)->mails_kept = 0;
}

static const struct {
    const char *id;
    void (*plant)(void);
} PLANTS[] = {
    {"orders.end", an_order_hangs},
    {"orders.kept", the_database_has_another_state},
    {"orders.totals", a_total_is_no_sum},
    {"stock.fulfilled", stock_is_sold_twice},
    {"stock.cancelled", stock_stays_held},
    {"stock.balance", a_unit_vanishes},
    {"stock.entries", an_entry_goes_below_zero},
    {"money.fulfilled", too_little_is_captured},
    {"money.cancelled", a_refund_is_missing},
    {"money.balance", the_sum_is_off},
    {"money.book", the_book_says_otherwise},
    {"money.once", a_card_is_charged_twice},
    {"log.numbers", a_number_is_missing},
    {"log.bytes", a_number_has_two_contents},
    {"log.events", a_record_does_not_decode},
    {"saga.words", a_part_says_what_it_cannot},
    {"saga.impossible", a_part_meets_the_impossible},
    {"payment.kept", payment_lost_a_row},
    {"fraud.kept", fraud_has_another_verdict},
    {"analytics.orders", analytics_lacks_an_order},
    {"analytics.money", analytics_lacks_money},
    {"mails.once", two_mails_share_an_id},
    {"mails.kept", email_lost_a_row},
    {"mails.owed", nobody_tells_the_customer},
};

static const struct audit_finding *finding_of(const char *id)
{
    for (size_t i = 0; i < audit_invariant_count; i++)
        if (strcmp(audit_invariants[i].id, id) == 0)
            return &audit.findings[i];
    cr_assert_fail("there is no invariant %s", id);
    return NULL;
}

Test(audit, a_healthy_shop_breaks_nothing)
{
    open_shop();

    cr_expect_eq(audit_run(&audit), 0);

    for (size_t i = 0; i < audit_invariant_count; i++) {
        for (size_t e = 0; e < audit.findings[i].example_count; e++)
            cr_expect(false, "%s: %s", audit_invariants[i].id, audit.findings[i].examples[e]);
        cr_expect_null(audit.findings[i].not_checked, "%s", audit_invariants[i].id);
        cr_expect(audit.findings[i].checked > 0 ||
                      strcmp(audit_invariants[i].id, "saga.impossible") == 0 ||
                      strcmp(audit_invariants[i].id, "stock.entries") == 0,
                  "%s looked at nothing", audit_invariants[i].id);
    }
    cr_expect_eq(audit.standings[AUDIT_SETTLED], 2);
    cr_expect_eq(audit.standings[AUDIT_YOUNG], 1);
    close_shop();
}

Test(audit, each_violation_is_named_with_an_example)
{
    for (size_t i = 0; i < sizeof PLANTS / sizeof PLANTS[0]; i++) {
        const struct audit_finding *finding;

        open_shop();
        PLANTS[i].plant();

        cr_expect_gt(audit_run(&audit), 0, "%s", PLANTS[i].id);
        finding = finding_of(PLANTS[i].id);
        cr_expect_gt(finding->violations, 0, "%s is not named", PLANTS[i].id);
        cr_expect_gt(finding->example_count, 0, "%s has no example", PLANTS[i].id);
        close_shop();
    }
}

Test(audit, no_invariant_is_without_a_planted_violation)
{
    for (size_t i = 0; i < audit_invariant_count; i++) {
        bool planted = false;

        for (size_t p = 0; p < sizeof PLANTS / sizeof PLANTS[0]; p++)
            planted |= strcmp(PLANTS[p].id, audit_invariants[i].id) == 0;
        cr_expect(planted, "%s", audit_invariants[i].id);
    }
}

Test(audit, an_order_is_excused_by_what_is_down_by_a_dead_letter_or_by_moving)
{
    open_shop();
    an_order_hangs();
    audit.part_is_down[PART_FRAUD] = true;
    cr_expect_eq(audit_run(&audit), 0);
    cr_expect_eq(audit.standings[AUDIT_WAITS], 1);
    close_shop();

    open_shop();
    an_order_hangs();
    audit_note_dead_letter(&audit, "inventory", view_str(OPEN), "refused", true,
                           "its store says no");
    cr_expect_eq(audit_run(&audit), 0);
    cr_expect_eq(audit.standings[AUDIT_PARKED], 1);
    close_shop();

    open_shop();
    clock_us = NOW_US + 1;
    publish(EVENT_FRAUD_CLEARED, OPEN, &(struct fraud_cleared){0});
    audit.now_us = NOW_US + HOUR_US;
    cr_expect_eq(audit_run(&audit), 0);
    cr_expect_eq(audit.standings[AUDIT_MOVING], 1);
    close_shop();
}

Test(audit, a_part_that_is_down_excuses_only_orders_that_wait_for_it)
{
    open_shop();
    an_order_hangs();
    publish(EVENT_FRAUD_CLEARED, OPEN, &(struct fraud_cleared){0});
    order(OPEN)->fraud_row = 1;
    order(OPEN)->last_us = NOW_US - HOUR_US;
    audit.part_is_down[PART_FRAUD] = true;

    audit_run(&audit);

    cr_expect_eq(finding_of("orders.end")->violations, 1);
    close_shop();
}

Test(audit, the_topic_ends_where_its_writer_s_database_says)
{
    static const uint64_t MORE[PARTITIONS] = {100, 100, 100}, NONE[PARTITIONS] = {0};
    struct audit_numbers lost = {"fraud", TOPIC_FRAUD, view_str("fraud"), .before = MORE};
    struct audit_numbers restored = {"fraud", TOPIC_FRAUD, view_str("fraud"), .after = NONE};

    open_shop();
    audit_note_numbers(&audit, &lost);
    audit_run(&audit);
    cr_expect_eq(finding_of("log.numbers")->violations, PARTITIONS, "a tail of the topic is gone");
    close_shop();

    open_shop();
    audit_note_numbers(&audit, &lost);
    audit.part_is_down[PART_FRAUD] = true;
    cr_expect_eq(audit_run(&audit), 0, "who is down owes its last records still");
    close_shop();

    open_shop();
    audit_note_numbers(&audit, &restored);
    audit_run(&audit);
    cr_expect_gt(finding_of("log.numbers")->violations, 0, "the database is older than the topic");
    close_shop();
}

Test(audit, a_store_that_was_not_read_is_said_and_not_counted)
{
    open_shop();
    audit.stores.fraud = false;
    audit.why_not[3] = "connection refused";

    cr_expect_eq(audit_run(&audit), 0);
    cr_expect_str_eq(finding_of("fraud.kept")->not_checked,
                     "fraud's database was not read: connection refused");
    close_shop();
}

Test(world, what_comes_behind_a_hole_counts_once_when_it_is_sent_again)
{
    struct record second, first;

    open_shop();
    first = record_of(EVENT_STOCK_RECEIVED, "CUP",
                      &(struct stock_received){.sku = VIEW_LITERAL("CUP"), .quantity = 1});
    second = first;
    second.envelope.number++;

    world_feed(&world, &second, 2); /* 2 before 1: a hole */
    cr_expect_eq(world_sku(&world, view_str("CUP"))->received, 0);
    world_feed(&world, &first, 1); /* the writer goes back: 1, 2 */
    world_feed(&world, &second, 2);
    world_feed(&world, &second, 2); /* and once more */

    cr_expect_eq(world_sku(&world, view_str("CUP"))->received, 2);
    close_shop();
}

Test(world, a_number_from_nowhere_costs_no_memory)
{
    struct record record;

    open_shop();
    record = record_of(EVENT_FRAUD_CLEARED, GOOD, &(struct fraud_cleared){0});
    record.envelope.number = UINT64_MAX;

    world_feed(&world, &record, 1);

    for (size_t i = 0; i < world.stream_count; i++)
        cr_expect(world.streams[i].capacity < 100000);
    audit_run(&audit);
    cr_expect_eq(finding_of("log.numbers")->violations, 1);
    close_shop();
}
