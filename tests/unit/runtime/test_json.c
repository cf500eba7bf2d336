#include "runtime/base64.h"
#include "runtime/json.h"

#include <criterion/criterion.h>

#include <stdio.h>

static struct json *parse(struct arena *arena, const char *text)
{
    struct json *root = NULL;
    struct err err = {0};

    cr_assert_eq(json_parse(&root, view_str(text), arena, &err), ERR_OK, "%s: %s", text, err.text);
    return root;
}

Test(json, what_is_no_json_is_refused_with_the_reason)
{
    const struct {
        struct view text;
        const char *reason; /* a piece of it */
    } cases[] = {
        {VIEW_LITERAL(""), "no document"},
        {VIEW_LITERAL(" \n\t "), "premature EOF"},
        {VIEW_LITERAL("{"), "premature EOF"},
        {VIEW_LITERAL("[1,"), "premature EOF"},
        {VIEW_LITERAL("\"abc"), "premature EOF"},
        {VIEW_LITERAL("{\"a\":1,}"), "at byte"},
        {VIEW_LITERAL("[1,]"), "at byte"},
        {VIEW_LITERAL("{'a':1}"), "at byte"},
        {VIEW_LITERAL("{a:1}"), "at byte"},
        {VIEW_LITERAL("1 2"), "trailing garbage"},
        {VIEW_LITERAL("{} {}"), "trailing garbage"},
        {VIEW_LITERAL("{}x"), "trailing garbage"},
        {VIEW_LITERAL("{}\0"), "trailing garbage"},
        {VIEW_LITERAL("\xef\xbb\xbf{}"), "at byte"},
        {VIEW_LITERAL("/* c */ {}"), "at byte"},
        {VIEW_LITERAL("nul"), "at byte"},
        {VIEW_LITERAL("NaN"), "at byte"},
        {VIEW_LITERAL("01"), "trailing garbage"},
        {VIEW_LITERAL("[01]"), "at byte"},
        {VIEW_LITERAL("+1"), "at byte"},
        {VIEW_LITERAL("-"), "at byte"},
        {VIEW_LITERAL("1."), "at byte"},
        {VIEW_LITERAL(".5"), "at byte"},
        {VIEW_LITERAL("1e"), "at byte"},
        {VIEW_LITERAL("\"a\0b\""), "at byte"},
        {VIEW_LITERAL("\"a\nb\""), "at byte"},
        {VIEW_LITERAL("\"\\x41\""), "at byte"},
        {VIEW_LITERAL("\"\\u12\""), "without 4 hex digits at byte 1"},
        {VIEW_LITERAL("\"\\uzzzz\""), "without 4 hex digits at byte 1"},
        {VIEW_LITERAL("\"\\u+123\""), "without 4 hex digits"},
        {VIEW_LITERAL("\"\\"), "at byte"},
        {VIEW_LITERAL("\"\\ud800\""), "half a surrogate pair at byte 1"},
        {VIEW_LITERAL("\"\\ud800x\""), "half a surrogate pair"},
        {VIEW_LITERAL("\"\\ud800\\n\""), "half a surrogate pair"},
        {VIEW_LITERAL("\"\\ud800\\ud800\""), "half a surrogate pair"},
        {VIEW_LITERAL("\"\\udc00\""), "half a surrogate pair"},
        {VIEW_LITERAL("\"\\ud8"), "without 4 hex digits"},
        {VIEW_LITERAL("\"\xed\xa0\x80\""), "UTF-8"},
        {VIEW_LITERAL("\"\xc0\xaf\""), "UTF-8"},
        {VIEW_LITERAL("\"\xff\""), "UTF-8"},
        {VIEW_LITERAL("\"\xe2\x82"), "UTF-8"},
        {VIEW_LITERAL("{\"a\":1,\"a\":2}"), "key \"a\" stands twice"},
        {VIEW_LITERAL("{\"a\":1,\"\\u0061\":2}"), "key \"a\" stands twice"},
        {VIEW_LITERAL("[{\"b\":{\"\":1,\"\":2}}]"), "key \"\" stands twice"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct json *root = NULL;
        struct err err = {0};

        cr_expect_eq(json_parse(&root, cases[i].text, &arena, &err), ERR_REJECT, "case %zu: %s", i,
                     cases[i].text.data);
        cr_expect_null(root, "case %zu", i);
        cr_expect(strstr(err.text, cases[i].reason) != NULL, "case %zu: %s: \"%s\", want \"%s\"", i,
                  cases[i].text.data, err.text, cases[i].reason);
    }
}

Test(json, a_text_is_unescaped_and_may_hold_a_nul)
{
    const struct {
        const char *text;
        struct view value;
    } cases[] = {
        {"\"\"", VIEW_LITERAL("")},
        {"\"plain\"", VIEW_LITERAL("plain")},
        {" \"\\\"\\\\\\/\\b\\f\\n\\r\\t\" ", VIEW_LITERAL("\"\\/\b\f\n\r\t")},
        {"\"a\\u0000b\"", VIEW_LITERAL("a\0b")},
        {"\"\\u20AC\"", VIEW_LITERAL("\xe2\x82\xac")},
        {"\"\\ud83c\\udf81\"", VIEW_LITERAL("\xf0\x9f\x8e\x81")},
        {"\"\\\\ud800\"", VIEW_LITERAL("\\ud800")},
        {"\"\xf0\x9f\x8e\x81\"", VIEW_LITERAL("\xf0\x9f\x8e\x81")},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        const struct json *root = parse(&arena, cases[i].text);

        cr_expect_eq(root->kind, JSON_STRING, "%s", cases[i].text);
        cr_expect(view_equal(root->text, cases[i].value), "%s: %.*s", cases[i].text,
                  VIEW_PRINT(root->text));
    }
}

Test(json, a_document_becomes_a_tree_that_knows_where_each_node_stands)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct json *root =
        parse(&arena, "{\"lines\":[{\"sku\":\"A\"},{\"sku\":\"B\",\"quantity\":2}],"
                      "\"gift\":true,\"note\":null,\"a/b~\":[[],{}]}");
    const struct json *lines = json_member(root, "lines");
    const struct json *odd = json_member(root, "a/b~");

    cr_assert_eq(root->count, 4);
    cr_assert_eq(lines->count, 2);
    cr_expect(view_equals(json_pointer(root, NULL, &arena), ""));
    cr_expect(view_equals(json_pointer(json_member(&lines->items[1], "quantity"), NULL, &arena),
                          "/lines/1/quantity"));
    cr_expect(view_equals(json_pointer(&odd->items[1], NULL, &arena), "/a~1b~0/1"));
    cr_expect(json_member(root, "gift")->boolean);
    cr_expect_eq(json_member(root, "note")->kind, JSON_NULL);
    cr_expect_eq(odd->items[0].kind, JSON_ARRAY);
    cr_expect_eq(odd->items[1].kind, JSON_OBJECT);
    cr_expect_null(json_member(root, "missing"));
    cr_expect_null(json_member(lines, "0"));
}

