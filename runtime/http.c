/* One thread owns the event base and all of evhttp; nothing of libevent is locked. Other threads
 * reach it by one queue of answered requests and an eventfd. */
#include "runtime/clock.h"
#include "runtime/http_internal.h"
#include "runtime/http_slow.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_HEADERS_MAX_BYTES (16 * 1024)
/* evhttp reads this much so that a body which is too large for its route gets a problem for an
 * answer; above it evhttp refuses by itself. */
#define HTTP_READ_MAX_BYTES (16 * 1024 * 1024)
/* At the end answers need a moment to leave. */
#define HTTP_FLUSH_MS 100
#define HTTP_SPARE_MAX 128
#define HTTP_STATUS_CLASSES 6

/* What is counted of a route; the last one is for requests that reached none. */
struct route_metrics {
    struct metric *requests[HTTP_STATUS_CLASSES];
    struct metric *seconds;
};

struct http_server {
    struct http_rules rules; /* stopping: HTTP thread only */
    void *context;
    struct http_socket socket;

    pthread_t thread;
    struct event_base *base;
    struct evhttp *http;
    struct evhttp_bound_socket *bound;
    struct event *wake, *timer;
    int wake_fd;

    /* HTTP thread only. */
    struct http_request *held;
    struct http_request *spare;
    size_t spare_count;
    struct route_metrics *metrics; /* of each route and of none */
    bool flushing;                 /* all is answered and about to leave */
    struct http_readings readings;

    pthread_mutex_t lock;
    struct http_request *replies, **replies_end;
    bool stop_wanted;
    int64_t grace_ms;
    bool ended;        /* the thread will look at the queue no more */
    size_t references; /* once ended: http_server_stop, and each request that is still held */
};

/* The server whose thread this is. */
static _Thread_local struct http_server *serving;

/* --- The requests it has --------------------------------------------------------------------- */

static struct http_request *take_spare(struct http_server *server)
{
    struct http_request *request = server->spare;

    if (request == NULL)
        return http_request_new();
    server->spare = request->next;
    server->spare_count--;
    return request;
}

static void recycle(struct http_server *server, struct http_request *request)
{
    if (server->spare_count == HTTP_SPARE_MAX || !http_request_reset(request)) {
        http_request_free(request);
        return;
    }
    request->next = server->spare;
    server->spare = request;
    server->spare_count++;
}

static void hold(struct http_server *server, struct http_request *request)
{
    request->held_before = NULL;
    request->held_next = server->held;
    if (server->held != NULL)
        server->held->held_before = request;
    server->held = request;
}

static void let_go(struct http_server *server, struct http_request *request)
{
    if (request->held_next != NULL)
        request->held_next->held_before = request->held_before;
    if (request->held_before != NULL)
        request->held_before->held_next = request->held_next;
    else
        server->held = request->held_next;
}

/* All that only the HTTP thread uses, once that has ended. */
static void server_close(struct http_server *server)
{
    if (server->socket.unix_path != NULL)
        unlink(server->socket.unix_path);
    if (server->http != NULL)
        evhttp_free(server->http);
    if (server->wake != NULL)
        event_free(server->wake);
    if (server->timer != NULL)
        event_free(server->timer);
    if (server->base != NULL)
        event_base_free(server->base);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    while (server->spare != NULL) {
        struct http_request *request = server->spare;

        server->spare = request->next;
        http_request_free(request);
    }
    http_readings_clear(&server->readings);
}

static void server_free(struct http_server *server)
{
    pthread_mutex_destroy(&server->lock);
    free(server->metrics);
    free(server->socket.unix_path);
    free(server);
}

/* --- Replying -------------------------------------------------------------------------------- */

static void count_reply(struct http_server *server, const struct http_request *request)
{
    size_t index = request->route != NULL ? (size_t)(request->route - server->rules.routes)
                                          : server->rules.route_count;
    struct route_metrics *metrics = &server->metrics[index];
    int class = request->status / 100 < HTTP_STATUS_CLASSES ? request->status / 100 : 5;
    const char *method = request->route != NULL ? http_method_name(request->route->method) : "";
    const char *path = request->route != NULL ? request->route->path : "none";

    if (metrics->requests[class] == NULL)
        metrics->requests[class] =
            metric_series(METRIC_COUNTER, "tradewind_http_requests_total",
                          "Requests answered, by route and class of status.",
                          "method=\"%s\",route=\"%s\",status=\"%dxx\"", method, path, class);
    if (metrics->seconds == NULL)
        metrics->seconds = metric_series(METRIC_HISTOGRAM, "tradewind_http_request_seconds",
                                         "Time from the last byte of a request to its answer.",
                                         "method=\"%s\",route=\"%s\"", method, path);
    metric_add(metrics->requests[class], 1);
    metric_observe_us(metrics->seconds, clock_monotonic_us() - request->started_us);
}

