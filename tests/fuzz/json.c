/* Fuzz: JSON in and out. What is accepted is written and read again as the same; a reader that
 * fails names the place and the reason. */
#include "runtime/json.h"

#include "tests/fuzz/fuzz.h"

static size_t look_at_tree(const struct json *node, size_t depth, struct arena *arena)
{
    struct view pointer = json_pointer(node, NULL, arena);
    size_t values = 1;
    int64_t whole;

    HOLDS(depth <= JSON_DEPTH_MAX, "too deep");
    HOLDS((pointer.size == 0) == (node->parent == NULL), "the root alone has an empty pointer");
    HOLDS(node->text.size == 0 || view_is_utf8(node->text), "text");
    if (json_to_int64(node, &whole) && whole != 0) {
        AUTO(buf_clear) struct buf text = {0};
        struct json_writer writer = {.out = &text};

        json_put_int64(&writer, whole);
        HOLDS(view_equal(buf_view(&text), node->text), "a number that is another");
    }
    for (size_t i = 0; i < node->count; i++) {
        HOLDS(node->items[i].parent == node, "parent");
        values += look_at_tree(&node->items[i], depth + 1, arena);
    }
    return values;
}

static void read_shape(const struct json *root, struct arena *arena)
{
    struct json_reader reader = {.arena = arena};
    struct view text;
    int64_t whole;

    json_only(&reader, root, (const char *const[]){"a", "b", "c", "d", "e", NULL});
    text = json_read_text(&reader, root, "a", 1, 8);
    whole = json_read_int64(&reader, root, "b", -5, 100);
    json_read_text_optional(&reader, root, "c", 0, 4);
    json_read_bool_optional(&reader, root, "d", true);
    json_read_array(&reader, root, "e", 0, 3);
    if (reader.failed)
        HOLDS(reader.err.text[0] != '\0' && reader.pointer.data != NULL, "no reason");
    else
        HOLDS(text.size >= 1 && text.size <= 8 && whole >= -5 && whole <= 100, "its bounds");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf once = {0}, twice = {0};
    struct json_writer first = {.out = &once}, second = {.out = &twice};
    struct view text = view_of(data, size);
    struct json *root, *again;
    struct err err = {0};
    enum err_kind kind = json_parse(&root, text, &arena, &err);
    size_t values;

    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return 0;
    }
    values = look_at_tree(root, 0, &arena);
    HOLDS(json_parse_bounded(&again, text, values, &arena, &err) == ERR_OK, err.text);
    HOLDS(json_parse_bounded(&again, text, values - 1, &arena, &err) == ERR_REJECT, "one less");
    json_put_tree(&first, root);
    HOLDS(json_parse(&again, buf_view(&once), &arena, &err) == ERR_OK, err.text);
    json_put_tree(&second, again);
    HOLDS(view_equal(buf_view(&once), buf_view(&twice)), "what was written is read as another");
    read_shape(root, &arena);
    return 0;
}
