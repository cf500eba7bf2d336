/* The server is spoken to through a plain socket, byte by byte: what matters here is what a polite
 * client library would never send. */
#include "runtime/clock.h"
#include "runtime/http.h"
#include "runtime/http_target.h"
#include "runtime/metrics.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- Targets --------------------------------------------------------------------------------- */

Test(http_target, a_route_takes_the_paths_of_its_shape)
{
    static const struct {
        const char *route, *path;
        bool matches;
    } cases[] = {
        {"/orders", "/orders", true},
        {"/orders", "/orders/", false},
        {"/orders", "/order", false},
        {"/orders", "/orders/1", false},
        {"/orders", "//orders", false},
        {"/orders", "/%6frders", true},
        {"/orders/{id}", "/orders/1", true},
        {"/orders/{id}", "/orders/", false},
        {"/orders/{id}", "/orders", false},
        {"/orders/{id}", "/orders/a%2Fb", true},
        {"/orders/{id}/cancel", "/orders/1/cancel", true},
        {"/orders/{id}/cancel", "/orders/1/cance", false},
        {"/", "/", true},
        {"/.well-known/jwks.json", "/.well-known/jwks.json", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct http_target target;

        cr_assert(http_target_parse(&target, cases[i].path, NULL, &arena), "%s", cases[i].path);
        cr_expect_eq(http_target_matches(&target, cases[i].route), cases[i].matches, "%s, %s",
                     cases[i].route, cases[i].path);
    }
}

Test(http_target, pieces_are_decoded_or_the_target_is_refused)
{
    static const struct {
        const char *path, *query;
    } bad[] = {
        {"/%", NULL},
        {"/%4", NULL},
        {"/%zz", NULL},
        {"/%00", NULL},
        {"/%0a", NULL},
        {"/%ff", NULL},
        {"/\xff", NULL},
        {"*", NULL},
        {"", NULL},
        {"/", "a=%"},
        {"/", "%00=1"},
        {"/", "a=%c3"},
        {"/%ed%a0%80", NULL},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", NULL},
        {"/", "1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17&18&19&20&21&22&23&24&25&26&27&28&29&30&31&"
              "32&33"},
    };
    AUTO(arena_clear) struct arena arena = {0};
    struct http_target target;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(http_target_parse(&target, bad[i].path, bad[i].query, &arena), "%s ? %s",
                      bad[i].path, bad[i].query);
    cr_assert(http_target_parse(&target, "/items/a%2Fb+c", "q=a+b%26c&&flag&e=&q=2", &arena));
    cr_expect(view_equals(http_target_param(&target, "/items/{id}", "id"), "a/b+c"));
    cr_expect_null(http_target_param(&target, "/items/{id}", "other").data);
    cr_expect(view_equals(http_target_query(&target, "q"), "a b&c"));
    cr_expect(view_equals(http_target_query(&target, "flag"), ""));
    cr_expect_not_null(http_target_query(&target, "e").data);
    cr_expect_null(http_target_query(&target, "missing").data);
}

/* --- The server ------------------------------------------------------------------------------ */

static pthread_t answerer;
static _Atomic int held; /* requests that hold() keeps */
static struct http_request *held_request;

static void ping(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, NULL, VIEW_LITERAL("{}"));
}

static void item(struct http_request *request, void *context)
{
    struct view id = http_path_param(request, "id"), q = http_query_param(request, "q");

    (void)context;
    http_reply_header(request, "X-Id", arena_strdup(http_arena(request), id.data));
    http_reply(request, 200, "text/plain",
               arena_printf(http_arena(request), "%.*s,%.*s", VIEW_PRINT(id), VIEW_PRINT(q)));
}

static void echo(struct http_request *request, void *context)
{
    const struct json *root = http_body_json(request);
    struct json_reader reader = {.arena = http_arena(request)};

    (void)context;
    if (root == NULL)
        return;
    json_read_int64(&reader, root, "quantity", 1, 9);
    if (reader.failed)
        http_problem_reader(request, &reader);
    else
        http_reply(request, 201, NULL, http_body(request));
}

static void *answer(void *context)
{
    struct http_request *request = context;

    usleep(10000);
    http_reply(request, 200, NULL,
               arena_printf(http_arena(request), "\"%s\"", http_header(request, "X-Name").data));
    return NULL;
}

