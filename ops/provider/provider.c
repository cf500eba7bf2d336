/* The sandbox payment provider: an outside company that we run ourselves, so that everything that
 * can go wrong with one can be tried. It knows nothing of orders, topics or our other programs; it
 * has a book of its own, in a database of its own, and commits there before it answers.
 *
 *     POST /v1/authorizations              {merchant_ref, payment_token, amount_minor, currency}
 *     POST /v1/authorizations/{id}/capture {amount_minor, currency}
 *     POST /v1/authorizations/{id}/void    {}
 *     POST /v1/captures/{id}/refund        {amount_minor, currency}
 *
 * Each wants an Idempotency-Key; the same key gets the same answer, and 422 when it asks for
 * something else. 201 done, 402 declined with a code, 409 a violation of the book's rules.
 * What a payment token does is in behaviour.h. PUT /v1/sandbox turns the knobs of sandbox.h,
 * GET /v1/book sums the book up, GET /v1/operations?merchant_ref= lists what was booked for one. */
#include "ops/provider/desk.h"
#include "ops/provider/enquiry.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/settings.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX_BYTES 4096
#define AMOUNT_MAX INT64_C(4000000000000000000)
#define DELAY_MAX_MS 600000

static const struct setting settings[] = {
    {"TRADEWIND_PROVIDER_HTTP", "127.0.0.1:17017", SETTING_ADDRESS, 0, 0, NULL,
     "where the provider listens"},
    {"TRADEWIND_PROVIDER_DATABASE", NULL, SETTING_TEXT, 1, 1000, NULL,
     "PostgreSQL connection string or URI of the provider's book"},
    {"TRADEWIND_PROVIDER_LATENCY_MS", "0", SETTING_INTEGER, 0, DELAY_MAX_MS, NULL,
     "how long each answer waits after its commit, in ms"},
    {"TRADEWIND_PROVIDER_SLOW_MS", "1000", SETTING_INTEGER, 0, DELAY_MAX_MS, NULL,
     "how much longer for tok_slow, in ms"},
    {"TRADEWIND_PROVIDER_LOST_MS", "10000", SETTING_INTEGER, 0, DELAY_MAX_MS, NULL,
     "how much longer for an answer that is to be lost (tok_timeout), in ms: longer than callers "
     "wait"},
    {"TRADEWIND_LOG_LEVEL", "info", SETTING_CHOICE, 0, 0, "debug|info|warn|error",
     "the least level that is written"},
};
#define SETTING_COUNT (sizeof settings / sizeof settings[0])

struct provider {
    struct sandbox sandbox;
    struct desk *desk;
    struct enquiry *enquiry;
};

/* --- Operations ------------------------------------------------------------------------------- */

/* The number in "auth_12"; 0: it is no such id. */
static int64_t number_of(struct view id, const char *prefix)
{
    size_t size = strlen(prefix);
    int64_t number;

    if (id.size <= size || memcmp(id.data, prefix, size) != 0 ||
        !view_to_int64(view_of(id.data + size, id.size - size), &number) || number < 0)
        return 0;
    return number;
}

static bool is_key(struct view key)
{
    if (key.size < 1 || key.size > 128)
        return false;
    for (size_t i = 0; i < key.size; i++)
        if (key.data[i] <= ' ' || key.data[i] > '~')
            return false;
    return true;
}

static void read_money(struct json_reader *reader, const struct json *body, struct job *job)
{
    struct view currency;

    job->operation.amount_minor = json_read_int64(reader, body, "amount_minor", 0, AMOUNT_MAX);
    currency = json_read_text(reader, body, "currency", 3, 3);
    for (size_t i = 0; i < currency.size; i++)
        if (currency.data[i] < 'A' || currency.data[i] > 'Z')
            json_fail(reader, json_member(body, "currency"),
                      "currency '%.*s', want three capital letters", VIEW_PRINT(currency));
    job->operation.currency = currency;
}

static void read_authorize(struct json_reader *reader, const struct json *body, struct job *job)
{
    json_only(
        reader, body,
        (const char *const[]){"merchant_ref", "payment_token", "amount_minor", "currency", NULL});
    job->merchant_ref = json_read_text(reader, body, "merchant_ref", 1, 64);
    job->payment_token = json_read_text(reader, body, "payment_token", 1, 128);
    read_money(reader, body, job);
}

static void read_amount(struct json_reader *reader, const struct json *body, struct job *job)
{
    json_only(reader, body, (const char *const[]){"amount_minor", "currency", NULL});
    read_money(reader, body, job);
}

static void read_nothing(struct json_reader *reader, const struct json *body, struct job *job)
{
    json_only(reader, body, (const char *const[]){NULL});
    job->operation.currency = VIEW_LITERAL("");
}

/* All that is asked, for people too. */
static struct view text_of(const struct job *job, struct arena *arena)
{
    const struct operation *operation = &job->operation;
    const char *kind = operation_kind_name(operation->kind);

