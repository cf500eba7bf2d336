#include "ops/audit_stores.h"

#include "ops/parts.h"
#include "runtime/pg.h"
#include "runtime/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_ROWS 20000
#define DEAD_LETTERS_MAX 100000

/* --- Scans: rows in the order of a text key and a number
 * ------------------------------------------- */

/* Statements take $1 the last key, $2 the last number, $3 how many rows; columns 0 and 1 are the
 * next. */
struct scan {
    struct pg_statement statement;
    void (*row)(struct audit *audit, const struct pg_rows *rows, int row);
};

static struct world_order *order_of(struct audit *audit, const struct pg_rows *rows, int row)
{
    return world_order(audit->world, pg_bytes(rows, row, 0));
}

static void orders_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order == NULL)
        return;
    order->orders_row.exists = true;
    order->orders_row.state = (int16_t)pg_int(rows, row, 2);
    order->orders_row.reason = (int16_t)pg_int(rows, row, 3);
    order->orders_row.total_minor = pg_int(rows, row, 4);
    if (order->created_us == 0)
        order->created_us = pg_int(rows, row, 5);
}

static void payment_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order == NULL)
        return;
    order->payment_rows++;
    order->payment_row_facts +=
        world_payment_fact((uint64_t)pg_int(rows, row, 1), pg_int(rows, row, 2));
}

static void book_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order == NULL)
        return;
    order->has_book = true;
    order->book_captured_minor = pg_int(rows, row, 2);
    order->book_refunded_minor = pg_int(rows, row, 3);
    order->book_held_minor = pg_int(rows, row, 4);
    order->book_charges =
        pg_int(rows, row, 5) > UINT8_MAX ? UINT8_MAX : (uint8_t)pg_int(rows, row, 5);
}

static void fraud_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order != NULL)
        order->fraud_row = pg_bool(rows, row, 2) ? 2 : 1;
}

/* "out_of_stock" to its number. */
static uint8_t reason_of(const char *name)
{
    enum cancel_reason reason = CANCEL_REASON_UNKNOWN;
    char symbol[64] = "";

    for (size_t i = 0; name[i] != '\0' && i < sizeof symbol - 1; i++)
        symbol[i] = (char)toupper((unsigned char)name[i]);
    cancel_reason_parse(view_str(symbol), &reason);
    return (uint8_t)reason;
}

static void analytics_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order == NULL)
        return;
    order->analytics.exists = true;
    order->analytics.total_minor = pg_int(rows, row, 2);
    order->analytics.line_count = (uint32_t)pg_int(rows, row, 3);
    order->analytics.lines_minor = pg_int(rows, row, 4);
    order->analytics.cancelled = !pg_null(rows, row, 5);
    order->analytics.reason = reason_of(pg_text(rows, row, 5));
    order->analytics.closed_fulfilled = pg_bool(rows, row, 6);
    order->analytics.closed_cancelled = pg_bool(rows, row, 7);
    order->analytics.captured_minor = pg_int(rows, row, 8);
    order->analytics.refunded_minor = pg_int(rows, row, 9);
}

/* -1: a kind that is not known here. */
static int mail_of(const struct pg_rows *rows, int row)
{
    int64_t kind = pg_int(rows, row, 1);

    return kind >= MAIL_KIND_CONFIRMATION && kind <= MAIL_KIND_REFUND
               ? (int)kind - MAIL_KIND_CONFIRMATION
               : -1;
}

static void mail_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order != NULL && mail_of(rows, row) >= 0)
        order->mails_kept |= (uint8_t)(1 << mail_of(rows, row));
}

static void owed_mail_row(struct audit *audit, const struct pg_rows *rows, int row)
{
    struct world_order *order = order_of(audit, rows, row);

    if (order != NULL && mail_of(rows, row) >= 0)
        order->mails_waiting |= (uint8_t)(1 << mail_of(rows, row));
}

static const struct scan ORDERS = {
    {"audit_orders", "select id, 0::int8, state, reason, total_minor, created_us from order_states"
                     " where id > $1 and $2::int8 is not null order by id limit $3::int8"},
    orders_row};
static const struct scan PAYMENTS = {
    {"audit_payments",
     "select order_id, number, amount_minor from payment_events"
     " where (order_id, number) > ($1, $2::int8) order by order_id, number limit $3::int8"},
    payment_row};
static const struct scan BOOK = {
    {"audit_book",
     "select merchant_ref, 0::int8, sum(captured_minor)::int8, sum(refunded_minor)::int8,"
     " coalesce(sum(amount_minor) filter (where status = 'authorized'), 0)::int8,"
     " count(*) filter (where captured_minor > 0) from authorizations"
     " where merchant_ref > $1 and $2::int8 is not null"
     " group by merchant_ref order by merchant_ref limit $3::int8"},
    book_row};
