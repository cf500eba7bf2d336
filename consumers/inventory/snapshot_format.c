#include "consumers/inventory/snapshot_format.h"

#include "runtime/bson_read.h"
#include "runtime/lines.h"

/* A part ends when its lines have grown to this. */
#define PART_BYTES (1u << 20)

struct parts {
    int64_t count;
    struct buf lines; /* of the part that is begun */
    void (*each)(void *context, bson_t *document);
    void *context;
};

static bson_t *new_part(struct parts *parts)
{
    bson_t *document = bson_new();
    char id[LEDGER_ID_SIZE];

    ledger_id(id, (uint64_t)parts->count++);
    BSON_APPEND_UTF8(document, "_id", id);
    return document;
}

/* The lines so far make a part, when there are enough of them, or no more will come. */
static void end_part(struct parts *parts, const char *name, bool is_last)
{
    bson_t *document;

    if (parts->lines.size == 0 || (parts->lines.size < PART_BYTES && !is_last))
        return;
    document = new_part(parts);
    bson_append_utf8(document, name, -1, parts->lines.data, (int)parts->lines.size);
    parts->each(parts->context, document);
    buf_reset(&parts->lines);
}

static void write_skus(struct parts *parts, const struct stock *stock)
{
    for (size_t i = 0; i < stock->sku_count; i++) {
        const struct stock_sku *sku = stock->skus[i];

        line_text(&parts->lines, sku->code);
        line_int64(&parts->lines, sku->received);
        for (int place = 0; place < STOCK_PLACES; place++)
            line_int64(&parts->lines, sku->units[place]);
        line_end(&parts->lines);
        end_part(parts, "skus", i + 1 == stock->sku_count);
    }
}

static void write_orders(struct parts *parts, const struct stock *stock)
{
    const struct stock_order *order;
    size_t place = 0;

    while ((order = lookup_next(&stock->order_by_id, &place)) != NULL) {
        line_text(&parts->lines, order->id);
        line_text(&parts->lines, view_str(saga_state_name(PART_INVENTORY, (int)order->state)));
        for (uint32_t i = 0; i < order->item_count; i++) {
            line_text(&parts->lines, order->items[i].sku->code);
            line_int64(&parts->lines, order->items[i].quantity);
        }
        line_end(&parts->lines);
        end_part(parts, "orders", false);
    }
    end_part(parts, "orders", true);
}

static void write_receipts(struct parts *parts, const struct stock *stock)
{
    for (const struct stock_receipt *receipt = stock->oldest; receipt != NULL;
         receipt = receipt->newer) {
        line_text(&parts->lines, receipt->id);
        line_text(&parts->lines, receipt->sku->code);
        line_int64(&parts->lines, receipt->quantity);
        line_int64(&parts->lines, receipt->time_us);
        line_end(&parts->lines);
        end_part(parts, "receipts", receipt->newer == NULL);
    }
}

/* One letter a part: its value may be as large as a part. */
static void write_letters(struct parts *parts, const struct letter *const *letters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bson_t *document = new_part(parts);

        letters_write(document, &letters[i], 1);
        parts->each(parts->context, document);
    }
}

void snapshot_write(const struct stock *stock, const struct letter *const *letters,
                    size_t letter_count, const struct standing *standing,
                    void (*each)(void *context, bson_t *document), void *context)
{
    struct parts parts = {.each = each, .context = context};
    bson_t *valid = bson_new();

    write_skus(&parts, stock);
    write_orders(&parts, stock);
    write_receipts(&parts, stock);
    write_letters(&parts, letters, letter_count);
    buf_clear(&parts.lines);
    BSON_APPEND_UTF8(valid, "_id", SNAPSHOT_VALID);
    BSON_APPEND_INT64(valid, "parts", parts.count);
    standing_write(valid, standing);
    each(context, valid);
}

/* --- Reading -------------------------------------------------------------------------------- */

static void check_bson(struct bson_reader *reader, const bson_t *document)
{
    if (!bson_validate(document, BSON_VALIDATE_NONE, NULL))
        bson_fail(reader, "it is not BSON");
}