Test(json, depth_is_bounded_whatever_the_document_does)
{
    static const size_t depths[] = {JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1, 10000, 1000000};

    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        AUTO(buf_clear) struct buf text = {0};
        struct json *root = NULL;
        struct err err = {0};
        enum err_kind kind;

        for (size_t level = 0; level < depths[i]; level++)
            buf_append_byte(&text, '[');
        for (size_t level = 0; level < depths[i]; level++)
            buf_append_byte(&text, ']');
        kind = json_parse(&root, buf_view(&text), &arena, &err);

        cr_expect_eq(kind, depths[i] <= JSON_DEPTH_MAX ? ERR_OK : ERR_REJECT, "%zu: %s", depths[i],
                     err.text);
    }
}

Test(json, a_duplicate_is_found_in_a_crowd)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf text = {0};
    struct json *root = NULL;
    struct err err = {0};

    buf_append_byte(&text, '{');
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "%s\"k%d\":%d", i > 0 ? "," : "", i, i);
    buf_append_str(&text, "}");
    cr_assert_eq(json_parse(&root, buf_view(&text), &arena, &err), ERR_OK, "%s", err.text);
    cr_expect_eq(root->count, 50000);

    text.size--;
    buf_append_str(&text, ",\"k777\":0}");
    cr_expect_eq(json_parse(&root, buf_view(&text), &arena, &err), ERR_REJECT);
    cr_expect(strstr(err.text, "\"k777\" stands twice") != NULL, "%s", err.text);
}

Test(json, the_number_of_values_is_bounded_when_asked)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *root = NULL;
    struct err err = {0};

    cr_expect_eq(json_parse_bounded(&root, VIEW_LITERAL("[1,2,3]"), 4, &arena, &err), ERR_OK);
    cr_expect_eq(json_parse_bounded(&root, VIEW_LITERAL("[1,2,3]"), 3, &arena, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "json: too many values");
}

