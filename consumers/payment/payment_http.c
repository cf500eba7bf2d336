#include "consumers/payment/payment_http.h"

#include "consumers/payment/payment_decide.h"
#include "events/part.h"

/* One row for each event; one with nulls when there is none yet. */
static const struct pg_statement get_payment = {
    "payment_get",
    "select r.seen, r.amount_minor, r.currency, coalesce(o.operation, 0::smallint), o.asked_at,"
    " e.number, e.state, e.amount_minor, e.currency, e.provider, e.provider_ref, e.code, "
    "e.occurred_at"
    " from payment_requests r"
    " left join owed_calls o on o.shard = $2::integer and o.order_id = r.order_id"
    " left join payment_events e on e.order_id = r.order_id"
    " where r.order_id = $1::text order by e.number",
};

/* Its columns. */
enum {
    SEEN,
    AMOUNT,
    CURRENCY,
    OPERATION,
    ASKED_AT,
    NUMBER,
    STATE,
    EVENT_AMOUNT,
    EVENT_CURRENCY,
    PROVIDER,
    PROVIDER_REF,
    CODE,
    OCCURRED_AT,
};

/* The event that led to a settled state. */
static enum event_type event_of(enum saga_payment_state state)
{
    switch ((int)state) {
    case PAYMENT_AUTHORIZED:
        return EVENT_PAYMENT_AUTHORIZED;
    case PAYMENT_DECLINED:
        return EVENT_PAYMENT_DECLINED;
    case PAYMENT_CAPTURED:
        return EVENT_PAYMENT_CAPTURED;
    case PAYMENT_FAILED:
        return EVENT_PAYMENT_FAILED;
    case PAYMENT_REFUNDED:
        return EVENT_PAYMENT_REFUNDED;
    default:
        return EVENT_PAYMENT_VOIDED; /* voided, tombstone */
    }
}

/* An empty text says that there is none. */
static struct view text_or_none(const struct pg_rows *rows, int row, int column)
{
    struct view text = pg_bytes(rows, row, column);

    return text.size > 0 ? text : VIEW_NONE;
}

static void write_event(struct json_writer *writer, const struct pg_rows *rows, int row,
                        int32_t shard)
{
    char id[ENVELOPE_ID_SIZE];
    size_t id_size =
        envelope_id(id, VIEW_LITERAL("payment"), shard, (uint64_t)pg_int(rows, row, NUMBER));
    enum saga_payment_state state = (enum saga_payment_state)pg_int(rows, row, STATE);

    json_object_start(writer);
    json_member_text(writer, "id", view_of(id, id_size));
    json_member_str(writer, "type", event_type_name(event_of(state)));
    json_member_int64(writer, "amount_minor", pg_int(rows, row, EVENT_AMOUNT));
    json_member_text(writer, "currency", text_or_none(rows, row, EVENT_CURRENCY));
    json_member_text(writer, "provider", text_or_none(rows, row, PROVIDER));
    json_member_text(writer, "provider_ref", text_or_none(rows, row, PROVIDER_REF));
    json_member_text(writer, "code", text_or_none(rows, row, CODE));
    json_member_time_us(writer, "time", pg_int(rows, row, OCCURRED_AT));
    json_object_end(writer);
}

static void write_owed_call(struct json_writer *writer, const struct pg_rows *rows)
{
    enum payment_call call = (enum payment_call)pg_int(rows, 0, OPERATION);

    json_key(writer, "owed_call");
    if (call == CALL_NONE) {
        json_put_null(writer);
        return;
    }
    json_object_start(writer);
    json_member_str(writer, "operation", payment_call_name(call));
    json_member_time_us(writer, "asked_at", pg_int(rows, 0, ASKED_AT));
    json_object_end(writer);
}

static void write_payment(struct buf *body, struct view order_id, int32_t shard,
                          const struct pg_rows *rows)
{
    struct json_writer writer = {.out = body};
    bool has_history = !pg_null(rows, 0, NUMBER);
    struct payment_memory memory = {
        .settled = (enum saga_payment_state)pg_int(rows, rows->count - 1, STATE),
        .seen = (unsigned)pg_int(rows, 0, SEEN),
        .owed = (enum payment_call)pg_int(rows, 0, OPERATION),
    };

    json_object_start(&writer);
    json_member_text(&writer, "order_id", order_id);
    json_member_str(&writer, "state", saga_state_name(PART_PAYMENT, (int)payment_state(&memory)));
    json_member_int64(&writer, "amount_minor", pg_int(rows, 0, AMOUNT));
    json_member_text(&writer, "currency", text_or_none(rows, 0, CURRENCY));
    write_owed_call(&writer, rows);
    json_key(&writer, "history");
    json_array_start(&writer);
    for (int row = 0; has_history && row < rows->count; row++)
        write_event(&writer, rows, row, shard);
    json_array_end(&writer);
    json_object_end(&writer);
}

/* A query thread. */
static void answer_get(struct host *host, struct http_request *request, struct pg *pg)
{
    AUTO(buf_clear) struct buf body = {0};
    struct view order_id = http_path_param(request, "order_id");
    int32_t shard = host_shard_of(host, order_id);
    struct pg_args args = {0};
    struct pg_rows rows;
    struct err err;

    pg_arg_bytes(&args, order_id);
    pg_arg_int4(&args, shard);
    if (pg_run(pg, &get_payment, &args, &rows, &err) != ERR_OK) {
        http_problem(request, 503, "database-unavailable", VIEW_NONE, "%s", err.text);
        return;
    }
    if (rows.count == 0) {
        http_problem(request, 404, "unknown-order", VIEW_NONE, "payment knows no order %.*s",
                     VIEW_PRINT(order_id));
        return;
    }
    write_payment(&body, order_id, shard, &rows);
    http_reply(request, 200, NULL, buf_view(&body));
}

void payment_http_get(struct http_request *request, void *context)
{
    host_query(context, request, answer_get);
}
