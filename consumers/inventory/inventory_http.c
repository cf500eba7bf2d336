/* The part's HTTP: receipts in, stock out. docs/http.md has it for callers. */
#include "consumers/inventory/inventory.h"
#include "consumers/inventory/receipts_request.h"
#include "events/sku.h"
#include "runtime/clock.h"

#include <inttypes.h>

#define RECEIPTS_BYTES (1u << 20)
#define PAGE_MAX 1000
#define WAIT_MS 5000

/* In the request's memory: command first, so that the one is the other. */
struct receipts {
    struct command command;
    struct http_request *request;
    struct receipt *list;
    size_t count, counted;
    size_t refused; /* the one that act refused */
};

struct stock_query {
    struct command command;
    struct http_request *request;
    struct view sku; /* or the cursor; VIEW_NONE: the first page */
    int64_t limit;
    bool found;
    struct buf out;
};

static void reply_busy(struct http_request *request, const char *why)
{
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, "unavailable", VIEW_NONE, "%s: try again in a second", why);
}

static void submit(struct host *host, struct http_request *request, struct command *command)
{
    command->expires_ms = clock_monotonic_ms() + WAIT_MS;
    if (!host_leads(host))
        reply_busy(request, "this instance stands by, another one keeps the ledger");
    else if (!host_submit(host, command))
        reply_busy(request, "too many requests wait");
}

/* --- POST /stock/receipts ------------------------------------------------------------------- */

static void receipts_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct receipts *receipts = (struct receipts *)command;
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};

    if (outcome == ERR_RETRY) {
        reply_busy(receipts->request, err->text);
        return;
    }
    if (outcome != ERR_OK) {
        struct view pointer =
            arena_printf(http_arena(receipts->request), "/%zu", receipts->refused);

        http_problem(receipts->request, 409, "receipt-refused", pointer, "%s", err->text);
        return;
    }
    json_object_start(&writer);
    json_member_int64(&writer, "counted", (int64_t)receipts->counted);
    json_member_int64(&writer, "repeated", (int64_t)(receipts->count - receipts->counted));
    json_object_end(&writer);
    http_reply(receipts->request, 200, NULL, buf_view(&out));
}

static void post_receipts(struct http_request *request, void *context)
{
    struct arena *arena = http_arena(request);
    struct json_reader reader = {.arena = arena};
    const struct json *body = http_body_json(request);
    struct receipts *receipts;
    struct view *skus;

    if (body == NULL)
        return;
    receipts = arena_alloc(arena, sizeof *receipts);
    if (!receipts_request_read(&receipts->list, &receipts->count, body, &reader)) {
        http_problem_reader(request, &reader);
        return;
    }
    skus = arena_array(arena, receipts->count, sizeof *skus);
    for (size_t i = 0; i < receipts->count; i++)
        skus[i] = receipts->list[i].item.sku;
    receipts->request = request;
    receipts->command = (struct command){.kind = COMMAND_RECEIPTS,
                                         .more_keys = skus,
                                         .more_key_count = receipts->count,
                                         .done = receipts_done};
    submit(context, request, &receipts->command);
}

/* One receipt: counted, or a repeat that changes nothing. */
static enum err_kind count_receipt(struct ledger_store *store, const struct receipt *receipt,
                                   struct err *err)
{
    const struct stock_receipt *known = stock_find_receipt(ledger_store_stock(store), receipt->id);
    const struct entry entry = {
        .kind = ENTRY_RECEIVE, .id = receipt->id, .items = &receipt->item, .item_count = 1};

    if (known == NULL)
        return ledger_store_enter(store, &entry, err);
    if (known->quantity == receipt->item.quantity &&
        view_equal(known->sku->code, receipt->item.sku))
        return ERR_OK;
    return err_set(err, ERR_REJECT, "receipt %.*s: it was counted as %" PRId64 " of SKU %.*s",
                   VIEW_PRINT(known->id), known->quantity, VIEW_PRINT(known->sku->code));
}

/* All of them, or none: what was counted before one that is refused is taken back. */
enum err_kind inventory_act_receipts(struct unit *unit, struct command *command, struct err *err)
{
    struct receipts *receipts = (struct receipts *)command;
    struct ledger_store *store = inventory_store(unit_host(unit));
    size_t before = ledger_store_entered(store);
    bool *counted = arena_array(unit_arena(unit), receipts->count, sizeof *counted);

    receipts->counted = 0;
    for (size_t i = 0; i < receipts->count; i++) {
        size_t entered = ledger_store_entered(store);

        if (count_receipt(store, &receipts->list[i], err) != ERR_OK) {
            ledger_store_take_back(store, before);
            receipts->refused = i;
            return ERR_REJECT;
        }
        counted[i] = ledger_store_entered(store) > entered;
    }
    for (size_t i = 0; i < receipts->count; i++) {
        const struct receipt *receipt = &receipts->list[i];
        const struct stock_received event = {.receipt_id = receipt->id,
                                             .sku = receipt->item.sku,
                                             .warehouse = VIEW_LITERAL(INVENTORY_WAREHOUSE),
                                             .quantity = receipt->item.quantity,
                                             .occurred_at = unit_now_us(unit)};

        if (!counted[i])
            continue;
        unit_emit(unit, EVENT_STOCK_RECEIVED, &event, receipt->item.sku, NULL);
        receipts->counted++;
    }
    return ERR_OK;
}

