/* Schema resolution: what one schema wrote, read as another. Rules in the order of the Avro
 * specification, "Schema Resolution". Expected values are written out by hand. */
#include "events/plan.h"
#include "events/value.h"
#include "tests/unit/events/schema_of.h"

#include <criterion/criterion.h>

#include <stdlib.h>

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define FIELD_OR(name, type, fallback)                                                             \
    "{\"name\":\"" name "\",\"type\":" type ",\"default\":" fallback "}"
#define ENUM(symbols) "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]}"
#define ENUM_OR(symbols, fallback)                                                                 \
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "],\"default\":\"" fallback "\"}"
#define ARRAY(items) "{\"type\":\"array\",\"items\":" items "}"
#define MAP(values) "{\"type\":\"map\",\"values\":" values "}"
#define FIXED(name, size) "{\"type\":\"fixed\",\"name\":\"" name "\",\"size\":" size "}"

/* The value as JSON, "unplanned: why" or "refused: where why". */
static const char *resolve(const char *writer, const char *reader, struct view bytes,
                           struct arena *arena)
{
    const struct schema *into = schema_of(reader, arena);
    char *copy = malloc(bytes.size + 1); /* ends where ASan sees it */
    struct buf json = {0};
    struct json_writer print = {.out = &json};
    const struct plan *plan;
    struct cursor cursor;
    struct path path = {0};
    struct err err;
    struct view text;
    void *value;

    memcpy(copy, bytes.data, bytes.size);
    cursor = cursor_over(view_of(copy, bytes.size));
    if (plan_make(&plan, into, schema_of(writer, arena), PLAN_LENIENT, arena, &err) != ERR_OK) {
        buf_printf(&json, "unplanned: %s", err.text);
    } else {
        value = arena_alloc(arena, into->size);
        if (!plan_run(plan, &cursor, value, arena, &path))
            buf_printf(&json, "refused: %s %s", path_text(&path), cursor.why);
        else if (cursor_left(&cursor) > 0)
            buf_printf(&json, "%zu bytes left", cursor_left(&cursor));
        else
            value_print_json(&print, into, value);
    }
    text = arena_view(arena, buf_view(&json));
    buf_clear(&json);
    free(copy);
    return text.data;
}

struct resolution {
    const char *name, *writer, *reader;
    struct view bytes;
    const char *want;
};

static void check(const struct resolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        const char *got = resolve(cases[i].writer, cases[i].reader, cases[i].bytes, &arena);

        cr_expect_str_eq(got, cases[i].want, "%s: %s", cases[i].name, got);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases)[0])

Test(plan, primitives_are_promoted_as_the_specification_allows)
{
    static const struct resolution cases[] = {
        {"boolean", "\"boolean\"", "\"boolean\"", VIEW_INIT("\1"), "true"},
        {"int", "\"int\"", "\"int\"", VIEW_INIT("\xff\xff\xff\xff\x0f"), "-2147483648"},
        {"int too large", "\"int\"", "\"int\"", VIEW_INIT("\x80\x80\x80\x80\x10"),
         "refused:  is an int of more than 32 bits"},
        {"int as long", "\"int\"", "\"long\"", VIEW_INIT("\x03"), "-2"},
        {"int too large as long", "\"int\"", "\"long\"", VIEW_INIT("\x80\x80\x80\x80\x10"),
         "refused:  is an int of more than 32 bits"},
        {"int as float", "\"int\"", "\"float\"", VIEW_INIT("\x03"), "-2"},
        {"int as double", "\"int\"", "\"double\"", VIEW_INIT("\x03"), "-2"},
        {"long", "\"long\"", "\"long\"", VIEW_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "-9223372036854775808"},
        {"long as float", "\"long\"", "\"float\"", VIEW_INIT("\x80\x80\x80\x80\x10"), "2147483648"},
        {"long as double", "\"long\"", "\"double\"", VIEW_INIT("\x80\x80\x80\x80\x10"),
         "2147483648"},
        {"long as int", "\"long\"", "\"int\"", VIEW_INIT("\2"),
         "unplanned: long cannot be read as int"},
        {"float", "\"float\"", "\"float\"", VIEW_INIT("\0\0\xc0\x3f"), "1.5"},
        {"float as double", "\"float\"", "\"double\"", VIEW_INIT("\0\0\xc0\xbf"), "-1.5"},
        {"half a float", "\"float\"", "\"double\"", VIEW_INIT("\0\0"),
         "refused:  ends within a float"},
        {"double", "\"double\"", "\"double\"", VIEW_INIT("\0\0\0\0\0\0\xf8\x3f"), "1.5"},
        {"double as float", "\"double\"", "\"float\"", VIEW_INIT("\0\0\0\0\0\0\xf8\x3f"),
         "unplanned: double cannot be read as float"},
        {"string as bytes", "\"string\"", "\"bytes\"",
         VIEW_INIT("\x06"
                   "abc"),
         "\"YWJj\""},
        {"bytes as string", "\"bytes\"", "\"string\"",
         VIEW_INIT("\x06"
                   "abc"),
         "\"abc\""},
        {"bytes as string, not UTF-8", "\"bytes\"", "\"string\"", VIEW_INIT("\2\xff"),
         "refused:  is not UTF-8"},
        {"bytes", "\"bytes\"", "\"bytes\"", VIEW_INIT("\2\xff"), "\"/w==\""},
        {"boolean as int", "\"boolean\"", "\"int\"", VIEW_INIT("\1"),
         "unplanned: boolean cannot be read as int"},
        {"string as long", "\"string\"", "\"long\"", VIEW_INIT("\0"),
         "unplanned: string cannot be read as long"},
        {"a timestamp is a long", "\"long\"",
         "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", VIEW_INIT("\0"),
         "\"1970-01-01T00:00:00.000000Z\""},
    };

    CHECK(cases);
}

