#include "ops/tell.h"

#include "ops/parts.h"

enum err_kind ops_tell(const struct told *told, const char *except, const char *token,
                       struct arena *arena, struct err *err)
{
    AUTO(buf_clear) struct buf path = {0};
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer json = {.out = &body};
    const struct json *answer;

    buf_printf(&path, "/actions?action=%s", told->action);
    part_add_parameter(&path, "subject", told->subject);
    if (told->because != NULL)
        part_add_parameter(&path, "because", told->because);
    json_object_start(&json);
    json_key(&json, "before");
    json_put_raw(&json, told->before);
    json_key(&json, "after");
    json_put_raw(&json, told->after);
    json_object_end(&json);
    for (size_t i = 0; i < ops_part_count; i++) {
        struct part_call call = {.part = ops_parts[i].name,
                                 .method = "POST",
                                 .path = buf_cstr(&path),
                                 .token = token,
                                 .body = buf_view(&body)};

        if (except != NULL && strcmp(except, ops_parts[i].name) == 0)
            continue;
        if (part_ask_soon(&answer, &call, arena, NULL) == ERR_OK)
            return ERR_OK;
    }
    return err_set(err, ERR_RETRY,
                   "%s of %s was done, and no part answers that could tell of it: it is not in the "
                   "log of what operators did",
                   told->action, told->subject);
}
