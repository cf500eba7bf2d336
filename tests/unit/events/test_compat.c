#include "events/compat.h"
#include "events/lock_file.h"
#include "runtime/file.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EVENT_FIELDS(fields) "{\"type\":\"record\",\"name\":\"shop.R\",\"fields\":[" fields "]}"
#define A "{\"name\":\"a\",\"type\":\"string\"}"
#define KIND(symbols, fallback)                                                                    \
    "{\"name\":\"k\",\"type\":{\"type\":\"enum\",\"name\":\"K\",\"symbols\":[" symbols             \
    "]" fallback "}}"

/* A change, and what forbids it (NULL: nothing does). */
Test(compat, a_change_is_allowed_or_the_reason_is_named)
{
    static const struct {
        const char *name, *older, *newer, *why;
    } cases[] = {
        {"nothing changed", EVENT_FIELDS(A), EVENT_FIELDS(A), NULL},
        {"a field with a default added", EVENT_FIELDS(A),
         EVENT_FIELDS(A ",{\"name\":\"b\",\"type\":\"int\",\"default\":0}"), NULL},
        {"a field without one added", EVENT_FIELDS(A),
         EVENT_FIELDS(A ",{\"name\":\"b\",\"type\":\"int\"}"),
         "the new version cannot read the old one: b: is not in what was written and has no "
         "default"},
        {"a field with a default removed",
         EVENT_FIELDS(A ",{\"name\":\"b\",\"type\":\"int\",\"default\":0}"), EVENT_FIELDS(A), NULL},
        {"a field without one removed", EVENT_FIELDS(A ",{\"name\":\"b\",\"type\":\"int\"}"),
         EVENT_FIELDS(A),
         "the old version cannot read the new one: b: is not in what was written and has no "
         "default"},
        {"a type changed", EVENT_FIELDS(A), EVENT_FIELDS("{\"name\":\"a\",\"type\":\"long\"}"),
         "the new version cannot read the old one: a: string cannot be read as long"},
        {"a type widened: old readers cannot follow",
         EVENT_FIELDS("{\"name\":\"a\",\"type\":\"int\"}"),
         EVENT_FIELDS("{\"name\":\"a\",\"type\":\"long\"}"),
         "the old version cannot read the new one: a: long cannot be read as int"},
        {"string and bytes are read as each other", EVENT_FIELDS(A),
         EVENT_FIELDS("{\"name\":\"a\",\"type\":\"bytes\"}"), NULL},
        {"a value made optional", EVENT_FIELDS(A),
         EVENT_FIELDS("{\"name\":\"a\",\"type\":[\"null\",\"string\"],\"default\":null}"),
         "the old version cannot read the new one: a: null cannot be read as string"},
        {"a symbol added, with a default symbol", EVENT_FIELDS(KIND("\"U\"", ",\"default\":\"U\"")),
         EVENT_FIELDS(KIND("\"U\",\"X\"", ",\"default\":\"U\"")), NULL},
        {"a symbol added, without", EVENT_FIELDS(KIND("\"U\"", "")),
         EVENT_FIELDS(KIND("\"U\",\"X\"", "")),
         "the old version cannot read the new one: k: symbol X is unknown to the reader, whose "
         "enum "
         "has no default"},
        {"a symbol removed, with a default symbol",
         EVENT_FIELDS(KIND("\"U\",\"X\"", ",\"default\":\"U\"")),
         EVENT_FIELDS(KIND("\"U\"", ",\"default\":\"U\"")), NULL},
        {"a symbol removed, without", EVENT_FIELDS(KIND("\"U\",\"X\"", "")),
         EVENT_FIELDS(KIND("\"U\"", "")),
         "the new version cannot read the old one: k: symbol X is unknown to the reader, whose "
         "enum "
         "has no default"},
        {"the default symbol taken away", EVENT_FIELDS(KIND("\"U\",\"X\"", ",\"default\":\"U\"")),
         EVENT_FIELDS(KIND("\"U\",\"X\"", "")), NULL},
        {"a field renamed with an alias and no default", EVENT_FIELDS(A),
         EVENT_FIELDS("{\"name\":\"b\",\"aliases\":[\"a\"],\"type\":\"string\"}"),
         "the old version cannot read the new one: a: is not in what was written and has no "
         "default"},
        {"a field with a default renamed with an alias",
         EVENT_FIELDS("{\"name\":\"a\",\"type\":\"string\",\"default\":\"\"}"),
         EVENT_FIELDS("{\"name\":\"b\",\"aliases\":[\"a\"],\"type\":\"string\",\"default\":\"\"}"),
         NULL},
        {"fields in another order", EVENT_FIELDS(A ",{\"name\":\"b\",\"type\":\"int\"}"),
         EVENT_FIELDS("{\"name\":\"b\",\"type\":\"int\"}," A), NULL},
        {"deep inside",
         EVENT_FIELDS("{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
                      "\"name\":\"L\",\"fields\":[" A "]}}}"),
         EVENT_FIELDS("{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
                      "\"name\":\"L\",\"fields\":[" A ",{\"name\":\"q\",\"type\":\"long\"}]}}}"),
         "the new version cannot read the old one: l[0].q: is not in what was written and has no "
         "default"},
        {"another record", EVENT_FIELDS(A),
         "{\"type\":\"record\",\"name\":\"shop.S\",\"fields\":[" A "]}",
         "the new version cannot read the old one: record shop.R cannot be read as record shop.S"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        const struct schema *newer, *older;
        struct err err = {0};

        cr_assert_eq(schema_parse(&older, view_str(cases[i].older), &arena, &err), ERR_OK, "%s: %s",
                     cases[i].name, err.text);
        cr_assert_eq(schema_parse(&newer, view_str(cases[i].newer), &arena, &err), ERR_OK, "%s: %s",
                     cases[i].name, err.text);
        if (compat_full(newer, older, &err) == ERR_OK)
            cr_expect_null(cases[i].why, "%s: allowed", cases[i].name);
        else
            cr_expect_str_eq(err.text, cases[i].why == NULL ? "allowed" : cases[i].why, "%s: %s",
                             cases[i].name, err.text);
    }
}

/* --- The folder: the project's own, and copies of it with one mistake ---------------------------
 */

Test(compat, every_schema_follows_all_its_versions)
{
    AUTO(buf_clear) struct buf report = {0};

    cr_expect_eq(compat_check_folder(SCHEMAS, &report), 0, "%s", buf_cstr(&report));
}

static void copy_schemas(char folder[], const char *command)
{
    AUTO(buf_clear) struct buf shell = {0};

    cr_assert_not_null(mkdtemp(folder));
    buf_printf(&shell, "cp -r %s/events %s/history %s/ids.lock %s && cd %s && %s", SCHEMAS, SCHEMAS,
               SCHEMAS, folder, folder, command);
    /* NOLINTNEXTLINE(cert-env33-c): a test's own words */
    cr_assert_eq(system(buf_cstr(&shell)), 0, "%s", command);
}

static void remove_schemas(const char *folder)
{
    AUTO(buf_clear) struct buf shell = {0};

    buf_printf(&shell, "rm -r %s", folder);
    /* NOLINTNEXTLINE(cert-env33-c): a test's own words */
    cr_assert_eq(system(buf_cstr(&shell)), 0);
}

Test(compat, a_mistake_in_the_folder_is_reported)
{
    static const struct {
        const char *name, *command, *want;
    } cases[] = {
        {"a field added without a default",
         "sed -i 's/\"fields\": \\[/&{\"name\":\"x\",\"type\":\"int\"},/' events/order.closed.avsc",
         "order.closed against its version 1: the new version cannot read the old one: x: is not "
         "in "
         "what was written and has no default"},
        {"a field added with a default, and no new version made",
         "sed -i 's/\"fields\": \\[/&{\"name\":\"x\",\"type\":\"int\",\"default\":1},/' "
         "events/order.closed.avsc",
         "order.closed: the schema is not the newest version in history/: run avro-compile lock"},
        {"a version changed afterwards",
         "sed -i 's/\"order_id\"/\"id\"/' history/order.closed/1.avsc",
         "history/order.closed/1.avsc: its fingerprint is "},
        {"a version missing", "rm history/order.closed/1.avsc",
         "history/order.closed/1.avsc: No such file or directory"},
        {"a schema missing", "rm events/order.closed.avsc",
         "events/order.closed.avsc: No such file or directory"},
        {"an id twice", "sed -i 's/\"id\":2,/\"id\":1,/' ids.lock",
         "ids.lock: id 1 is there twice"},
        {"a version left out", "sed -i '/\"id\":2,/s/\"version\":1/\"version\":2/' ids.lock",
         "ids.lock: version 2 of order.confirmed, want 1"},
        {"a wrong subject",
         "sed -i 's/shop.orders.v1-shop.orders.OrderClosed/OrderClosed/' ids.lock",
         "ids.lock: id 4: subject OrderClosed, want shop.orders.v1-shop.orders.OrderClosed"},
        {"an event that is none",
         "sed -i 's/\"type\":\"order.closed\"/\"type\":\"order.ended\"/' ids.lock",
         "ids.lock: id 4: order.ended is no event of the catalogue"},
        {"no lock file", "rm ids.lock", "ids.lock: No such file or directory"},
        {"no JSON", "echo '{' > ids.lock", "ids.lock: json: "},
        {"a row without an id", "sed -i 's/\"id\":1,//' ids.lock", "ids.lock: /schemas/0/id: "},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char folder[] = "/tmp/schemas-XXXXXX";
        AUTO(buf_clear) struct buf report = {0};

        copy_schemas(folder, cases[i].command);
        cr_expect_gt(compat_check_folder(folder, &report), 0, "%s", cases[i].name);
        cr_expect_not_null(strstr(buf_cstr(&report), cases[i].want), "%s: %s", cases[i].name,
                           buf_cstr(&report));
        remove_schemas(folder);
    }
}