enum err_kind snapshot_read_valid(struct standing *out, int64_t *parts, const bson_t *document,
                                  struct arena *arena, struct err *err)
{
    struct bson_reader reader = {.what = "snapshot", .err = err};
    struct standing standing = {0};

    check_bson(&reader, document);
    if (reader.kind == ERR_OK)
        standing_read(&standing, &reader, document, arena);
    *parts = reader.kind == ERR_OK ? bson_read_int64(&reader, document, "parts", 0, INT32_MAX) : 0;
    if (reader.kind == ERR_OK)
        *out = standing;
    return reader.kind;
}

static enum err_kind read_sku(const struct snapshot_visitor *visitor, struct bson_reader *reader,
                              struct view *line, struct arena *arena)
{
    struct stock_sku sku = {.code = line_next_text(line)};

    (void)arena;
    sku.received = number_read(reader, line);
    for (int place = 0; place < STOCK_PLACES; place++)
        sku.units[place] = number_read(reader, line);
    return reader->kind == ERR_OK && visitor->sku != NULL
               ? visitor->sku(visitor->context, &sku, reader->err)
               : ERR_OK;
}

static enum err_kind read_order(const struct snapshot_visitor *visitor, struct bson_reader *reader,
                                struct view *line, struct arena *arena)
{
    struct view id = line_next_text(line);
    struct view name = line_next_text(line);
    size_t count;
    const struct stock_item *items = items_read(reader, line, &count, arena);
    int state = saga_state_from_name(PART_INVENTORY, arena_view(arena, name).data);

    if (state < 0)
        bson_fail(reader, "order %.*s: there is no such state", (int)(id.size < 40 ? id.size : 40),
                  id.data);
    return reader->kind == ERR_OK && visitor->order != NULL
               ? visitor->order(visitor->context, id, (enum saga_inventory_state)state, items,
                                count, reader->err)
               : ERR_OK;
}

static enum err_kind read_receipt(const struct snapshot_visitor *visitor,
                                  struct bson_reader *reader, struct view *line,
                                  struct arena *arena)
{
    struct view id = line_next_text(line);
    struct stock_item item = {.sku = line_next_text(line)};
    int64_t time_us;

    (void)arena;
    item.quantity = number_read(reader, line);
    time_us = number_read(reader, line);
    return reader->kind == ERR_OK && visitor->receipt != NULL
               ? visitor->receipt(visitor->context, id, &item, time_us, reader->err)
               : ERR_OK;
}

/* One thing a line. */
static void read_lines(const struct snapshot_visitor *visitor, struct bson_reader *reader,
                       const bson_t *document, const char *name,
                       enum err_kind (*read)(const struct snapshot_visitor *visitor,
                                             struct bson_reader *reader, struct view *line,
                                             struct arena *arena),
                       struct arena *arena)
{
    struct view rest = bson_read_text(reader, document, name, LEDGER_LINES_MAX), line;

    while (reader->kind == ERR_OK && lines_next(&rest, &line)) {
        if (read(visitor, reader, &line, arena) != ERR_OK)
            reader->kind = ERR_STOP;
        if (line.size > 0)
            bson_fail(reader, "a line of %s has too many fields", name);
    }
    if (rest.size > 0)
        bson_fail(reader, "the last line of %s does not end in a newline", name);
}

enum err_kind snapshot_read_part(const struct snapshot_visitor *visitor, const bson_t *document,
                                 struct arena *arena, struct err *err)
{
    struct bson_reader reader = {.what = "snapshot", .err = err};
    const struct letter *letters;
    size_t count = 0;

    check_bson(&reader, document);
    if (reader.kind != ERR_OK)
        return reader.kind;
    if (bson_has_field(document, "skus")) {
        read_lines(visitor, &reader, document, "skus", read_sku, arena);
    } else if (bson_has_field(document, "orders")) {
        read_lines(visitor, &reader, document, "orders", read_order, arena);
    } else if (bson_has_field(document, "receipts")) {
        read_lines(visitor, &reader, document, "receipts", read_receipt, arena);
    } else {
        letters = letters_read(&reader, document, &count, arena);
        for (size_t i = 0; i < count && reader.kind == ERR_OK && visitor->letter != NULL; i++)
            visitor->letter(visitor->context, &letters[i]);
    }
    return reader.kind;
}