    switch (operation->kind) {
    case OPERATION_AUTHORIZE:
        return arena_printf(arena, "%s %.*s %" PRId64 " %.*s %.*s", kind,
                            VIEW_PRINT(job->merchant_ref), operation->amount_minor,
                            VIEW_PRINT(operation->currency), VIEW_PRINT(job->payment_token));
    case OPERATION_CAPTURE:
    case OPERATION_REFUND:
        return arena_printf(arena, "%s %" PRId64 " %" PRId64 " %.*s", kind, job->number,
                            operation->amount_minor, VIEW_PRINT(operation->currency));
    case OPERATION_VOID:
    case OPERATION_KIND_COUNT:
        break;
    }
    return arena_printf(arena, "%s %" PRId64, kind, job->number);
}

static void accept(struct http_request *request, struct provider *provider,
                   enum operation_kind kind, int64_t number,
                   void (*read)(struct json_reader *, const struct json *, struct job *))
{
    struct arena *arena = http_arena(request);
    struct json_reader reader = {.arena = arena};
    struct job *job = arena_alloc(arena, sizeof *job);
    const struct json *body;

    if (atomic_load(&provider->sandbox.down)) {
        http_problem(request, 503, "down", VIEW_NONE, "the sandbox is told to be down");
        return;
    }
    job->request = request;
    job->key = http_header(request, "Idempotency-Key");
    job->operation.kind = kind;
    job->number = number;
    if (!is_key(job->key)) {
        http_problem(request, 400, "idempotency-key", VIEW_NONE,
                     "header Idempotency-Key: want 1 to 128 printable characters");
        return;
    }
    body = http_body_json(request);
    if (body == NULL)
        return;
    read(&reader, body, job);
    if (reader.failed) {
        http_problem_reader(request, &reader);
        return;
    }
    job->text = text_of(job, arena);
    desk_submit(provider->desk, job);
}

static void authorize(struct http_request *request, void *context)
{
    accept(request, context, OPERATION_AUTHORIZE, 0, read_authorize);
}

static void on_existing(struct http_request *request, void *context, enum operation_kind kind,
                        const char *prefix,
                        void (*read)(struct json_reader *, const struct json *, struct job *))
{
    struct view id = http_path_param(request, "id");
    int64_t number = number_of(id, prefix);

    if (number == 0)
        http_problem(request, 404, "unknown-id", VIEW_NONE, "id '%.*s': want %s and a number",
                     VIEW_PRINT(id), prefix);
    else
        accept(request, context, kind, number, read);
}

static void capture(struct http_request *request, void *context)
{
    on_existing(request, context, OPERATION_CAPTURE, "auth_", read_amount);
}

static void let_go(struct http_request *request, void *context)
{
    on_existing(request, context, OPERATION_VOID, "auth_", read_nothing);
}

static void refund(struct http_request *request, void *context)
{
    on_existing(request, context, OPERATION_REFUND, "cap_", read_amount);
}

/* --- The sandbox's own -------------------------------------------------------------------------
 */

static void reply_sandbox(struct http_request *request, struct sandbox *sandbox)
{
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer writer = {.out = &body};

    json_object_start(&writer);
    json_member_int64(&writer, "latency_ms", atomic_load(&sandbox->latency_ms));
    json_member_int64(&writer, "slow_ms", atomic_load(&sandbox->slow_ms));
    json_member_int64(&writer, "lost_ms", atomic_load(&sandbox->lost_ms));
    json_member_bool(&writer, "down", atomic_load(&sandbox->down));
    json_object_end(&writer);
    http_reply(request, 200, NULL, buf_view(&body));
}

static void get_sandbox(struct http_request *request, void *context)
{
    reply_sandbox(request, &((struct provider *)context)->sandbox);
}

/* What is left out stays as it is. */
static void put_sandbox(struct http_request *request, void *context)
{
    struct sandbox *sandbox = &((struct provider *)context)->sandbox;
    struct json_reader reader = {.arena = http_arena(request)};
    const struct json *body = http_body_json(request);
    int64_t latency_ms, slow_ms, lost_ms;
    bool down;

    if (body == NULL)
        return;
    json_only(&reader, body,
              (const char *const[]){"latency_ms", "slow_ms", "lost_ms", "down", NULL});
    latency_ms =
        json_read_int64_optional(&reader, body, "latency_ms", 0, DELAY_MAX_MS, sandbox->latency_ms);
    slow_ms = json_read_int64_optional(&reader, body, "slow_ms", 0, DELAY_MAX_MS, sandbox->slow_ms);
    lost_ms = json_read_int64_optional(&reader, body, "lost_ms", 0, DELAY_MAX_MS, sandbox->lost_ms);
    down = json_read_bool_optional(&reader, body, "down", sandbox->down);
    if (reader.failed) {
        http_problem_reader(request, &reader);
        return;
    }
    atomic_store(&sandbox->latency_ms, latency_ms);
    atomic_store(&sandbox->slow_ms, slow_ms);
    atomic_store(&sandbox->lost_ms, lost_ms);
    atomic_store(&sandbox->down, down);
    LOG_INFO("sandbox_set", "the sandbox behaves differently now",
             log_int("latency_ms", latency_ms), log_int("slow_ms", slow_ms),
             log_int("lost_ms", lost_ms), log_int("down", down));
    reply_sandbox(request, sandbox);
}