Test(json, an_integer_has_no_fraction_exponent_or_leading_zero)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"42", true, 42},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"-1E2", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"null", false, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        int64_t value = 0;

        cr_expect_eq(json_to_int64(parse(&arena, cases[i].text), &value), cases[i].good, "%s",
                     cases[i].text);
        cr_expect_eq(value, cases[i].value, "%s", cases[i].text);
    }
}

Test(json, the_reader_keeps_the_first_mistake_with_its_pointer)
{
    static const struct {
        const char *text, *pointer, *reason;
    } cases[] = {
        {"[]", "", "an array, want an object"},
        {"{\"x\":1}", "/x", "unknown field, want one of sku, quantity, gift, note, lines"},
        {"{\"quantity\":1}", "/sku", "missing"},
        {"{\"sku\":null}", "/sku", "null, want a value"},
        {"{\"sku\":5}", "/sku", "a number, want a string"},
        {"{\"sku\":\"\"}", "/sku", "text of 0 bytes, want 1 to 4"},
        {"{\"sku\":\"ABCDE\"}", "/sku", "text of 5 bytes, want 1 to 4"},
        {"{\"sku\":\"A\\u0000\"}", "/sku", "control character U+0000, want none"},
        {"{\"sku\":\"A\"}", "/quantity", "missing"},
        {"{\"sku\":\"A\",\"quantity\":0}", "/quantity", "0, want a whole number from 1 to 9"},
        {"{\"sku\":\"A\",\"quantity\":9223372036854775808}", "/quantity",
         "9223372036854775808, want a whole number from 1 to 9"},
        {"{\"sku\":\"A\",\"quantity\":1.5}", "/quantity", "1.5, want a whole number from 1 to 9"},
        {"{\"sku\":\"A\",\"quantity\":\"1\"}", "/quantity", "a string, want a number"},
        {"{\"sku\":\"A\",\"quantity\":1,\"gift\":0}", "/gift", "a number, want a boolean"},
        {"{\"sku\":\"A\",\"quantity\":1,\"note\":[]}", "/note", "an array, want a string"},
        {"{\"sku\":\"A\",\"quantity\":1,\"lines\":[]}", "/lines", "0 elements, want 1 to 2"},
        {"{\"sku\":\"A\",\"quantity\":1,\"lines\":[1]}", "/lines/0", "a number, want an object"},
        {"{\"sku\":\"A\",\"quantity\":1,\"lines\":[{},{\"b\":1}]}", "/lines/1/b",
         "unknown field, want one of a"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        const struct json *root = parse(&arena, cases[i].text), *lines;
        struct json_reader reader = {.arena = &arena};

        json_only(&reader, root,
                  (const char *const[]){"sku", "quantity", "gift", "note", "lines", NULL});
        json_read_text(&reader, root, "sku", 1, 4);
        json_read_int64(&reader, root, "quantity", 1, 9);
        json_read_bool_optional(&reader, root, "gift", false);
        json_read_text_optional(&reader, root, "note", 0, 10);
        lines = json_read_array(&reader, root, "lines", 1, 2);
        for (size_t line = 0; lines != NULL && line < lines->count; line++)
            json_only(&reader, &lines->items[line], (const char *const[]){"a", NULL});

        cr_expect(reader.failed, "%s", cases[i].text);
        cr_expect(view_equals(reader.pointer, cases[i].pointer), "%s: %.*s", cases[i].text,
                  VIEW_PRINT(reader.pointer));
        cr_expect_str_eq(reader.err.text, cases[i].reason, "%s: %s", cases[i].text,
                         reader.err.text);
    }
}

Test(json, the_reader_gives_what_stands_there_and_the_fallback_for_what_does_not)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct json *root =
        parse(&arena, "{\"sku\":\"A\",\"quantity\":7,\"gift\":true,\"note\":null,\"at\":{}}");
    struct json_reader reader = {.arena = &arena};

    cr_expect(view_equals(json_read_text(&reader, root, "sku", 1, 4), "A"));
    cr_expect_eq(json_read_int64(&reader, root, "quantity", 1, 9), 7);
    cr_expect(json_read_bool_optional(&reader, root, "gift", false));
    cr_expect(json_read_bool_optional(&reader, root, "none", true));
    cr_expect_null(json_read_text_optional(&reader, root, "note", 0, 9).data);
    cr_expect_eq(json_read_int64_optional(&reader, root, "none", 0, 9, -5), -5);
    cr_expect_eq(json_read_object(&reader, root, "at")->kind, JSON_OBJECT);
    cr_expect_not(reader.failed);
}