/* HTTP thread. */
static void send_reply(struct http_server *server, struct http_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request->evreq);
    char length[24];

    if (request->status != 204)
        evhttp_add_header(headers, "Content-Type", request->reply_type);
    for (struct header *header = request->reply_headers; header != NULL; header = header->next)
        evhttp_add_header(headers, header->name.data, header->value.data);
    if (request->close || server->rules.stopping)
        evhttp_add_header(headers, "Connection", "close");
    if (request->is_head) { /* the length that GET would have */
        snprintf(length, sizeof length, "%zu", evbuffer_get_length(request->reply));
        evhttp_add_header(headers, "Content-Length", length);
    }
    if (request->is_head || request->status == 204 || request->status == 304)
        evbuffer_drain(request->reply, evbuffer_get_length(request->reply));
    evhttp_send_reply(request->evreq, request->status, http_status_title(request->status),
                      request->reply);
    count_reply(server, request);
}

static void finish_if_done(struct http_server *server)
{
    static const struct timeval flush = {.tv_usec = HTTP_FLUSH_MS * 1000};

    if (!server->rules.stopping || server->flushing || server->held != NULL)
        return;
    server->flushing = true;
    event_add(server->timer, &flush);
}

/* HTTP thread. */
static void finish_request(struct http_server *server, struct http_request *request)
{
    if (request->evreq != NULL) {
        let_go(server, request);
        send_reply(server, request);
    }
    recycle(server, request);
    finish_if_done(server);
}

static void wake(struct http_server *server)
{
    const uint64_t one = 1;
    ssize_t written = write(server->wake_fd, &one, sizeof one);

    assert(written == sizeof one);
    (void)written;
}

/* A thread that is not the HTTP thread hands an answered request over. */
static void queue_reply(struct http_server *server, struct http_request *request)
{
    bool was_empty, last = false;

    pthread_mutex_lock(&server->lock);
    if (server->ended) {
        http_request_free(request);
        last = --server->references == 0;
    } else {
        was_empty = server->replies == NULL;
        request->next = NULL;
        *server->replies_end = request;
        server->replies_end = &request->next;
        if (was_empty)
            wake(server);
    }
    pthread_mutex_unlock(&server->lock);
    if (last)
        server_free(server);
}

void http_reply(struct http_request *request, int status, const char *content_type,
                struct view body)
{
    struct http_server *server = request->server;

    request->status = status;
    request->reply_type =
        content_type != NULL ? arena_strdup(&request->arena, content_type) : "application/json";
    if (body.size > 0)
        evbuffer_add(request->reply, body.data, body.size);
    if (serving == server)
        finish_request(server, request);
    else
        queue_reply(server, request);
}

/* --- Requests that do not come to an end ------------------------------------------------------ */

/* evhttp knows of the request only when all of it is there, so it cannot answer: nothing else is on
 * its way on this connection, and what is said here is less than any socket takes. */