static void later(struct http_request *request, void *context)
{
    (void)context;
    pthread_create(&answerer, NULL, answer, request);
}

static void hold_it(struct http_request *request, void *context)
{
    (void)context;
    held_request = request;
    held++;
}

static void mine(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, NULL, view_str(http_caller(request)->subject));
}

static const struct http_route routes[] = {
    {HTTP_GET, "/ping", ROLE_ANY, 0, ping},          {HTTP_GET, "/items/{id}", ROLE_ANY, 0, item},
    {HTTP_DELETE, "/items/{id}", ROLE_ANY, 0, item}, {HTTP_POST, "/echo", ROLE_ANY, 1000, echo},
    {HTTP_POST, "/empty", ROLE_ANY, 0, ping},        {HTTP_GET, "/later", ROLE_ANY, 0, later},
    {HTTP_GET, "/held", ROLE_ANY, 0, hold_it},
};

static struct http_server *start(void)
{
    struct http_server *server = NULL;
    struct err err = {0};

    cr_assert_eq(http_server_start(&server, "127.0.0.1:0", routes, sizeof routes / sizeof routes[0],
                                   NULL, NULL, &err),
                 ERR_OK, "%s", err.text);
    cr_assert_gt(http_server_port(server), 0);
    return server;
}

static int dial(const struct http_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void say(int fd, struct view bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the server may have had enough */
        bytes.data += sent;
        bytes.size -= (size_t)sent;
    }
}

/* All that comes until the server closes. */
static const char *hear(int fd, struct buf *out)
{
    ssize_t got;

    buf_reset(out);
    while ((got = recv(fd, buf_reserve(out, 4096), 4096, 0)) > 0)
        out->size += (size_t)got;
    close(fd);
    return buf_cstr(out);
}

static const char *ask(const struct http_server *server, struct buf *out, struct view bytes)
{
    int fd = dial(server);

    say(fd, bytes);
    return hear(fd, out);
}

static int status_of(const char *response)
{
    return strncmp(response, "HTTP/1.1 ", 9) == 0 ? (int)strtol(response + 9, NULL, 10) : 0;
}

static bool has(const char *response, const char *piece)
{
    return strstr(response, piece) != NULL;
}

#define BYE "Host: a\r\nConnection: close\r\n"

Test(http, a_request_is_routed_and_answered)
{
    static const struct {
        const char *request;
        int status;
        const char *piece;
    } cases[] = {
        {"GET /ping HTTP/1.1\r\n" BYE "\r\n", 200, "\r\n\r\n{}"},
        {"GET /ping HTTP/1.1\r\n" BYE "\r\n", 200, "Content-Type: application/json\r\n"},
        {"GET /ping?x=1 HTTP/1.1\r\n" BYE "\r\n", 200, "{}"},
        {"GET http://shop/ping HTTP/1.1\r\n" BYE "\r\n", 200, "{}"},
        {"GET /items/a%20b?q=%C3%A9 HTTP/1.1\r\n" BYE "\r\n", 200, "\r\n\r\na b,\xc3\xa9"},
        {"GET /items/7 HTTP/1.1\r\n" BYE "\r\n", 200, "X-Id: 7\r\n"},
        {"DELETE /items/7 HTTP/1.1\r\n" BYE "\r\n", 200, "7,"},
        {"POST /empty HTTP/1.1\r\n" BYE "\r\n", 200, "{}"},
        {"POST /empty HTTP/1.1\r\n" BYE "Content-Length: 0\r\n\r\n", 200, "{}"},
        {"POST /echo HTTP/1.1\r\n" BYE
         "Content-Type: application/json; charset=utf-8\r\nContent-Length: 14\r\n\r\n"
         "{\"quantity\":1}",
         201, "\r\n\r\n{\"quantity\":1}"},
        {"POST /echo HTTP/1.1\r\n" BYE
         "content-type: application/merge-patch+json\r\ncontent-length: 14\r\n\r\n"
         "{\"quantity\":9}",
         201, "{\"quantity\":9}"},
        {"GET /later HTTP/1.1\r\n" BYE "X-Name: me\r\n\r\n", 200, "\"me\""},
        {"GET /nothing HTTP/1.1\r\n" BYE "\r\n", 404, "urn:tradewind:problem:unknown-path"},
        {"GET / HTTP/1.1\r\n" BYE "\r\n", 404, "application/problem+json"},
        {"POST /items/7 HTTP/1.1\r\n" BYE "\r\n", 405, "Allow: GET, HEAD, DELETE\r\n"},
        {"POST /ping HTTP/1.1\r\n" BYE "\r\n", 405, "Allow: GET, HEAD\r\n"},
        {"GET /echo HTTP/1.1\r\n" BYE "\r\n", 405, "Allow: POST\r\n"},
        {"PATCH /echo HTTP/1.1\r\n" BYE "\r\n", 405, "Allow: POST\r\n"},
        {"BREW /echo HTTP/1.1\r\n" BYE "\r\n", 405, "Allow: POST\r\n"},
        {"OPTIONS * HTTP/1.1\r\n" BYE "\r\n", 400, "urn:tradewind:problem:bad-target"},
        {"GET /items/%00 HTTP/1.1\r\n" BYE "\r\n", 400, "urn:tradewind:problem:bad-target"},
    };
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(server, &response, view_str(cases[i].request));
        cr_expect_eq(status_of(response.data), cases[i].status, "%s: %s", cases[i].request,
                     response.data);
        cr_expect(has(response.data, cases[i].piece), "%s: %s", cases[i].request, response.data);
    }
    http_server_stop(server, 0);
    pthread_join(answerer, NULL);
}

