/* The requests that change something: POST /orders, POST /orders/{id}/cancel.
 *
 * A handler runs on the HTTP thread: it checks the request's form, makes a command of it and gives
 * that to the worker. The command lives in the request's arena and is answered from its done. */
#include "producers/orders/orders.h"
#include "producers/orders/orders_request.h"
#include "runtime/clock.h"

#include <sodium.h>

#include <ctype.h>
#include <inttypes.h>
#include <sys/random.h>

enum { COMMAND_EXPIRES_MS = 10000 };

/* --- Placing an order: the HTTP thread -------------------------------------------------------- */

/* VIEW_NONE: the request has none. false: it is no key, and the request has been answered. */
static bool read_idempotency_key(struct view *out, struct http_request *http)
{
    const struct http_caller *caller = http_caller(http);
    struct view key = http_header(http, "Idempotency-Key");

    *out = VIEW_NONE;
    if (key.data == NULL)
        return true;
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] <= ' ' || key.data[i] > '~')
            key.size = 0;
    }
    if (key.size == 0 || key.size > 255) {
        http_problem(http, 400, "invalid-idempotency-key", VIEW_NONE,
                     "want an Idempotency-Key of 1 to 255 visible ASCII characters");
        return false;
    }
    /* A key has no space, so this tells all callers apart. */
    *out = arena_printf(http_arena(http), "%s %s %.*s",
                        caller->role == ROLE_SERVICE ? "service" : "customer", caller->subject,
                        VIEW_PRINT(key));
    return true;
}

/* New orders take turns in the shards, this long in each. */
#define SHARD_TURN_MS 50

/* An id in a shard that this instance relays, so that its order.created needs nobody else. Orders
 * that come at about the same time share a shard: they lie side by side in one partition in every
 * topic, so that all parts write, fetch and lock for many at once. */
static void make_order_id(struct place *place, struct orders *orders)
{
    uint32_t partitions = (uint32_t)host_partitions(orders->host);
    size_t turn = (size_t)(clock_monotonic_ms() / SHARD_TURN_MS);
    int32_t *own = arena_array(http_arena(place->http), partitions, sizeof *own);
    size_t count = host_own_shards(orders->host, own);
    uint8_t random[ULID_RANDOM_BYTES];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        randombytes_buf(random, sizeof random);
    ulid_make_in_shard(place->id, clock_utc_us() / 1000, random,
                       count > 0 ? (uint32_t)own[turn % count] : (uint32_t)(turn % partitions),
                       partitions);
    place->order_id = view_str(place->id);
}

/* false: the request has been answered. */
static bool read_request(struct place *place, struct orders *orders)
{
    struct http_request *http = place->http;
    struct arena *arena = http_arena(http);
    struct json_reader reader = {.arena = arena};
    struct order_asker asker = {
        .is_service = http_caller(http)->role == ROLE_SERVICE,
        .subject = http_caller(http)->subject,
        .shop_country = setting_text("TRADEWIND_ORDER_COUNTRY"),
        .warehouses = setting_text("TRADEWIND_ORDER_WAREHOUSES"),
    };
    const struct json *body = http_body_json(http);
    struct contact contact;
    struct sealed *sealed = arena_alloc(arena, sizeof *sealed);
    struct err err = {0};

    if (body == NULL)
        return false;
    if (!order_request_read(&place->request, &contact, body, &asker, &reader)) {
        http_problem_reader(http, &reader);
        return false;
    }
    if (contact.name.data == NULL && contact.email.data == NULL && contact.address.data == NULL)
        return true;
    if (contact_seal(sealed, &contact, place->order_id, &orders->contact_key, arena, &err) !=
        ERR_OK) {
        http_problem(http, 422, "invalid-request", VIEW_LITERAL("/contact"), "%s", err.text);
        return false;
    }
    place->request.contact = sealed;
    return true;
}

/* false: another request with this key is being worked on. */
static bool enter_flight(struct orders *orders, struct place *place)
{
    bool is_first;

    pthread_mutex_lock(&orders->lock);
    is_first = lookup_find(&orders->in_flight, orders_place_key(place)) == NULL;
    if (is_first)
        lookup_add(&orders->in_flight, place);
    pthread_mutex_unlock(&orders->lock);
    return is_first;
}

static void leave_flight(struct orders *orders, struct place *place)
{
    if (place->request.idempotency_key.data == NULL)
        return;
    pthread_mutex_lock(&orders->lock);
    lookup_remove(&orders->in_flight, orders_place_key(place));
    pthread_mutex_unlock(&orders->lock);
}

