#include "producers/orders/orders_request.h"

#include "events/money.h"
#include "events/sku.h"
#include "runtime/clock.h"

static const char *const order_members[] = {
    "customer_id",   "guest",     "contact",    "country", "currency",
    "payment_token", "warehouse", "ordered_at", "lines",   NULL,
};
static const char *const contact_members[] = {"name", "email", "address", NULL};
static const char *const line_members[] = {"sku",  "code", "quantity", "unit_price_minor",
                                           "kind", NULL};

/* Members that only a service may state. */
static const char *const service_order_members[] = {"customer_id", "guest", "country", "ordered_at",
                                                    NULL};
static const char *const service_line_members[] = {"unit_price_minor", "kind", NULL};

static void refuse_members(struct json_reader *reader, const struct json *object,
                           const char *const *names)
{
    for (; *names != NULL; names++) {
        const struct json *member = json_member(object, *names);

        if (member != NULL)
            json_fail(reader, member, "only the role service may state %s", *names);
    }
}

/* --- Who ------------------------------------------------------------------------------------ */

static bool is_guest_id(struct view id)
{
    return id.size >= 6 && memcmp(id.data, "guest:", 6) == 0;
}

static struct view read_customer(const struct json *body, const struct order_asker *asker,
                                 struct json_reader *reader)
{
    struct view customer_id, guest;

    if (!asker->is_service)
        return view_str(asker->subject);
    customer_id = json_read_text_optional(reader, body, "customer_id", 1, 64);
    guest = json_read_text_optional(reader, body, "guest", 1, 64);
    if (reader->failed)
        return VIEW_NONE;
    if ((customer_id.data == NULL) == (guest.data == NULL))
        json_fail(reader, body, "want either customer_id or guest");
    else if (guest.data != NULL)
        return arena_printf(reader->arena, "guest:%.*s", VIEW_PRINT(guest));
    else if (is_guest_id(customer_id))
        json_fail(reader, json_member(body, "customer_id"),
                  "customer_id begins with \"guest:\": state it as guest instead");
    return customer_id;
}

static void read_contact(struct contact *out, const struct json *body, struct json_reader *reader)
{
    const struct json *contact = json_member(body, "contact");

    *out = (struct contact){VIEW_NONE, VIEW_NONE, VIEW_NONE};
    if (contact == NULL || contact->kind == JSON_NULL ||
        !json_only(reader, contact, contact_members))
        return;
    out->name = json_read_text_optional(reader, contact, "name", 1, 200);
    out->email = json_read_text_optional(reader, contact, "email", 3, 254);
    out->address = json_read_text_optional(reader, contact, "address", 1, 1000);
    if (out->email.data != NULL && memchr(out->email.data, '@', out->email.size) == NULL)
        json_fail(reader, json_member(contact, "email"), "an email without @");
}

/* --- What the order as a whole states --------------------------------------------------------- */

static struct view read_currency(const struct json *body, struct json_reader *reader)
{
    struct view currency = json_read_text(reader, body, "currency", 3, 3);

    if (!reader->failed && !money_is_currency(currency))
        json_fail(reader, json_member(body, "currency"),
                  "currency \"%.*s\", want three capital letters", VIEW_PRINT(currency));
    return currency;
}

static bool is_in_list(struct view name, const char *list)
{
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ",");

        if (view_equal(name, view_of(at, size)))
            return true;
        at += size + (at[size] == ',');
    }
    return false;
}

static struct view read_warehouse(const struct json *body, const struct order_asker *asker,
                                  struct json_reader *reader)
{
    struct view warehouse = json_read_text_optional(reader, body, "warehouse", 1, 32);

    if (warehouse.data == NULL)
        return view_of(asker->warehouses, strcspn(asker->warehouses, ","));
    if (!is_in_list(warehouse, asker->warehouses))
        json_fail(reader, json_member(body, "warehouse"), "no warehouse \"%.*s\", want one of %s",
                  VIEW_PRINT(warehouse), asker->warehouses);
    return warehouse;
}

