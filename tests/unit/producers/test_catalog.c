#include "producers/catalog/catalog_decide.h"
#include "producers/catalog/catalog_request.h"

#include <criterion/criterion.h>

/* --- Deciding ------------------------------------------------------------------------------- */

static struct product clock_product(void)
{
    return (struct product){
        .sku = VIEW_LITERAL("22423"),
        .name = VIEW_LITERAL("REGENCY CAKESTAND 3 TIER"),
        .kind = PRODUCT_KIND_GOODS,
        .unit_price_minor = 1275,
        .currency = VIEW_LITERAL("GBP"),
        .category = VIEW_NONE,
    };
}

/* The product after it was published once. */
static struct product published(void)
{
    struct product known = {0}, wanted = clock_product();
    struct product_upserted event;

    cr_assert(catalog_decide_upsert(&event, &known, &wanted, 1000));
    catalog_apply(&known, EVENT_PRODUCT_UPSERTED, &event, VIEW_LITERAL("catalog/3/17"));
    return known;
}

Test(catalog, a_new_product_is_published_and_becomes_what_was_published)
{
    struct product known = published();

    cr_expect(known.sold);
    cr_expect(view_equals(known.sku, "22423"));
    cr_expect_eq(known.unit_price_minor, 1275);
    cr_expect(view_equals(known.event, "catalog/3/17"));
    cr_expect_eq(known.changed_us, 1000);
}

Test(catalog, the_same_product_again_changes_nothing)
{
    struct product known = published(), wanted = clock_product();
    struct product_upserted event;

    cr_expect_not(catalog_decide_upsert(&event, &known, &wanted, 2000));
}

Test(catalog, each_member_that_differs_is_a_change)
{
    struct product known = published();
    struct product cases[5];
    struct product_upserted event;

    for (size_t i = 0; i < 5; i++)
        cases[i] = clock_product();
    cases[0].name = VIEW_LITERAL("REGENCY CAKESTAND");
    cases[1].kind = PRODUCT_KIND_CHARGE;
    cases[2].unit_price_minor = 1276;
    cases[3].currency = VIEW_LITERAL("EUR");
    cases[4].category = VIEW_LITERAL("");

    for (size_t i = 0; i < 5; i++)
        cr_expect(catalog_decide_upsert(&event, &known, &cases[i], 2000), "case %zu", i);
}

Test(catalog, a_withdrawn_product_keeps_its_price_and_is_sold_again_when_it_is_sent_again)
{
    struct product known = published(), wanted = clock_product();
    struct product_withdrawn withdrawn;
    struct product_upserted upserted;

    cr_assert(catalog_decide_withdraw(&withdrawn, &known, 2000));
    catalog_apply(&known, EVENT_PRODUCT_WITHDRAWN, &withdrawn, VIEW_LITERAL("catalog/3/18"));

    cr_expect_not(known.sold);
    cr_expect_eq(known.unit_price_minor, 1275);
    cr_expect(view_equals(known.event, "catalog/3/18"));
    cr_expect_not(catalog_decide_withdraw(&withdrawn, &known, 3000), "withdrawn already");
    cr_expect(catalog_decide_upsert(&upserted, &known, &wanted, 3000));
}

/* --- Requests ------------------------------------------------------------------------------- */

#define PRODUCT(sku, rest)                                                                         \
    "{\"sku\":\"" sku "\",\"name\":\"X\",\"kind\":\"goods\",\"unit_price_minor\":1,"               \
    "\"currency\":\"GBP\"" rest "}"

Test(catalog_request, products_are_read_with_their_sku_in_capitals)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json_reader reader = {.arena = &arena};
    struct json *body;
    struct product *products;
    size_t count;
    struct view text = VIEW_LITERAL(
        "[{\"sku\":\"85123a\",\"name\":\"HOLDER\",\"kind\":\"goods\",\"unit_price_minor\":255,"
        "\"currency\":\"GBP\",\"category\":\"lights\"},"
        "{\"sku\":\"BANK CHARGES\",\"name\":\"Bank\",\"kind\":\"charge\",\"unit_price_minor\":0,"
        "\"currency\":\"GBP\"}]");

    cr_assert_eq(json_parse(&body, text, &arena, NULL), ERR_OK);
    cr_assert(catalog_request_read(&products, &count, body, &reader));

    cr_assert_eq(count, 2);
    cr_expect(view_equals(products[0].sku, "85123A"));
    cr_expect_eq(products[0].kind, PRODUCT_KIND_GOODS);
    cr_expect_eq(products[0].unit_price_minor, 255);
    cr_expect(view_equals(products[0].category, "lights"));
    cr_expect(view_equals(products[1].sku, "BANK CHARGES"));
    cr_expect_eq(products[1].kind, PRODUCT_KIND_CHARGE);
    cr_expect_null(products[1].category.data);
}

Test(catalog_request, what_is_wrong_is_named)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{}", ""},
        {"[]", ""},
        {"[7]", "/0"},
        {"[" PRODUCT("A", ",\"colour\":1") "]", "/0/colour"},
        {"[" PRODUCT("A", "") "," PRODUCT(" B", "") "]", "/1/sku"},
        {"[" PRODUCT("A", "") "," PRODUCT("a", "") "]", "/1/sku"},
        {"[" PRODUCT("B", "") "," PRODUCT("A", "") "," PRODUCT("b", "") "]", "/2/sku"},
        {"[{\"sku\":\"A\",\"name\":\"X\",\"kind\":\"gift\",\"unit_price_minor\":1,\"currency\":"
         "\"GBP\"}]",
         "/0/kind"},
        {"[{\"sku\":\"A\",\"name\":\"X\",\"kind\":\"goods\",\"unit_price_minor\":-1,\"currency\":"
         "\"GBP\"}]",
         "/0/unit_price_minor"},
        {"[{\"sku\":\"A\",\"name\":\"X\",\"kind\":\"goods\",\"unit_price_minor\":1000000000001,"
         "\"currency\":\"GBP\"}]",
         "/0/unit_price_minor"},
        {"[{\"sku\":\"A\",\"name\":\"X\",\"kind\":\"goods\",\"unit_price_minor\":1,\"currency\":"
         "\"gbp\"}]",
         "/0/currency"},
        {"[{\"sku\":\"A\",\"kind\":\"goods\",\"unit_price_minor\":1,\"currency\":\"GBP\"}]",
         "/0/name"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(arena_clear) struct arena arena = {0};
        struct json_reader reader = {.arena = &arena};
        struct json *body;
        struct product *products;
        size_t count;

        cr_assert_eq(json_parse(&body, view_str(cases[i].body), &arena, NULL), ERR_OK);

        cr_expect_not(catalog_request_read(&products, &count, body, &reader), "%s", cases[i].body);
        cr_expect(view_equals(reader.pointer, cases[i].pointer), "%s: pointer %.*s", cases[i].body,
                  VIEW_PRINT(reader.pointer));
    }
}
