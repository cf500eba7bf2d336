#include "consumers/analytics/analytics_rows.h"

#include <ctype.h>

/* --- Statements, for the part and for a replay -------------------------------------------------
 */

const struct fold_write analytics_writes[ROWS_COUNT] = {
    [ROWS_ORDERS] =
        {{"analytics_orders",
          "insert into fact_orders (order_id, customer_id, country, ordered_at, currency,"
          "                         total_minor, line_count, event, at)"
          " select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]),"
          "        utc(unnest($4::bigint[])), unnest($5::text[]), unnest($6::bigint[]),"
          "        unnest($7::int[]), unnest($8::text[]), utc(unnest($9::bigint[]))"},
         {PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8, PG_TEXT, PG_INT8, PG_INT4, PG_TEXT, PG_INT8},
         9},
    [ROWS_LINES] =
        {{"analytics_lines",
          "insert into fact_lines (order_id, line, sku, kind, quantity, unit_price_minor,"
          "                        amount_minor, event)"
          " select unnest($1::text[]), unnest($2::int[]), unnest($3::text[]), unnest($4::text[]),"
          "        unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]),"
          "        unnest($8::text[])"},
         {PG_TEXT, PG_INT4, PG_TEXT, PG_TEXT, PG_INT8, PG_INT8, PG_INT8, PG_TEXT},
         8},
    [ROWS_CONFIRMATIONS] =
        {{"analytics_confirmations",
          "insert into fact_confirmations (order_id, event, at)"
          " select unnest($1::text[]), unnest($2::text[]), utc(unnest($3::bigint[]))"},
         {PG_TEXT, PG_TEXT, PG_INT8},
         3},
    [ROWS_CANCELLATIONS] = {{"analytics_cancellations",
                             "insert into fact_cancellations (order_id, reason, was, event, at)"
                             " select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]),"
                             "        unnest($4::text[]), utc(unnest($5::bigint[]))"},
                            {PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8},
                            5},
    [ROWS_CLOSURES] = {{"analytics_closures",
                        "insert into fact_closures (order_id, outcome, event, at)"
                        " select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]),"
                        "        utc(unnest($4::bigint[]))"},
                       {PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8},
                       4},
    [ROWS_PAYMENTS] =
        {{"analytics_payments",
          "insert into fact_payments (order_id, kind, amount_minor, currency, provider,"
          "                           provider_ref, code, event, at)"
          " select unnest($1::text[]), unnest($2::text[]), unnest($3::bigint[]),"
          "        unnest($4::text[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),"
          "        unnest($8::text[]), utc(unnest($9::bigint[]))"},
         {PG_TEXT, PG_TEXT, PG_INT8, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8},
         9},
    [ROWS_PRODUCTS] =
        {{"analytics_products",
          "insert into dim_products as p (sku, name, kind, category, unit_price_minor, currency,"
          "                               sold, event, number, at)"
          " select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]),"
          "        unnest($4::text[]), unnest($5::bigint[]), unnest($6::text[]), true,"
          "        unnest($7::text[]), unnest($8::bigint[]), utc(unnest($9::bigint[]))"
          " on conflict (sku) do update set name = excluded.name, kind = excluded.kind,"
          "   category = excluded.category, unit_price_minor = excluded.unit_price_minor,"
          "   currency = excluded.currency, sold = true, event = excluded.event,"
          "   number = excluded.number, at = excluded.at"
          " where p.number < excluded.number"},
         {PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8, PG_TEXT, PG_TEXT, PG_INT8, PG_INT8},
         9},
    [ROWS_WITHDRAWALS] =
        {{"analytics_withdrawals",
          "update dim_products p set sold = false, event = u.event, number = u.number,"
          "                          at = utc(u.us)"
          "  from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])"
          "       u(sku, event, number, us)"
          " where p.sku = u.sku and p.number < u.number"},
         {PG_TEXT, PG_TEXT, PG_INT8, PG_INT8},
         4},
};

void rows_start(struct pg_batch rows[ROWS_COUNT])
{
    for (size_t i = 0; i < ROWS_COUNT; i++)
        fold_write_start(&rows[i], &analytics_writes[i]);
}