static int64_t read_ordered_at(const struct json *body, struct json_reader *reader)
{
    struct view text = json_read_text_optional(reader, body, "ordered_at", 1, 40);
    int64_t ordered_at_us = -1;

    if (text.data == NULL)
        return -1;
    if (clock_parse_rfc3339(text.data, text.size, &ordered_at_us) != 0 || ordered_at_us < 0)
        json_fail(reader, json_member(body, "ordered_at"),
                  "ordered_at \"%.*s\", want RFC 3339, 1970 or later", VIEW_PRINT(text));
    return ordered_at_us;
}

/* --- Lines ---------------------------------------------------------------------------------- */

/* What the customer wrote goes to *code, the SKU that it is to the answer. */
static struct view read_sku(struct view *code, const struct json *line, struct json_reader *reader)
{
    struct view sku = sku_read(reader, line), written;

    *code = json_read_text_optional(reader, line, "code", 1, SKU_MAX);
    if (reader->failed)
        return VIEW_NONE;
    written = json_member(line, "sku")->text;
    if (code->data == NULL)
        *code = written;
    else if (!view_equal(sku_fold(*code, reader->arena), sku))
        json_fail(reader, json_member(line, "code"), "code \"%.*s\" is another SKU than \"%.*s\"",
                  VIEW_PRINT(*code), VIEW_PRINT(written));
    return sku;
}

static enum line_kind read_kind(const struct json *line, struct json_reader *reader)
{
    struct view text = json_read_text_optional(reader, line, "kind", 1, 16);

    if (text.data == NULL)
        return LINE_KIND_UNKNOWN;
    if (view_equals(text, "goods"))
        return LINE_KIND_GOODS;
    if (view_equals(text, "charge"))
        return LINE_KIND_CHARGE;
    json_fail(reader, json_member(line, "kind"), "kind \"%.*s\", want goods or charge",
              VIEW_PRINT(text));
    return LINE_KIND_UNKNOWN;
}

static struct request_line read_line(const struct json *line, bool is_service,
                                     struct json_reader *reader)
{
    struct request_line out = {.unit_price_minor = -1};

    if (!json_only(reader, line, line_members))
        return out;
    if (!is_service)
        refuse_members(reader, line, service_line_members);
    out.sku = read_sku(&out.code, line, reader);
    out.quantity = json_read_int64(reader, line, "quantity", 1, ORDER_QUANTITY_MAX);
    out.unit_price_minor =
        json_read_int64_optional(reader, line, "unit_price_minor", 0, ORDER_UNIT_PRICE_MAX, -1);
    out.kind = read_kind(line, reader);
    return out;
}

static void read_lines(struct order_request *out, const struct json *body, bool is_service,
                       struct json_reader *reader)
{
    const struct json *array = json_read_array(reader, body, "lines", 1, ORDER_LINES_MAX);
    struct request_line *lines;

    if (array == NULL)
        return;
    lines = arena_array(reader->arena, array->count, sizeof *lines);
    for (size_t i = 0; i < array->count && !reader->failed; i++)
        lines[i] = read_line(&array->items[i], is_service, reader);
    out->lines = lines;
    out->line_count = array->count;
}

bool order_request_read(struct order_request *out, struct contact *contact, const struct json *body,
                        const struct order_asker *asker, struct json_reader *reader)
{
    *out = (struct order_request){.ordered_at_us = -1};
    if (!json_only(reader, body, order_members))
        return false;
    if (!asker->is_service)
        refuse_members(reader, body, service_order_members);
    out->customer_id = read_customer(body, asker, reader);
    read_contact(contact, body, reader);
    out->country = json_read_text_optional(reader, body, "country", 2, 64);
    if (out->country.data == NULL)
        out->country = view_str(asker->shop_country);
    out->currency = read_currency(body, reader);
    out->payment_token = json_read_text(reader, body, "payment_token", 1, 128);
    out->warehouse = read_warehouse(body, asker, reader);
    out->ordered_at_us = read_ordered_at(body, reader);
    read_lines(out, body, asker->is_service, reader);
    return !reader->failed;
}
