/* The rules of the import, and the numbers they give on the file the project ships. */
#include "ops/import_retail.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#define HEADER "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

static const struct retail_shares SHARES = {
    .stock_cover = 990000, .decline = 30000, .capture_fail = 10000, .cancel = 30000};

static struct arena arena;

static void clear(void)
{
    arena_clear(&arena);
}

static struct view read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = arena_alloc(&arena, 2000000);
    size_t size;

    cr_assert_not_null(file, "%s", path);
    size = fread(text, 1, 2000000, file);
    fclose(file);
    return view_of(text, size);
}

static struct retail read_shipped(void)
{
    struct retail retail;
    struct err err = {0};

    cr_assert_eq(
        retail_read(&retail, read_file(TEST_DATA "/online-retail-10k.csv"), &SHARES, &arena, &err),
        ERR_OK, "%s", err.text);
    return retail;
}

static struct retail read_text(const char *text)
{
    struct retail retail;
    struct err err = {0};

    cr_assert_eq(retail_read(&retail, view_str(text), &SHARES, &arena, &err), ERR_OK, "%s",
                 err.text);
    return retail;
}

Test(import, each_line_of_the_shipped_file_is_in_one_bucket, .fini = clear)
{
    static const struct {
        const char *name;
        size_t lines;
        int64_t units;
        int64_t pence;
    } WANTED[BUCKET_COUNT] = {
        {"ordered goods", 9818, 90009, 18031618}, {"ordered free", 1, 1, 0},
        {"ordered charge", 36, 112, 393215},      {"return", 98, -10815, -352379},
        {"discount reversed", 2, -2, -5679},      {"stock adjustment out", 30, -1398, 0},
        {"stock adjustment in", 15, 379, 0},      {"set aside", 0, 0, 0},
    };
    struct retail retail = read_shipped();
    size_t lines = 0;
    int64_t units = 0, pence = 0;

    for (int i = 0; i < BUCKET_COUNT; i++) {
        const struct retail_total *total = &retail.totals[i];

        cr_expect_str_eq(retail_bucket_name((enum retail_bucket)i), WANTED[i].name);
        cr_expect_eq(total->lines, WANTED[i].lines, "%s: %zu lines", WANTED[i].name, total->lines);
        cr_expect_eq(total->units, WANTED[i].units, "%s: %ld units", WANTED[i].name,
                     (long)total->units);
        cr_expect_eq(retail_minor(total->amount), WANTED[i].pence, "%s: %ld pence", WANTED[i].name,
                     (long)retail_minor(total->amount));
        lines += total->lines, units += total->units, pence += retail_minor(total->amount);
    }
    cr_expect_eq(lines, 10000);
    cr_expect_eq(units, 78286);
    cr_expect_eq(pence, 18066775);
}

Test(import, the_shipped_file_gives_424_orders, .fini = clear)
{
    struct retail retail = read_shipped();
    size_t lines = 0, largest = 0, guests = 0, only_charges = 0;
    int64_t total = 0;

    for (size_t i = 0; i < retail.order_count; i++) {
        const struct retail_order *order = &retail.orders[i];

        lines += order->line_count;
        total += order->total_minor;
        largest = order->line_count > largest ? order->line_count : largest;
        guests += order->is_guest;
        only_charges += order->only_charges;
        if (order->only_charges)
            cr_expect(view_equals(order->invoice, "536779"));
    }
    cr_expect_eq(retail.order_count, 424);
    cr_expect_eq(lines, 9855);
    cr_expect_eq(largest, 593);
    cr_expect_eq(guests, 23);
    cr_expect_eq(only_charges, 1);
    cr_expect_eq(retail.customer_count, 303);
    cr_expect_eq(total, 18031618 + 393215);
}

Test(import, codes_that_differ_by_case_are_one_product, .fini = clear)
{
    struct retail retail = read_shipped();
    size_t goods = 0;

    for (size_t i = 0; i < retail.product_count; i++)
        goods += !retail.products[i].is_charge;

    cr_expect_eq(goods, 1958);
    cr_expect_eq(retail.product_count, 1963);
}