static const struct scan VERDICTS = {
    {"audit_verdicts",
     "select order_id, 0::int8, flagged from verdicts"
     " where order_id > $1 and $2::int8 is not null order by order_id limit $3::int8"},
    fraud_row};
static const struct scan FACTS = {
    {"audit_facts", "select o.order_id, 0::int8, o.total_minor, o.line_count,"
                    " (select coalesce(sum(l.amount_minor), 0)::int8 from fact_lines l where "
                    "l.order_id = o.order_id),"
                    " (select c.reason from fact_cancellations c where c.order_id = o.order_id),"
                    " exists (select from fact_closures c where c.order_id = o.order_id and "
                    "c.outcome = 'fulfilled'),"
                    " exists (select from fact_closures c where c.order_id = o.order_id and "
                    "c.outcome = 'cancelled'),"
                    " (select coalesce(sum(p.amount_minor), 0)::int8 from fact_payments p"
                    "   where p.order_id = o.order_id and p.kind = 'captured'),"
                    " (select coalesce(sum(p.amount_minor), 0)::int8 from fact_payments p"
                    "   where p.order_id = o.order_id and p.kind = 'refunded')"
                    " from fact_orders o where o.order_id > $1 and $2::int8 is not null order by "
                    "o.order_id limit $3::int8"},
    analytics_row};
static const struct scan MAILS = {
    {"audit_mails", "select order_id, kind::int8 from mails where (order_id, kind) > ($1, $2::int8)"
                    " order by order_id, kind limit $3::int8"},
    mail_row};
static const struct scan OWED_MAILS = {
    {"audit_owed_mails",
     "select order_id, kind::int8 from owed_mails where (order_id, kind) > ($1, $2::int8)"
     " order by order_id, kind limit $3::int8"},
    owed_mail_row};

static enum err_kind run_scan(struct audit *audit, struct pg *pg, const struct scan *scan,
                              struct err *err)
{
    AUTO(buf_clear) struct buf last = {0};
    int64_t last_number = INT64_MIN;
    struct pg_rows rows;

    do {
        struct pg_args args = {0};
        enum err_kind kind;

        pg_arg_bytes(&args, buf_view(&last));
        pg_arg_int8(&args, last_number);
        pg_arg_int8(&args, PAGE_ROWS);
        if ((kind = pg_run(pg, &scan->statement, &args, &rows, err)) != ERR_OK)
            return kind;
        for (int row = 0; row < rows.count; row++)
            scan->row(audit, &rows, row);
        if (rows.count > 0) {
            buf_reset(&last);
            buf_append_view(&last, pg_bytes(&rows, rows.count - 1, 0));
            last_number = pg_int(&rows, rows.count - 1, 1);
        }
    } while (rows.count == PAGE_ROWS);
    return ERR_OK;
}

/* --- What every part keeps beside its own tables
 * ---------------------------------------------------- */

static const struct pg_statement NUMBERS = {"audit_numbers",
                                            "select shard, last_number from shards"};
static const struct pg_statement POSITIONS = {"audit_positions",
                                              "select topic, partition, high_water from positions"};
static const struct pg_statement DEAD_LETTERS = {
    "audit_dead_letters",
    "select key, reason, number is not null, error from dead_letters order by id limit $1::int8"};
static const struct pg_statement BOOK_VIOLATIONS = {
    "audit_book_violations", "select count(*) from operations where outcome = 'violation'"};

static enum err_kind read_numbers(const struct audit *audit, struct pg *pg, const uint64_t **out,
                                  struct err *err)
{
    uint64_t *numbers =
        arena_array(audit->arena, (size_t)audit->world->partitions, sizeof *numbers);
    struct pg_rows rows;
    enum err_kind kind = pg_run(pg, &NUMBERS, &(struct pg_args){0}, &rows, err);

    if (kind != ERR_OK)
        return kind;
    for (int row = 0; row < rows.count; row++)
        if (pg_int(&rows, row, 0) < audit->world->partitions)
            numbers[pg_int(&rows, row, 0)] = (uint64_t)pg_int(&rows, row, 1);
    *out = numbers;
    return ERR_OK;
}

static enum err_kind read_positions(struct audit *audit, struct pg *pg, const char *part,
                                    struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(pg, &POSITIONS, &(struct pg_args){0}, &rows, err);

    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        audit_note_position(audit, part, pg_text(&rows, row, 0), (int32_t)pg_int(&rows, row, 1),
                            (uint64_t)pg_int(&rows, row, 2));
    return kind;
}

