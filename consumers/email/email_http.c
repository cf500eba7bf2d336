/* What an operator may ask: which mails an order has, and what becomes of them. Nobody is named. */
#include "consumers/email/email.h"
#include "runtime/log.h"

static const struct pg_statement read_mails = {
    "email_query",
    "select kind, $2::smallint, '', 0, 0, queued_us, attempts, next_try_us, last_error, cause"
    "  from owed_mails where shard = $3 and order_id = $1"
    " union all "
    "select kind, state, message_id, settled_us, 1, 0, 0, 0, reason, ''"
    "  from mails where order_id = $1"
    " order by 1"};

static void put_queued(struct json_writer *json, const struct pg_rows *rows, int row)
{
    json_member_time_us(json, "queued_at", pg_int(rows, row, 5));
    json_member_int64(json, "attempts", pg_int(rows, row, 6));
    if (pg_int(rows, row, 6) > 0) {
        json_member_time_us(json, "next_try_at", pg_int(rows, row, 7));
        json_member_text(json, "last_error", pg_bytes(rows, row, 8));
    }
    json_member_text(json, "cause", pg_bytes(rows, row, 9));
}

static void put_mail(struct json_writer *json, const struct pg_rows *rows, int row)
{
    bool is_settled = pg_int(rows, row, 4) == 1;

    json_object_start(json);
    json_member_str(json, "kind", email_kind_word((enum mail_kind)pg_int(rows, row, 0)));
    json_member_str(json, "state", saga_state_name(PART_EMAIL, (int)pg_int(rows, row, 1)));
    if (is_settled) {
        json_member_text(json, "message_id", pg_bytes(rows, row, 2));
        json_member_time_us(json, "settled_at", pg_int(rows, row, 3));
        if (pg_bytes(rows, row, 8).size > 0)
            json_member_text(json, "reason", pg_bytes(rows, row, 8));
    } else {
        put_queued(json, rows, row);
    }
    json_object_end(json);
}

static void answer(struct host *host, struct http_request *request, struct pg *pg)
{
    struct view order_id = http_path_param(request, "order_id");
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct pg_args args = {0};
    struct pg_rows rows;
    struct err err;

    pg_arg_bytes(&args, order_id);
    pg_arg_int2(&args, EMAIL_QUEUED);
    pg_arg_int4(&args, host_shard_of(host, order_id));
    if (pg_run(pg, &read_mails, &args, &rows, &err) != ERR_OK) {
        LOG_WARN("email_query_failed", "a read for a request failed", log_err(&err));
        http_reply_header(request, "Retry-After", "1");
        http_problem(request, 503, "unavailable", VIEW_NONE, "the mails cannot be read now");
        return;
    }
    if (rows.count == 0) {
        http_problem(request, 404, "not-found", VIEW_NONE, "no mail of order %.*s",
                     VIEW_PRINT(order_id));
        return;
    }
    json_object_start(&json);
    json_member_text(&json, "order_id", order_id);
    json_key(&json, "mails");
    json_array_start(&json);
    for (int row = 0; row < rows.count; row++)
        put_mail(&json, &rows, row);
    json_array_end(&json);
    json_object_end(&json);
    http_reply(request, 200, NULL, buf_view(&body));
}

void email_http_get(struct http_request *request, void *context)
{
    host_query(context, request, answer);
}
