#include "events/schema.h"
#include "tests/unit/events/schema_of.h"

#include <criterion/criterion.h>

Test(schema, the_canonical_form_is_that_of_the_specification)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"type\":\"int\"}", "\"int\""},
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "\"long\""},
        {"[\"null\", {\"type\": \"string\"}]", "[\"null\",\"string\"]"},
        {"{\"items\": \"int\", \"type\": \"array\"}", "{\"type\":\"array\",\"items\":\"int\"}"},
        {"{\"values\": \"int\", \"type\": \"map\"}", "{\"type\":\"map\",\"values\":\"int\"}"},
        {"{\"type\":\"fixed\",\"size\":16,\"name\":\"md5\",\"namespace\":\"x.y\"}",
         "{\"name\":\"x.y.md5\",\"type\":\"fixed\",\"size\":16}"},
        {"{\"type\":\"enum\",\"doc\":\"d\",\"name\":\"x.E\",\"symbols\":[\"A\",\"B\"],"
         "\"default\":\"A\"}",
         "{\"name\":\"x.E\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}"},
        {"{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"x\",\"doc\":\"d\",\"aliases\":[\"Q\"]"
         ","
         "\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
         "\"symbols\":[\"A\"]},\"default\":\"A\"},{\"name\":\"b\",\"doc\":\"d\",\"type\":\"E\"},"
         "{\"type\":\"x.E\",\"name\":\"c\"}]}",
         "{\"name\":\"x.R\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":"
         "{\"name\":\"x.E\",\"type\":\"enum\",\"symbols\":[\"A\"]}},{\"name\":\"b\",\"type\":"
         "\"x.E\"},{\"name\":\"c\",\"type\":\"x.E\"}]}"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        AUTO(buf_clear) struct buf got = {0};

        schema_print_canonical(&got, schema_of(cases[i].text, &arena));
        cr_expect_str_eq(buf_cstr(&got), cases[i].want);
    }
}

Test(schema, the_fingerprint_is_sha_256_of_the_canonical_form)
{
    AUTO(arena_clear) struct arena arena = {0};
    char got[SCHEMA_FINGERPRINT_SIZE];

    schema_fingerprint(got, schema_of("{\"type\":\"int\"}", &arena));

    /* printf '"int"' | sha256sum; also in the tests of Avro's own implementations */
    cr_expect_str_eq(got, "3f2b87a9fe7cc9b13835598c3981cd45e3e355309e5090aa0933d7becb6fba45");
}

Test(schema, names_are_looked_up_in_the_namespace_around_them)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct schema *schema =
        schema_of("{\"type\":\"record\",\"name\":\"a.R\",\"fields\":["
              "{\"name\":\"x\",\"type\":{\"type\":\"record\",\"name\":\"I\",\"namespace\":\"b\","
              "\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\","
              "\"symbols\":[\"S\"]}},{\"name\":\"f\",\"type\":\"E\"}]}},"
              "{\"name\":\"y\",\"type\":\"b.E\"},"
              "{\"name\":\"z\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}}]}",
              &arena);

    cr_expect(view_equals(schema->fields[0].type->name, "b.I"));
    cr_expect(view_equals(schema->fields[1].type->name, "b.E"));
    cr_expect(view_equals(schema->fields[2].type->name, "a.F"));
    cr_expect(view_equals(schema_short_name(schema), "R"));
}

Test(schema, a_record_is_laid_out_like_a_c_struct)
{
    struct inner {
        bool a;
        struct view b;
        bool c;
    };
    struct outer {
        bool a;
        int32_t b;
        bool c;
        struct inner d;
        float e;
        const struct inner *f;
        size_t f_count;
        bool g;
        double h;
        bool i;
        struct view j;
        const struct inner *k;
        bool l;
    };
    static const size_t want[] = {
        offsetof(struct outer, a), offsetof(struct outer, b), offsetof(struct outer, c),
        offsetof(struct outer, d), offsetof(struct outer, e), offsetof(struct outer, f),
        offsetof(struct outer, g), offsetof(struct outer, h), offsetof(struct outer, i),
        offsetof(struct outer, j), offsetof(struct outer, k), offsetof(struct outer, l),
    };
    AUTO(arena_clear) struct arena arena = {0};
    const struct schema *schema =
        schema_of("{\"type\":\"record\",\"name\":\"O\",\"fields\":["
              "{\"name\":\"a\",\"type\":\"boolean\"},{\"name\":\"b\",\"type\":\"int\"},"
              "{\"name\":\"c\",\"type\":\"boolean\"},"
              "{\"name\":\"d\",\"type\":{\"type\":\"record\",\"name\":\"I\",\"fields\":["
              "{\"name\":\"a\",\"type\":\"boolean\"},{\"name\":\"b\",\"type\":\"string\"},"
              "{\"name\":\"c\",\"type\":\"boolean\"}]}},"
              "{\"name\":\"e\",\"type\":\"float\"},"
              "{\"name\":\"f\",\"type\":{\"type\":\"array\",\"items\":\"I\"}},"
              "{\"name\":\"g\",\"type\":\"boolean\"},{\"name\":\"h\",\"type\":\"double\"},"
              "{\"name\":\"i\",\"type\":\"boolean\"},"
              "{\"name\":\"j\",\"type\":[\"null\",\"bytes\"]},"
              "{\"name\":\"k\",\"type\":[\"null\",\"I\"]},{\"name\":\"l\",\"type\":\"boolean\"}]}",
              &arena);

    cr_assert_eq(schema->field_count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < schema->field_count; i++)
        cr_expect_eq(schema->fields[i].offset, want[i], "field %zu at %zu, want %zu", i,
                     schema->fields[i].offset, want[i]);
    cr_expect_eq(schema->size, sizeof(struct outer));
    cr_expect_eq(schema->fields[3].type->size, sizeof(struct inner));
}