Test(http, a_body_that_cannot_be_used_is_a_problem_that_says_why)
{
    static const struct {
        const char *type, *body;
        int status;
        const char *piece;
    } cases[] = {
        {"text/plain", "{\"quantity\":1}", 415, "Content-Type is not application/json"},
        {"application/jsonp", "{\"quantity\":1}", 415, "urn:tradewind:problem:not-json"},
        {"application/json", "", 400, "no body, want a JSON document"},
        {"application/json", "{\"quantity\":1", 400, "premature EOF"},
        {"application/json", "{\"quantity\":0}", 422, "\"pointer\":\"/quantity\""},
        {"application/json", "{\"quantity\":0}", 422, "0, want a whole number from 1 to 9"},
        {"application/json", "{}", 422, "\"detail\":\"missing\",\"pointer\":\"/quantity\""},
        {"application/json", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 400, "deeper than 16"},
        {"application/json", "\xff", 400, "UTF-8"},
    };
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    AUTO(buf_clear) struct buf request = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_reset(&request);
        buf_printf(&request, "POST /echo HTTP/1.1\r\n" BYE "Content-Type: %s\r\n", cases[i].type);
        buf_printf(&request, "Content-Length: %zu\r\n\r\n%s", strlen(cases[i].body), cases[i].body);
        ask(server, &response, buf_view(&request));
        cr_expect_eq(status_of(response.data), cases[i].status, "%s: %s", cases[i].body,
                     response.data);
        cr_expect(has(response.data, cases[i].piece), "%s: %s", cases[i].body, response.data);
        cr_expect(has(response.data, "Content-Type: application/problem+json"));
    }
    http_server_stop(server, 0);
}

Test(http, a_body_larger_than_its_route_takes_is_413)
{
    static const size_t sizes[] = {1001, 1 << 20, 10 << 20};
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        AUTO(buf_clear) struct buf request = {0};

        buf_printf(&request,
                   "POST /echo HTTP/1.1\r\n" BYE "Content-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   sizes[i]);
        memset(buf_reserve(&request, sizes[i]), ' ', sizes[i]);
        request.size += sizes[i];
        ask(server, &response, buf_view(&request));
        cr_expect_eq(status_of(response.data), 413, "%zu: %s", sizes[i], response.data);
        cr_expect(has(response.data, "bytes of body, want at most 1000"), "%s", response.data);
    }
    http_server_stop(server, 0);
}

/* Each is followed by a request that must not be answered: what comes after a request whose end is
 * in doubt is not a request. */