Test(plan, records_match_field_by_field)
{
    static const struct resolution cases[] = {
        {"in another order", RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"string\"")),
         RECORD(FIELD("b", "\"string\"") "," FIELD("a", "\"int\"")), VIEW_INIT("\2\2x"),
         "{\"b\":\"x\",\"a\":1}"},
        {"a field only the writer has",
         RECORD(FIELD("gone", ARRAY("\"string\"")) "," FIELD("a", "\"int\"")),
         RECORD(FIELD("a", "\"int\"")), VIEW_INIT("\4\2x\2y\0\6"), "{\"a\":3}"},
        {"a field only the reader has", RECORD(FIELD("a", "\"int\"")),
         RECORD(FIELD_OR("b", "\"long\"", "7") "," FIELD("a", "\"int\"")), VIEW_INIT("\6"),
         "{\"b\":7,\"a\":3}"},
        {"without a default", RECORD(FIELD("a", "\"int\"")),
         RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"long\"")), VIEW_INIT("\6"),
         "unplanned: b: is not in what was written and has no default"},
        {"a field promoted", RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", "\"double\"")),
         VIEW_INIT("\6"), "{\"a\":3}"},
        {"a field of another type", RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", "\"string\"")),
         VIEW_INIT("\6"), "unplanned: a: int cannot be read as string"},
        {"a renamed field", RECORD(FIELD("old", "\"int\"")),
         RECORD("{\"name\":\"new\",\"aliases\":[\"x\",\"old\"],\"type\":\"int\"}"), VIEW_INIT("\6"),
         "{\"new\":3}"},
        {"the name goes before the alias",
         RECORD(FIELD("old", "\"int\"") "," FIELD("new", "\"int\"")),
         RECORD("{\"name\":\"new\",\"aliases\":[\"old\"],\"type\":\"int\"}"), VIEW_INIT("\2\4"),
         "{\"new\":2}"},
        {"one field for two", RECORD(FIELD("old", "\"int\"")),
         RECORD("{\"name\":\"a\",\"aliases\":[\"old\"],\"type\":\"int\"},"
                "{\"name\":\"b\",\"aliases\":[\"old\"],\"type\":\"int\"}"),
         VIEW_INIT("\6"), "unplanned: b: old is read as two fields"},
        {"a record of another name", "{\"type\":\"record\",\"name\":\"Q\",\"fields\":[]}",
         RECORD(FIELD_OR("a", "\"int\"", "1")), VIEW_INIT(""),
         "unplanned: record Q cannot be read as record R"},
        {"a renamed record", "{\"type\":\"record\",\"name\":\"x.Q\",\"fields\":[]}",
         "{\"type\":\"record\",\"name\":\"y.R\",\"aliases\":[\"x.Q\"],\"fields\":[" FIELD_OR(
             "a", "\"int\"", "1") "]}",
         VIEW_INIT(""), "{\"a\":1}"},
        {"of another namespace", "{\"type\":\"record\",\"name\":\"x.R\",\"fields\":[]}",
         "{\"type\":\"record\",\"name\":\"y.R\",\"fields\":[" FIELD_OR("a", "\"int\"", "1") "]}",
         VIEW_INIT(""), "{\"a\":1}"},
        {"deep inside",
         RECORD(FIELD("a", ARRAY("{\"type\":\"record\",\"name\":\"I\",\"fields\":[" FIELD(
                               "x", "\"int\"") "]}"))),
         RECORD(FIELD("a", ARRAY("{\"type\":\"record\",\"name\":\"I\",\"fields\":[" FIELD(
                               "x", "\"string\"") "]}"))),
         VIEW_INIT("\0"), "unplanned: a[0].x: int cannot be read as string"},
    };

    CHECK(cases);
}

