#include "tests/bench/http_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

struct request {
    struct request *prev, *next;
    int64_t tag;
    size_t size;
    char bytes[];
};

struct connection {
    int fd; /* -1: closed */
    struct request *request;
    size_t sent;
    size_t received;
    char answer[16384];
    struct connection *next; /* of those that are idle */
};

struct http_load {
    struct http_load_options options;
    struct sockaddr_in address;
    char host[64];
    int epoll;
    struct request *waiting;
    struct connection *idle;
    struct connection *connections;
    long pending;
};

static void parse_url(struct http_load *load, const char *url)
{
    char ip[32];
    int port;

    /* NOLINTNEXTLINE(cert-err34-c): whoever runs the bench means the port */
    if (sscanf(url, "http://%31[0-9.]:%d", ip, &port) != 2) {
        fprintf(stderr, "bench: %s: want http://address:port\n", url);
        exit(2);
    }
    load->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, ip, &load->address.sin_addr);
    snprintf(load->host, sizeof load->host, "%s:%d", ip, port);
}

struct http_load *http_load_new(const struct http_load_options *options)
{
    struct http_load *load = mem_alloc(sizeof *load);

    load->options = *options;
    parse_url(load, options->url);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->connections = mem_alloc((size_t)options->connections * sizeof *load->connections);
    for (int i = 0; i < options->connections; i++) {
        load->connections[i].fd = -1;
        LL_PREPEND(load->idle, &load->connections[i]);
    }
    return load;
}

static bool dial(struct http_load *load, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = connection};
    int on = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(connection->fd, (struct sockaddr *)&load->address, sizeof load->address) != 0) {
        close(connection->fd);
        connection->fd = -1;
        return false;
    }
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event);
    return true;
}

/* The request of the connection has its answer, or will have none (status 0). */
static void finish(struct http_load *load, struct connection *connection, int status)
{
    struct request *request = connection->request;

    if (status == 0 && connection->fd >= 0) {
        close(connection->fd);
        connection->fd = -1;
    }
    connection->request = NULL;
    connection->received = 0;
    LL_PREPEND(load->idle, connection);
    load->pending--;
    load->options.answered(load->options.context, request->tag, status);
    free(request);
}

/* A request is smaller than a socket's buffer, so it goes in one piece or not at all. */
static void start(struct http_load *load, struct connection *connection, struct request *request)
{
    connection->request = request;
    if ((connection->fd < 0 && !dial(load, connection)) ||
        send(connection->fd, request->bytes, request->size, MSG_NOSIGNAL) != (ssize_t)request->size)
        finish(load, connection, 0);
}

static void start_waiting(struct http_load *load)
{
    while (load->waiting != NULL && load->idle != NULL) {
        struct request *request = load->waiting;
        struct connection *connection = load->idle;

        DL_DELETE(load->waiting, request);
        LL_DELETE(load->idle, connection);
        start(load, connection, request);
    }
}

void http_load_post(struct http_load *load, const char *path, struct view body, int64_t tag)
{
    char head[2048];
    int length = snprintf(head, sizeof head,
                          "POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          path, load->host, load->options.authorization, body.size);
    struct request *request = mem_alloc(sizeof *request + (size_t)length + body.size);

    request->tag = tag;
    request->size = (size_t)length + body.size;
    memcpy(request->bytes, head, (size_t)length);
    memcpy(request->bytes + length, body.data, body.size);
    DL_APPEND(load->waiting, request);
    load->pending++;
    start_waiting(load);
}

/* The status once the answer is whole, 0 while it is not, -1: it cannot be read. */
static int whole_answer(struct connection *connection)
{
    const char *end, *length;
    int status;

    connection->answer[connection->received] = '\0';
    end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    length = strcasestr(connection->answer, "\r\ncontent-length:");
    /* NOLINTNEXTLINE(cert-err34-c): our own server's status */
    if (length == NULL || length > end || sscanf(connection->answer, "HTTP/1.1 %d", &status) != 1)
        return -1;
    return (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10) <=
                   connection->received
               ? status
               : 0;
}

static void on_readable(struct http_load *load, struct connection *connection)
{
    size_t room = sizeof connection->answer - 1 - connection->received;
    ssize_t got =
        recv(connection->fd, connection->answer + connection->received, room, MSG_DONTWAIT);
    int status;

    if (got < 0 && errno == EAGAIN)
        return;
    if (connection->request == NULL) { /* the door hangs up an idle connection */
        close(connection->fd);
        connection->fd = -1;
        return;
    }
    connection->received += got > 0 ? (size_t)got : 0;
    status = got > 0 ? whole_answer(connection) : -1;
    if (status != 0)
        finish(load, connection, status > 0 ? status : 0);
}

void http_load_serve(struct http_load *load, int wait_ms)
{
    struct epoll_event events[64];
    int count = epoll_wait(load->epoll, events, 64, wait_ms);

    for (int i = 0; i < count; i++)
        on_readable(load, events[i].data.ptr);
    start_waiting(load);
}

long http_load_pending(const struct http_load *load)
{
    return load->pending;
}

void http_load_free(struct http_load *load)
{
    struct request *request, *next;

    if (load == NULL)
        return;
    for (int i = 0; i < load->options.connections; i++) {
        if (load->connections[i].fd >= 0)
            close(load->connections[i].fd);
        free(load->connections[i].request);
    }
    DL_FOREACH_SAFE(load->waiting, request, next)
    free(request);
    close(load->epoll);
    free(load->connections);
    free(load);
}
