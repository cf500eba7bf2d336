/* The client against our own server, on loopback. */
#include "runtime/clock.h"
#include "runtime/http.h"
#include "runtime/http_client.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct http_request *kept[64];
static _Atomic size_t kept_count;

static void echo(struct http_request *request, void *context)
{
    (void)context;
    http_reply_header(request, "Retry-After", "7");
    http_reply(request, 202, "text/plain",
               arena_printf(http_arena(request), "%.*s|%.*s|%.*s",
                            VIEW_PRINT(http_header(request, "X-Key")),
                            VIEW_PRINT(http_header(request, "Content-Type")),
                            VIEW_PRINT(http_body(request))));
}

static void keep(struct http_request *request, void *context)
{
    (void)context;
    kept[kept_count++] = request;
}

static void large(struct http_request *request, void *context)
{
    AUTO(buf_clear) struct buf body = {0};
    size_t size = 9 << 20;

    (void)context;
    memset(buf_reserve(&body, size), 'x', size);
    body.size = size;
    http_reply(request, 200, NULL, buf_view(&body));
}

static const struct http_route routes[] = {
    {HTTP_POST, "/echo", ROLE_ANY, 100000, echo}, {HTTP_GET, "/echo", ROLE_ANY, 0, echo},
    {HTTP_DELETE, "/echo", ROLE_ANY, 0, echo},    {HTTP_GET, "/kept", ROLE_ANY, 0, keep},
    {HTTP_GET, "/large", ROLE_ANY, 0, large},
};

static struct http_server *server;
static char url[128];

static void start(void)
{
    struct err err = {0};

    cr_assert_eq(http_server_start(&server, "127.0.0.1:0", routes, sizeof routes / sizeof routes[0],
                                   NULL, NULL, &err),
                 ERR_OK, "%s", err.text);
}

static void stop(void)
{
    http_server_stop(server, 0);
    for (size_t i = 0; i < kept_count; i++)
        http_reply(kept[i], 200, NULL, VIEW_NONE);
}

TestSuite(http_client, .init = start, .fini = stop);

static const char *url_of(const char *path)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(server), path);
    return url;
}

struct answers {
    pthread_mutex_t lock;
    size_t count;
    int status;
    struct buf response;
    struct err err;
    char retry_after[16];
};

static void on_header(void *context, struct view name, struct view value)
{
    struct answers *answers = context;

    if (view_equals(name, "Retry-After"))
        snprintf(answers->retry_after, sizeof answers->retry_after, "%.*s", VIEW_PRINT(value));
}

static void on_done(void *context, int status, struct view response, const struct err *err)
{
    struct answers *answers = context;

    pthread_mutex_lock(&answers->lock);
    answers->status = status;
    buf_reset(&answers->response);
    buf_append_view(&answers->response, response);
    if (err != NULL)
        answers->err = *err;
    answers->count++;
    pthread_mutex_unlock(&answers->lock);
}

static void wait_for(struct answers *answers, size_t count)
{
    int64_t deadline_ms = clock_monotonic_ms() + 20000;
    size_t now = 0;

    while (now < count) {
        cr_assert_lt(clock_monotonic_ms(), deadline_ms, "%zu answers of %zu", now, count);
        usleep(500);
        pthread_mutex_lock(&answers->lock);
        now = answers->count;
        pthread_mutex_unlock(&answers->lock);
    }
}

static struct http_client *new_client(int parallel)
{
    struct http_client *client = NULL;
    struct err err = {0};

    cr_assert_eq(http_client_new(&client, parallel, &err), ERR_OK, "%s", err.text);
    return client;
}

Test(http_client, a_call_is_copied_made_and_answered_once)
{
    AUTO(http_client_free) struct http_client *client = new_client(4);
    struct answers answers = {.lock = PTHREAD_MUTEX_INITIALIZER};
    char key[] = "X-Key: order-42", body[] = "{\"amount\":1}";
    const char *headers[] = {key, NULL};
    const struct http_call call = {.method = "POST",
                                   .url = url_of("/echo"),
                                   .headers = headers,
                                   .body = view_str(body),
                                   .timeout_ms = 5000,
                                   .header = on_header,
                                   .done = on_done,
                                   .context = &answers};

    http_client_send(client, &call);
    memset(key, '?', strlen(key));
    memset(body, '?', strlen(body));
    memset(url, '?', strlen(url));
    wait_for(&answers, 1);

    cr_expect_eq(answers.status, 202, "%s", answers.err.text);
    cr_expect_str_eq(buf_cstr(&answers.response), "order-42|application/json|{\"amount\":1}");
    cr_expect_str_eq(answers.retry_after, "7");
    buf_clear(&answers.response);
}

