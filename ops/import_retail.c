#include "ops/import_retail.h"

#include "ops/csv.h"

#include <uthash.h>

#include <stdlib.h>

/* --- The table of buckets -------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool is_sent;
    const char *fate;
} BUCKETS[BUCKET_COUNT] = {
#define BUCKET(symbol, name, is_sent, fate) [BUCKET_##symbol] = {name, is_sent, fate},
    RETAIL_BUCKETS
#undef BUCKET
};

const char *retail_bucket_name(enum retail_bucket bucket)
{
    return BUCKETS[bucket].name;
}

bool retail_bucket_is_sent(enum retail_bucket bucket)
{
    return BUCKETS[bucket].is_sent;
}

const char *retail_bucket_fate(enum retail_bucket bucket)
{
    return BUCKETS[bucket].fate;
}

int64_t retail_minor(int64_t amount)
{
    return amount / (RETAIL_PRICE_SCALE / 100);
}

/* --- Fields ---------------------------------------------------------------------------------- */

/* Stock codes of the wholesaler that are no goods. */
static const char *const CHARGES[] = {
    "POST",         /* postage */
    "DOT",          /* postage of the web shop */
    "C2",           /* carriage */
    "M",            /* entered by hand */
    "BANK CHARGES", /**/
    "AMAZONFEE",    /**/
    "CRUK",         /* a commission for charity */
    "S",            /* samples */
};

#define DISCOUNT "D"

static bool is_charge(struct view sku)
{
    for (size_t i = 0; i < sizeof CHARGES / sizeof CHARGES[0]; i++)
        if (view_equals(sku, CHARGES[i]))
            return true;
    return false;
}

/* Digits of a fixed place, or -1. */
static int digits(struct view text, size_t from, size_t count)
{
    int value = 0;

    for (size_t i = from; i < from + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

/* Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-compatible low-level date
 * algorithms"). */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = y / 400, in_era = y - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

/* 01:00 UTC of the month's last Sunday, in seconds: when summer time begins and ends since 1996. */
static int64_t last_sunday(int year, int month)
{
    int64_t day = days_from_civil(year, month, 31); /* March and October both have 31 days */

    return (day - (day + 4) % 7) * 86400 + 3600; /* 1970-01-01 was a Thursday */
}

bool retail_london_time(struct view text, int64_t *utc_us)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, hour, minute, second;
    bool is_leap;
    int64_t local;

    if (text.size != 19 || text.data[4] != '-' || text.data[7] != '-' || text.data[10] != ' ' ||
        text.data[13] != ':' || text.data[16] != ':')
        return false;
    year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    if (year < 1996 || month < 1 || month > 12 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59)
        return false;
    is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > DAYS[month - 1] + (month == 2 && is_leap))
        return false;
    local = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    /* The clock shows an hour more from the last Sunday of March to the last one of October. */
    if (local >= last_sunday(year, 3) + 3600 && local < last_sunday(year, 10) + 3600)
        local -= 3600;
    *utc_us = local * 1000000;
    return true;
}

#define QUANTITY_MAX 1000000
#define PRICE_MAX 1000000 /* of one unit, in whole pounds */

/* By comparing: the least number has no absolute value. */
static bool is_within(int64_t value, int64_t max)
{
    return value >= -max && value <= max;
}

/* "2.55" or "-11062.06" in RETAIL_PRICE_SCALE-ths. */
static bool read_price(struct view text, int64_t *out)
{
    const char *point = text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
    struct view whole = point != NULL ? view_of(text.data, (size_t)(point - text.data)) : text;
    int64_t value, place = RETAIL_PRICE_SCALE;
    bool negative = text.size > 0 && text.data[0] == '-';

    if (!view_to_int64(whole, &value) || !is_within(value, PRICE_MAX))
        return false;
    value *= place;
    for (size_t i = whole.size + 1; point != NULL && i < text.size; i++) {
        int digit = digits(text, i, 1);

        place /= 10;
        if (digit < 0 || place == 0)
            return false;
        value += negative ? -digit * place : digit * place;
    }
    if (point != NULL && text.size == whole.size + 1)
        return false;
    *out = value;
    return true;
}

/* Ids are written as 17850.0: the file has been through a table of floating point numbers. */
static bool read_customer(struct view text, struct view *out)
{
    int64_t id;

    *out = VIEW_NONE;
    if (text.size == 0)
        return true;
    if (text.size > 2 && memcmp(text.data + text.size - 2, ".0", 2) == 0)
        text.size -= 2;
    *out = text;
    return view_to_int64(text, &id) && id > 0;
}