Test(http, a_request_whose_end_is_in_doubt_closes_the_connection)
{
    static const struct {
        struct view request;
        int status;
    } cases[] = {
#define CASE(text, status) {{text, sizeof(text) - 1}, status}
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
             411),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
             "Content-Length: 5\r\n\r\n0\r\n\r\n",
             0), /* Debian's libevent answers 400 by itself, others leave the 411 to us */
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
             400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
             400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length : 44\r\n\r\n", 400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n", 400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: -0\r\n\r\n", 400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\n", 400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0,0\r\n\r\n", 400),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
             413),
        CASE("POST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        CASE("HEAD /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n", 400),
        CASE("TRACE /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n", 400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nauthorization: y\r\n\r\n", 400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\nB\xc3\xa4"
             "d: x\r\n\r\n",
             400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\nX: a\x01\r\n\r\n", 400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        CASE("GET /ping HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\nContent-Length: 1\r\n\r\n",
             417),
        CASE("GET\r\n\r\n", 400),
        CASE("\x16\x03\x01\x02\r\n\r\n", 400),
        CASE("GET /ping HTTP/9.9.9\r\n\r\n", 400),
#undef CASE
    };
    static const char smuggled[] = "GET /items/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    AUTO(buf_clear) struct buf request = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_reset(&request);
        buf_append_view(&request, cases[i].request);
        buf_append_str(&request, smuggled);
        ask(server, &response, buf_view(&request));
        cr_expect(status_of(response.data) / 100 == 4 &&
                      (cases[i].status == 0 || status_of(response.data) == cases[i].status),
                  "%s: %s", cases[i].request.data, response.data);
        cr_expect_not(has(response.data, "smuggled"), "%s: %s", cases[i].request.data,
                      response.data);
    }
    http_server_stop(server, 0);
}