static void answer_too_slow(evutil_socket_t fd)
{
    AUTO(buf_clear) struct buf body = {0};
    AUTO(buf_clear) struct buf reply = {0};
    ssize_t sent;

    http_write_problem(&body, 408, "timeout", VIEW_NONE, "the request did not arrive in time");
    buf_printf(&reply,
               "HTTP/1.1 408 %s\r\nContent-Type: application/problem+json\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n\r\n",
               http_status_title(408), body.size);
    buf_append_view(&reply, buf_view(&body));
    sent = send(fd, reply.data, reply.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
    shutdown(fd, SHUT_RDWR); /* evhttp reads the end of it and lets go */
}

/* evhttp's own, which ours stands before. */
static bufferevent_event_cb evhttp_on_event;

/* HTTP thread: evhttp closes a connection on which nothing has come for HTTP_IDLE_MS without a
 * word. Between two requests that is right; a client in the middle of one is told. */
static void on_event(struct bufferevent *connection, short what, void *context)
{
    if (what == (BEV_EVENT_READING | BEV_EVENT_TIMEOUT) &&
        http_reading_is_under_way(&serving->readings, connection))
        answer_too_slow(bufferevent_getfd(connection));
    evhttp_on_event(connection, what, context);
}

/* evhttp names its callbacks anew for each request. */
static void stand_before(struct bufferevent *connection)
{
    bufferevent_data_cb on_read, on_write;
    bufferevent_event_cb on_other;
    void *context;

    bufferevent_getcb(connection, &on_read, &on_write, &on_other, &context);
    if (on_other == NULL || on_other == on_event)
        return;
    evhttp_on_event = on_other;
    bufferevent_setcb(connection, on_read, on_write, on_event, context);
}

/* HTTP thread: bytes came in on the connection, or were taken by evhttp. */
static void on_bytes(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *context)
{
    struct bufferevent *connection = context;

    (void)buffer;
    if (info->n_added > 0)
        stand_before(connection);
    if (info->n_added > 0 && http_reading_note(&serving->readings, connection,
                                               clock_monotonic_ms()) == HTTP_READING_TOO_SLOW)
        answer_too_slow(bufferevent_getfd(connection));
}

static struct bufferevent *on_connection(struct event_base *base, void *context)
{
    struct http_server *server = context;
    struct bufferevent *connection = bufferevent_socket_new(base, -1, 0);

    if (connection != NULL) {
        http_reading_forget(&server->readings, connection);
        evbuffer_add_cb(bufferevent_get_input(connection), on_bytes, connection);
    }
    return connection;
}

static bool came_too_slowly(struct http_server *server, struct evhttp_request *evreq)
{
    return http_reading_end(
        &server->readings, evhttp_connection_get_bufferevent(evhttp_request_get_connection(evreq)));
}

/* --- The thread ------------------------------------------------------------------------------ */

/* evhttp has read a whole request. Until it is answered evhttp reads no more from the connection,
 * so evreq lives until evhttp_send_reply even when the client goes away. */
static void on_request(struct evhttp_request *evreq, void *context)
{
    struct http_server *server = context;
    struct http_request *request = take_spare(server);
    bool is_late = came_too_slowly(server, evreq);

    request->server = server;
    http_request_take(request, evreq);
    hold(server, request);
    if (is_late)
        http_problem(request, 408, "timeout", VIEW_NONE, "the request did not arrive in time");
    else if (!http_refuse(request, &server->rules))
        request->route->handle(request, server->context);
}

/* The connection gets its answer now; whoever holds the request answers into nothing later. */
static void give_up(struct http_server *server, struct http_request *request)
{
    AUTO(buf_clear) struct buf body = {0};
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request->evreq);
    struct evbuffer *reply = evbuffer_new();

    if (reply == NULL)
        abort();
    http_write_problem(&body, 503, "stopping", VIEW_NONE, "the instance ended before the answer");
    evbuffer_add(reply, body.data, body.size);
    evhttp_add_header(headers, "Content-Type", "application/problem+json");
    evhttp_add_header(headers, "Retry-After", "1");
    evhttp_add_header(headers, "Connection", "close");
    evhttp_send_reply(request->evreq, 503, http_status_title(503), reply);
    evbuffer_free(reply);
    let_go(server, request);
    request->evreq = NULL;
}

static void begin_stop(struct http_server *server, int64_t grace_ms)
{
    const struct timeval grace = {.tv_sec = grace_ms / 1000,
                                  .tv_usec = (suseconds_t)(grace_ms % 1000) * 1000};

    server->rules.stopping = true;
    evhttp_del_accept_socket(server->http, server->bound);
    event_add(server->timer, &grace);
    finish_if_done(server);
}

/* The grace is over, or the last answers have had their moment to leave. */
static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct http_server *server = context;

    (void)fd;
    (void)what;
    if (server->flushing) {
        event_base_loopbreak(server->base);
        return;
    }
    while (server->held != NULL) {
        struct http_request *request = server->held;

        pthread_mutex_lock(&server->lock);
        server->references++;
        pthread_mutex_unlock(&server->lock);
        give_up(server, request);
    }
    finish_if_done(server);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    struct http_server *server = context;
    struct http_request *request;
    bool stop_wanted;
    int64_t grace_ms;
    uint64_t count;
    ssize_t got;

    (void)what;
    got = read(fd, &count, sizeof count);
    (void)got;
    pthread_mutex_lock(&server->lock);
    request = server->replies;
    server->replies = NULL;
    server->replies_end = &server->replies;
    stop_wanted = server->stop_wanted;
    grace_ms = server->grace_ms;
    pthread_mutex_unlock(&server->lock);
    while (request != NULL) {
        struct http_request *next = request->next;

        if (request->evreq == NULL) {
            pthread_mutex_lock(&server->lock);
            server->references--;
            pthread_mutex_unlock(&server->lock);
        }
        finish_request(server, request);
        request = next;
    }
    if (stop_wanted && !server->rules.stopping)
        begin_stop(server, grace_ms);
}

