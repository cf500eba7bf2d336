/* Requests and answers of the catalog.
 *
 * Those that change something become a command for the worker, which lives in the request's arena
 * and is answered from its done; those that read run on a thread of their own. */
#include "events/sku.h"
#include "producers/catalog/catalog.h"
#include "producers/catalog/catalog_request.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum {
    COMMAND_EXPIRES_MS = 10000,
    PAGE_MAX = 1000,
    PAGE_DEFAULT = 100,
};

static void try_again(struct http_request *request, const char *type, const char *why)
{
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, type, VIEW_NONE, "%s", why);
}

static void submit(struct host *host, struct http_request *request, struct command *command)
{
    command->expires_ms = clock_monotonic_ms() + COMMAND_EXPIRES_MS;
    if (!host_submit(host, command))
        try_again(request, "overloaded", "too many requests wait already");
}

/* What all that is not done has in common; false: it was done. */
static bool answer_failure(struct http_request *request, enum err_kind outcome,
                           const struct err *err)
{
    if (outcome == ERR_OK)
        return false;
    if (outcome == ERR_REJECT)
        http_problem(request, 422, "invalid-request", VIEW_NONE, "%s", err->text);
    else
        try_again(request, "not-in-time", "this could not be done in time; ask again");
    return true;
}

/* --- POST /products --------------------------------------------------------------------------- */

static void upsert_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct upsert *upsert = (struct upsert *)command;
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};

    if (answer_failure(upsert->http, outcome, err))
        return;
    json_object_start(&json);
    json_member_int64(&json, "changed", (int64_t)upsert->changed);
    json_key(&json, "products");
    json_array_start(&json);
    for (size_t i = 0; i < upsert->count; i++) {
        json_object_start(&json);
        json_member_text(&json, "sku", upsert->wanted[i].sku);
        json_member_text(&json, "product_event", upsert->events[i]);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    http_reply(upsert->http, 200, NULL, buf_view(&body));
}

void catalog_http_upsert(struct http_request *request, void *context)
{
    struct arena *arena = http_arena(request);
    struct upsert *upsert = arena_alloc(arena, sizeof *upsert);
    struct json_reader reader = {.arena = arena};
    const struct json *body = http_body_json(request);
    struct product *products;
    struct view *skus;

    if (body == NULL)
        return;
    if (!catalog_request_read(&products, &upsert->count, body, &reader)) {
        http_problem_reader(request, &reader);
        return;
    }
    skus = arena_array(arena, upsert->count, sizeof *skus);
    for (size_t i = 0; i < upsert->count; i++)
        skus[i] = products[i].sku;
    upsert->http = request;
    upsert->wanted = products;
    upsert->events = arena_array(arena, upsert->count, sizeof *upsert->events);
    upsert->command = (struct command){
        .kind = COMMAND_UPSERT,
        .more_keys = skus,
        .more_key_count = upsert->count,
        .done = upsert_done,
    };
    submit(context, request, &upsert->command);
}

/* --- The SKU of a path ------------------------------------------------------------------------ */

/* VIEW_NONE: there can be no such product, and the request has been answered. */
static struct view read_sku(struct http_request *request)
{
    struct view text = http_path_param(request, "sku");
    struct view sku = sku_fold(text, http_arena(request));

    if (sku.data == NULL)
        http_problem(request, 404, "not-found", VIEW_NONE, "no product \"%.*s\"", VIEW_PRINT(text));
    return sku;
}

/* --- DELETE /products/{sku} ------------------------------------------------------------------- */

static void withdraw_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct withdraw *withdraw = (struct withdraw *)command;
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};

    if (withdraw->not_found) {
        http_problem(withdraw->http, 404, "not-found", VIEW_NONE, "%s", err->text);
        return;
    }
    if (answer_failure(withdraw->http, outcome, err))
        return;
    json_object_start(&json);
    json_member_text(&json, "sku", command->key);
    json_member_bool(&json, "sold", false);
    json_member_text(&json, "product_event", withdraw->event);
    json_object_end(&json);
    http_reply(withdraw->http, 200, NULL, buf_view(&body));
}

