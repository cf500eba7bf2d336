#include "events/sku.h"

static bool is_sku(struct view text)
{
    if (text.size == 0 || text.size > SKU_MAX || text.data[0] == ' ' ||
        text.data[text.size - 1] == ' ')
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    return true;
}

struct view sku_fold(struct view text, struct arena *arena)
{
    char *folded;

    if (!is_sku(text))
        return VIEW_NONE;
    folded = arena_alloc(arena, text.size + 1);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];

        folded[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return view_of(folded, text.size);
}

struct view sku_read(struct json_reader *reader, const struct json *object)
{
    struct view text = json_read_text(reader, object, "sku", 1, SKU_MAX);
    struct view sku;

    if (reader->failed)
        return VIEW_NONE;
    sku = sku_fold(text, reader->arena);
    if (sku.data == NULL)
        json_fail(reader, json_member(object, "sku"), "SKU \"%.*s\", want " SKU_WANTED,
                  VIEW_PRINT(text));
    return sku;
}
