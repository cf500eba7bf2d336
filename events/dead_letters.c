/* Dead letters over HTTP, for operators: list, show, bring back, drop. The row in the part's store
 * is the truth; the worker changes it (events/redrive.c). */
#include "events/host.h"
#include "runtime/clock.h"
#include "runtime/headers.h"

#include <inttypes.h>
#include <stdlib.h>

#define PAGE 200 /* letters that are read at once: a filter may pass over most of them */
#define LIMIT_MAX 10000
#define LIMIT_DEFAULT 1000
#define REASON_MAX 1000

/* --- What a letter says of itself ------------------------------------------------------------- */

static struct view header_of(struct view block, const char *name)
{
    struct headers headers;
    struct header header;

    if (headers_read(&headers, block, NULL) != ERR_OK)
        return VIEW_NONE;
    while (headers_next(&headers, &header))
        if (view_equals(header.name, name))
            return header.value;
    return VIEW_NONE;
}

static void put_letter(struct json_writer *writer, const struct host *host,
                       const struct dead_letter *dead)
{
    json_member_int64(writer, "id", dead->id);
    json_member_str(writer, "part", host->part->name);
    json_member_text(writer, "type", header_of(dead->headers, "ce_type"));
    json_member_text(writer, "key", dead->key);
    json_member_str(writer, "reason", dead_reason_name(dead->reason));
    json_member_str(writer, "error", dead->error);
    json_member_int64(writer, "attempts", dead->attempts);
    json_member_str(writer, "topic", dead->topic);
    json_member_int64(writer, "partition", dead->partition);
    json_member_int64(writer, "offset", dead->offset);
    json_key(writer, "number");
    if (dead->number > 0)
        json_put_int64(writer, (int64_t)dead->number);
    else
        json_put_null(writer);
    json_member_time_us(writer, "written_at", dead->time_ms * 1000);
    json_member_time_us(writer, "set_aside_at", dead->set_aside_us);
    json_member_bool(writer, "copied", dead->copied);
}

/* --- List ---------------------------------------------------------------------------------------
 */

struct listing {
    const struct host *host;
    struct view type, key; /* VIEW_NONE: any */
    bool by_reason;
    enum dead_reason reason;
    int64_t from_us, to_us;
    int64_t after, left;
    size_t read;
    struct json_writer writer;
};

static bool is_wanted(const struct listing *listing, const struct dead_letter *dead)
{
    return (!listing->by_reason || dead->reason == listing->reason) &&
           (listing->key.data == NULL || view_equal(listing->key, dead->key)) &&
           (listing->type.data == NULL ||
            view_equal(listing->type, header_of(dead->headers, "ce_type"))) &&
           dead->set_aside_us >= listing->from_us && dead->set_aside_us < listing->to_us;
}

static void list_letter(void *context, const struct dead_letter *dead)
{
    struct listing *listing = context;

    listing->read++;
    listing->after = dead->id;
    if (listing->left == 0 || !is_wanted(listing, dead))
        return;
    listing->left--;
    json_object_start(&listing->writer);
    put_letter(&listing->writer, listing->host, dead);
    json_object_end(&listing->writer);
}

static bool read_time(struct http_request *request, const char *name, int64_t *out)
{
    struct view text = http_query_param(request, name);

    if (text.data == NULL || clock_parse_rfc3339(text.data, text.size, out) == 0)
        return true;
    http_problem(request, 400, "bad-query", VIEW_NONE, "%s: want a time like 2026-01-31T12:00:00Z",
                 name);
    return false;
}

/* False: the request has been answered with what is wrong. */
static bool read_listing(struct http_request *request, struct listing *listing)
{
    struct view reason = http_query_param(request, "reason");

    listing->type = http_query_param(request, "type");
    listing->key = http_query_param(request, "key");
    listing->by_reason = reason.data != NULL;
    listing->from_us = INT64_MIN;
    listing->to_us = INT64_MAX;
    listing->left = LIMIT_DEFAULT;
    if (listing->by_reason && !dead_reason_from_name(reason, &listing->reason)) {
        http_problem(request, 400, "bad-query", VIEW_NONE,
                     "reason: there is none called '%.*s'; want no_number, undecodable, "
                     "unknown_schema, impossible, refused, parked or undecided",
                     VIEW_PRINT(reason));
        return false;
    }
    return read_time(request, "from", &listing->from_us) &&
           read_time(request, "to", &listing->to_us) &&
           http_query_int64(request, "after", 0, INT64_MAX, &listing->after) &&
           http_query_int64(request, "limit", 1, LIMIT_MAX, &listing->left);
}

static void cannot_read(struct http_request *request, const struct err *err)
{
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, "store-unavailable", VIEW_NONE,
                 "dead letters cannot be read now: %s", err->text);
}

/* The query thread. */
static void answer_list(struct host *host, struct http_request *request, struct pg *pg)
{
    AUTO(buf_clear) struct buf out = {0};
    struct listing listing = {.host = host, .writer = {.out = &out}};
    enum err_kind kind = ERR_OK;
    struct err err;

    (void)pg;
    if (!read_listing(request, &listing))
        return;
    json_array_start(&listing.writer);
    do {
        listing.read = 0;
        kind = host->store.list_dead_letters(host->store.self, listing.after, PAGE, list_letter,
                                             &listing, &err);
    } while (kind == ERR_OK && listing.read == PAGE && listing.left > 0);
    json_array_end(&listing.writer);
    if (kind != ERR_OK)
        cannot_read(request, &err);
    else
        http_reply(request, 200, NULL, buf_view(&out));
}

