#include "runtime/http.h"
#include "tests/faults/order_path.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_S 10
#define ANSWER_BYTES 2000

/* The body back, as JSON that was read. */
static void echo(struct http_request *request, void *context)
{
    (void)context;
    if (http_body_json(request) != NULL)
        http_reply(request, 201, NULL, http_body(request));
}

static const struct http_route ROUTES[] = {{HTTP_POST, "/orders", ROLE_ANY, 10000, echo}};

static int dial(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* What a client is answered; 0 for nothing. It asks for no memory. */
static int ask(int port, char answer[ANSWER_BYTES])
{
    static const char REQUEST[] =
        "POST /orders?dry=1 HTTP/1.1\r\nHost: shop\r\nX-Client: a test\r\n"
        "Connection: close\r\nContent-Type: application/json\r\n"
        "Content-Length: 24\r\n\r\n{\"lines\":[{\"sku\":\"A\"}]}\n";
    size_t size = 0;
    ssize_t got;
    int fd = dial(port);

    if (fd < 0)
        return 0;
    if (send(fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) > 0)
        while (size < ANSWER_BYTES - 1 &&
               (got = recv(fd, answer + size, ANSWER_BYTES - 1 - size, 0)) > 0)
            size += (size_t)got;
    close(fd);
    answer[size] = '\0';
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

enum err_kind http_path_walk(uint64_t *digest, const struct road *road, size_t lines,
                             struct err *err)
{
    struct http_server *server;
    char answer[ANSWER_BYTES];
    enum err_kind kind = http_server_start(&server, "127.0.0.1:0", ROUTES, 1, NULL, NULL, err);
    int status;

    (void)road;
    (void)lines;
    if (kind != ERR_OK)
        return kind;
    status = ask(http_server_port(server), answer);
    http_server_stop(server, 0);
    *digest = (uint64_t)status;
    if (status == 0 || status >= 500)
        return err_set(err, ERR_RETRY, "answered %d", status);
    return status == 201 ? ERR_OK : err_set(err, ERR_REJECT, "answered %d", status);
}
