/* A request is answered here when no handler may see it. Each check returns true when it has
 * answered; then the request is gone. */
#include "runtime/clock.h"
#include "runtime/http_internal.h"

#include <event2/http.h>

#include <strings.h>

/* --- Where the request ends ------------------------------------------------------------------ */

static bool is_token_char(unsigned char c)
{
    return c < 0x7f && c > 0x20 && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

/* "Content-Length " is another name to us, and the real thing to somebody else. */
static bool is_header_good(const struct header *header)
{
    for (size_t i = 0; i < header->name.size; i++)
        if (!is_token_char((unsigned char)header->name.data[i]))
            return false;
    for (size_t i = 0; i < header->value.size; i++)
        if (((unsigned char)header->value.data[i] < 0x20 && header->value.data[i] != '\t') ||
            header->value.data[i] == 0x7f)
            return false;
    return header->name.size > 0;
}

/* Headers of which a second one would be read by somebody else than the first. */
static bool is_single(struct view name)
{
    static const char *const single[] = {"content-length", "host", "authorization", "content-type",
                                         "idempotency-key"};

    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        if (strcasecmp(name.data, single[i]) == 0)
            return true;
    return false;
}

static bool stands_before(const struct http_request *request, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcasecmp(request->headers[i].name.data, request->headers[at].name.data) == 0)
            return true;
    return false;
}

/* Where this request ends must be the same to everybody who reads it: evhttp takes the first of two
 * Content-Lengths, signs, and a body that it then reads as the next request. */
static bool refuse_framing(struct http_request *request)
{
    struct view length = http_header(request, "Content-Length");
    enum evhttp_cmd_type method = evhttp_request_get_command(request->evreq);

    request->close = true; /* until it is clear what follows on this connection */
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_header_good(&request->headers[i])) {
            http_problem(request, 400, "bad-header", VIEW_NONE, "header %zu is malformed", i + 1);
            return true;
        }
        if (is_single(request->headers[i].name) && stands_before(request, i)) {
            http_problem(request, 400, "bad-header", VIEW_NONE, "header %s stands twice",
                         request->headers[i].name.data);
            return true;
        }
    }
    if (http_header(request, "Transfer-Encoding").data != NULL) {
        http_problem(request, 411, "length-required", VIEW_NONE,
                     "Transfer-Encoding is not taken, want Content-Length");
        return true;
    }
    if (length.data != NULL &&
        (length.size == 0 || strspn(length.data, "0123456789") != length.size)) {
        http_problem(request, 400, "bad-header", VIEW_NONE, "Content-Length %s, want digits",
                     length.data);
        return true;
    }
    if (length.data != NULL && strspn(length.data, "0") != length.size &&
        (method & (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                   EVHTTP_REQ_PATCH | EVHTTP_REQ_OPTIONS)) == 0) {
        http_problem(request, 400, "unexpected-body", VIEW_NONE, "no body goes with this method");
        return true;
    }
    request->close = false;
    return false;
}

/* --- Which route ----------------------------------------------------------------------------- */

static bool refuse_target(struct http_request *request)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->evreq);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri != NULL ? evhttp_uri_get_query(uri) : NULL;

    if (path != NULL && path[0] == '\0')
        path = "/"; /* http://host */
    if (path != NULL && http_target_parse(&request->target, path, query, &request->arena))
        return false;
    http_problem(request, 400, "bad-target", VIEW_NONE,
                 "the path or query is not percent-encoded UTF-8 text, or has too many pieces");
    return true;
}

static enum http_method method_of(enum evhttp_cmd_type command)
{
    if (command == EVHTTP_REQ_GET || command == EVHTTP_REQ_HEAD)
        return HTTP_GET;
    if (command == EVHTTP_REQ_POST)
        return HTTP_POST;
    if (command == EVHTTP_REQ_PUT)
        return HTTP_PUT;
    return command == EVHTTP_REQ_DELETE ? HTTP_DELETE : 0;
}