static struct view upper(struct view text, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.size + 1);

    for (size_t i = 0; i < text.size; i++)
        copy[i] = (char)(text.data[i] >= 'a' && text.data[i] <= 'z' ? text.data[i] - 'a' + 'A'
                                                                    : text.data[i]);
    return view_of(copy, text.size);
}

static struct view trim(struct view text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = view_of(text.data + 1, text.size - 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

/* --- Reading lines --------------------------------------------------------------------------- */

enum column { INVOICE, CODE, DESCRIPTION, QUANTITY, DATE, PRICE, CUSTOMER, COUNTRY, COLUMN_COUNT };
static const char *const COLUMNS[COLUMN_COUNT] = {
    "InvoiceNo",   "StockCode", "Description", "Quantity",
    "InvoiceDate", "UnitPrice", "CustomerID",  "Country",
};

static enum err_kind find_columns(const struct csv_record *header, int columns[COLUMN_COUNT],
                                  struct err *err)
{
    for (int i = 0; i < COLUMN_COUNT; i++) {
        columns[i] = csv_column(header, COLUMNS[i]);
        if (columns[i] < 0)
            return err_set(
                err, ERR_REJECT,
                "there is no column %s in the first line; wanted are InvoiceNo, StockCode, "
                "Description, Quantity, InvoiceDate, UnitPrice, CustomerID and Country",
                COLUMNS[i]);
    }
    return ERR_OK;
}

static enum err_kind bad_field(const struct csv_record *record, const int *columns,
                               enum column column, const char *wanted, struct err *err)
{
    struct view value = record->fields[columns[column]];

    return err_set(err, ERR_REJECT, "line %zu: %s '%.*s', want %s", record->line, COLUMNS[column],
                   VIEW_PRINT(view_of(value.data, value.size < 60 ? value.size : 60)), wanted);
}

static enum err_kind read_line(struct retail_line *out, const struct csv_record *record,
                               const int *columns, struct arena *arena, struct err *err)
{
#define FIELD(column) trim(record->fields[columns[column]])
    *out = (struct retail_line){.line = record->line,
                                .invoice = FIELD(INVOICE),
                                .code = FIELD(CODE),
                                .description = FIELD(DESCRIPTION),
                                .country = FIELD(COUNTRY)};
    if (out->invoice.size == 0)
        return bad_field(record, columns, INVOICE, "a number", err);
    if (out->code.size == 0 || out->code.size > 64)
        return bad_field(record, columns, CODE, "1 to 64 bytes", err);
    if (out->country.size == 0 || out->country.size > 64)
        return bad_field(record, columns, COUNTRY, "1 to 64 bytes", err);
    if (!view_to_int64(FIELD(QUANTITY), &out->quantity) || !is_within(out->quantity, QUANTITY_MAX))
        return bad_field(record, columns, QUANTITY, "a whole number from -1,000,000 to 1,000,000",
                         err);
    if (!retail_london_time(FIELD(DATE), &out->ordered_at_us))
        return bad_field(record, columns, DATE, "a time like 2010-12-01 08:26:00", err);
    if (!read_price(FIELD(PRICE), &out->price))
        return bad_field(record, columns, PRICE, "a price like 2.55", err);
    if (!read_customer(FIELD(CUSTOMER), &out->customer))
        return bad_field(record, columns, CUSTOMER, "a number, or nothing", err);
#undef FIELD
    out->sku = upper(out->code, arena);
    return ERR_OK;
}

static size_t count_lines(struct view text)
{
    size_t count = 1;

    for (const char *at = text.data, *end = text.data + text.size;
         at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        count++;
    return count;
}

static enum err_kind read_lines(struct retail *retail, struct view text, struct arena *arena,
                                struct err *err)
{
    struct csv csv;
    struct csv_record record;
    int columns[COLUMN_COUNT];
    bool more;
    enum err_kind kind = csv_start(&csv, text, arena, err);

    if (kind == ERR_OK)
        kind = csv_next(&csv, &record, &more, err);
    if (kind == ERR_OK)
        kind = find_columns(&record, columns, err);
    retail->lines = arena_array(arena, count_lines(text), sizeof *retail->lines);
    while (kind == ERR_OK && (kind = csv_next(&csv, &record, &more, err)) == ERR_OK && more) {
        kind = read_line(&retail->lines[retail->line_count], &record, columns, arena, err);
        retail->line_count += kind == ERR_OK;
    }
    return kind;
}

/* --- Rules: lines to buckets -------------------------------------------------------------------
 */

/* The lines of one invoice, in file order. */
struct invoice {
    struct view number;
    size_t *lines;
    size_t line_count, capacity;
    bool has_price;
    UT_hash_handle hh;
};

static void set_aside(struct retail_line *line, const char *why)
{
    line->bucket = BUCKET_SET_ASIDE;
    line->why = why;
}

static void classify_taken_back(struct retail_line *line)
{
    if (line->quantity >= 0)
        set_aside(line, "a C invoice takes back, but its quantity is not negative");
    else
        line->bucket =
            view_equals(line->sku, DISCOUNT) ? BUCKET_DISCOUNT_REVERSED : BUCKET_RETURNED;
}

static void classify_sold(struct retail_line *line)
{
    if (line->quantity <= 0)
        set_aside(line, "a sale whose quantity is not positive");
    else if (line->price < 0)
        set_aside(line, "a sale at a negative price");
    else if (line->price % (RETAIL_PRICE_SCALE / 100) != 0)
        set_aside(line, "a price with a fraction of a penny");
    else if (view_equals(line->sku, DISCOUNT))
        set_aside(line, "a discount outside a C invoice");
    else if (is_charge(line->sku))
        line->bucket = BUCKET_ORDERED_CHARGE;
    else
        line->bucket = line->price == 0 ? BUCKET_ORDERED_FREE : BUCKET_ORDERED_GOODS;
}

static void classify(struct retail *retail, const struct invoice *invoice)
{
    char first = invoice->number.data[0];

    for (size_t i = 0; i < invoice->line_count; i++) {
        struct retail_line *line = &retail->lines[invoice->lines[i]];

        if (first == 'C' || first == 'c')
            classify_taken_back(line);
        else if (first < '0' || first > '9')
            set_aside(line, "an invoice number that starts with neither a digit nor C");
        else if (!invoice->has_price)
            line->bucket = line->quantity < 0 ? BUCKET_ADJUSTED_OUT : BUCKET_ADJUSTED_IN;
        else if (invoice->line_count > RETAIL_LINES_MAX)
            set_aside(line, "an invoice of more than 1,000 lines");
        else
            classify_sold(line);
    }
}

static struct invoice *group_invoices(struct retail *retail, struct arena *arena, size_t *count)
{
    struct invoice *invoices = arena_array(arena, retail->line_count + 1, sizeof *invoices);
    struct invoice *by_number = NULL;

    *count = 0;
    for (size_t i = 0; i < retail->line_count; i++) {
        const struct retail_line *line = &retail->lines[i];
        struct invoice *invoice;

        HASH_FIND(hh, by_number, line->invoice.data, line->invoice.size, invoice);
        if (invoice == NULL) {
            invoice = &invoices[(*count)++];
            invoice->number = line->invoice;
            HASH_ADD_KEYPTR(hh, by_number, line->invoice.data, line->invoice.size, invoice);
        }
        invoice->lines = arena_room(arena, invoice->lines, invoice->line_count, &invoice->capacity,
                                    sizeof *invoice->lines);
        invoice->lines[invoice->line_count++] = i;
        invoice->has_price |= line->price != 0;
    }
    HASH_CLEAR(hh, by_number);
    return invoices;
}

/* --- Orders, products, customers -------------------------------------------------------------- */

/* 0 to 999,999: where an invoice falls when shares are dealt. `what` keeps the deals independent.
 */
static int64_t deal(const char *what, struct view invoice)
{
    uint64_t hash = view_hash(view_str(what)) * 1099511628211u ^ view_hash(invoice);

    /* The last steps of splitmix64: neighbouring invoice numbers must not fall together. */
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return (int64_t)((hash ^ hash >> 31) % 1000000);
}

static const char *deal_token(struct view invoice, const struct retail_shares *shares)
{
    int64_t dealt = deal("payment", invoice);

    if (dealt < shares->decline)
        return "tok_decline";
    return dealt < shares->decline + shares->capture_fail ? "tok_capture_fail" : "tok_approve";
}

static enum retail_cancel deal_cancel(struct view invoice, const struct retail_shares *shares)
{
    int64_t dealt = deal("cancel", invoice);

    if (dealt >= shares->cancel)
        return RETAIL_KEEP;
    return dealt < shares->cancel / 2 ? RETAIL_CANCEL_AT_ONCE : RETAIL_CANCEL_CONFIRMED;
}

static void add_order(struct retail *retail, const struct invoice *invoice,
                      const struct retail_shares *shares, struct arena *arena)
{
    struct retail_order *order = &retail->orders[retail->order_count];
    const struct retail_line *first = NULL;

    *order = (struct retail_order){
        .invoice = invoice->number,
        .lines = arena_array(arena, invoice->line_count, sizeof *order->lines),
        .only_charges = true,
        .payment_token = deal_token(invoice->number, shares),
        .cancel = deal_cancel(invoice->number, shares)};
    for (size_t i = 0; i < invoice->line_count; i++) {
        const struct retail_line *line = &retail->lines[invoice->lines[i]];

        if (!retail_bucket_is_sent(line->bucket))
            continue;
        if (first == NULL || line->ordered_at_us < order->ordered_at_us)
            order->ordered_at_us = line->ordered_at_us;
        first = first == NULL ? line : first;
        order->only_charges &= line->bucket == BUCKET_ORDERED_CHARGE;
        order->total_minor += line->quantity * retail_minor(line->price);
        order->lines[order->line_count++] = invoice->lines[i];
    }
    if (first == NULL)
        return; /* all of it was set aside */
    order->is_guest = first->customer.data == NULL;
    order->customer = order->is_guest
                          ? arena_printf(arena, "guest:%.*s", VIEW_PRINT(invoice->number))
                          : first->customer;
    order->country = first->country;
    retail->order_count++;
}

struct known {
    size_t index;
    UT_hash_handle hh;
};

/* The product of a sold line; new ones are added in the order of their first sale. */
static struct retail_product *product_of(struct retail *retail, const struct retail_line *line,
                                         struct known **by_sku, struct arena *arena)
{
    struct known *known;
    struct retail_product *product;

    HASH_FIND(hh, *by_sku, line->sku.data, line->sku.size, known);
    if (known != NULL)
        return &retail->products[known->index];
    known = arena_alloc(arena, sizeof *known);
    known->index = retail->product_count++;
    HASH_ADD_KEYPTR(hh, *by_sku, line->sku.data, line->sku.size, known);
    product = &retail->products[known->index];
    product->sku = line->sku;
    product->is_charge = line->bucket == BUCKET_ORDERED_CHARGE;
    return product;
}

static void add_products(struct retail *retail, const struct retail_shares *shares,
                         struct arena *arena)
{
    struct known *by_sku = NULL;

    retail->products = arena_array(arena, retail->line_count + 1, sizeof *retail->products);
    for (size_t i = 0; i < retail->line_count; i++) {
        const struct retail_line *line = &retail->lines[i];
        struct retail_product *product;

        if (!retail_bucket_is_sent(line->bucket))
            continue;
        product = product_of(retail, line, &by_sku, arena);
        if (product->name.size == 0)
            product->name = line->description;
        if (product->price_minor == 0)
            product->price_minor = retail_minor(line->price);
        if (!product->is_charge)
            product->units_sold += line->quantity;
    }
    HASH_CLEAR(hh, by_sku);
    for (size_t i = 0; i < retail->product_count; i++) {
        struct retail_product *product = &retail->products[i];

        if (product->name.size == 0)
            product->name = product->sku;
        /* Rounded up in whole numbers: 0.99 has no exact double. */
        product->opening = (product->units_sold * shares->stock_cover + 999999) / 1000000;
    }
}

static void count_customers(struct retail *retail, struct arena *arena)
{
    struct known *by_id = NULL;

    for (size_t i = 0; i < retail->order_count; i++) {
        const struct retail_order *order = &retail->orders[i];
        struct known *known;

        if (order->is_guest)
            continue;
        HASH_FIND(hh, by_id, order->customer.data, order->customer.size, known);
        if (known != NULL)
            continue;
        known = arena_alloc(arena, sizeof *known);
        HASH_ADD_KEYPTR(hh, by_id, order->customer.data, order->customer.size, known);
        retail->customer_count++;
    }
    HASH_CLEAR(hh, by_id);
}

static enum err_kind count_totals(struct retail *retail, struct err *err)
{
    for (size_t i = 0; i < retail->line_count; i++) {
        const struct retail_line *line = &retail->lines[i];
        struct retail_total *total = &retail->totals[line->bucket];

        total->lines++;
        total->units += line->quantity;
        if (__builtin_add_overflow(total->amount, line->quantity * line->price, &total->amount))
            return err_set(err, ERR_REJECT, "line %zu: the sum of all amounts is too large",
                           line->line);
    }
    return ERR_OK;
}

enum err_kind retail_read(struct retail *out, struct view text, const struct retail_shares *shares,
                          struct arena *arena, struct err *err)
{
    struct invoice *invoices;
    size_t invoice_count;
    enum err_kind kind;

    *out = (struct retail){0};
    if ((kind = read_lines(out, text, arena, err)) != ERR_OK)
        return kind;
    invoices = group_invoices(out, arena, &invoice_count);
    out->orders = arena_array(arena, invoice_count + 1, sizeof *out->orders);
    for (size_t i = 0; i < invoice_count; i++) {
        classify(out, &invoices[i]);
        add_order(out, &invoices[i], shares, arena);
    }
    add_products(out, shares, arena);
    count_customers(out, arena);
    return count_totals(out, err);
}
