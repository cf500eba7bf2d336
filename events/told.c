/* An action of an operator that no part carries out (offsets of a group, topics): a part is asked
 * to tell of it after it was done, as it tells of its own. */
#include "events/host.h"
#include "runtime/clock.h"

#include <stdlib.h>

#define ACTION_MAX 64
#define SUBJECT_MAX 256

struct telling {
    struct command command; /* COMMAND_TELL */
    struct http_request *request;
    struct operation operation;
    struct action action; /* in the request's arena */
};

static enum err_kind record(struct unit *unit, void *context, struct err *err)
{
    struct telling *telling = context;

    (void)err;
    unit_record(unit, &telling->action);
    return ERR_OK;
}

enum err_kind tell_command(struct host *host, struct command *command, struct err *err)
{
    struct telling *telling = (struct telling *)command;
    int64_t started_us = clock_monotonic_us();
    struct unit unit = worker_unit(host, NULL, 0);
    enum err_kind kind;
    bool fenced;

    telling->action.operation = &telling->operation;
    unit.operation = &telling->operation;
    unit.conclude = record;
    unit.conclude_context = telling;
    kind = worker_make_unit(&unit, &fenced, err);
    if (kind == ERR_OK)
        worker_unit_is_stored(&unit, started_us);
    return kind;
}

/* The worker. */
static void answer(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct telling *telling = (struct telling *)command;

    if (outcome == ERR_OK)
        http_reply(telling->request, 200, NULL, view_str("{\"told\":true}"));
    else
        http_problem(telling->request, 503, "busy", VIEW_NONE, "%s", err->text);
    free(telling);
}

static struct view document(struct http_request *request, const struct json *body, const char *name)
{
    const struct json *member = json_member(body, name);
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer writer = {.out = &text};

    if (member == NULL)
        return VIEW_LITERAL("null");
    json_put_tree(&writer, member);
    return arena_view(http_arena(request), buf_view(&text));
}

static bool is_action(struct view name)
{
    for (size_t i = 0; i < name.size; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz_.", name.data[i]) == NULL)
            return false;
    return name.size > 0 && name.size <= ACTION_MAX;
}

/* False: the request has been answered with what is wrong. */
static bool read_telling(struct http_request *request, struct telling *out)
{
    struct view action = http_query_param(request, "action");
    struct view subject = http_query_param(request, "subject");
    const struct json *body;

    if (!is_action(action) || subject.size == 0 || subject.size > SUBJECT_MAX) {
        http_problem(request, 400, "bad-query", VIEW_NONE,
                     "want an action like offsets.reset, and its subject");
        return false;
    }
    if (!operation_read(request, &out->operation) || (body = http_body_json(request)) == NULL)
        return false;
    out->action = (struct action){
        .name = arena_view(http_arena(request), action).data,
        .subject = arena_view(http_arena(request), subject),
        .before = document(request, body, "before"),
        .after = document(request, body, "after"),
    };
    return true;
}

void actions_tell(struct http_request *request, void *context)
{
    struct telling telling = {.command = {.kind = COMMAND_TELL, .done = answer},
                              .request = request};
    struct telling *kept;

    if (!host_has_started(context, request) || !read_telling(request, &telling))
        return;
    kept = mem_alloc(sizeof *kept);
    *kept = telling;
    if (host_submit(context, &kept->command))
        return;
    http_problem(request, 503, "busy", VIEW_NONE, "the part takes no commands now");
    free(kept);
}