Test(schema, what_is_no_schema_is_refused_with_its_place)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"type\":\"int\"", "json: "},
        {"7", "schema: a type is a number, want a string, an object or an array"},
        {"\"integer\"", "schema: no type \"integer\" is defined before this place"},
        {"{\"name\":\"R\"}", "schema: an object without a type"},
        {"{\"type\":\"record\",\"fields\":[]}", "schema: record without a name"},
        {"{\"type\":\"record\",\"name\":\"a-b\",\"fields\":[]}",
         "schema at /name: \"a-b\" is no name"},
        {"{\"type\":\"record\",\"name\":\"R\"}", "schema: record R without an array of fields"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\"}]}",
         "schema at /fields/0: a field needs a type"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
         "{\"name\":\"a\",\"type\":\"int\"}]}",
         "schema at /fields/1: field a is there twice"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"R\"}]}",
         "schema at /fields/0/type: R holds itself; a recursive type is not allowed"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":"
         "[\"null\",{\"type\":\"array\",\"items\":\"R\"}]}]}",
         "schema at /fields/0/type/1/items: R holds itself; a recursive type is not allowed"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
         "\"enum\",\"name\":\"R\",\"symbols\":[\"A\"]}}]}",
         "schema at /fields/0/type: R is defined twice"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\","
         "\"default\":\"1\"}]}",
         "schema at /fields/0/default: the default is a string 1, which is no int"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\","
         "\"default\":2147483648}]}",
         "schema at /fields/0/default: the default is a number 2147483648, which is no int"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"bytes\","
         "\"default\":\"\xe2\x82\xac\"}]}",
         "schema at /fields/0/default: the default is a string \xe2\x82\xac, which is no bytes"},
        {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":"
         "[\"null\",\"int\"],\"default\":\"x\"}]}",
         "schema at /fields/0/default: the default is a string x, which is no union"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}",
         "schema: enum E without an array of symbols"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}",
         "schema at /symbols/1: symbol A is there twice"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
         "schema at /default: the default \"B\" is none of the symbols"},
        {"{\"type\":\"array\"}", "schema: array without items"},
        {"{\"type\":\"map\"}", "schema: map without values"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
         "schema: fixed F: want a size of 0 to 1048576"},
        {"{\"type\":\"fixed\",\"name\":\"string\",\"size\":1}",
         "schema: string cannot be a name of one's own"},
        {"[]", "schema: a union of nothing"},
        {"[\"int\",\"int\"]", "schema at /1: int is in the union twice"},
        {"[\"int\",[\"null\"]]", "schema at /1: a union within a union"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        const struct schema *schema;
        struct err err = {0};

        cr_expect_eq(schema_parse(&schema, view_str(cases[i].text), &arena, &err), ERR_REJECT, "%s",
                     cases[i].text);
        cr_expect_eq(strncmp(err.text, cases[i].want, strlen(cases[i].want)), 0, "%s: %s",
                     cases[i].text, err.text);
    }
}

/* Each record holds the one before ten times: a short text, and 10^n types. */
Test(schema, a_small_text_cannot_stand_for_a_huge_tree)
{
    AUTO(buf_clear) struct buf text = {0};
    AUTO(arena_clear) struct arena arena = {0};
    const struct schema *schema;
    struct err err;

    buf_append_str(&text, "{\"type\":\"record\",\"name\":\"Top\",\"fields\":[");
    buf_append_str(&text,
                   "{\"name\":\"f\",\"type\":{\"type\":\"record\",\"name\":\"R0\",\"fields\":"
                   "[]}}");
    for (int i = 1; i < 9; i++) {
        buf_printf(&text,
                   ",{\"name\":\"f%d\",\"type\":{\"type\":\"record\",\"name\":\"R%d\","
                   "\"fields\":[",
                   i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&text, "%s{\"name\":\"x%d\",\"type\":\"R%d\"}", j > 0 ? "," : "", j, i - 1);
        buf_append_str(&text, "]}}");
    }
    buf_append_str(&text, "]}");

    cr_expect_eq(schema_parse(&schema, buf_view(&text), &arena, &err), ERR_REJECT);
    cr_expect_not_null(strstr(err.text, "want at most 10000"), "%s", err.text);
}

static void nested_arrays(struct buf *text, int depth)
{
    buf_reset(text);
    for (int i = 1; i < depth; i++)
        buf_append_str(text, "{\"type\":\"array\",\"items\":");
    buf_append_str(text, "\"int\"");
    for (int i = 1; i < depth; i++)
        buf_append_str(text, "}");
}

Test(schema, types_nest_to_a_bound)
{
    AUTO(buf_clear) struct buf text = {0};
    AUTO(arena_clear) struct arena arena = {0};
    const struct schema *schema;
    struct err err;

    nested_arrays(&text, SCHEMA_DEPTH_MAX);
    cr_expect_eq(schema_parse(&schema, buf_view(&text), &arena, &err), ERR_OK, "%s", err.text);
    nested_arrays(&text, SCHEMA_DEPTH_MAX + 1);
    cr_expect_eq(schema_parse(&schema, buf_view(&text), &arena, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "schema: nested 33 deep, want at most 32");
    nested_arrays(&text, 10000);
    cr_expect_eq(schema_parse(&schema, buf_view(&text), &arena, &err), ERR_REJECT);
    cr_expect_not_null(strstr(err.text, "json: nested deeper than 128 levels"), "%s", err.text);
}
