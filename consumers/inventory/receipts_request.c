#include "consumers/inventory/receipts_request.h"

#include "events/sku.h"

static const char *const members[] = {"receipt_id", "sku", "warehouse", "quantity", NULL};

static void read_receipt(struct receipt *out, const struct json *item, struct json_reader *reader)
{
    struct view warehouse;

    if (!json_only(reader, item, members))
        return;
    out->id = json_read_text(reader, item, "receipt_id", 1, STOCK_ID_MAX);
    out->item.sku = sku_read(reader, item);
    out->item.quantity = json_read_int64(reader, item, "quantity", 1, RECEIPT_QUANTITY_MAX);
    warehouse = json_read_text_optional(reader, item, "warehouse", 1, SKU_MAX);
    if (!reader->failed && warehouse.data != NULL && !view_equals(warehouse, INVENTORY_WAREHOUSE))
        json_fail(reader, json_member(item, "warehouse"), "there is no warehouse '%.*s', only '%s'",
                  VIEW_PRINT(warehouse), INVENTORY_WAREHOUSE);
}

bool receipts_request_read(struct receipt **out, size_t *count, const struct json *body,
                           struct json_reader *reader)
{
    struct receipt *receipts;

    if (body->kind != JSON_ARRAY || body->count == 0 || body->count > RECEIPTS_MAX) {
        json_fail(reader, body, "want an array of 1 to %d receipts", RECEIPTS_MAX);
        return false;
    }
    receipts = arena_array(reader->arena, body->count, sizeof *receipts);
    for (size_t i = 0; i < body->count && !reader->failed; i++)
        read_receipt(&receipts[i], &body->items[i], reader);
    *out = receipts;
    *count = body->count;
    return !reader->failed;
}
