/* The requests that only read: they run on threads of their own, with a session of their own. */
#include "events/sku.h"
#include "producers/orders/orders.h"
#include "producers/orders/orders_history.h"
#include "runtime/log.h"

#include <inttypes.h>

enum {
    PAGE_MAX = 200,
    PAGE_DEFAULT = 50,
    READ_AT_ONCE = 1000, /* rows, when a state is asked for */
    READ_MAX = 10000,    /* rows that one request looks at */
    PRICES_MAX = 1000,
};

/* Sorts behind every ULID and every SKU. */
#define LAST_KEY "\xf4\x8f\xbf\xbf"

static const struct pg_statement read_order = {
    "orders_query_one",
    "select o.customer_id, o.created, s.state, s.reason, s.detail, s.created_us, s.said,"
    "       coalesce(v.heard, 0), coalesce(v.seen, '')"
    "  from orders o join order_states s on s.id = o.id left join order_verdicts v on v.id = o.id"
    " where o.id = $1"};

static const struct pg_statement read_page = {
    "orders_query_page",
    "select s.id, s.state, s.reason, s.customer_id, s.total_minor, s.currency, s.created_us"
    "  from order_states s where s.id < $1 order by s.id desc limit $2"};

static const struct pg_statement read_customer_page = {
    "orders_query_customer_page",
    "select s.id, s.state, s.reason, s.customer_id, s.total_minor, s.currency, s.created_us"
    "  from orders o join order_states s on s.id = o.id"
    " where o.customer_id = $3 and o.id < $1 order by o.id desc limit $2"};

static const struct pg_statement read_prices = {
    "orders_query_prices", "select sku, unit_price_minor, currency, kind, sold, event from products"
                           " where sku > $1 order by sku limit $2"};

static const struct pg_statement read_price = {
    "orders_query_price",
    "select sku, unit_price_minor, currency, kind, sold, event from products where sku = $1"};

/* The database is away, or a stored row is unreadable: nothing the caller did. */
void orders_query_failed(struct http_request *request, const struct err *err)
{
    LOG_WARN("orders_query_failed", "a read for a request failed", log_err(err));
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, "unavailable", VIEW_NONE, "the order store cannot be read now");
}

static void not_found(struct http_request *request, const char *what, struct view key)
{
    http_problem(request, 404, "not-found", VIEW_NONE, "no %s %.*s", what, VIEW_PRINT(key));
}

static void put_reason(struct json_writer *json, int64_t reason, struct arena *arena)
{
    if (reason != CANCEL_REASON_UNKNOWN)
        json_member_str(json, "reason",
                        orders_symbol(cancel_reason_name((enum cancel_reason)reason), arena));
}

/* --- GET /orders/{id} ------------------------------------------------------------------------- */

/* What the answer is made of. */
struct found {
    struct view order_id;
    int32_t shard;
    const struct order_created *created;
    struct order_progress progress;
    const struct pg_rows *rows;
    struct history_entry *history;
    size_t history_count;
};

static void put_lines(struct json_writer *json, const struct order_created *created,
                      struct arena *arena)
{
    json_key(json, "lines");
    json_array_start(json);
    for (size_t i = 0; i < created->lines_count; i++) {
        const struct order_line *line = &created->lines[i];

        json_object_start(json);
        json_member_text(json, "sku", line->sku);
        json_member_text(json, "code", line->code);
        json_member_str(json, "kind", orders_symbol(line_kind_name(line->kind), arena));
        json_member_int64(json, "quantity", line->quantity);
        json_member_int64(json, "unit_price_minor", line->unit_price_minor);
        json_member_int64(json, "amount_minor", line->quantity * line->unit_price_minor);
        json_member_text(json, "price_event", line->price_event);
        json_object_end(json);
    }
    json_array_end(json);
}