/* --- GET /stock, GET /stock/{sku} ----------------------------------------------------------- */

static void put_sku(struct json_writer *writer, const struct stock_sku *sku)
{
    json_object_start(writer);
    json_member_text(writer, "sku", sku->code);
    json_member_str(writer, "warehouse", INVENTORY_WAREHOUSE);
    json_member_int64(writer, "on_hand", sku->units[STOCK_ON_HAND]);
    json_member_int64(writer, "held", sku->units[STOCK_HELD]);
    json_member_int64(writer, "sold", sku->units[STOCK_SOLD]);
    json_member_int64(writer, "received", sku->received);
    json_object_end(writer);
}

static void refuse_unknown(struct http_request *request, struct view sku)
{
    http_problem(request, 404, "unknown-sku", VIEW_NONE, "SKU %.*s: none of it was ever received",
                 VIEW_PRINT(sku));
}

static void query_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct stock_query *query = (struct stock_query *)command;
    AUTO(buf_clear) struct buf out = query->out; /* the answer takes the query's memory along */

    if (outcome != ERR_OK)
        reply_busy(query->request, err->text);
    else if (!query->found)
        refuse_unknown(query->request, query->sku);
    else
        http_reply(query->request, 200, NULL, buf_view(&out));
}

static void submit_query(struct http_request *request, struct host *host, int kind, struct view sku,
                         int64_t limit)
{
    struct stock_query *query = arena_alloc(http_arena(request), sizeof *query);

    query->request = request;
    query->sku = sku;
    query->limit = limit;
    query->command = (struct command){.kind = kind, .done = query_done};
    submit(host, request, &query->command);
}

static void get_stock(struct http_request *request, void *context)
{
    struct view text = http_path_param(request, "sku");
    struct view sku = sku_fold(text, http_arena(request));

    if (sku.data == NULL)
        refuse_unknown(request, text);
    else
        submit_query(request, context, COMMAND_STOCK, sku, 1);
}

enum err_kind inventory_act_stock(struct unit *unit, struct command *command)
{
    struct stock_query *query = (struct stock_query *)command;
    const struct stock_sku *sku =
        stock_find_sku(ledger_store_stock(inventory_store(unit_host(unit))), query->sku);
    struct json_writer writer = {.out = &query->out};

    buf_reset(&query->out);
    query->found = sku != NULL;
    if (sku != NULL)
        put_sku(&writer, sku);
    return ERR_OK;
}

static void get_stock_page(struct http_request *request, void *context)
{
    struct view after = http_query_param(request, "cursor");
    struct view cursor = sku_fold(after, http_arena(request));
    int64_t limit = PAGE_MAX;

    if (!http_query_int64(request, "limit", 1, PAGE_MAX, &limit))
        return;
    if (after.data != NULL && cursor.data == NULL)
        http_problem(request, 400, "invalid-parameter", VIEW_NONE,
                     "cursor: want the next_cursor of an earlier page");
    else
        submit_query(request, context, COMMAND_STOCK_PAGE, cursor, limit);
}

/* In the order in which SKUs were first received, which never changes. */
static size_t place_behind(const struct stock *stock, struct view cursor)
{
    for (size_t i = 0; cursor.data != NULL && i < stock->sku_count; i++)
        if (view_equal(stock->skus[i]->code, cursor))
            return i + 1;
    return cursor.data == NULL ? 0 : stock->sku_count;
}

enum err_kind inventory_act_stock_page(struct unit *unit, struct command *command)
{
    struct stock_query *query = (struct stock_query *)command;
    const struct stock *stock = ledger_store_stock(inventory_store(unit_host(unit)));
    struct json_writer writer = {.out = &query->out};
    size_t place = place_behind(stock, query->sku);
    size_t end = place + (size_t)query->limit < stock->sku_count ? place + (size_t)query->limit
                                                                 : stock->sku_count;

    buf_reset(&query->out);
    query->found = true;
    json_object_start(&writer);
    json_key(&writer, "stock");
    json_array_start(&writer);
    for (; place < end; place++)
        put_sku(&writer, stock->skus[place]);
    json_array_end(&writer);
    json_member_text(&writer, "next_cursor",
                     end > 0 && end < stock->sku_count ? stock->skus[end - 1]->code : VIEW_NONE);
    json_object_end(&writer);
    return ERR_OK;
}

const struct http_route inventory_routes[INVENTORY_ROUTES] = {
    {HTTP_GET, "/stock", ROLE_SERVICE | ROLE_OPERATOR | ROLE_ANALYST, 0, get_stock_page},
    {HTTP_GET, "/stock/{sku}", ROLE_CUSTOMER | ROLE_SERVICE | ROLE_OPERATOR | ROLE_ANALYST, 0,
     get_stock},
    {HTTP_POST, "/stock/receipts", ROLE_SERVICE | ROLE_OPERATOR, RECEIPTS_BYTES, post_receipts},
};