Test(plan, a_default_can_be_of_any_type)
{
    static const struct resolution cases[] = {
        {"primitives", RECORD(""),
         RECORD(FIELD_OR("a", "\"boolean\"", "true") "," FIELD_OR("b", "\"int\"", "-5") "," FIELD_OR(
             "c", "\"long\"",
             "5000000000") "," FIELD_OR("d", "\"float\"",
                                        "0.5") "," FIELD_OR("e", "\"double\"",
                                                            "2.5e3") "," FIELD_OR("f", "\"string\"",
                                                                                  "\"\xc3\xa9"
                                                                                  "\"") "," FIELD_OR("g",
                                                                                                     "\"bytes\"",
                                                                                                     "\"\\u00ff\\u0000\"")),
         VIEW_INIT(""),
         "{\"a\":true,\"b\":-5,\"c\":5000000000,\"d\":0.5,\"e\":2500,\"f\":\"\xc3\xa9\","
         "\"g\":\"/wA=\"}"},
        {"enum, array, null, a value that may be null", RECORD(""),
         RECORD(FIELD_OR("a", ENUM("\"X\",\"Y\""), "\"Y\"") "," FIELD_OR(
             "b", ARRAY("\"int\""),
             "[1,2,3]") "," FIELD_OR("c", "[\"null\",\"string\"]",
                                     "null") "," FIELD_OR("d", "[\"string\",\"null\"]",
                                                          "\"s\"") "," FIELD_OR("e",
                                                                                "[\"long\","
                                                                                "\"null\"]",
                                                                                "9")),
         VIEW_INIT(""), "{\"a\":\"Y\",\"b\":[1,2,3],\"c\":null,\"d\":\"s\",\"e\":9}"},
        {"a record, with a default in it", RECORD(""),
         RECORD(FIELD_OR("a",
                         "{\"type\":\"record\",\"name\":\"I\",\"fields\":[" FIELD(
                             "x", "\"int\"") "," FIELD_OR("y", "\"int\"", "2") "]}",
                         "{\"x\":1}")),
         VIEW_INIT(""), "{\"a\":{\"x\":1,\"y\":2}}"},
    };

    CHECK(cases);
}

Test(plan, enums_match_by_symbol)
{
    static const struct resolution cases[] = {
        {"in another order", ENUM("\"A\",\"B\",\"C\""), ENUM("\"C\",\"A\",\"B\""), VIEW_INIT("\0"),
         "\"A\""},
        {"unknown, with a default", ENUM("\"A\",\"NEW\""), ENUM_OR("\"A\",\"UNKNOWN\"", "UNKNOWN"),
         VIEW_INIT("\2"), "\"UNKNOWN\""},
        {"unknown, without one", ENUM("\"A\",\"NEW\""), ENUM("\"A\""), VIEW_INIT("\2"),
         "refused:  has a symbol unknown to us, and no default"},
        {"known, beside an unknown one", ENUM("\"A\",\"NEW\""), ENUM("\"A\""), VIEW_INIT("\0"),
         "\"A\""},
        {"out of range, with a default", ENUM("\"A\""), ENUM_OR("\"A\"", "A"), VIEW_INIT("\2"),
         "refused:  has a symbol that its enum does not have"},
        {"negative", ENUM("\"A\""), ENUM_OR("\"A\"", "A"), VIEW_INIT("\1"),
         "refused:  has a symbol that its enum does not have"},
        {"as a string", ENUM("\"A\""), "\"string\"", VIEW_INIT("\0"),
         "unplanned: enum E cannot be read as string"},
    };

    CHECK(cases);
}