Test(http, headers_have_a_bound)
{
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    AUTO(buf_clear) struct buf request = {0};

    buf_append_str(&request, "GET /ping HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 2000; i++)
        buf_printf(&request, "X-%d: 0123456789\r\n", i);
    buf_append_str(&request, "\r\n");
    ask(server, &response, buf_view(&request));

    cr_expect(response.size == 0 || status_of(response.data) == 400, "%s", response.data);
    http_server_stop(server, 0);
}

Test(http, requests_may_come_together_or_byte_by_byte)
{
    static const char pipelined[] = "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n"
                                    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n"
                                    "Content-Type: application/json\r\n\r\n{\"quantity\":2}"
                                    "HEAD /items/3 HTTP/1.1\r\nHost: a\r\n\r\n"
                                    "GET /items/4 HTTP/1.1\r\n" BYE "\r\n";
    struct http_server *server = start();

    for (int split = 0; split < 2; split++) {
        AUTO(buf_clear) struct buf response = {0};
        int fd = dial(server);
        const char *at;

        for (size_t i = 0; split && i < sizeof pipelined - 1; i++)
            say(fd, view_of(pipelined + i, 1));
        if (!split)
            say(fd, view_str(pipelined));
        at = hear(fd, &response);
        cr_assert((at = strstr(at, "\r\n\r\n1,")) != NULL, "%s", response.data);
        cr_assert((at = strstr(at, "\r\n\r\n{\"quantity\":2}")) != NULL, "%s", response.data);
        cr_assert((at = strstr(at, "X-Id: 3\r\n")) != NULL, "%s", response.data);
        cr_assert((at = strstr(at, "Content-Length: 2\r\n")) != NULL, "%s", response.data);
        cr_assert((at = strstr(at, "\r\n\r\nHTTP/1.1 200 OK")) != NULL, "HEAD has no body: %s",
                  response.data);
        cr_assert((at = strstr(at, "\r\n\r\n4,")) != NULL, "%s", response.data);
    }
    http_server_stop(server, 0);
}

static void wait_until_held(int count)
{
    int64_t deadline_ms = clock_monotonic_ms() + 10000;

    while (held < count) {
        cr_assert_lt(clock_monotonic_ms(), deadline_ms);
        usleep(1000);
    }
}

Test(http, a_client_that_leaves_before_the_answer_changes_nothing)
{
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    const struct linger hard = {.l_onoff = 1};

    for (int i = 1; i <= 3; i++) {
        int fd = dial(server);

        say(fd, VIEW_LITERAL("GET /held HTTP/1.1\r\nHost: a\r\nX-Name: still here\r\n\r\n"));
        wait_until_held(i);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* close resets */
        close(fd);
        ask(server, &response, VIEW_LITERAL("GET /ping HTTP/1.1\r\n" BYE "\r\n"));
        cr_expect(view_equals(http_header(held_request, "X-Name"), "still here"));
        http_reply(held_request, 200, NULL, VIEW_LITERAL("\"nobody hears this\""));
        ask(server, &response, VIEW_LITERAL("GET /ping HTTP/1.1\r\n" BYE "\r\n"));
        cr_expect_eq(status_of(response.data), 200);
    }
    http_server_stop(server, 0);
}

Test(http, the_stop_answers_what_is_under_way)
{
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    int fd = dial(server), idle = dial(server);

    say(fd, VIEW_LITERAL("GET /held HTTP/1.1\r\nHost: a\r\nX-Name: kept\r\n\r\n"));
    wait_until_held(1);
    http_server_stop(server, 20);

    hear(fd, &response);
    cr_expect_eq(status_of(response.data), 503, "%s", response.data);
    cr_expect(has(response.data, "urn:tradewind:problem:stopping"));
    cr_expect_str_eq(hear(idle, &response), "");
    cr_expect(view_equals(http_header(held_request, "X-Name"), "kept"));
    http_reply(held_request, 200, NULL, VIEW_LITERAL("{}")); /* into nothing, but it frees */
}

static void *answer_soon(void *context)
{
    (void)context;
    usleep(50000);
    http_reply(held_request, 200, NULL, VIEW_LITERAL("\"in time\""));
    return NULL;
}

Test(http, the_stop_waits_for_an_answer_within_the_grace)
{
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    int fd = dial(server);
    pthread_t thread;

    say(fd, VIEW_LITERAL("GET /held HTTP/1.1\r\nHost: a\r\n\r\n"));
    wait_until_held(1);
    pthread_create(&thread, NULL, answer_soon, NULL);
    http_server_stop(server, 10000);

    hear(fd, &response);
    cr_expect_eq(status_of(response.data), 200, "%s", response.data);
    cr_expect(has(response.data, "Connection: close\r\n"));
    pthread_join(thread, NULL);
}

Test(http, requests_are_counted_by_route_and_class)
{
    struct http_server *server = start();
    AUTO(buf_clear) struct buf response = {0};
    AUTO(buf_clear) struct buf text = {0};

    for (int i = 0; i < 3; i++)
        ask(server, &response, VIEW_LITERAL("GET /items/1 HTTP/1.1\r\n" BYE "\r\n"));
    ask(server, &response, VIEW_LITERAL("GET /nothing HTTP/1.1\r\n" BYE "\r\n"));
    http_server_stop(server, 0);
    metrics_write(&text);

    cr_expect(has(buf_cstr(&text), "tradewind_http_requests_total{method=\"GET\","
                                   "route=\"/items/{id}\",status=\"2xx\"} 3\n"));
    cr_expect(has(text.data, "{method=\"\",route=\"none\",status=\"4xx\"} 1\n"));
    cr_expect(has(text.data, "tradewind_http_request_seconds_count{method=\"GET\","
                             "route=\"/items/{id}\"} 3\n"));
}

Test(http, an_address_that_cannot_be_used_is_named)
{
    struct http_server *server = start(), *second = NULL;
    char taken[64];
    const char *const cases[] = {"",
                                 "here",
                                 ":1",
                                 "127.0.0.1:99999",
                                 "127.0.0.1:http",
                                 taken,
                                 "unix:/no/such/folder/socket"};

    snprintf(taken, sizeof taken, "127.0.0.1:%d", http_server_port(server));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};

        cr_expect_eq(http_server_start(&second, cases[i], routes, 1, NULL, NULL, &err), ERR_STOP,
                     "%s", cases[i]);
        cr_expect(has(err.text, cases[i]), "%s: %s", cases[i], err.text);
    }
    cr_expect_null(second);
    http_server_stop(server, 0);
}