static enum err_kind read_dead_letters(struct audit *audit, struct pg *pg, const char *part,
                                       struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    pg_arg_int8(&args, DEAD_LETTERS_MAX);
    kind = pg_run(pg, &DEAD_LETTERS, &args, &rows, err);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++)
        audit_note_dead_letter(audit, part, pg_bytes(&rows, row, 0), pg_text(&rows, row, 1),
                               pg_bool(&rows, row, 2), pg_text(&rows, row, 3));
    return kind;
}

/* --- Each store
 * ------------------------------------------------------------------------------------ */

struct store_of_part {
    const char *part;
    enum topic publishes; /* TOPIC_NONE: numbers nothing */
    bool is_outside;      /* the provider: has none of the tables that parts have */
    size_t member;        /* of struct audit_stores, and its place in why_not */
    const struct scan *scans[3];
};

enum {
    STORE_ORDERS,
    STORE_PAYMENT,
    STORE_PROVIDER,
    STORE_FRAUD,
    STORE_ANALYTICS,
    STORE_EMAIL,
    STORE_LEDGER,
    STORE_CATALOG
};

static const struct store_of_part STORES[] = {
    {"orders", TOPIC_ORDERS, false, STORE_ORDERS, {&ORDERS}},
    {"payment", TOPIC_PAYMENTS, false, STORE_PAYMENT, {&PAYMENTS}},
    {"provider", TOPIC_NONE, true, STORE_PROVIDER, {&BOOK}},
    {"fraud", TOPIC_FRAUD, false, STORE_FRAUD, {&VERDICTS}},
    {"analytics", TOPIC_NONE, false, STORE_ANALYTICS, {&FACTS}},
    {"email", TOPIC_EMAILS, false, STORE_EMAIL, {&MAILS, &OWED_MAILS}},
    {"catalog", TOPIC_PRODUCTS, false, STORE_CATALOG, {NULL}},
};

#define STORE_COUNT (sizeof STORES / sizeof STORES[0])

static bool *member_of(struct audit_stores *stores, size_t member)
{
    bool *members[] = {&stores->orders,    &stores->payment, &stores->provider, &stores->fraud,
                       &stores->analytics, &stores->email,   &stores->ledger};

    return member < sizeof members / sizeof members[0] ? members[member] : NULL;
}

static enum err_kind open_store(const struct store_of_part *store, struct pg **out, struct err *err)
{
    const char *database = setting_of_part(store->part, "DATABASE");

    if (database == NULL || database[0] == '\0')
        return err_set(err, ERR_STOP, "TRADEWIND_..._DATABASE of %s is not set", store->part);
    return pg_open(out, database, "tradewind audit", err);
}

static enum err_kind read_store(struct audit *audit, const struct store_of_part *store,
                                struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;
    struct audit_numbers numbers = {
        .part = store->part, .topic = store->publishes, .source = view_str(store->part)};
    struct pg_rows rows;
    enum err_kind kind = open_store(store, &pg, err);

    if (kind == ERR_OK && store->publishes != TOPIC_NONE &&
        (kind = read_numbers(audit, pg, &numbers.before, err)) == ERR_OK)
        audit_note_numbers(audit, &numbers);
    if (kind == ERR_OK && !store->is_outside &&
        (kind = read_positions(audit, pg, store->part, err)) == ERR_OK)
        kind = read_dead_letters(audit, pg, store->part, err);
    if (kind == ERR_OK && store->is_outside &&
        (kind = pg_run(pg, &BOOK_VIOLATIONS, &(struct pg_args){0}, &rows, err)) == ERR_OK)
        audit->book_violations = (uint64_t)pg_int(&rows, 0, 0);
    for (size_t i = 0; kind == ERR_OK && i < 3 && store->scans[i] != NULL; i++)
        kind = run_scan(audit, pg, store->scans[i], err);
    return kind;
}

void audit_stores_read(struct audit *audit)
{
    for (size_t i = 0; i < STORE_COUNT; i++) {
        struct err err = {0};
        enum err_kind kind = read_store(audit, &STORES[i], &err);
        bool *member = member_of(&audit->stores, STORES[i].member);

        if (member == NULL)
            continue;
        *member = kind == ERR_OK;
        if (kind != ERR_OK)
            audit->why_not[STORES[i].member] = arena_strdup(audit->arena, err.text);
    }
}

void audit_stores_read_numbers_after(struct audit *audit)
{
    for (size_t i = 0; i < STORE_COUNT; i++) {
        AUTO(pg_close) struct pg *pg = NULL;
        const uint64_t *after;

        if (STORES[i].publishes == TOPIC_NONE || open_store(&STORES[i], &pg, NULL) != ERR_OK ||
            read_numbers(audit, pg, &after, NULL) != ERR_OK)
            continue;
        for (size_t n = 0; n < audit->number_count; n++)
            if (audit->numbers[n].topic == STORES[i].publishes)
                audit->numbers[n].after = after;
    }
}
