#include "events/path.h"

#include <stdio.h>

static void prepend(struct path *path, struct view text)
{
    size_t room = sizeof path->text - 1 - path->length;

    if (text.size > room)
        return;
    path->length += text.size;
    memcpy(path->text + sizeof path->text - 1 - path->length, text.data, text.size);
}

void path_in_field(struct path *path, struct view name)
{
    if (path->length > 0 && path_text(path)[0] != '[')
        prepend(path, VIEW_LITERAL("."));
    prepend(path, name);
}

void path_in_item(struct path *path, size_t index)
{
    char text[32];

    if (path->length > 0 && path_text(path)[0] != '[')
        prepend(path, VIEW_LITERAL("."));
    snprintf(text, sizeof text, "[%zu]", index);
    prepend(path, view_str(text));
}

const char *path_text(const struct path *path)
{
    return path->text + sizeof path->text - 1 - path->length;
}
