/* What parts say to each other out of band, as it is read. */
#include "runtime/control.h"

#include <criterion/criterion.h>

static enum err_kind parse(struct control *out, const char *text, struct arena *arena)
{
    struct err err = {0};
    enum err_kind kind = control_parse(out, view_str(text), arena, &err);

    cr_expect((kind == ERR_OK) == (err.text[0] == '\0'), "%s", text);
    return kind;
}

Test(control, what_is_written_is_read_as_the_same)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf text = {0};
    const struct control said = {.type = CONTROL_PUBLISHED,
                                 .source = VIEW_LITERAL("orders"),
                                 .from = VIEW_LITERAL("orders-1"),
                                 .paused = true,
                                 .shards = (const int32_t[]){0, 10},
                                 .numbers = (const uint64_t[]){12, 3},
                                 .count = 2};
    struct control heard;

    control_write(&text, &said);
    cr_assert_eq(parse(&heard, buf_cstr(&text), &arena), ERR_OK);

    cr_expect(view_equals(heard.source, "orders") && view_equals(heard.from, "orders-1"));
    cr_expect(heard.type == CONTROL_PUBLISHED && heard.paused && heard.count == 2);
    cr_expect(heard.shards[0] == 0 && heard.numbers[0] == 12);
    cr_expect(heard.shards[1] == 10 && heard.numbers[1] == 3);
}

/* Two names of one shard would be two opinions on what it has published. */
Test(control, a_shard_has_one_name)
{
    static const char *const NAMES[] = {"00", "07", "-0", "-1", "", "x", "2147483648"};
    AUTO(arena_clear) struct arena arena = {0};
    struct control control;

    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct view text = arena_printf(&arena,
                                        "{\"type\":\"published\",\"source\":\"orders\","
                                        "\"from\":\"orders-1\",\"shards\":{\"7\":1,\"%s\":2}}",
                                        NAMES[i]);

        cr_expect_eq(parse(&control, text.data, &arena), ERR_REJECT, "%s", NAMES[i]);
    }
}