/* Finds the route, or answers 404 or 405. */
static bool refuse_route(struct http_request *request, const struct http_rules *rules)
{
    enum http_method method = method_of(evhttp_request_get_command(request->evreq));
    unsigned allowed = 0;
    AUTO(buf_clear) struct buf allow = {0};

    for (size_t i = 0; i < rules->route_count; i++) {
        if (!http_target_matches(&request->target, rules->routes[i].path))
            continue;
        if (rules->routes[i].method == method) {
            request->route = &rules->routes[i];
            return false;
        }
        allowed |= rules->routes[i].method;
    }
    if (allowed == 0) {
        http_problem(request, 404, "unknown-path", VIEW_NONE, "there is nothing at this path");
        return true;
    }
    if (allowed & HTTP_GET)
        buf_append_str(&allow, "GET, HEAD");
    for (enum http_method m = HTTP_POST; m <= HTTP_DELETE; m *= 2)
        if (allowed & m)
            buf_printf(&allow, "%s%s", allow.size > 0 ? ", " : "", http_method_name(m));
    http_reply_header(request, "Allow", buf_cstr(&allow));
    http_problem(request, 405, "method-not-allowed", VIEW_NONE, "this path takes %s", allow.data);
    return true;
}

/* --- Who asks, and with what ----------------------------------------------------------------- */

static enum role role_of_name(const char *name)
{
    static const struct {
        const char *name;
        enum role role;
    } roles[] = {
        {"customer", ROLE_CUSTOMER},
        {"service", ROLE_SERVICE},
        {"operator", ROLE_OPERATOR},
        {"analyst", ROLE_ANALYST},
    };

    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].name, name) == 0)
            return roles[i].role;
    return ROLE_ANY;
}

static struct view bearer_token(const struct http_request *request)
{
    struct view value = http_header(request, "Authorization");

    if (value.size <= 7 || strncasecmp(value.data, "Bearer ", 7) != 0)
        return VIEW_NONE;
    return view_of(value.data + 7, value.size - 7);
}

static bool refuse_caller(struct http_request *request, const struct http_rules *rules)
{
    struct view token = bearer_token(request);
    struct err err = {0};

    if (request->route->roles == ROLE_ANY)
        return false;
    if (token.data == NULL) {
        http_reply_header(request, "WWW-Authenticate", "Bearer");
        http_problem(request, 401, "no-token", VIEW_NONE, "want Authorization: Bearer TOKEN");
        return true;
    }
    if (token_verify(rules->verifier, token, clock_utc_us() / 1000000, &request->claims, &err) !=
        ERR_OK) {
        http_reply_header(request, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
        http_problem(request, 401, "bad-token", VIEW_NONE, "%s", err.text);
        return true;
    }
    request->caller.role = role_of_name(request->claims.role);
    request->caller.subject = request->claims.subject;
    if (request->caller.role != ROLE_ANY && (request->caller.role & request->route->roles) != 0)
        return false;
    http_reply_header(request, "WWW-Authenticate", "Bearer error=\"insufficient_scope\"");
    http_problem(request, 403, "wrong-role", VIEW_NONE, "role %s may not do this",
                 request->claims.role);
    return true;
}

static bool is_json_type(struct view type)
{
    size_t length = type.data != NULL ? strcspn(type.data, "; \t") : 0;

    return (length == 16 && strncasecmp(type.data, "application/json", 16) == 0) ||
           (length > 5 && strncasecmp(type.data + length - 5, "+json", 5) == 0);
}

static bool refuse_body(struct http_request *request)
{
    size_t size = request->body.size, max = request->route->body_max_bytes;

    if (size == 0)
        return false;
    if (max == 0) {
        http_problem(request, 400, "unexpected-body", VIEW_NONE, "%zu bytes of body, want none",
                     size);
        return true;
    }
    if (size > max) {
        http_problem(request, 413, "body-too-large", VIEW_NONE,
                     "%zu bytes of body, want at most %zu", size, max);
        return true;
    }
    if (!is_json_type(http_header(request, "Content-Type"))) {
        http_problem(request, 415, "not-json", VIEW_NONE, "Content-Type is not application/json");
        return true;
    }
    return false;
}

static bool refuse_stopping(struct http_request *request, const struct http_rules *rules)
{
    if (!rules->stopping)
        return false;
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, "stopping", VIEW_NONE, "this instance is about to end");
    return true;
}

bool http_refuse(struct http_request *request, const struct http_rules *rules)
{
    return refuse_framing(request) || refuse_stopping(request, rules) || refuse_target(request) ||
           refuse_route(request, rules) || refuse_caller(request, rules) || refuse_body(request);
}
