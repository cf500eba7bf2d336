#include "runtime/clock.h"
#include "runtime/http_internal.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/queue.h>

#define HTTP_JSON_VALUES_MAX 100000
/* What is kept of a request for the next one: with most, the first block of the arena. */
#define HTTP_KEPT_BYTES (64u * 1024u)

/* --- Words ----------------------------------------------------------------------------------- */

const char *http_status_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return status < 400 ? "OK" : status < 500 ? "Refused" : "Failed";
}

const char *http_method_name(enum http_method method)
{
    switch (method) {
    case HTTP_GET:
        return "GET";
    case HTTP_POST:
        return "POST";
    case HTTP_PUT:
        return "PUT";
    case HTTP_DELETE:
        return "DELETE";
    }
    return "";
}

/* --- Memory ---------------------------------------------------------------------------------- */

struct http_request *http_request_new(void)
{
    struct http_request *request = mem_alloc(sizeof *request);

    request->body_buffer = evbuffer_new();
    request->reply = evbuffer_new();
    if (request->body_buffer == NULL || request->reply == NULL)
        abort();
    return request;
}

void http_request_free(struct http_request *request)
{
    evbuffer_free(request->body_buffer);
    evbuffer_free(request->reply);
    arena_clear(&request->arena);
    free(request);
}

bool http_request_reset(struct http_request *request)
{
    if (request->arena.total > HTTP_KEPT_BYTES)
        return false;
    arena_reset(&request->arena);
    evbuffer_drain(request->body_buffer, request->body.size);
    evbuffer_drain(request->reply, evbuffer_get_length(request->reply));
    return true;
}

static void take_headers(struct http_request *request)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(request->evreq);
    const struct evkeyval *header;
    size_t count = 0;

    TAILQ_FOREACH(header, headers, next) count++;
    request->headers = arena_array(&request->arena, count, sizeof *request->headers);
    TAILQ_FOREACH(header, headers, next)
    {
        struct header *copy = &request->headers[request->header_count++];

        copy->name = arena_view(&request->arena, view_str(header->key));
        copy->value = arena_view(&request->arena, view_str(header->value));
    }
}

void http_request_take(struct http_request *request, struct evhttp_request *evreq)
{
    request->started_us = clock_monotonic_us();
    request->evreq = evreq;
    request->route = NULL;
    request->header_count = 0;
    request->caller = (struct http_caller){.role = ROLE_ANY, .subject = ""};
    request->is_head = evhttp_request_get_command(evreq) == EVHTTP_REQ_HEAD;
    request->close = false;
    request->reply_headers = NULL;
    evbuffer_add_buffer(request->body_buffer, evhttp_request_get_input_buffer(evreq));
    request->body = view_of(evbuffer_pullup(request->body_buffer, -1),
                            evbuffer_get_length(request->body_buffer));
    take_headers(request);
}

/* --- What a handler reads -------------------------------------------------------------------- */

struct arena *http_arena(struct http_request *request)
{
    return &request->arena;
}

const struct http_caller *http_caller(const struct http_request *request)
{
    return &request->caller;
}

const struct http_route *http_route(const struct http_request *request)
{
    return request->route;
}

struct view http_path_param(const struct http_request *request, const char *name)
{
    return http_target_param(&request->target, request->route->path, name);
}

struct view http_query_param(const struct http_request *request, const char *name)
{
    return http_target_query(&request->target, name);
}

bool http_query_int64(struct http_request *request, const char *name, int64_t min, int64_t max,
                      int64_t *out)
{
    struct view text = http_query_param(request, name);
    int64_t value;

    if (text.data == NULL)
        return true;
    if (!view_to_int64(text, &value) || value < min || value > max) {
        http_problem(request, 400, "invalid-parameter", VIEW_NONE,
                     "%s \"%.*s\", want %" PRId64 " to %" PRId64, name, VIEW_PRINT(text), min, max);
        return false;
    }
    *out = value;
    return true;
}

struct view http_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name.data, name) == 0)
            return request->headers[i].value;
    return VIEW_NONE;
}

struct view http_body(const struct http_request *request)
{
    return request->body;
}

const struct json *http_body_json(struct http_request *request)
{
    struct view body = http_body(request);
    struct json *root = NULL;
    struct err err = {0};

    if (body.size == 0)
        http_problem(request, 400, "not-json", VIEW_NONE, "no body, want a JSON document");
    else if (json_parse_bounded(&root, body, HTTP_JSON_VALUES_MAX, &request->arena, &err) != ERR_OK)
        http_problem(request, 400, "not-json", VIEW_NONE, "%s", err.text);
    return root;
}

/* --- What a handler says, beside http_reply -------------------------------------------------- */

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    struct header *header = arena_alloc(&request->arena, sizeof *header);
    struct header **end = &request->reply_headers;

    header->name = arena_view(&request->arena, view_str(name));
    header->value = arena_view(&request->arena, view_str(value));
    while (*end != NULL)
        end = &(*end)->next;
    *end = header;
}

void http_write_problem(struct buf *out, int status, const char *type, struct view pointer,
                        const char *detail)
{
    struct json_writer writer = {.out = out};
    char urn[100];

    snprintf(urn, sizeof urn, "urn:tradewind:problem:%s", type);
    json_object_start(&writer);
    json_member_str(&writer, "type", urn);
    json_member_str(&writer, "title", http_status_title(status));
    json_member_int64(&writer, "status", status);
    json_member_str(&writer, "detail", detail);
    if (pointer.data != NULL)
        json_member_text(&writer, "pointer", pointer);
    json_object_end(&writer);
}

void http_problem(struct http_request *request, int status, const char *type, struct view pointer,
                  const char *detail_format, ...)
{
    AUTO(buf_clear) struct buf body = {0};
    char detail[500];
    va_list args;

    va_start(args, detail_format);
    vsnprintf(detail, sizeof detail, detail_format, args);
    va_end(args);
    http_write_problem(&body, status, type, pointer, detail);
    http_reply(request, status, "application/problem+json", buf_view(&body));
}

void http_problem_reader(struct http_request *request, const struct json_reader *reader)
{
    http_problem(request, 422, "invalid-request", reader->pointer, "%s", reader->err.text);
}