Test(http, a_unix_socket_left_behind_is_taken_over_and_a_live_one_is_not)
{
    char folder[] = "/tmp/tradewind-http-XXXXXX", address[128];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct http_server *server = NULL, *second = NULL;
    AUTO(buf_clear) struct buf response = {0};
    struct err err = {0};
    int fd;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/socket", folder);
    memcpy(name.sun_path, address + 5, strlen(address + 5));
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    cr_assert_eq(http_server_start(&server, address, routes, 1, NULL, NULL, &err), ERR_OK, "%s",
                 err.text);
    cr_expect_eq(http_server_start(&second, address, routes, 1, NULL, NULL, &err), ERR_STOP);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    say(fd, VIEW_LITERAL("GET /ping HTTP/1.1\r\n" BYE "\r\n"));

    cr_expect_eq(status_of(hear(fd, &response)), 200, "%s", response.data);
    http_server_stop(server, 0);
    cr_expect_neq(access(name.sun_path, F_OK), 0, "the stop removes it");
    rmdir(folder);
}

/* --- Who may --------------------------------------------------------------------------------- */

static const struct http_route guarded[] = {
    {HTTP_GET, "/mine", ROLE_CUSTOMER | ROLE_SERVICE, 0, mine},
};

static const char *ask_with(const struct http_server *server, struct buf *response,
                            const char *scheme, const char *token)
{
    AUTO(buf_clear) struct buf request = {0};

    buf_printf(&request, "GET /mine HTTP/1.1\r\n" BYE "Authorization: %s%s\r\n\r\n", scheme, token);
    return ask(server, response, buf_view(&request));
}

static char *sign(const char *key_path, const char *role, int64_t expires_at_s)
{
    struct token_claims claims = {.subject = "ada", .expires_at_s = expires_at_s};
    struct err err = {0};
    char *token = NULL;

    snprintf(claims.role, sizeof claims.role, "%s", role);
    cr_assert_eq(token_sign(&token, key_path, &claims, 0, &err), ERR_OK, "%s", err.text);
    return token;
}

Test(http, a_route_with_roles_wants_a_token_with_one_of_them)
{
    static const struct {
        const char *scheme, *role;
        int64_t lifetime_s;
        int status;
        const char *piece;
    } cases[] = {
        {"Bearer ", "customer", 60, 200, "\r\n\r\nada"},
        {"bearer ", "service", 60, 200, "\r\n\r\nada"},
        {"Bearer ", "operator", 60, 403, "error=\"insufficient_scope\""},
        {"Bearer ", "nonsense", 60, 403, "role nonsense may not do this"},
        {"Bearer ", "customer", -1, 401, "error=\"invalid_token\""},
        {"Bearer x", "customer", 60, 401, "error=\"invalid_token\""},
        {"Basic ", "customer", 60, 401, "WWW-Authenticate: Bearer\r\n"},
    };
    char folder[] = "/tmp/tradewind-http-XXXXXX", key_path[64], jwks_path[64];
    struct token_verifier *verifier = NULL;
    struct http_server *server = NULL;
    AUTO(buf_clear) struct buf response = {0};
    struct err err = {0};

    cr_assert_not_null(mkdtemp(folder));
    snprintf(key_path, sizeof key_path, "%s/key", folder);
    snprintf(jwks_path, sizeof jwks_path, "%s/jwks", folder);
    cr_assert_eq(token_make_key(key_path, jwks_path, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(token_verifier_new(&verifier, jwks_path, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(http_server_start(&server, "127.0.0.1:0", guarded, 1, NULL, verifier, &err),
                 ERR_OK, "%s", err.text);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *token = sign(key_path, cases[i].role, clock_utc_us() / 1000000 + cases[i].lifetime_s);

        ask_with(server, &response, cases[i].scheme, token);
        cr_expect_eq(status_of(response.data), cases[i].status, "case %zu: %s", i, response.data);
        cr_expect(has(response.data, cases[i].piece), "case %zu: %s", i, response.data);
        free(token);
    }
    ask(server, &response, VIEW_LITERAL("GET /mine HTTP/1.1\r\n" BYE "\r\n"));
    cr_expect_eq(status_of(response.data), 401);
    cr_expect(has(response.data, "want Authorization: Bearer TOKEN"));
    http_server_stop(server, 0);
    token_verifier_free(verifier);
    unlink(key_path);
    unlink(jwks_path);
    rmdir(folder);
}
