#include "ops/dlq.h"

#include "runtime/clock.h"

#define PAGE 1000

static void add_time(struct buf *path, const char *name, int64_t utc_us)
{
    char time[CLOCK_RFC3339_SIZE];

    if (utc_us == 0)
        return;
    clock_format_rfc3339(utc_us, time);
    part_add_parameter(path, name, time);
}

static void add_filter(struct buf *path, const struct dlq_filter *filter)
{
    if (filter->type != NULL)
        part_add_parameter(path, "type", filter->type);
    if (filter->key != NULL)
        part_add_parameter(path, "key", filter->key);
    if (filter->reason != NULL)
        part_add_parameter(path, "reason", filter->reason);
    add_time(path, "from", filter->from_us);
    add_time(path, "to", filter->to_us);
}

static void add_letters(struct dlq_list *list, const struct json *page, struct arena *arena)
{
    for (size_t i = 0; i < page->count; i++) {
        list->letters =
            arena_room(arena, list->letters, list->count, &list->capacity, sizeof *list->letters);
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
        kind = part_ask(&page, &call, arena, err);
        if (kind != ERR_OK)
            return kind;
        if (page->kind != JSON_ARRAY)
            return err_set(err, ERR_REJECT, "%s answers something else than a list", part);
        add_letters(out, page, arena);
        if (page->count > 0)
            after = part_text(&page->items[page->count - 1], "id", arena);
    } while (page->count == PAGE);
    return ERR_OK;
}

enum err_kind dlq_read_one(const struct json **out, const char *part, const char *id,
                           const char *token, struct arena *arena, struct err *err)
{
    struct part_call call = {
        .part = part, .path = arena_printf(arena, "/dead-letters/%s", id).data, .token = token};

    return part_ask(out, &call, arena, err);
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
        part_add_parameter(&path, "because", action->because);
    call.path = buf_cstr(&path);
    return part_ask(out, &call, arena, err);
}