void orders_put_waits(struct json_writer *json, struct order_progress progress)
{
    unsigned parts = order_progress_waits_for(progress);

    json_key(json, "waits_for");
    json_array_start(json);
    for (enum saga_part part_number = 0; part_number < PART_COUNT; part_number++) {
        if ((parts & 1u << part_number) != 0)
            json_put_str(json, saga_part_name(part_number));
    }
    json_array_end(json);
}

/* The ce_id of an event: its writer, for inventory the ledger, the order's shard and its number. */
static struct view event_id(const struct found *found, enum history_writer writer, uint64_t number,
                            struct arena *arena)
{
    static const char *const names[] = {
        [HISTORY_ORDERS] = "orders",
        [HISTORY_INVENTORY] = "inventory/",
        [HISTORY_PAYMENT] = "payment",
        [HISTORY_FRAUD] = "fraud",
    };
    struct view ledger = writer == HISTORY_INVENTORY ? found->created->warehouse : VIEW_LITERAL("");

    if (writer == HISTORY_NOBODY)
        return VIEW_NONE;
    return arena_printf(arena, "%s%.*s/%" PRId32 "/%" PRIu64, names[writer], VIEW_PRINT(ledger),
                        found->shard, number);
}

static void put_history(struct json_writer *json, const struct found *found, struct arena *arena)
{
    json_key(json, "history");
    json_array_start(json);
    for (size_t i = 0; i < found->history_count; i++) {
        const struct history_entry *entry = &found->history[i];

        json_object_start(json);
        json_member_text(json, "id",
                         event_id(found, history_writer_of(entry->type), entry->number, arena));
        json_member_str(json, "type", event_type_name(entry->type));
        json_member_time_us(json, "time", entry->time_us);
        json_member_text(json, "cause",
                         event_id(found, entry->cause_writer, entry->cause_number, arena));
        json_object_end(json);
    }
    json_array_end(json);
}

static void put_order(struct json_writer *json, const struct found *found, struct arena *arena)
{
    const struct order_created *created = found->created;

    json_object_start(json);
    json_member_text(json, "order_id", found->order_id);
    json_member_str(json, "state", saga_state_name(PART_ORDERS, (int)found->progress.state));
    put_reason(json, pg_int(found->rows, 0, 3), arena);
    if (pg_int(found->rows, 0, 3) != CANCEL_REASON_UNKNOWN)
        json_member_text(json, "detail", pg_bytes(found->rows, 0, 4));
    json_member_text(json, "customer_id", created->customer_id);
    json_member_text(json, "country", created->country);
    json_member_text(json, "currency", created->currency);
    json_member_int64(json, "total_minor", created->total_minor);
    json_member_text(json, "warehouse", created->warehouse);
    json_member_time_us(json, "created_at", created->occurred_at);
    json_member_time_us(json, "ordered_at", created->ordered_at);
    orders_put_waits(json, found->progress);
    put_lines(json, created, arena);
    put_history(json, found, arena);
    json_object_end(json);
}

static enum err_kind find_order(struct found *found, struct host *host, struct arena *arena,
                                struct err *err)
{
    const struct pg_rows *rows = found->rows;

    found->shard = host_shard_of(host, found->order_id);
    found->progress = (struct order_progress){(enum saga_orders_state)pg_int(rows, 0, 2),
                                              (uint32_t)pg_int(rows, 0, 7)};
    if (history_read(&found->history, &found->history_count, pg_bytes(rows, 0, 6),
                     pg_bytes(rows, 0, 8), arena, err) != ERR_OK)
        return err->kind;
    return orders_decode_created(&found->created, host, pg_bytes(rows, 0, 1), arena, err);
}

static void answer_order(struct host *host, struct http_request *request, struct pg *pg)
{
    struct view only = orders_only_customer(http_caller(request));
    struct arena *arena = http_arena(request);
    struct pg_rows rows;
    struct found found = {.order_id = http_path_param(request, "id"), .rows = &rows};
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct pg_args args = {0};
    struct err err = {0};

    pg_arg_bytes(&args, found.order_id);
    if (pg_run(pg, &read_order, &args, &rows, &err) != ERR_OK) {
        orders_query_failed(request, &err);
    } else if (rows.count == 0 || (only.data != NULL && !view_equal(only, pg_bytes(&rows, 0, 0)))) {
        not_found(request, "order", found.order_id);
    } else if (find_order(&found, host, arena, &err) != ERR_OK) {
        orders_query_failed(request, &err);
    } else {
        put_order(&json, &found, arena);
        http_reply(request, 200, NULL, buf_view(&body));
    }
}

