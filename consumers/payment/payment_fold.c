/* Payment's tables as folds of topics: payment_events of its own, payment_requests of its inputs.
 */
#include "consumers/payment/payment_decide.h"
#include "events/fold.h"
#include "events/reminder.h"

extern const struct pg_migration payment_scripts[];
extern const size_t payment_script_count;

enum { WRITE_EVENTS, WRITE_REMINDED, WRITE_REQUESTS };

static const struct fold_write writes[] = {
    [WRITE_EVENTS] =
        {{"payment_fold_events",
          "insert into payment_events (order_id, number, state, amount_minor, currency, provider,"
          " provider_ref, code, occurred_at)"
          " select unnest($1::text[]), unnest($2::bigint[]), unnest($3::smallint[]),"
          "        unnest($4::bigint[]), unnest($5::text[]), unnest($6::text[]),"
          "        unnest($7::text[]), unnest($8::text[]), unnest($9::bigint[])"},
         {PG_TEXT, PG_INT8, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8},
         9},
    /* A reminder asks where nothing was heard before, and only there. */
    [WRITE_REMINDED] =
        {{"payment_fold_reminded",
          "insert into payment_requests (order_id, seen, amount_minor, currency, payment_token)"
          " select unnest($1::text[]), unnest($2::smallint[]), unnest($3::bigint[]),"
          "        unnest($4::text[]), unnest($5::text[])"
          " on conflict do nothing"},
         {PG_TEXT, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT},
         5},
    [WRITE_REQUESTS] =
        {{"payment_fold_requests",
          "insert into payment_requests as r (order_id, seen, amount_minor, currency,"
          " payment_token)"
          " select unnest($1::text[]), unnest($2::smallint[]), unnest($3::bigint[]),"
          "        unnest($4::text[]), unnest($5::text[])"
          " on conflict (order_id) do update set seen = r.seen | excluded.seen,"
          " amount_minor = r.amount_minor + excluded.amount_minor," /* one of the two is empty */
          " currency = r.currency || excluded.currency,"
          " payment_token = r.payment_token || excluded.payment_token"},
         {PG_TEXT, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT},
         5},
};

/* What a batch has heard of an order. */
struct request {
    unsigned seen; /* enum payment_seen */
    int64_t amount_minor;
    struct view currency, payment_token;
    bool is_reminded; /* before anything else was heard */
};

/* What all six events of a payment say. */
struct row {
    enum saga_payment_state state;
    int64_t amount_minor;
    struct view currency, provider, provider_ref, code;
    int64_t occurred_at;
};

#define ROW(its_state, data, its_code)                                                             \
    ((struct row){its_state, (data)->amount_minor, (data)->currency, (data)->provider,             \
                  (data)->provider_ref, its_code, (data)->occurred_at})

static bool row_of(struct row *out, const struct event *event)
{
    const struct view none = VIEW_LITERAL("");

    switch ((int)event->type) {
    case EVENT_PAYMENT_AUTHORIZED:
        *out = ROW(PAYMENT_AUTHORIZED, (const struct payment_authorized *)event->data, none);
        return true;
    case EVENT_PAYMENT_DECLINED: {
        const struct payment_declined *declined = event->data;

        *out = ROW(PAYMENT_DECLINED, declined, declined->decline_code);
        return true;
    }
    case EVENT_PAYMENT_CAPTURED:
        *out = ROW(PAYMENT_CAPTURED, (const struct payment_captured *)event->data, none);
        return true;
    case EVENT_PAYMENT_FAILED: {
        const struct payment_failed *failed = event->data;

        *out = ROW(PAYMENT_FAILED, failed, failed->failure_code);
        return true;
    }
    case EVENT_PAYMENT_VOIDED:
        *out = ROW(PAYMENT_VOIDED, (const struct payment_voided *)event->data, none);
        /* Nobody was asked: an order.cancelled came without its order.created. */
        if (out->provider.size == 0)
            out->state = PAYMENT_TOMBSTONE;
        return true;
    case EVENT_PAYMENT_REFUNDED:
        *out = ROW(PAYMENT_REFUNDED, (const struct payment_refunded *)event->data, none);
        return true;
    default:
        return false;
    }
}

static void add_event(struct pg_column *columns, const struct event *event, const struct row *row)
{
    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_int8(&columns[1], (int64_t)event->envelope->number);
    pg_column_int2(&columns[2], (int16_t)row->state);
    pg_column_int8(&columns[3], row->amount_minor);
    pg_column_bytes(&columns[4], row->currency);
    pg_column_bytes(&columns[5], row->provider);
    pg_column_bytes(&columns[6], row->provider_ref);
    pg_column_bytes(&columns[7], row->code);
    pg_column_int8(&columns[8], row->occurred_at);
}