static void *run(void *context)
{
    struct http_server *server = context;

    serving = server;
    event_base_dispatch(server->base);
    pthread_mutex_lock(&server->lock);
    server->ended = true;
    while (server->replies != NULL) {
        struct http_request *request = server->replies;

        server->replies = request->next;
        http_request_free(request);
        server->references--;
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* --- Starting and stopping ------------------------------------------------------------------- */

static void on_libevent_log(int severity, const char *message)
{
    if (severity >= EVENT_LOG_WARN)
        LOG_WARN("libevent", message);
}

static enum err_kind start_listening(struct http_server *server, const char *address,
                                     struct err *err)
{
    struct evconnlistener *listener;
    enum err_kind kind = http_listen(&server->socket, address, err);

    if (kind != ERR_OK)
        return kind;
    listener =
        evconnlistener_new(server->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                           0, server->socket.fd);
    if (listener == NULL)
        close(server->socket.fd);
    else
        server->bound = evhttp_bind_listener(server->http, listener);
    if (server->bound == NULL)
        return err_set(err, ERR_STOP, "http address %s: libevent takes no more listeners", address);
    return ERR_OK;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        /* evhttp stops reading while a request is answered and reads again after it: most often
         * both fall into one turn of the loop, and then epoll need not hear of either. */
        event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    return base;
}

static enum err_kind set_up(struct http_server *server, struct err *err)
{
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->base = new_base();
    if (server->wake_fd < 0 || server->base == NULL ||
        (server->http = evhttp_new(server->base)) == NULL ||
        (server->wake = event_new(server->base, server->wake_fd, EV_READ | EV_PERSIST, on_wake,
                                  server)) == NULL ||
        (server->timer = event_new(server->base, -1, 0, on_timer, server)) == NULL ||
        event_add(server->wake, NULL) != 0)
        return err_set(err, ERR_STOP, "http: no event loop: %s", strerror(errno));
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_allowed_methods(server->http, 0xffff); /* what we do not know gets 405 from us */
    evhttp_set_default_content_type(server->http, NULL);
    evhttp_set_max_headers_size(server->http, HTTP_HEADERS_MAX_BYTES);
    evhttp_set_max_body_size(server->http, HTTP_READ_MAX_BYTES);
    evhttp_set_timeout(server->http, HTTP_IDLE_MS / 1000);
    evhttp_set_bevcb(server->http, on_connection, server);
    return ERR_OK;
}

/* Without memory evhttp calls a good request a bad one (400). With memory from us the process ends
 * instead, and whoever asked asks again. */
static void *library_alloc(size_t size)
{
    return mem_grow(NULL, size, 1);
}

static void *library_grow(void *old, size_t size)
{
    return mem_grow(old, size, 1);
}

static bool needs_verifier(const struct http_route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (routes[i].roles != ROLE_ANY)
            return true;
    return false;
}

enum err_kind http_server_start(struct http_server **out, const char *address,
                                const struct http_route *routes, size_t route_count, void *context,
                                struct token_verifier *verifier, struct err *err)
{
    struct http_server *server = mem_alloc(sizeof *server);
    enum err_kind kind;
    int failure;

    assert(verifier != NULL || !needs_verifier(routes, route_count));
    signal(SIGPIPE, SIG_IGN); /* a client that left is an error of write, not the end */
    pthread_mutex_init(&server->lock, NULL);
    event_set_mem_functions(library_alloc, library_grow, free); /* before libevent has any */
    event_set_log_callback(on_libevent_log);
    server->rules =
        (struct http_rules){.routes = routes, .route_count = route_count, .verifier = verifier};
    server->context = context;
    server->metrics = mem_alloc((route_count + 1) * sizeof *server->metrics);
    server->replies_end = &server->replies;
    server->references = 1;
    if ((kind = set_up(server, err)) != ERR_OK ||
        (kind = start_listening(server, address, err)) != ERR_OK) {
        server_close(server);
        server_free(server);
        return kind;
    }
    failure = pthread_create(&server->thread, NULL, run, server);
    if (failure != 0) {
        server_close(server);
        server_free(server);
        return err_set(err, ERR_STOP, "http: no thread: %s", strerror(failure));
    }
    *out = server;
    return ERR_OK;
}

int http_server_port(const struct http_server *server)
{
    return server->socket.port;
}

void http_server_stop(struct http_server *server, int64_t grace_ms)
{
    bool last;

    pthread_mutex_lock(&server->lock);
    server->stop_wanted = true;
    server->grace_ms = grace_ms;
    wake(server);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->thread, NULL);
    server_close(server);
    pthread_mutex_lock(&server->lock);
    last = --server->references == 0;
    pthread_mutex_unlock(&server->lock);
    if (last)
        server_free(server);
}
