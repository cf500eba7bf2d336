/* HTTP for a part: evhttp on loopback or a Unix socket, behind the door.
 *
 * One thread runs evhttp and does nothing that waits. A handler answers at once or keeps the
 * request and answers later from any thread with http_reply. What evhttp lets through and a proxy
 * reads otherwise (two Content-Lengths, Transfer-Encoding) is refused here too.
 * Bodies are JSON, refusals RFC 9457 problems (application/problem+json) with a JSON Pointer. Only
 * what evhttp cannot make sense of at all is answered by itself, with a page of HTML; the door lets
 * none of that through. */
#ifndef TRADEWIND_RUNTIME_HTTP_H
#define TRADEWIND_RUNTIME_HTTP_H

#include "runtime/arena.h"
#include "runtime/err.h"
#include "runtime/json.h"
#include "runtime/token.h"

struct http_server;
struct http_request; /* opaque; owned by the server until it is answered */

enum http_method { HTTP_GET = 1, HTTP_POST = 2, HTTP_PUT = 4, HTTP_DELETE = 8 };

/* Who may call; a set. ROLE_ANY: no token is looked at. */
enum role {
    ROLE_ANY = 0,
    ROLE_CUSTOMER = 1,
    ROLE_SERVICE = 2,
    ROLE_OPERATOR = 4,
    ROLE_ANALYST = 8,
};

struct http_caller {
    enum role role;      /* of the token; ROLE_ANY when the route needs none */
    const char *subject; /* claim sub: a customer's id or a service's name */
};

typedef void http_handler(struct http_request *request, void *context);

struct http_route {
    enum http_method method;
    const char *path;      /* "/orders/{id}/cancel": {name} is one segment */
    unsigned roles;        /* which roles may; ROLE_ANY: open */
    size_t body_max_bytes; /* 0: a body is refused */
    http_handler *handle;  /* runs on the HTTP thread */
};

/**
 * Listen on address ("127.0.0.1:17010" or "unix:/path") and serve routes on a thread of its own.
 * /livez /readyz /health /metrics are added by the caller as routes like any other.
 * context goes to every handler. GET routes answer HEAD too; an unknown path is 404, a wrong method
 * 405 with Allow. From here on the process ignores SIGPIPE.
 *
 * routes    borrows until the stop
 * verifier  borrows until the stop; NULL when no route asks for a role
 *
 * Errors  ERR_STOP: address taken or unparsable
 */
enum err_kind http_server_start(struct http_server **out, const char *address,
                                const struct http_route *routes, size_t route_count, void *context,
                                struct token_verifier *verifier, struct err *err);
/** The port it listens on (for port 0: the one the kernel chose); 0 for a Unix socket. */
int http_server_port(const struct http_server *server);
/**
 * Accept nothing new, answer what is under way with 503 after grace_ms, end the thread, free.
 * Who still holds a request then must answer it all the same: that frees it.
 */
void http_server_stop(struct http_server *server, int64_t grace_ms);

/* --- Inside a handler, and until the request is answered ------------------------------------ */
const struct http_route *http_route(const struct http_request *request); /* the row that was met */
struct arena *
http_arena(struct http_request *request); /* the request's memory; one thread at a time */
const struct http_caller *http_caller(const struct http_request *request);
struct view http_path_param(const struct http_request *request,
                            const char *name); /* percent-decoded */
struct view http_query_param(const struct http_request *request,
                             const char *name); /* VIEW_NONE: not there */
/** *out as the caller set it when the parameter is not there. false: it is no integer of min to
 * max, and the request has been answered with 400. */
bool http_query_int64(struct http_request *request, const char *name, int64_t min, int64_t max,
                      int64_t *out);
struct view http_header(const struct http_request *request,
                        const char *name); /* VIEW_NONE: not there */
struct view http_body(const struct http_request *request);

/** The body as JSON. NULL: it is none, and the request has been answered with the problem. */
const struct json *http_body_json(struct http_request *request);

/** Extra response header, before the reply. Copied. */
void http_reply_header(struct http_request *request, const char *name, const char *value);
/** Answer with JSON (or content_type when not NULL). Any thread; exactly once; request is gone
 * after. */
void http_reply(struct http_request *request, int status, const char *content_type,
                struct view body);
/**
 * Answer with an RFC 9457 problem. type is a stable slug ("unknown-sku"), written as the URI
 * urn:tradewind:problem:unknown-sku; pointer may be VIEW_NONE.
 */
void http_problem(struct http_request *request, int status, const char *type, struct view pointer,
                  const char *detail_format, ...) __attribute__((format(printf, 5, 6)));
/** 422 with what a json_reader found. */
void http_problem_reader(struct http_request *request, const struct json_reader *reader);

#endif