void catalog_http_withdraw(struct http_request *request, void *context)
{
    struct withdraw *withdraw = arena_alloc(http_arena(request), sizeof *withdraw);
    struct view sku = read_sku(request);

    if (sku.data == NULL)
        return;
    withdraw->http = request;
    withdraw->command = (struct command){
        .kind = COMMAND_WITHDRAW,
        .key = sku,
        .done = withdraw_done,
    };
    submit(context, request, &withdraw->command);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static const struct pg_statement read_one = {
    "catalog_query_one",
    "select sku, name, kind, unit_price_minor, currency, category, sold, event, changed_us"
    "  from products where sku = $1"};

static const struct pg_statement read_page = {
    "catalog_query_page",
    "select sku, name, kind, unit_price_minor, currency, category, sold, event, changed_us"
    "  from products where sku > $1 order by sku limit $2"};

static void put_product(struct json_writer *json, const struct pg_rows *rows, int row)
{
    json_object_start(json);
    json_member_text(json, "sku", pg_bytes(rows, row, 0));
    json_member_text(json, "name", pg_bytes(rows, row, 1));
    json_member_str(json, "kind", pg_int(rows, row, 2) == PRODUCT_KIND_CHARGE ? "charge" : "goods");
    json_member_int64(json, "unit_price_minor", pg_int(rows, row, 3));
    json_member_text(json, "currency", pg_bytes(rows, row, 4));
    json_member_text(json, "category", pg_bytes(rows, row, 5));
    json_member_bool(json, "sold", pg_bool(rows, row, 6));
    json_member_text(json, "product_event", pg_bytes(rows, row, 7));
    json_member_time_us(json, "changed_at", pg_int(rows, row, 8));
    json_object_end(json);
}

/* The database is away: nothing the caller did. */
static void fail(struct http_request *request, const struct err *err)
{
    LOG_WARN("catalog_query_failed", "a read for a request failed", log_err(err));
    try_again(request, "unavailable", "the catalog cannot be read now");
}

static void answer_one(struct host *host, struct http_request *request, struct pg *pg)
{
    struct view sku = sku_fold(http_path_param(request, "sku"), http_arena(request));
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct pg_args args = {0};
    struct pg_rows rows;
    struct err err;

    (void)host;
    pg_arg_bytes(&args, sku);
    if (pg_run(pg, &read_one, &args, &rows, &err) != ERR_OK) {
        fail(request, &err);
    } else if (rows.count == 0) {
        http_problem(request, 404, "not-found", VIEW_NONE, "no product %.*s", VIEW_PRINT(sku));
    } else {
        put_product(&json, &rows, 0);
        http_reply(request, 200, NULL, buf_view(&body));
    }
}

void catalog_http_get(struct http_request *request, void *context)
{
    if (read_sku(request).data != NULL)
        host_query(context, request, answer_one);
}

static void answer_page(struct host *host, struct http_request *request, struct pg *pg)
{
    struct view after = http_query_param(request, "cursor");
    struct view cursor = sku_fold(after, http_arena(request));
    int64_t limit = PAGE_DEFAULT;
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    struct pg_args args = {0};
    struct pg_rows rows;
    struct err err;

    (void)host;
    if (!http_query_int64(request, "limit", 1, PAGE_MAX, &limit))
        return;
    if (after.data != NULL && cursor.data == NULL) {
        http_problem(request, 400, "invalid-parameter", VIEW_NONE,
                     "cursor: want the next_cursor of an earlier page");
        return;
    }
    pg_arg_bytes(&args, cursor.data != NULL ? cursor : VIEW_LITERAL(""));
    pg_arg_int8(&args, limit);
    if (pg_run(pg, &read_page, &args, &rows, &err) != ERR_OK) {
        fail(request, &err);
        return;
    }
    json_object_start(&json);
    json_key(&json, "products");
    json_array_start(&json);
    for (int row = 0; row < rows.count; row++)
        put_product(&json, &rows, row);
    json_array_end(&json);
    json_member_text(&json, "next_cursor",
                     rows.count < limit ? VIEW_NONE : pg_bytes(&rows, rows.count - 1, 0));
    json_object_end(&json);
    http_reply(request, 200, NULL, buf_view(&body));
}

void catalog_http_list(struct http_request *request, void *context)
{
    host_query(context, request, answer_page);
}