void orders_http_get(struct http_request *request, void *context)
{
    if (orders_path_id(request).data != NULL)
        host_query(context, request, answer_order);
}

/* --- GET /orders ------------------------------------------------------------------------------ */

struct list {
    struct view customer; /* VIEW_NONE: all */
    int state;            /* -1: all */
    struct view cursor;   /* look below this id */
    int64_t limit;
    int64_t given, looked_at;
    bool at_end;
};

/* false: the parameter is wrong, and the request has been answered. */
static bool read_state(int *out, struct http_request *request)
{
    struct view text = http_query_param(request, "state");

    *out = -1;
    if (text.data == NULL)
        return true;
    *out = saga_state_from_name(PART_ORDERS, arena_view(http_arena(request), text).data);
    if (*out > SAGA_STATE_NONE)
        return true;
    http_problem(request, 400, "invalid-parameter", VIEW_NONE,
                 "state \"%.*s\", want placed, confirmed, fulfilled, cancelled or closed",
                 VIEW_PRINT(text));
    return false;
}

static bool read_list(struct list *list, struct http_request *request)
{
    struct view only = orders_only_customer(http_caller(request));

    *list = (struct list){.limit = PAGE_DEFAULT};
    list->customer = http_query_param(request, "customer");
    list->cursor = http_query_param(request, "cursor");
    if (list->cursor.data == NULL)
        list->cursor = VIEW_LITERAL(LAST_KEY);
    if (only.data != NULL && list->customer.data != NULL && !view_equal(only, list->customer)) {
        http_problem(request, 403, "forbidden", VIEW_NONE,
                     "a customer may list only their own orders");
        return false;
    }
    if (only.data != NULL)
        list->customer = only;
    return http_query_int64(request, "limit", 1, PAGE_MAX, &list->limit) &&
           read_state(&list->state, request);
}

static void put_row(struct json_writer *json, const struct pg_rows *rows, int row,
                    struct arena *arena)
{
    json_object_start(json);
    json_member_text(json, "order_id", pg_bytes(rows, row, 0));
    json_member_str(json, "state", saga_state_name(PART_ORDERS, (int)pg_int(rows, row, 1)));
    put_reason(json, pg_int(rows, row, 2), arena);
    json_member_text(json, "customer_id", pg_bytes(rows, row, 3));
    json_member_int64(json, "total_minor", pg_int(rows, row, 4));
    json_member_text(json, "currency", pg_bytes(rows, row, 5));
    json_member_time_us(json, "created_at", pg_int(rows, row, 6));
    json_object_end(json);
}

/* States have no index: those that do not fit are read and passed over. */
static enum err_kind read_some(struct list *list, struct json_writer *json, struct pg *pg,
                               struct arena *arena, struct err *err)
{
    bool is_customer = list->customer.data != NULL;
    int64_t want = list->state < 0 ? list->limit - list->given : READ_AT_ONCE;
    struct pg_args args = {0};
    struct pg_rows rows;
    int row;

    pg_arg_bytes(&args, list->cursor);
    pg_arg_int8(&args, want);
    if (is_customer)
        pg_arg_bytes(&args, list->customer);
    if (pg_run(pg, is_customer ? &read_customer_page : &read_page, &args, &rows, err) != ERR_OK)
        return err->kind;
    for (row = 0; row < rows.count && list->given < list->limit; row++) {
        if (list->state >= 0 && pg_int(&rows, row, 1) != list->state)
            continue;
        put_row(json, &rows, row, arena);
        list->given++;
    }
    list->at_end = row == rows.count && rows.count < want;
    list->looked_at += row;
    if (row > 0)
        list->cursor = arena_view(arena, pg_bytes(&rows, row - 1, 0));
    return ERR_OK;
}

