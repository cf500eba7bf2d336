#include "ops/import_bodies.h"

#include "runtime/clock.h"
#include "runtime/json.h"

#include <stdio.h>

#define WAREHOUSE "main"

void import_write_products(struct buf *out, const struct retail_product *products, size_t count)
{
    struct json_writer json = {.out = out};

    json_array_start(&json);
    for (size_t i = 0; i < count; i++) {
        json_object_start(&json);
        json_member_text(&json, "sku", products[i].sku);
        json_member_text(&json, "name", products[i].name);
        json_member_str(&json, "kind", products[i].is_charge ? "charge" : "goods");
        json_member_int64(&json, "unit_price_minor", products[i].price_minor);
        json_member_str(&json, "currency", RETAIL_CURRENCY);
        json_object_end(&json);
    }
    json_array_end(&json);
}

size_t import_write_receipts(struct buf *out, const struct retail_product *products, size_t count,
                             const char *run)
{
    struct json_writer json = {.out = out};
    size_t written = 0;

    json_array_start(&json);
    for (size_t i = 0; i < count; i++) {
        char id[160];

        if (products[i].opening == 0)
            continue;
        snprintf(id, sizeof id, "%s/%.*s", run, VIEW_PRINT(products[i].sku));
        json_object_start(&json);
        json_member_str(&json, "receipt_id", id);
        json_member_text(&json, "sku", products[i].sku);
        json_member_str(&json, "warehouse", WAREHOUSE);
        json_member_int64(&json, "quantity", products[i].opening);
        json_object_end(&json);
        written++;
    }
    json_array_end(&json);
    return written;
}

/* The file names nobody: a made-up address in a domain that is kept for examples (RFC 2606). */
static void write_contact(struct json_writer *json, const struct retail_order *order)
{
    const char *who = order->is_guest ? "guest" : "customer";
    struct view id = order->is_guest ? order->invoice : order->customer;
    char text[200];

    json_key(json, "contact");
    json_object_start(json);
    snprintf(text, sizeof text, "%s %.*s", order->is_guest ? "Guest" : "Customer", VIEW_PRINT(id));
    json_member_str(json, "name", text);
    snprintf(text, sizeof text, "%s-%.*s@example.com", who, VIEW_PRINT(id));
    json_member_str(json, "email", text);
    json_member_text(json, "address", order->country);
    json_object_end(json);
}

static void write_line(struct json_writer *json, const struct retail_line *line)
{
    json_object_start(json);
    json_member_text(json, "sku", line->sku);
    json_member_text(json, "code", line->code);
    json_member_str(json, "kind", line->bucket == BUCKET_ORDERED_CHARGE ? "charge" : "goods");
    json_member_int64(json, "quantity", line->quantity);
    json_member_int64(json, "unit_price_minor", retail_minor(line->price));
    json_object_end(json);
}

void import_write_order(struct buf *out, const struct retail *retail,
                        const struct retail_order *order)
{
    struct json_writer json = {.out = out};
    char ordered_at[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(order->ordered_at_us, ordered_at);
    json_object_start(&json);
    if (order->is_guest)
        json_member_text(&json, "guest", order->invoice);
    else
        json_member_text(&json, "customer_id", order->customer);
    write_contact(&json, order);
    json_member_text(&json, "country", order->country);
    json_member_str(&json, "currency", RETAIL_CURRENCY);
    json_member_str(&json, "payment_token", order->payment_token);
    json_member_str(&json, "warehouse", WAREHOUSE);
    json_member_str(&json, "ordered_at", ordered_at);
    json_key(&json, "lines");
    json_array_start(&json);
    for (size_t i = 0; i < order->line_count; i++)
        write_line(&json, &retail->lines[order->lines[i]]);
    json_array_end(&json);
    json_object_end(&json);
}
