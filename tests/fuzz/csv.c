/* Fuzz: CSV, and the retail file as orders. The first byte says which. */
#include "ops/csv.h"

#include "ops/import_retail.h"
#include "tests/fuzz/fuzz.h"

/* Each record once more, every field in quotes. */
static void print(struct buf *out, const struct csv_record *record)
{
    for (size_t i = 0; i < record->field_count; i++) {
        buf_append_str(out, i > 0 ? ",\"" : "\"");
        for (size_t j = 0; j < record->fields[i].size; j++) {
            if (record->fields[i].data[j] == '"')
                buf_append_byte(out, '"');
            buf_append_byte(out, (uint8_t)record->fields[i].data[j]);
        }
        buf_append_byte(out, '"');
    }
    buf_append_str(out, "\r\n");
}

static enum err_kind print_all(struct buf *out, struct view text, struct arena *arena,
                               struct err *err)
{
    struct csv csv;
    struct csv_record record;
    bool more = true;
    enum err_kind kind = csv_start(&csv, text, arena, err);

    while (kind == ERR_OK && (kind = csv_next(&csv, &record, &more, err)) == ERR_OK && more)
        print(out, &record);
    return kind;
}

static void fuzz_csv(struct view text, struct arena *arena)
{
    AUTO(buf_clear) struct buf once = {0}, twice = {0};
    struct err err = {0};
    enum err_kind kind = print_all(&once, text, arena, &err);

    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return;
    }
    HOLDS(print_all(&twice, buf_view(&once), arena, &err) == ERR_OK, err.text);
    HOLDS(view_equal(buf_view(&once), buf_view(&twice)), "what was written is read as another");
}

static void fuzz_retail(struct view lines, struct arena *arena)
{
    static const struct retail_shares SHARES = {1000000, 50000, 50000, 100000};
    AUTO(buf_clear) struct buf text = {0};
    struct retail retail;
    struct err err = {0};
    enum err_kind kind;
    size_t count = 0;

    buf_append_str(&text, "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,"
                          "CustomerID,Country\n");
    buf_append_view(&text, lines);
    kind = retail_read(&retail, buf_view(&text), &SHARES, arena, &err);
    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return;
    }
    for (size_t i = 0; i < retail.line_count; i++) {
        HOLDS(retail.lines[i].quantity <= 1000000 && retail.lines[i].quantity >= -1000000, "units");
        HOLDS(retail.lines[i].sku.size <= 64, "SKU");
    }
    for (size_t i = 0; i < retail.order_count; i++) {
        const struct retail_order *order = &retail.orders[i];

        HOLDS(order->line_count >= 1 && order->line_count <= RETAIL_LINES_MAX, "lines");
        HOLDS(order->total_minor >= 0, "a total below nothing");
    }
    for (enum retail_bucket bucket = 0; bucket < BUCKET_COUNT; bucket++)
        count += retail.totals[bucket].lines;
    HOLDS(count == retail.line_count, "each line falls into one bucket");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};

    if (size == 0)
        return 0;
    if (data[0] == 'r')
        fuzz_retail(view_of(data + 1, size - 1), &arena);
    else
        fuzz_csv(view_of(data + 1, size - 1), &arena);
    return 0;
}