static void answer_list(struct host *host, struct http_request *request, struct pg *pg)
{
    struct arena *arena = http_arena(request);
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct err err = {0};
    struct list list;

    (void)host;
    if (!read_list(&list, request))
        return;
    json_object_start(&json);
    json_key(&json, "orders");
    json_array_start(&json);
    while (!list.at_end && list.given < list.limit && list.looked_at < READ_MAX) {
        if (read_some(&list, &json, pg, arena, &err) != ERR_OK) {
            orders_query_failed(request, &err);
            return;
        }
    }
    json_array_end(&json);
    json_member_text(&json, "next_cursor", list.at_end ? VIEW_NONE : list.cursor);
    json_object_end(&json);
    http_reply(request, 200, NULL, buf_view(&body));
}

void orders_http_list(struct http_request *request, void *context)
{
    host_query(context, request, answer_list);
}

/* --- GET /orders/prices ----------------------------------------------------------------------- */

static void put_price(struct json_writer *json, const struct pg_rows *rows, int row,
                      struct arena *arena)
{
    enum product_kind kind = (enum product_kind)pg_int(rows, row, 3);

    json_object_start(json);
    json_member_text(json, "sku", pg_bytes(rows, row, 0));
    json_member_int64(json, "unit_price_minor", pg_int(rows, row, 1));
    json_member_text(json, "currency", pg_bytes(rows, row, 2));
    json_member_str(json, "kind", orders_symbol(product_kind_name(kind), arena));
    json_member_bool(json, "sold", pg_bool(rows, row, 4));
    json_member_text(json, "product_event", pg_bytes(rows, row, 5));
    json_object_end(json);
}

static void answer_prices(struct host *host, struct http_request *request, struct pg *pg)
{
    struct view cursor = http_query_param(request, "cursor");
    int64_t limit = PRICES_MAX;
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct pg_args args = {0};
    struct pg_rows rows;
    struct err err = {0};

    (void)host;
    if (!http_query_int64(request, "limit", 1, PRICES_MAX, &limit))
        return;
    pg_arg_bytes(&args, cursor.data != NULL ? cursor : VIEW_LITERAL(""));
    pg_arg_int8(&args, limit);
    if (pg_run(pg, &read_prices, &args, &rows, &err) != ERR_OK) {
        orders_query_failed(request, &err);
        return;
    }
    json_object_start(&json);
    json_key(&json, "prices");
    json_array_start(&json);
    for (int row = 0; row < rows.count; row++)
        put_price(&json, &rows, row, http_arena(request));
    json_array_end(&json);
    json_member_text(&json, "next_cursor",
                     rows.count < limit ? VIEW_NONE : pg_bytes(&rows, rows.count - 1, 0));
    json_object_end(&json);
    http_reply(request, 200, NULL, buf_view(&body));
}

void orders_http_prices(struct http_request *request, void *context)
{
    host_query(context, request, answer_prices);
}

static void answer_price(struct host *host, struct http_request *request, struct pg *pg)
{
    struct view written = http_path_param(request, "sku");
    struct view sku = sku_fold(written, http_arena(request));
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct pg_args args = {0};
    struct pg_rows rows;
    struct err err = {0};

    (void)host;
    pg_arg_bytes(&args, sku); /* none, when it is no SKU: then no row is equal to it */
    if (pg_run(pg, &read_price, &args, &rows, &err) != ERR_OK) {
        orders_query_failed(request, &err);
    } else if (rows.count == 0) {
        not_found(request, "price for SKU", written);
    } else {
        put_price(&json, &rows, 0, http_arena(request));
        http_reply(request, 200, NULL, buf_view(&body));
    }
}

void orders_http_price(struct http_request *request, void *context)
{
    host_query(context, request, answer_price);
}