void rows_clear(struct pg_batch rows[ROWS_COUNT])
{
    for (size_t i = 0; i < ROWS_COUNT; i++)
        pg_batch_clear(&rows[i]);
}

void rows_queue(const struct pg_batch rows[ROWS_COUNT], struct pg *pg)
{
    for (size_t i = 0; i < ROWS_COUNT; i++)
        pg_batch_queue(&rows[i], pg, &analytics_writes[i].statement);
}

/* --- Rows of orders --------------------------------------------------------------------------- */

/* "out_of_stock" for OUT_OF_STOCK: symbols are spoken in small letters outside the schemas. */
static struct view symbol(const char *name, struct arena *arena)
{
    char *lower = arena_strdup(arena, name);

    for (char *c = lower; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return view_str(lower);
}

static void add_lines(struct pg_column *columns, const struct order_created *created,
                      const struct event *event, struct arena *arena)
{
    struct view kinds[LINE_KIND_COUNT];

    for (size_t i = 0; i < LINE_KIND_COUNT; i++)
        kinds[i] = symbol(line_kind_name((enum line_kind)i), arena);
    for (size_t i = 0; i < created->lines_count; i++) {
        const struct order_line *line = &created->lines[i];
        int64_t amount_minor;

        /* The order service takes no order whose total does not fit: this is for bytes of others.
         */
        if (__builtin_mul_overflow(line->quantity, line->unit_price_minor, &amount_minor))
            amount_minor = INT64_MAX;
        pg_column_bytes(&columns[0], event->envelope->subject);
        pg_column_int4(&columns[1], (int32_t)i + 1);
        pg_column_bytes(&columns[2], line->sku);
        pg_column_bytes(&columns[3], kinds[line->kind]);
        pg_column_int8(&columns[4], line->quantity);
        pg_column_int8(&columns[5], line->unit_price_minor);
        pg_column_int8(&columns[6], amount_minor);
        pg_column_bytes(&columns[7], event->envelope->id);
    }
}

static void add_order(struct pg_column *columns, const struct order_created *created,
                      const struct event *event)
{
    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], created->customer_id);
    pg_column_bytes(&columns[2], created->country);
    pg_column_int8(&columns[3], created->ordered_at);
    pg_column_bytes(&columns[4], created->currency);
    pg_column_int8(&columns[5], created->total_minor);
    pg_column_int4(&columns[6], (int32_t)created->lines_count);
    pg_column_bytes(&columns[7], event->envelope->id);
    pg_column_int8(&columns[8], created->occurred_at);
}

static void add_confirmation(struct pg_column *columns, const struct order_confirmed *confirmed,
                             const struct event *event)
{
    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], event->envelope->id);
    pg_column_int8(&columns[2], confirmed->occurred_at);
}

static void add_cancellation(struct pg_column *columns, const struct order_cancelled *cancelled,
                             const struct event *event, struct arena *arena)
{
    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], symbol(cancel_reason_name(cancelled->reason), arena));
    pg_column_bytes(&columns[2], symbol(order_stage_name(cancelled->was), arena));
    pg_column_bytes(&columns[3], event->envelope->id);
    pg_column_int8(&columns[4], cancelled->occurred_at);
}

static void add_closure(struct pg_column *columns, const struct order_closed *closed,
                        const struct event *event, struct arena *arena)
{
    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], symbol(order_outcome_name(closed->outcome), arena));
    pg_column_bytes(&columns[2], event->envelope->id);
    pg_column_int8(&columns[3], closed->occurred_at);
}

/* --- Rows of payments ------------------------------------------------------------------------- */

/* What all events of payment say. */
struct payment {
    int64_t amount_minor;
    struct view currency, provider, provider_ref, code;
    int64_t occurred_at;
};

#define PAYMENT(data, its_code)                                                                    \
    ((struct payment){(data)->amount_minor, (data)->currency, (data)->provider,                    \
                      (data)->provider_ref, its_code, (data)->occurred_at})