Test(http_client, thousands_wait_in_line_for_a_few_connections)
{
    AUTO(http_client_free) struct http_client *client = new_client(8);
    struct answers answers = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const struct http_call call = {.method = "POST",
                                   .url = url_of("/echo"),
                                   .body = VIEW_LITERAL("1"),
                                   .timeout_ms = 20000,
                                   .done = on_done,
                                   .context = &answers};

    for (int i = 0; i < 3000; i++)
        http_client_send(client, &call);
    wait_for(&answers, 3000);

    cr_expect_eq(answers.status, 202);
    buf_clear(&answers.response);
}

Test(http_client, no_answer_is_status_0_with_the_reason)
{
    struct {
        const char *url;
        int64_t timeout_ms;
        enum err_kind kind;
        const char *reason;
    } cases[] = {
        {"http://127.0.0.1:1/", 5000, ERR_RETRY, "GET http://127.0.0.1:1/: Failed to connect"},
        {"http:///", 5000, ERR_REJECT, "GET http:///: "},
        {"file:///etc/passwd", 5000, ERR_REJECT, "file"},
        {NULL, 50, ERR_RETRY, "timed out"},
        {"/large", 5000, ERR_RETRY, "more than 8388608 bytes of answer"},
    };
    AUTO(http_client_free) struct http_client *client = new_client(4);
    AUTO(buf_clear) struct buf response = {0};
    int status = -1;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answers answers = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct http_call call = {.method = "GET",
                                 .url = cases[i].url,
                                 .timeout_ms = cases[i].timeout_ms,
                                 .done = on_done,
                                 .context = &answers};
        struct err err = {0};

        if (call.url == NULL || call.url[0] == '/')
            call.url = url_of(call.url == NULL ? "/kept" : call.url);
        http_client_send(client, &call);
        wait_for(&answers, 1);
        cr_expect_eq(answers.status, 0, "case %zu", i);
        cr_expect_eq(answers.err.kind, cases[i].kind, "case %zu", i);
        cr_expect(strstr(answers.err.text, cases[i].reason) != NULL, "%s", answers.err.text);
        cr_expect_eq(http_client_get(&call, &status, &response, &err), cases[i].kind);
        cr_expect(strstr(err.text, cases[i].reason) != NULL, "%s", err.text);
        buf_clear(&answers.response);
    }
    cr_expect_eq(status, -1);
}

Test(http_client, the_end_does_not_wait_and_tells_nobody)
{
    struct http_client *client = new_client(2);
    struct answers answers = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const struct http_call call = {.method = "GET",
                                   .url = url_of("/kept"),
                                   .timeout_ms = 60000,
                                   .done = on_done,
                                   .context = &answers};
    int64_t deadline_ms = clock_monotonic_ms() + 10000;

    for (int i = 0; i < 10; i++)
        http_client_send(client, &call);
    while (kept_count < 2) {
        cr_assert_lt(clock_monotonic_ms(), deadline_ms);
        usleep(1000);
    }
    http_client_free(client);

    cr_expect_eq(answers.count, 0);
    cr_expect_lt(clock_monotonic_ms(), deadline_ms);
}

Test(http_client, one_call_can_be_waited_for)
{
    static const struct {
        const char *method, *body;
        int status;
        const char *response;
    } cases[] = {
        {"GET", "", 202, "||"},   {"DELETE", "", 202, "||"},
        {"HEAD", "", 202, ""},    {"POST", "{}", 202, "|application/json|{}"},
        {"PUT", "{}", 405, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf response = {0};
        const struct http_call call = {.method = cases[i].method,
                                       .url = url_of("/echo"),
                                       .body = view_str(cases[i].body),
                                       .timeout_ms = 5000};
        struct err err = {0};
        int status = 0;

        cr_assert_eq(http_client_get(&call, &status, &response, &err), ERR_OK, "%s", err.text);
        cr_expect_eq(status, cases[i].status, "%s: %d", cases[i].method, status);
        if (cases[i].response != NULL)
            cr_expect_str_eq(buf_cstr(&response), cases[i].response, "%s", cases[i].method);
    }
}