Test(plan, a_union_is_matched_on_either_side)
{
    static const struct resolution cases[] = {
        {"value read as optional", "\"string\"", "[\"null\",\"string\"]", VIEW_INIT("\2x"),
         "\"x\""},
        {"number read as optional", "\"int\"", "[\"null\",\"long\"]", VIEW_INIT("\2"), "1"},
        {"null read as optional", "\"null\"", "[\"null\",\"long\"]", VIEW_INIT(""), "null"},
        {"optional read as optional the other way round", "[\"null\",\"string\"]",
         "[\"string\",\"null\"]", VIEW_INIT("\2\2x"), "\"x\""},
        {"its null", "[\"null\",\"string\"]", "[\"string\",\"null\"]", VIEW_INIT("\0"), "null"},
        {"optional read as a value", "[\"null\",\"string\"]", "\"string\"", VIEW_INIT("\2\2x"),
         "\"x\""},
        {"its null", "[\"null\",\"string\"]", "\"string\"", VIEW_INIT("\0"),
         "refused:  null cannot be read as string"},
        {"many branches, each promoted", "[\"int\",\"long\",\"float\",\"string\"]", "\"double\"",
         VIEW_INIT("\2\6"), "3"},
        {"the branch that cannot", "[\"int\",\"long\",\"float\",\"string\"]", "\"double\"",
         VIEW_INIT("\6\2x"), "refused:  string cannot be read as double"},
        {"a branch too high", "[\"int\",\"long\"]", "\"double\"", VIEW_INIT("\4\6"),
         "refused:  has a branch that its union does not have"},
        {"a negative branch", "[\"int\",\"long\"]", "\"double\"", VIEW_INIT("\1\6"),
         "refused:  has a branch that its union does not have"},
        {"no branch can", "[\"int\",\"long\"]", "\"string\"", VIEW_INIT("\0\6"),
         "unplanned: long cannot be read as string"},
        {"an optional record", "[\"null\"," RECORD(FIELD("a", "\"int\"")) "]",
         "[\"null\"," RECORD(FIELD("a", "\"long\"")) "]", VIEW_INIT("\2\6"), "{\"a\":3}"},
        {"an array of optional values", ARRAY("[\"null\",\"int\"]"), ARRAY("[\"null\",\"int\"]"),
         VIEW_INIT("\6\0\2\4\0\0"), "[null,2,null]"},
    };

    CHECK(cases);
}

Test(plan, arrays_come_in_blocks)
{
    static const struct resolution cases[] = {
        {"empty", ARRAY("\"int\""), ARRAY("\"int\""), VIEW_INIT("\0"), "[]"},
        {"three blocks, one with its size", ARRAY("\"int\""), ARRAY("\"long\""),
         VIEW_INIT("\2\2"
                   "\3\4\4\6"
                   "\4\10\12"
                   "\0"),
         "[1,2,3,4,5]"},
        {"a block longer than it says", ARRAY("\"int\""), ARRAY("\"long\""),
         VIEW_INIT("\3\2\4\6"
                   "\0"),
         "refused:  has a block of another size than it says"},
        {"a block shorter than it says", ARRAY("\"int\""), ARRAY("\"long\""),
         VIEW_INIT("\3\6\4\6"
                   "\0"),
         "refused:  has a block of another size than it says"},
        {"no end", ARRAY("\"int\""), ARRAY("\"int\""), VIEW_INIT("\2\2"),
         "refused:  ends within a number"},
        {"a thousand items without a byte are one too many",
         ARRAY("{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"),
         ARRAY(RECORD(FIELD_OR("a", "\"int\"", "1"))), VIEW_INIT("\xd2\x0f\0"),
         "refused:  has too many empty items"},
        {"two of them are not", ARRAY("{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"),
         ARRAY(RECORD(FIELD_OR("a", "\"int\"", "1"))), VIEW_INIT("\4\0"), "[{\"a\":1},{\"a\":1}]"},
    };

    CHECK(cases);
}