struct view orders_place_key(const void *place)
{
    return ((const struct place *)place)->request.idempotency_key;
}

static void busy(struct http_request *http, const char *why)
{
    http_reply_header(http, "Retry-After", "1");
    http_problem(http, 503, "overloaded", VIEW_NONE, "%s", why);
}

static bool refuse_overload(struct orders *orders, struct http_request *http)
{
    switch (orders_admit(orders, clock_monotonic_ms())) {
    case ADMIT:
        return false;
    case ADMIT_NONE_OVERLOAD:
        busy(http, "orders placed before this one wait too long already");
        return true;
    case ADMIT_NONE_TOO_MANY:
        busy(http, "as many orders wait already as may");
        return true;
    }
    return false;
}

static void place_done(struct command *command, enum err_kind outcome, const struct err *err);

void orders_http_place(struct http_request *request, void *context)
{
    struct orders *orders = orders_of(context);
    struct place *place = arena_alloc(http_arena(request), sizeof *place);
    struct view key, body = http_body(request);

    place->http = request;
    if (refuse_overload(orders, request) || !read_idempotency_key(&key, request))
        return;
    make_order_id(place, orders);
    if (!read_request(place, orders))
        return;
    crypto_hash_sha256((unsigned char *)place->request_hash, (const unsigned char *)body.data,
                       body.size);
    place->request.request_hash = view_of(place->request_hash, sizeof place->request_hash);
    place->request.idempotency_key = key;
    place->command = (struct command){
        .kind = COMMAND_PLACE,
        .key = place->order_id,
        .expires_ms = clock_monotonic_ms() + COMMAND_EXPIRES_MS,
        .done = place_done,
    };
    place->orders = orders;
    if (key.data != NULL && !enter_flight(orders, place)) {
        http_problem(request, 409, "idempotency-key-in-flight", VIEW_NONE,
                     "a request with this Idempotency-Key is being worked on");
        return;
    }
    if (!host_submit(orders->host, &place->command)) {
        leave_flight(orders, place);
        busy(request, "too many requests wait already");
    }
}

/* --- Placing an order: the worker ------------------------------------------------------------- */

static void answer_created(struct place *place)
{
    const struct receipt *receipt = &place->receipt;
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};

    json_object_start(&json);
    json_member_text(&json, "order_id", receipt->order_id);
    json_member_str(&json, "state", "placed");
    json_member_text(&json, "customer_id", receipt->customer_id);
    json_member_int64(&json, "total_minor", receipt->total_minor);
    json_member_text(&json, "currency", receipt->currency);
    json_member_time_us(&json, "created_at", receipt->created_us);
    json_object_end(&json);
    http_reply_header(
        place->http, "Location",
        arena_printf(http_arena(place->http), "/orders/%.*s", VIEW_PRINT(receipt->order_id)).data);
    http_reply(place->http, 201, NULL, buf_view(&body));
}

static void not_in_time(struct http_request *http)
{
    http_reply_header(http, "Retry-After", "1");
    http_problem(
        http, 503, "not-in-time", VIEW_NONE,
        "this could not be done in time; ask again, with the same Idempotency-Key if there "
        "is one");
}

static void place_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct place *place = (struct place *)command;
    const struct refusal *refusal = &place->refusal;

    leave_flight(place->orders, place);
    if (outcome == ERR_OK)
        answer_created(place);
    else if (outcome == ERR_REJECT && refusal->status != 0)
        http_problem(place->http, refusal->status, refusal->type, refusal->pointer, "%s",
                     refusal->detail);
    else if (outcome == ERR_REJECT)
        http_problem(place->http, 422, "invalid-request", VIEW_NONE, "%s", err->text);
    else
        not_in_time(place->http);
}

/* --- Cancelling ------------------------------------------------------------------------------- */

struct view orders_only_customer(const struct http_caller *caller)
{
    return caller->role == ROLE_CUSTOMER ? view_str(caller->subject) : VIEW_NONE;
}

struct view orders_path_id(struct http_request *request)
{
    struct view id = http_path_param(request, "id");
    bool is_ulid = id.size == ULID_SIZE - 1;

    for (size_t i = 0; is_ulid && i < id.size; i++)
        is_ulid = isupper((unsigned char)id.data[i]) || isdigit((unsigned char)id.data[i]);
    if (is_ulid)
        return id;
    http_problem(request, 404, "not-found", VIEW_NONE, "no order %.*s", VIEW_PRINT(id));
    return VIEW_NONE;
}

