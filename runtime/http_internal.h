/* What the files of the HTTP server share: http.c (the thread), http_request.c (one request),
 * http_refuse.c (what no handler gets to see), http_listen.c (sockets). For nobody else. */
#ifndef TRADEWIND_RUNTIME_HTTP_INTERNAL_H
#define TRADEWIND_RUNTIME_HTTP_INTERNAL_H

#include "runtime/http.h"
#include "runtime/http_target.h"

struct evbuffer;
struct evhttp_request;

struct header {
    struct view name, value; /* a NUL behind each */
    struct header *next;     /* of a reply */
};

/* A request owns its memory (headers, body and path are copied or moved out of evhttp), so whoever
 * holds it may read it even when its connection, or the whole server, is gone. */
struct http_request {
    struct http_server *server;
    struct evhttp_request *evreq; /* HTTP thread only; NULL when the server gave the request up */
    struct arena arena;
    const struct http_route *route; /* NULL: none was found */
    struct http_target target;
    struct header *headers;
    size_t header_count;
    struct evbuffer *body_buffer;
    struct view body; /* in it */
    struct token_claims claims;
    struct http_caller caller;
    bool is_head;
    bool close; /* the connection after the reply */
    int64_t started_us;

    int status;
    const char *reply_type;
    struct evbuffer *reply;
    struct header *reply_headers;

    struct http_request *next;                    /* in the queue of replies, or among the spare */
    struct http_request *held_next, *held_before; /* handed to a handler and not answered yet */
};

/* --- http_request.c -------------------------------------------------------------------------- */
struct http_request *http_request_new(void);
void http_request_free(struct http_request *request);
/** As new, with the memory kept; false when it has grown too large to be worth keeping. */
bool http_request_reset(struct http_request *request);
/** Take over what evhttp has read. */
void http_request_take(struct http_request *request, struct evhttp_request *evreq);
const char *http_status_title(int status);
const char *http_method_name(enum http_method method);
void http_write_problem(struct buf *out, int status, const char *type, struct view pointer,
                        const char *detail);

/* --- http_refuse.c --------------------------------------------------------------------------- */
struct http_rules {
    const struct http_route *routes;
    size_t route_count;
    struct token_verifier *verifier;
    bool stopping;
};

/** Find the route and the caller; true when the request has been answered instead (and is gone). */
bool http_refuse(struct http_request *request, const struct http_rules *rules);

/* --- http_listen.c --------------------------------------------------------------------------- */
struct http_socket {
    int fd;
    int port;        /* 0 for a Unix socket */
    char *unix_path; /* to be removed at the end; NULL for TCP */
};

/** Errors  ERR_STOP: names the address */
enum err_kind http_listen(struct http_socket *out, const char *address, struct err *err);

#endif