static void add_request(struct pg_column *columns, struct view order_id, unsigned seen,
                        const struct request *request)
{
    pg_column_bytes(&columns[0], order_id);
    pg_column_int2(&columns[1], (int16_t)seen);
    pg_column_int8(&columns[2], request->amount_minor);
    pg_column_bytes(&columns[3], fold_text(request->currency));
    pg_column_bytes(&columns[4], fold_text(request->payment_token));
}

static void hear_reminder(struct fold_batch *batch, struct request *request,
                          const struct event *event)
{
    const struct order_created *created = order_told_by(event->type, event->data);
    const struct request reminded = {.amount_minor = created->total_minor,
                                     .currency = created->currency,
                                     .payment_token = created->payment_token};

    if (request->seen != 0 || request->is_reminded)
        return;
    request->is_reminded = true;
    add_request(fold_columns(batch, WRITE_REMINDED), event->envelope->subject, SEEN_CREATED,
                &reminded);
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct request *request = state;
    struct row row;

    (void)err;
    if (row_of(&row, event)) {
        add_event(fold_columns(batch, WRITE_EVENTS), event, &row);
    } else if (event->type == EVENT_ORDER_CREATED) {
        const struct order_created *created = event->data;

        request->amount_minor = created->total_minor;
        request->currency = fold_keep(batch, created->currency);
        request->payment_token = fold_keep(batch, created->payment_token);
    } else if (event->type == EVENT_ORDER_REMINDED) {
        hear_reminder(batch, request, event);
    }
    request->seen |= payment_seen_by(saga_trigger_of(event->type));
    return ERR_OK;
}

static void save(struct fold_batch *batch, struct view key, const void *state)
{
    const struct request *request = state;

    if (request->seen != 0)
        add_request(fold_columns(batch, WRITE_REQUESTS), key, request->seen, request);
}

/* --- After a loss ----------------------------------------------------------------------------- */

/* Orders of which the table says that something is owed, and what was published of them last:
 * nothing; authorized (2) with a confirmed or cancelled; captured (6) or failed (7) with a
 * cancelled. The bits are enum payment_seen's. */
static const struct pg_statement open_keys = {
    "payment_fold_open",
    "select r.order_id, coalesce(e.state, 0)::bigint from payment_requests r"
    " left join lateral (select state from payment_events e where e.order_id = r.order_id"
    "                    order by number desc limit 1) e on true"
    " where e.state is null or e.state = 2 and r.seen & 6 <> 0"
    "    or e.state in (6, 7) and r.seen & 4 <> 0 order by 1",
};
_Static_assert(PAYMENT_AUTHORIZED == 2 && PAYMENT_CAPTURED == 6 && PAYMENT_FAILED == 7 &&
                   (SEEN_CONFIRMED | SEEN_CANCELLED) == 6 && SEEN_CANCELLED == 4,
               "stored numbers never change");

static const struct pg_statement owed_keys = {"payment_fold_owed",
                                              "select order_id from owed_calls"};
static const struct pg_statement forget_owed = {
    "payment_fold_forget_owed", "delete from owed_calls where order_id = any($1::text[])"};

static bool is_open(int64_t state, enum event_type type)
{
    if (state == PAYMENT_NONE)
        return true;
    if (state == PAYMENT_AUTHORIZED)
        return type != EVENT_ORDER_CREATED;
    return type == EVENT_ORDER_CANCELLED || type == EVENT_ORDER_CLOSED; /* captured, failed */
}

/* --- The part --------------------------------------------------------------------------------- */

static const struct fold_table tables[] = {
    {"payment_events", "order_id, number", "order_id", "order_id", FOLD_OWN, NULL, NULL},
    {"payment_requests", "order_id", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
};

static const char *const beside[] = {"owed_calls", NULL};
static const enum topic inputs[] = {TOPIC_ORDERS};

static const char *name_of(const char *column, int value)
{
    if (strcmp(column, "state") != 0 || !saga_state_exists(PART_PAYMENT, value))
        return NULL;
    return saga_state_name(PART_PAYMENT, value);
}

const struct fold payment_fold = {
    .part = "payment",
    .publishes = TOPIC_PAYMENTS,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .scripts = payment_scripts,
    .script_count = &payment_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .beside = beside,
    .name_of = name_of,
    .writes = writes,
    .write_count = sizeof writes / sizeof writes[0],
    .state_bytes = sizeof(struct request),
    .apply = apply,
    .save = save,
    .open_keys = &open_keys,
    .is_open = is_open,
    .owed_keys = &owed_keys,
    .forget_owed = &forget_owed,
};