static void answer_cancelled(struct cancel *cancel)
{
    struct arena *arena = http_arena(cancel->http);
    bool is_over = cancel->state == ORDERS_CLOSED;
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};

    json_object_start(&json);
    json_member_text(&json, "order_id", cancel->command.key);
    json_member_str(&json, "state", saga_state_name(PART_ORDERS, (int)cancel->state));
    json_member_str(&json, "reason", orders_symbol(cancel_reason_name(cancel->reason), arena));
    json_object_end(&json);
    http_reply(cancel->http, is_over ? 200 : 202, NULL, buf_view(&body));
}

static void cancel_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct cancel *cancel = (struct cancel *)command;

    if (outcome == ERR_OK)
        answer_cancelled(cancel);
    else if (outcome == ERR_REJECT && cancel->not_found)
        http_problem(cancel->http, 404, "not-found", VIEW_NONE, "no order %.*s",
                     VIEW_PRINT(command->key));
    else if (outcome == ERR_REJECT)
        http_problem(cancel->http, 409, "cannot-be-cancelled", VIEW_NONE, "%s", err->text);
    else
        not_in_time(cancel->http);
}

static const char *caller_name(enum role role)
{
    switch (role) {
    case ROLE_SERVICE:
        return "service";
    case ROLE_OPERATOR:
        return "operator";
    case ROLE_ANY:
    case ROLE_CUSTOMER:
    case ROLE_ANALYST:
        break;
    }
    return "customer";
}

void orders_http_cancel(struct http_request *request, void *context)
{
    struct orders *orders = orders_of(context);
    struct cancel *cancel = arena_alloc(http_arena(request), sizeof *cancel);
    struct view id = orders_path_id(request);

    if (id.data == NULL)
        return;
    cancel->http = request;
    cancel->only_customer = orders_only_customer(http_caller(request));
    cancel->caller = caller_name(http_caller(request)->role);
    if (!operation_read(request, &cancel->operation))
        return;
    cancel->command = (struct command){
        .kind = COMMAND_CANCEL,
        .key = id,
        .expires_ms = clock_monotonic_ms() + COMMAND_EXPIRES_MS,
        .done = cancel_done,
    };
    if (http_caller(request)->role == ROLE_OPERATOR)
        cancel->command.operation = &cancel->operation;
    if (!host_submit(orders->host, &cancel->command))
        busy(request, "too many requests wait already");
}

/* --- Nudging --------------------------------------------------------------------------------- */

static void answer_nudged(struct nudge *nudge)
{
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};

    json_object_start(&json);
    json_member_text(&json, "order_id", nudge->command.key);
    json_member_str(&json, "state", saga_state_name(PART_ORDERS, (int)nudge->progress.state));
    orders_put_waits(&json, nudge->progress);
    json_object_end(&json);
    http_reply(nudge->http, 202, NULL, buf_view(&body));
}

static void refuse_nudge(struct nudge *nudge)
{
    const struct refusal *refusal = &nudge->refusal;

    if (nudge->again_s > 0)
        http_reply_header(nudge->http, "Retry-After",
                          arena_printf(http_arena(nudge->http), "%" PRId64, nudge->again_s).data);
    http_problem(nudge->http, refusal->status, refusal->type, refusal->pointer, "%s",
                 refusal->detail);
}

static void nudge_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct nudge *nudge = (struct nudge *)command;

    if (outcome == ERR_OK)
        answer_nudged(nudge);
    else if (outcome == ERR_REJECT && nudge->refusal.status != 0)
        refuse_nudge(nudge);
    else if (outcome == ERR_REJECT)
        http_problem(nudge->http, 404, "not-found", VIEW_NONE, "%s", err->text);
    else
        not_in_time(nudge->http);
}

void orders_http_nudge(struct http_request *request, void *context)
{
    struct orders *orders = orders_of(context);
    struct nudge *nudge = arena_alloc(http_arena(request), sizeof *nudge);
    struct view id = orders_path_id(request);

    if (id.data == NULL || !operation_read(request, &nudge->operation))
        return;
    nudge->http = request;
    nudge->asked_us = clock_utc_us();
    nudge->command = (struct command){
        .kind = COMMAND_NUDGE,
        .key = id,
        .operation = &nudge->operation,
        .expires_ms = clock_monotonic_ms() + COMMAND_EXPIRES_MS,
        .done = nudge_done,
    };
    if (!host_submit(orders->host, &nudge->command))
        busy(request, "too many requests wait already");
}
