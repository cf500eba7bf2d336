/* What is printed and drawn is the table, and so is what stands in docs/saga/. */

#include "runtime/json.h"
#include "saga/draw.h"
#include "saga/explain.h"

#include <criterion/criterion.h>

#include <stdio.h>

/* A file of the source tree, which is where meson runs the tests. */
static void read_file(struct buf *out, const char *folder_and_name, const char *extension)
{
    char path[128];
    char chunk[4096];
    size_t size;

    snprintf(path, sizeof path, "docs/saga/%s.%s", folder_and_name, extension);
    FILE *file = fopen(path, "r");

    cr_assert_not_null(file, "%s cannot be read: run the tests in the root of the source", path);
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_append(out, chunk, size);
    fclose(file);
}

/* The name of a drawing and what it shows; PART_NONE: the flow. */
static const char *drawing(struct buf *out, enum saga_part part)
{
    if (part == PART_NONE) {
        saga_draw_flow(out);
        return "flow";
    }
    saga_draw_part(out, part);
    return saga_part_name(part);
}

Test(saga_explain, has_its_table_in_the_docs)
{
    AUTO(buf_clear) struct buf table = {0};
    AUTO(buf_clear) struct buf written = {0};

    saga_explain_markdown(&table);
    read_file(&written, "table", "md");

    cr_expect(view_equal(buf_view(&table), buf_view(&written)),
              "docs/saga/table.md is not the table: run docs/saga/draw");
}

Test(saga_explain, has_its_drawings_in_the_docs)
{
    for (enum saga_part part = 0; part <= PART_NONE; part++) {
        AUTO(buf_clear) struct buf dot = {0};
        AUTO(buf_clear) struct buf written = {0};
        const char *name = drawing(&dot, part);

        read_file(&written, name, "dot");

        cr_expect(view_equal(buf_view(&dot), buf_view(&written)),
                  "docs/saga/%s.dot is not the table: run docs/saga/draw", name);
    }
}

static size_t count(const char *text, const char *what)
{
    size_t found = 0;

    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
        found++;
    return found;
}

/* Graphviz lays a picture out as it likes, but it shows every arrow, and every line beside one. */
Test(saga_explain, has_pictures_of_its_drawings)
{
    for (enum saga_part part = 0; part <= PART_NONE; part++) {
        AUTO(buf_clear) struct buf dot = {0};
        AUTO(buf_clear) struct buf picture = {0};
        const char *name = drawing(&dot, part);
        const char *label = buf_cstr(&dot);

        read_file(&picture, name, "svg");
        buf_cstr(&picture);

        cr_expect_eq(count(dot.data, " -> "), count(picture.data, "class=\"edge\""),
                     "docs/saga/%s.svg is old: run docs/saga/draw", name);
        while ((label = strstr(label, "label=\"")) != NULL) {
            label += strlen("label=\"");
            while (*label != '"') {
                const char *end = strstr(label, "\\l");
                char line[160];

                snprintf(line, sizeof line, ">%.*s<", (int)(end - label), label);
                cr_expect_not_null(strstr(picture.data, line),
                                   "docs/saga/%s.svg lacks \"%s\": run docs/saga/draw", name, line);
                label = end + strlen("\\l");
            }
        }
    }
}

Test(saga_explain, says_every_row_in_text)
{
    AUTO(buf_clear) struct buf text = {0};

    saga_explain_text(&text, PART_NONE);
    buf_cstr(&text);

    for (size_t i = 0; i < saga_step_count; i++)
        cr_expect_not_null(strstr(text.data, saga_steps[i].because), "step %zu", i);
    cr_expect_eq(count(text.data, "\n    never "), saga_impossible_count);
}

Test(saga_explain, says_one_part_alone)
{
    AUTO(buf_clear) struct buf text = {0};

    saga_explain_text(&text, PART_FRAUD);
    buf_cstr(&text);

    cr_expect_eq(
        strncmp(text.data, "fraud: screens the order\nreads shop.orders.v1\n\n  none:", 51), 0,
        "%s", text.data);
    cr_expect_null(strstr(text.data, "inventory.reserved"));
}

static size_t members(const struct json *part, const char *name)
{
    const struct json *list = json_member(part, name);

    cr_assert_not_null(list);
    cr_assert_eq(list->kind, JSON_ARRAY);
    return list->count;
}

Test(saga_explain, is_json_with_every_row)
{
    AUTO(buf_clear) struct buf text = {0};
    AUTO(arena_clear) struct arena arena = {0};
    struct json *root = NULL;
    struct err err = {0};
    size_t steps = 0, impossible = 0;

    saga_explain_json(&text);
    cr_assert_eq(json_parse(&root, buf_view(&text), &arena, &err), ERR_OK, "%s", err.text);
    const struct json *parts = json_member(root, "parts");

    cr_assert_not_null(parts);
    cr_assert_eq(parts->count, PART_COUNT);
    for (size_t i = 0; i < parts->count; i++) {
        steps += members(&parts->items[i], "steps");
        impossible += members(&parts->items[i], "impossible");
        cr_expect_gt(members(&parts->items[i], "states"), 0);
        cr_expect_gt(members(&parts->items[i], "reacts_to"), 0);
    }
    cr_expect_eq(steps, saga_step_count);
    cr_expect_eq(impossible, saga_impossible_count);
}
