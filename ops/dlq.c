#include "ops/dlq.h"

#include "runtime/clock.h"

#include <time.h>

#define PAGE 1000
#define ANSWER_MS 30000
/* The door slows an operator down, a part may be taking its work over: asked again so often. */
#define TRIES 5

const char *dlq_text(const struct json *letter, const char *name, struct arena *arena)
{
    const struct json *member = json_member(letter, name);

    if (member == NULL || member->kind == JSON_NULL)
        return "-";
    return arena_view(arena, member->text).data;
}

/* The problem document that a part or the door answered with. */
static enum err_kind refused(const struct part_call *call, struct arena *arena, struct err *err)
{
    struct json *problem;
    const char *detail = "";

    if (json_parse(&problem, call->body, arena, NULL) == ERR_OK)
        detail = dlq_text(problem, "detail", arena);
    return err_set(err, call->status == 503 || call->status == 429 ? ERR_RETRY : ERR_REJECT,
                   "%s: %s (HTTP %d)", call->part, detail, call->status);
}

static enum err_kind ask(const struct json **out, struct part_call *call, struct arena *arena,
                         struct err *err)
{
    const struct timespec second = {.tv_sec = 1};
    struct json *root;
    enum err_kind kind;

    call->through_door = true;
    call->timeout_ms = ANSWER_MS;
    for (int i = 1;; i++) {
        kind = part_call_all(call, 1, arena, err);
        if (kind != ERR_OK)
            return kind;
        if ((call->status != 503 && call->status != 429) || i == TRIES)
            break;
        nanosleep(&second, NULL);
    }
    if (call->status == 0)
        return err_set(err, ERR_RETRY, "%s does not answer through the door", call->part);
    if (call->status != 200)
        return refused(call, arena, err);
    if (json_parse_deep(&root, call->body, arena, NULL) != ERR_OK)
        return err_set(err, ERR_REJECT, "%s answers something else than JSON", call->part);
    *out = root;
    return ERR_OK;
}

static void add_parameter(struct buf *path, const char *name, const char *value)
{
    buf_printf(path, "&%s=", name);
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++)
        buf_printf(path, "%%%02X", *c);
}

static void add_time(struct buf *path, const char *name, int64_t utc_us)
{
    char time[CLOCK_RFC3339_SIZE];

    if (utc_us == 0)
        return;
    clock_format_rfc3339(utc_us, time);
    add_parameter(path, name, time);
}

static void add_filter(struct buf *path, const struct dlq_filter *filter)
{
    if (filter->type != NULL)
        add_parameter(path, "type", filter->type);
    if (filter->key != NULL)
        add_parameter(path, "key", filter->key);
    if (filter->reason != NULL)
        add_parameter(path, "reason", filter->reason);
    add_time(path, "from", filter->from_us);
    add_time(path, "to", filter->to_us);
}

static void add_letters(struct dlq_list *list, const struct json *page, struct arena *arena)
{
    for (size_t i = 0; i < page->count; i++) {
        if (list->count == list->capacity) {
            size_t capacity = list->capacity > 0 ? 2 * list->capacity : 64;
            const struct json **grown = arena_array(arena, capacity, sizeof *grown);

            for (size_t j = 0; j < list->count; j++)
                grown[j] = list->letters[j];
            list->letters = grown;
            list->capacity = capacity;
        }
        list->letters[list->count++] = &page->items[i];
    }
}

enum err_kind dlq_read(struct dlq_list *out, const char *part, const struct dlq_filter *filter,
                       const char *token, struct arena *arena, struct err *err)
{
    const char *after = "0";
    const struct json *page;

    do {
        AUTO(buf_clear) struct buf path = {0};
        struct part_call call = {.part = part, .token = token};
        enum err_kind kind;

        buf_printf(&path, "/dead-letters?limit=%d&after=%s", PAGE, after);
        add_filter(&path, filter);
        call.path = buf_cstr(&path);
        kind = ask(&page, &call, arena, err);
        if (kind != ERR_OK)
            return kind;
        if (page->kind != JSON_ARRAY)
            return err_set(err, ERR_REJECT, "%s answers something else than a list", part);
        add_letters(out, page, arena);
        if (page->count > 0)
            after = dlq_text(&page->items[page->count - 1], "id", arena);
    } while (page->count == PAGE);
    return ERR_OK;
}

enum err_kind dlq_read_one(const struct json **out, const char *part, const char *id,
                           const char *token, struct arena *arena, struct err *err)
{
    struct part_call call = {
        .part = part, .path = arena_printf(arena, "/dead-letters/%s", id).data, .token = token};

    return ask(out, &call, arena, err);
}

enum err_kind dlq_act(const struct json **out, const char *part, const char *id,
                      const struct dlq_action *action, const char *token, struct arena *arena,
                      struct err *err)
{
    AUTO(buf_clear) struct buf path = {0};
    struct part_call call = {.part = part, .method = "POST", .token = token};

    buf_printf(&path, "/dead-letters/%s/%s?dry_run=%s&beyond_limit=%s", id, action->verb,
               action->dry_run ? "true" : "false", action->beyond_limit ? "true" : "false");
    if (action->because != NULL)
        add_parameter(&path, "because", action->because);
    call.path = buf_cstr(&path);
    return ask(out, &call, arena, err);
}