/* Orders that fall short when they come one by one in file order. */
static size_t count_short(const struct retail *retail)
{
    size_t short_orders = 0;
    int64_t *stock = arena_array(&arena, retail->product_count, sizeof *stock);

    for (size_t i = 0; i < retail->product_count; i++)
        stock[i] = retail->products[i].opening;
    for (size_t i = 0; i < retail->order_count; i++) {
        const struct retail_order *order = &retail->orders[i];
        bool is_short = false;

        for (int pass = 0; pass < 2 && !is_short; pass++) {
            int64_t *wanted = arena_array(&arena, retail->product_count, sizeof *wanted);

            for (size_t l = 0; l < order->line_count; l++)
                for (size_t p = 0; p < retail->product_count; p++)
                    if (view_equal(retail->products[p].sku, retail->lines[order->lines[l]].sku) &&
                        !retail->products[p].is_charge)
                        wanted[p] += retail->lines[order->lines[l]].quantity;
            for (size_t p = 0; p < retail->product_count; p++) {
                is_short |= wanted[p] > stock[p];
                if (pass == 1)
                    stock[p] -= wanted[p];
            }
        }
        short_orders += is_short;
    }
    return short_orders;
}

Test(import, opening_stock_leaves_37_orders_short_in_file_order, .fini = clear)
{
    struct retail retail = read_shipped();

    cr_expect_eq(count_short(&retail), 37);
}

Test(import, shares_are_dealt_by_the_invoice_and_near_what_was_asked, .fini = clear)
{
    struct retail retail = read_shipped(), again = read_shipped();
    size_t declined = 0, capture_fails = 0, at_once = 0, confirmed = 0;

    for (size_t i = 0; i < retail.order_count; i++) {
        const struct retail_order *order = &retail.orders[i];

        cr_expect_str_eq(order->payment_token, again.orders[i].payment_token);
        cr_expect_eq(order->cancel, again.orders[i].cancel);
        declined += strcmp(order->payment_token, "tok_decline") == 0;
        capture_fails += strcmp(order->payment_token, "tok_capture_fail") == 0;
        at_once += order->cancel == RETAIL_CANCEL_AT_ONCE;
        confirmed += order->cancel == RETAIL_CANCEL_CONFIRMED;
    }
    cr_expect(declined >= 6 && declined <= 20, "%zu declined", declined);
    cr_expect(capture_fails >= 1 && capture_fails <= 9, "%zu captures fail", capture_fails);
    cr_expect(at_once >= 2 && at_once <= 12, "%zu cancelled at once", at_once);
    cr_expect(confirmed >= 2 && confirmed <= 12, "%zu cancelled after confirmation", confirmed);
}

Test(import, an_invoice_without_any_price_is_an_adjustment, .fini = clear)
{
    struct retail retail =
        read_text(HEADER "1,A,lost,-3,2010-12-01 08:00:00,0.0,,United Kingdom\n"
                         "2,A,found,4,2010-12-01 08:00:00,0.0,,United Kingdom\n");

    cr_expect_eq(retail.lines[0].bucket, BUCKET_ADJUSTED_OUT);
    cr_expect_eq(retail.lines[1].bucket, BUCKET_ADJUSTED_IN);
    cr_expect_eq(retail.order_count, 0);
}

Test(import, what_no_rule_knows_is_set_aside_and_the_rest_is_sent, .fini = clear)
{
    struct retail retail =
        read_text(HEADER "A1,B,Adjust bad debt,1,2011-08-12 14:50:00,-11062.06,,United Kingdom\n"
                         "2,X,pads,1,2010-12-01 08:00:00,0.001,,United Kingdom\n"
                         "2,Y,thing,2,2010-12-01 07:59:00,1.5,12.0,United Kingdom\n"
                         "2,Z,thing,-2,2010-12-01 08:00:00,1.50,12.0,United Kingdom\n");

    cr_expect_eq(retail.totals[BUCKET_SET_ASIDE].lines, 3);
    cr_expect_str_eq(retail.lines[1].why, "a price with a fraction of a penny");
    cr_assert_eq(retail.order_count, 1);
    cr_expect_eq(retail.orders[0].line_count, 1);
    cr_expect_eq(retail.orders[0].total_minor, 300);
    cr_expect(view_equals(retail.orders[0].customer, "12"));
}