Test(json, the_writer_puts_commas_and_escapes_where_they_belong)
{
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};

    json_object_start(&writer);
    json_member_text(&writer, "text", VIEW_LITERAL("q\" b\\ n\n t\t \x01\x7f \0 \xe2\x82\xac"));
    json_member_text(&writer, "bad",
                     VIEW_LITERAL("a\xff"
                                  "b\xe2\x82"));
    json_member_text(&writer, "none", VIEW_NONE);
    json_member_int64(&writer, "least", INT64_MIN);
    json_member_bool(&writer, "yes", true);
    json_member_time_us(&writer, "at", 1291191960000000);
    json_key(&writer, "list");
    json_array_start(&writer);
    json_put_double(&writer, 0.1);
    json_put_double(&writer, 1.0 / 3);
    json_put_double(&writer, 1e300 * 1e300);
    json_array_start(&writer);
    json_array_end(&writer);
    json_object_start(&writer);
    json_object_end(&writer);
    json_put_base64(&writer, VIEW_LITERAL("\0\xff"
                                          "a"));
    json_put_raw(&writer, VIEW_LITERAL("{\"a\":1}"));
    json_put_str(&writer, "x");
    json_array_end(&writer);
    json_object_end(&writer);

    cr_expect_str_eq(buf_cstr(&out),
                     "{\"text\":\"q\\\" b\\\\ n\\n t\\u0009 \\u0001\x7f \\u0000 \xe2\x82\xac\","
                     "\"bad\":\"a\xef\xbf\xbd"
                     "b\xef\xbf\xbd\xef\xbf\xbd\",\"none\":null,"
                     "\"least\":-9223372036854775808,\"yes\":true,"
                     "\"at\":\"2010-12-01T08:26:00.000000Z\","
                     "\"list\":[0.1,0.33333333333333331,null,[],{},\"AP9h\",{\"a\":1},\"x\"]}");
}

Test(base64, text_is_what_the_rfc_says_and_reads_back)
{
    const struct {
        struct view bytes;
        const char *standard, *url;
    } cases[] = {
        {VIEW_LITERAL(""), "", ""},
        {VIEW_LITERAL("f"), "Zg==", "Zg"},
        {VIEW_LITERAL("fo"), "Zm8=", "Zm8"},
        {VIEW_LITERAL("foo"), "Zm9v", "Zm9v"},
        {VIEW_LITERAL("foobar"), "Zm9vYmFy", "Zm9vYmFy"},
        {VIEW_LITERAL("\xfb\xff\xfe"), "+//+", "-__-"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf standard = {0};
        AUTO(buf_clear) struct buf url = {0};
        AUTO(buf_clear) struct buf back = {0};

        base64_append(&standard, cases[i].bytes);
        base64url_append(&url, cases[i].bytes);
        cr_expect_str_eq(buf_cstr(&standard), cases[i].standard);
        cr_expect_str_eq(buf_cstr(&url), cases[i].url);
        cr_expect(base64url_decode(&back, view_str(cases[i].url)), "%s", cases[i].url);
        cr_expect(view_equal(buf_view(&back), cases[i].bytes), "%s", cases[i].url);
        buf_reset(&back);
        cr_expect(base64_decode(&back, view_str(cases[i].standard)), "%s", cases[i].standard);
        cr_expect(view_equal(buf_view(&back), cases[i].bytes), "%s", cases[i].standard);
    }
}

Test(base64, anything_else_is_refused)
{
    static const char *const cases[] = {
        "A", "AAAAA", "Zg==", "Zh", "Zm9=", "Zm+v", "Zm/v", "Z g", "Zm9\n"};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf back = {0};

        cr_expect_not(base64url_decode(&back, view_str(cases[i])), "%s", cases[i]);
        cr_expect_eq(back.size, 0, "%s", cases[i]);
    }
}

Test(base64, standard_text_without_its_padding_or_of_the_url_alphabet_is_refused)
{
    static const char *const cases[] = {"Zg", "Zg=", "Zg===", "=", "-__-", "Zh==", "Zm9v="};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf back = {0};

        cr_expect_not(base64_decode(&back, view_str(cases[i])), "%s", cases[i]);
        cr_expect_eq(back.size, 0, "%s", cases[i]);
    }
}

Test(json, a_tree_is_written_as_it_was_read)
{
    static const char TEXT[] =
        "{\"a\":[1,-2.50e3,null,true,\"x\\n\"],\"b\":{},\"c\":[{\"d\":false}]}";
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};
    struct json *tree;

    cr_assert_eq(json_parse(&tree, view_str(TEXT), &arena, NULL), ERR_OK);
    json_put_tree(&writer, tree);

    cr_expect_str_eq(buf_cstr(&out), TEXT);
}