static void add_payment(struct pg_column *columns, const struct payment *payment,
                        const struct event *event)
{
    const char *kind = strchr(event_type_name(event->type), '.') + 1;

    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], view_str(kind));
    pg_column_int8(&columns[2], payment->amount_minor);
    pg_column_bytes(&columns[3], payment->currency);
    pg_column_bytes(&columns[4], payment->provider);
    pg_column_bytes(&columns[5], payment->provider_ref);
    pg_column_bytes(&columns[6], payment->code);
    pg_column_bytes(&columns[7], event->envelope->id);
    pg_column_int8(&columns[8], payment->occurred_at);
}

/* false: the event is none of payment's. */
static bool read_payment(struct payment *out, const struct event *event)
{
    struct view none = VIEW_LITERAL("");

    if (event->type == EVENT_PAYMENT_AUTHORIZED)
        *out = PAYMENT((const struct payment_authorized *)event->data, none);
    else if (event->type == EVENT_PAYMENT_CAPTURED)
        *out = PAYMENT((const struct payment_captured *)event->data, none);
    else if (event->type == EVENT_PAYMENT_VOIDED)
        *out = PAYMENT((const struct payment_voided *)event->data, none);
    else if (event->type == EVENT_PAYMENT_REFUNDED)
        *out = PAYMENT((const struct payment_refunded *)event->data, none);
    else if (event->type == EVENT_PAYMENT_DECLINED)
        *out = PAYMENT((const struct payment_declined *)event->data,
                       ((const struct payment_declined *)event->data)->decline_code);
    else if (event->type == EVENT_PAYMENT_FAILED)
        *out = PAYMENT((const struct payment_failed *)event->data,
                       ((const struct payment_failed *)event->data)->failure_code);
    else
        return false;
    return true;
}

void rows_add_fact(struct pg_batch rows[ROWS_COUNT], const struct event *event, struct arena *arena)
{
    struct payment payment;

    if (event->type == EVENT_ORDER_CREATED) {
        add_order(rows[ROWS_ORDERS].columns, event->data, event);
        add_lines(rows[ROWS_LINES].columns, event->data, event, arena);
    } else if (event->type == EVENT_ORDER_CONFIRMED) {
        add_confirmation(rows[ROWS_CONFIRMATIONS].columns, event->data, event);
    } else if (event->type == EVENT_ORDER_CANCELLED) {
        add_cancellation(rows[ROWS_CANCELLATIONS].columns, event->data, event, arena);
    } else if (event->type == EVENT_ORDER_CLOSED) {
        add_closure(rows[ROWS_CLOSURES].columns, event->data, event, arena);
    } else if (read_payment(&payment, event)) {
        add_payment(rows[ROWS_PAYMENTS].columns, &payment, event);
    }
}

/* --- Rows of products ------------------------------------------------------------------------- */

void rows_add_product(struct pg_batch rows[ROWS_COUNT], const struct event *event,
                      struct arena *arena)
{
    struct pg_column *columns;

    if (event->type == EVENT_PRODUCT_UPSERTED) {
        const struct product_upserted *product = event->data;

        columns = rows[ROWS_PRODUCTS].columns;
        pg_column_bytes(&columns[0], event->envelope->subject);
        pg_column_bytes(&columns[1], product->name);
        pg_column_bytes(&columns[2], symbol(product_kind_name(product->kind), arena));
        pg_column_bytes(&columns[3], product->category);
        pg_column_int8(&columns[4], product->unit_price_minor);
        pg_column_bytes(&columns[5], product->currency);
        pg_column_bytes(&columns[6], event->envelope->id);
        pg_column_int8(&columns[7], (int64_t)event->envelope->number);
        pg_column_int8(&columns[8], product->occurred_at);
    } else if (event->type == EVENT_PRODUCT_WITHDRAWN) {
        const struct product_withdrawn *product = event->data;

        columns = rows[ROWS_WITHDRAWALS].columns;
        pg_column_bytes(&columns[0], event->envelope->subject);
        pg_column_bytes(&columns[1], event->envelope->id);
        pg_column_int8(&columns[2], (int64_t)event->envelope->number);
        pg_column_int8(&columns[3], product->occurred_at);
    }
}