bool host_has_started(struct host *host, struct http_request *request)
{
    if (atomic_load(&host->flowing))
        return true;
    http_reply_header(request, "Retry-After", "1");
    http_problem(request, 503, "starting", VIEW_NONE,
                 "%s is waiting for its servers: try again in a second", host->part->name);
    return false;
}

void dead_letters_list(struct http_request *request, void *context)
{
    if (host_has_started(context, request))
        host_query(context, request, answer_list);
}

/* --- Show ---------------------------------------------------------------------------------------
 */

static void put_headers(struct json_writer *writer, struct view block)
{
    struct headers headers;
    struct header header;

    json_key(writer, "headers");
    json_array_start(writer);
    if (headers_read(&headers, block, NULL) == ERR_OK)
        while (headers_next(&headers, &header)) {
            json_object_start(writer);
            json_member_text(writer, "name", header.name);
            json_member_text(writer, "value", header.value);
            json_object_end(writer);
        }
    json_array_end(writer);
}

/* The event as its writer wrote it, or why nobody can tell. */
static void put_event(struct json_writer *writer, const struct host *host, struct view value)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer event = {.out = &text};
    struct err err;

    if (event_print_any_json(&event, value, host->ids, &err) == ERR_OK) {
        json_key(writer, "event");
        json_put_raw(writer, buf_view(&text));
    } else {
        json_member_str(writer, "not_an_event", err.text);
    }
}

/* False: it is no number, and the request has been answered. */
static bool path_id(struct http_request *request, int64_t *id)
{
    struct view text = http_path_param(request, "id");

    if (view_to_int64(text, id) && *id > 0)
        return true;
    http_problem(request, 404, "dead-letter", VIEW_NONE, "dead letter %.*s: want its number",
                 VIEW_PRINT(text));
    return false;
}

static void answer_show(struct host *host, struct http_request *request, struct pg *pg)
{
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};
    const struct dead_letter *dead;
    struct err err;
    int64_t id;

    (void)pg;
    if (!path_id(request, &id))
        return;
    if (host->store.find_dead_letter(host->store.self, id, &dead, http_arena(request), &err) !=
        ERR_OK) {
        cannot_read(request, &err);
        return;
    }
    if (dead == NULL) {
        http_problem(request, 404, "dead-letter", VIEW_NONE,
                     "dead letter %" PRId64 ": there is none with this number", id);
        return;
    }
    json_object_start(&writer);
    put_letter(&writer, host, dead);
    json_member_int64(&writer, "attempts_max", DEAD_ATTEMPTS_MAX);
    put_headers(&writer, dead->headers);
    put_event(&writer, host, dead->value);
    json_key(&writer, "key_base64");
    json_put_base64(&writer, dead->key);
    json_key(&writer, "value_base64");
    json_put_base64(&writer, dead->value);
    json_object_end(&writer);
    http_reply(request, 200, NULL, buf_view(&out));
}

void dead_letters_show(struct http_request *request, void *context)
{
    if (host_has_started(context, request))
        host_query(context, request, answer_show);
}

/* --- Bring back, drop ---------------------------------------------------------------------------
 */

/* The worker. */
static void brought_back(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct bring_back *back = (struct bring_back *)command;

    if (outcome == ERR_OK)
        http_reply(back->request, 200, NULL, buf_view(&back->report));
    else if (outcome == ERR_REJECT)
        http_problem(back->request, 409, "dead-letter", VIEW_NONE, "%s", err->text);
    else
        http_problem(back->request, 503, "busy", VIEW_NONE, "%s", err->text);
    buf_clear(&back->report);
    free(back);
}

bool host_read_flag(struct http_request *request, const char *name, bool *out)
{
    struct view text = http_query_param(request, name);

    *out = view_equals(text, "true");
    if (text.data == NULL || *out || view_equals(text, "false"))
        return true;
    http_problem(request, 400, "bad-query", VIEW_NONE, "%s: want true or false", name);
    return false;
}

bool operation_read(struct http_request *request, struct operation *out)
{
    struct view reason = http_query_param(request, "because");

    *out = (struct operation){
        .actor = arena_strdup(http_arena(request), http_caller(request)->subject),
        .reason = arena_printf(http_arena(request), "%.*s", VIEW_PRINT(reason)).data};
    if (reason.size <= REASON_MAX)
        return true;
    http_problem(request, 400, "bad-query", VIEW_NONE, "because: %zu bytes, want at most %d",
                 reason.size, REASON_MAX);
    return false;
}

static void submit(struct http_request *request, struct host *host, int kind)
{
    struct bring_back *back;
    struct operation operation;
    bool dry_run, beyond_limit;
    int64_t id;

    if (!host_has_started(host, request) || !path_id(request, &id) ||
        !host_read_flag(request, "dry_run", &dry_run) ||
        !host_read_flag(request, "beyond_limit", &beyond_limit) || !operation_read(request, &operation))
        return;
    back = mem_alloc(sizeof *back);
    *back = (struct bring_back){.command = {.kind = kind, .done = brought_back},
                                .request = request,
                                .id = id,
                                .operation = operation,
                                .dry_run = dry_run,
                                .beyond_limit = beyond_limit};
    if (host_submit(host, &back->command))
        return;
    http_problem(request, 503, "busy", VIEW_NONE, "the part takes no commands now");
    free(back);
}

void dead_letters_redrive(struct http_request *request, void *context)
{
    submit(request, context, COMMAND_REDRIVE);
}

void dead_letters_drop(struct http_request *request, void *context)
{
    submit(request, context, COMMAND_DROP);
}