Test(plan, what_the_reader_does_not_know_is_passed_over_whatever_it_is)
{
#define SKIPPED(type) RECORD(FIELD("x", type) "," FIELD("a", "\"int\""))
#define READER RECORD(FIELD("a", "\"int\""))
    static const struct resolution cases[] = {
        {"null", SKIPPED("\"null\""), READER, VIEW_INIT("\6"), "{\"a\":3}"},
        {"boolean", SKIPPED("\"boolean\""), READER, VIEW_INIT("\1\6"), "{\"a\":3}"},
        {"bad boolean", SKIPPED("\"boolean\""), READER, VIEW_INIT("\2\6"),
         "refused: x is a boolean other than 0 and 1"},
        {"long", SKIPPED("\"long\""), READER, VIEW_INIT("\x80\x80\x80\x01\6"), "{\"a\":3}"},
        {"float", SKIPPED("\"float\""), READER, VIEW_INIT("1234\6"), "{\"a\":3}"},
        {"double", SKIPPED("\"double\""), READER, VIEW_INIT("12345678\6"), "{\"a\":3}"},
        {"bytes", SKIPPED("\"bytes\""), READER, VIEW_INIT("\2\xff\6"), "{\"a\":3}"},
        {"string", SKIPPED("\"string\""), READER, VIEW_INIT("\2x\6"), "{\"a\":3}"},
        {"fixed", SKIPPED(FIXED("F", "3")), READER, VIEW_INIT("123\6"), "{\"a\":3}"},
        {"fixed cut", SKIPPED(FIXED("F", "3")), READER, VIEW_INIT("12"),
         "refused: x is longer than what is there"},
        {"enum", SKIPPED(ENUM("\"A\"")), READER, VIEW_INIT("\0\6"), "{\"a\":3}"},
        {"enum out of range", SKIPPED(ENUM("\"A\"")), READER, VIEW_INIT("\2\6"),
         "refused: x has a symbol that its enum does not have"},
        {"map in two blocks", SKIPPED(MAP("\"int\"")), READER,
         VIEW_INIT("\2\2k\2"
                   "\1\6\2l\4"
                   "\0"
                   "\6"),
         "{\"a\":3}"},
        {"map of nulls, more than there are bytes", SKIPPED(MAP("\"null\"")), READER,
         VIEW_INIT("\x80\x80\x80\x80\x80\x80\x01\6"),
         "refused: x has more items than there are bytes"},
        {"array of nulls without end", SKIPPED(ARRAY("\"null\"")), READER,
         VIEW_INIT("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\6"),
         "refused: x has too many empty items"},
        {"array of arrays of nulls", SKIPPED(ARRAY(ARRAY("\"null\""))), READER,
         VIEW_INIT("\4"
                   "\xd0\x07\0"
                   "\xd0\x07\0"
                   "\0\6"),
         "{\"a\":3}"},
        {"too many of them", SKIPPED(ARRAY(ARRAY("\"null\""))), READER,
         VIEW_INIT("\4"
                   "\xd0\x0f\0"
                   "\2\0"
                   "\0\6"),
         "refused: x has too many empty items"},
        {"union", SKIPPED("[\"null\",\"string\"]"), READER, VIEW_INIT("\2\2x\6"), "{\"a\":3}"},
        {"union out of range", SKIPPED("[\"null\",\"string\"]"), READER, VIEW_INIT("\4\2x\6"),
         "refused: x has a branch that its union does not have"},
        {"record",
         SKIPPED("{\"type\":\"record\",\"name\":\"Q\",\"fields\":[" FIELD("p", "\"int\"") "," FIELD(
             "q", "\"string\"") "]}"),
         READER, VIEW_INIT("\2\2x\6"), "{\"a\":3}"},
    };

    CHECK(cases);
}

Test(plan, what_has_no_c_type_cannot_be_read_as_ours)
{
    static const struct resolution cases[] = {
        {"map", MAP("\"int\""), MAP("\"int\""), VIEW_INIT("\0"), "unplanned: map has no C type"},
        {"fixed", FIXED("F", "1"), FIXED("F", "1"), VIEW_INIT("\0"),
         "unplanned: fixed has no C type"},
        {"a wider union", "\"int\"", "[\"int\",\"string\",\"null\"]", VIEW_INIT("\0"),
         "unplanned: union has no C type"},
    };

    CHECK(cases);
}
