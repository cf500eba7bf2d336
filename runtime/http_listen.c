#include "runtime/http_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HTTP_BACKLOG 1024

static enum err_kind bad_address(const char *address, const char *why, struct err *err)
{
    return err_set(err, ERR_STOP, "http address %s: %s", address, why);
}

/* A socket file that nobody listens on is what a killed process left behind. */
static bool remove_stale(const struct sockaddr_un *name)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool stale = probe >= 0 && connect(probe, (const struct sockaddr *)name, sizeof *name) != 0 &&
                 errno == ECONNREFUSED;

    if (probe >= 0)
        close(probe);
    return stale && unlink(name->sun_path) == 0;
}

static enum err_kind listen_unix(struct http_socket *out, const char *address, struct err *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = address + strlen("unix:");
    int fd;

    if (strlen(path) >= sizeof name.sun_path)
        return bad_address(address, "the path is too long, want at most 107 bytes", err);
    memcpy(name.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return bad_address(address, strerror(errno), err);
    if (bind(fd, (struct sockaddr *)&name, sizeof name) != 0 &&
        (errno != EADDRINUSE || !remove_stale(&name) ||
         bind(fd, (struct sockaddr *)&name, sizeof name) != 0)) {
        bad_address(address, strerror(errno), err);
        close(fd);
        return ERR_STOP;
    }
    *out = (struct http_socket){.fd = fd, .unix_path = mem_strdup(path)};
    return ERR_OK;
}

static int bound_port(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;

    if (getsockname(fd, (struct sockaddr *)&name, &size) != 0)
        return 0;
    if (name.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&name)->sin6_port);
    return ntohs(((struct sockaddr_in *)(void *)&name)->sin_port);
}

static enum err_kind listen_tcp(struct http_socket *out, const char *address, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    char host[256];
    const int yes = 1;
    int64_t port; /* getaddrinfo takes 99999 for 34463 */
    int failure, fd;

    if (colon == NULL || colon == address || (size_t)(colon - address) >= sizeof host ||
        !view_to_int64(view_str(colon + 1), &port) || port < 0 || port > 65535)
        return bad_address(address, "want host:port or unix:/path", err);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (host[0] == '[' && host[strlen(host) - 1] == ']') { /* [::1]:17010 */
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    failure = getaddrinfo(host, colon + 1, &hints, &found);
    if (failure != 0)
        return bad_address(address, gai_strerror(failure), err);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Accepted sockets inherit TCP_NODELAY: an answer is one write and waits for nothing. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0) {
        bad_address(address, strerror(errno), err);
        freeaddrinfo(found);
        if (fd >= 0)
            close(fd);
        return ERR_STOP;
    }
    freeaddrinfo(found);
    *out = (struct http_socket){.fd = fd, .port = bound_port(fd)};
    return ERR_OK;
}

enum err_kind http_listen(struct http_socket *out, const char *address, struct err *err)
{
    struct http_socket made;
    enum err_kind kind;

    if (strncmp(address, "unix:/", 6) == 0)
        kind = listen_unix(&made, address, err);
    else
        kind = listen_tcp(&made, address, err);
    if (kind != ERR_OK)
        return kind;
    if (listen(made.fd, HTTP_BACKLOG) != 0) {
        bad_address(address, strerror(errno), err);
        close(made.fd);
        free(made.unix_path);
        return ERR_STOP;
    }
    *out = made;
    return ERR_OK;
}