Test(import, an_order_has_the_time_of_its_earliest_line, .fini = clear)
{
    struct retail retail = read_text(HEADER "9,X,a,1,2010-12-01 08:27:00,1.00,5.0,France\n"
                                            "9,Y,b,1,2010-12-01 08:26:00,1.00,5.0,France\n");

    cr_expect_eq(retail.orders[0].ordered_at_us, INT64_C(1291191960) * 1000000);
}

Test(import, london_keeps_summer_time)
{
    static const struct {
        const char *local;
        int64_t utc_s;
    } CASES[] = {
        {"2010-12-01 08:26:00", 1291191960},
        {"2011-03-27 00:59:59", 1301187599}, /* the last second of winter */
        {"2011-03-27 02:00:00", 1301187600}, /* the first of summer */
        {"2011-07-01 12:00:00", 1309518000}, /* 11:00 UTC */
        {"2011-10-30 02:00:00", 1319940000}, /* winter again */
    };
    int64_t utc_us = 0;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        cr_expect(retail_london_time(view_str(CASES[i].local), &utc_us));
        cr_expect_eq(utc_us, CASES[i].utc_s * 1000000, "%s: %ld", CASES[i].local,
                     (long)(utc_us / 1000000));
    }
    cr_expect_not(retail_london_time(view_str("2011-02-29 12:00:00"), &utc_us));
    cr_expect_not(retail_london_time(view_str("2011-02-28 24:00:00"), &utc_us));
    cr_expect_not(retail_london_time(view_str("01/12/2010 08:26"), &utc_us));
}

Test(import, a_file_that_is_not_one_is_refused_in_one_sentence, .fini = clear)
{
    static const struct {
        const char *text, *says;
    } CASES[] = {
        {"<html>\n", "there is no column InvoiceNo in the first line; wanted are InvoiceNo, "
                     "StockCode, Description, "
                     "Quantity, InvoiceDate, UnitPrice, CustomerID and Country"},
        {"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n",
         "there is no column Country in the first line; wanted are InvoiceNo, StockCode, "
         "Description, "
         "Quantity, InvoiceDate, UnitPrice, CustomerID and Country"},
        {HEADER "1,A,a,two,2010-12-01 08:26:00,1.00,,France\n",
         "line 2: Quantity 'two', want a whole number from -1,000,000 to 1,000,000"},
        {HEADER "1,A,a,-9223372036854775808,2010-12-01 08:26:00,1.00,,France\n",
         "line 2: Quantity '-9223372036854775808', want a whole number from -1,000,000 to "
         "1,000,000"},
        {HEADER "1,A,a,1,2010-12-01 08:26:00,-9223372036854775808,,France\n",
         "line 2: UnitPrice '-9223372036854775808', want a price like 2.55"},
        {HEADER "1,A,a,2,yesterday,1.00,,France\n",
         "line 2: InvoiceDate 'yesterday', want a time like 2010-12-01 08:26:00"},
        {HEADER "1,A,a,2,2010-12-01 08:26:00,1e9,,France\n",
         "line 2: UnitPrice '1e9', want a price like 2.55"},
        {HEADER "1,A,a,2,2010-12-01 08:26:00,1.,,France\n",
         "line 2: UnitPrice '1.', want a price like 2.55"},
        {HEADER "1,A,a,2,2010-12-01 08:26:00,1.00,x,France\n",
         "line 2: CustomerID 'x', want a number, or nothing"},
        {HEADER ",A,a,2,2010-12-01 08:26:00,1.00,,France\n", "line 2: InvoiceNo '', want a number"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct retail retail;
        struct err err = {0};

        cr_expect_eq(retail_read(&retail, view_str(CASES[i].text), &SHARES, &arena, &err),
                     ERR_REJECT);
        cr_expect_str_eq(err.text, CASES[i].says);
    }
}