static void get_book(struct http_request *request, void *context)
{
    enquiry_submit(((struct provider *)context)->enquiry, request, QUESTION_BOOK);
}

static void get_operations(struct http_request *request, void *context)
{
    if (http_query_param(request, "merchant_ref").data == NULL)
        http_problem(request, 400, "merchant-ref", VIEW_NONE, "query merchant_ref: want one");
    else
        enquiry_submit(((struct provider *)context)->enquiry, request, QUESTION_OPERATIONS);
}

static void get_livez(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, NULL, VIEW_LITERAL("{\"status\":\"ok\"}"));
}

static void get_readyz(struct http_request *request, void *context)
{
    if (desk_is_ready(((struct provider *)context)->desk))
        http_reply(request, 200, NULL, VIEW_LITERAL("{\"status\":\"ready\"}"));
    else
        http_problem(request, 503, "not-ready", VIEW_NONE, "the book is not open yet");
}

static void get_metrics(struct http_request *request, void *context)
{
    AUTO(buf_clear) struct buf text = {0};

    (void)context;
    metrics_write(&text);
    http_reply(request, 200, "text/plain; version=0.0.4", buf_view(&text));
}

static const struct http_route routes[] = {
    {HTTP_POST, "/v1/authorizations", ROLE_ANY, BODY_MAX_BYTES, authorize},
    {HTTP_POST, "/v1/authorizations/{id}/capture", ROLE_ANY, BODY_MAX_BYTES, capture},
    {HTTP_POST, "/v1/authorizations/{id}/void", ROLE_ANY, BODY_MAX_BYTES, let_go},
    {HTTP_POST, "/v1/captures/{id}/refund", ROLE_ANY, BODY_MAX_BYTES, refund},
    {HTTP_GET, "/v1/sandbox", ROLE_ANY, 0, get_sandbox},
    {HTTP_PUT, "/v1/sandbox", ROLE_ANY, BODY_MAX_BYTES, put_sandbox},
    {HTTP_GET, "/v1/book", ROLE_ANY, 0, get_book},
    {HTTP_GET, "/v1/operations", ROLE_ANY, 0, get_operations},
    {HTTP_GET, "/livez", ROLE_ANY, 0, get_livez},
    {HTTP_GET, "/readyz", ROLE_ANY, 0, get_readyz},
    {HTTP_GET, "/health", ROLE_ANY, 0, get_readyz},
    {HTTP_GET, "/metrics", ROLE_ANY, 0, get_metrics},
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* --- main --------------------------------------------------------------------------------------
 */

static void wait_for_end(const sigset_t *signals)
{
    int which;

    sigwait(signals, &which);
    LOG_INFO("stopping", "asked to stop");
}

static int fail(const struct err *err)
{
    LOG_ERROR("cannot_start", "the provider cannot start", log_err(err));
    return 1;
}

static int run(const sigset_t *signals)
{
    const char *database = setting_text("TRADEWIND_PROVIDER_DATABASE");
    const char *address = setting_text("TRADEWIND_PROVIDER_HTTP");
    struct provider provider = {0};
    struct http_server *server;
    struct err err;
    enum err_kind kind;

    atomic_store(&provider.sandbox.latency_ms, setting_integer("TRADEWIND_PROVIDER_LATENCY_MS"));
    atomic_store(&provider.sandbox.slow_ms, setting_integer("TRADEWIND_PROVIDER_SLOW_MS"));
    atomic_store(&provider.sandbox.lost_ms, setting_integer("TRADEWIND_PROVIDER_LOST_MS"));
    provider.desk = desk_new(database, &provider.sandbox);
    provider.enquiry = enquiry_new(database);
    kind = http_server_start(&server, address, routes, ROUTE_COUNT, &provider, NULL, &err);
    if (kind == ERR_OK) {
        LOG_INFO("started", "the sandbox payment provider listens", log_str("address", address));
        wait_for_end(signals);
    }
    if (kind == ERR_OK)
        http_server_stop(server, 0);
    desk_free(provider.desk);
    enquiry_free(provider.enquiry);
    return kind == ERR_OK ? 0 : fail(&err);
}

static void print_help(void)
{
    puts("usage: tradewind-provider\n\nThe sandbox payment provider. Settings come from the "
         "environment:\n");
    settings_print(stdout, NULL, settings, SETTING_COUNT);
}

int main(int argc, char **argv)
{
    enum log_level level = LOG_LEVEL_INFO;
    sigset_t signals;
    struct err err;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help();
        return 0;
    }
    if (argc > 1) {
        fprintf(
            stderr,
            "tradewind-provider: argument '%s', want none (settings come from the environment)\n",
            argv[1]);
        return 2;
    }
    log_start("provider", "provider-1", level);
    if (settings_load(NULL, settings, SETTING_COUNT, &err) != ERR_OK)
        return fail(&err);
    log_level_parse(setting_text("TRADEWIND_LOG_LEVEL"), &level);
    log_start("provider", "provider-1", level);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return run(&signals);
}
