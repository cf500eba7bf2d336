/* Bytes from outside: whatever comes, it is refused or is an event that can be written again. Run
 * with the sanitizers, which see what a test cannot. */
#include "events/events_generated.h"
#include "tests/unit/events/random_event.h"

#include <criterion/criterion.h>

#include <stdlib.h>

#define HEAD_BYTES 5

static struct schema_ids *ids;
static struct arena read_into;

static void open_ids(void)
{
    cr_assert_eq(schema_ids_open(&ids, SCHEMAS, NULL, NULL), ERR_OK);
}

static void close_ids(void)
{
    schema_ids_free(ids);
    arena_clear(&read_into);
}

TestSuite(hostile, .init = open_ids, .fini = close_ids);

/* Decode a copy that ends where the memory ends. What decodes has to encode. */
static enum err_kind try_bytes(struct view bytes, struct err *err)
{
    AUTO(buf_clear) struct buf again = {0}, json = {0};
    struct json_writer writer = {.out = &json};
    char *copy = malloc(bytes.size > 0 ? bytes.size : 1);
    struct view exact = view_of(copy, bytes.size);
    enum event_type type;
    enum err_kind kind, other;
    const void *event;

    memcpy(copy, bytes.data, bytes.size);
    kind = event_decode(&type, &event, exact, ids, &read_into, err);
    other = event_print_any_json(&writer, exact, ids, NULL);
    if (kind == ERR_OK) {
        cr_expect_eq(event_encode(&again, type, event, ids, err), ERR_OK, "%s", err->text);
        event_print_json(&writer, type, event);
    }
    cr_expect_eq(kind, other, "the two ways to read disagree: %s", err->text);
    cr_expect_lt(read_into.total, 100 * bytes.size + 4096, "%zu bytes of %zu", read_into.total,
                 bytes.size);
    arena_reset(&read_into);
    free(copy);
    return kind;
}

/* try gets an event of each type, encoded; it may change the bytes. */
static void try_each_event(uint64_t seed, void (*try)(enum event_type type, struct buf *bytes))
{
    struct dice dice = {.state = seed};

    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        AUTO(arena_clear) struct arena arena = {0};
        AUTO(buf_clear) struct buf bytes = {0};

        event_encode(&bytes, type, random_event(&dice, type, &arena), ids, NULL);
        try(type, &bytes);
    }
}

static void cut_it(enum event_type type, struct buf *bytes)
{
    struct err err;

    cr_expect_eq(try_bytes(buf_view(bytes), &err), ERR_OK, "%s", err.text);
    for (size_t size = 0; size < bytes->size; size++)
        cr_expect_eq(try_bytes(view_of(bytes->data, size), &err), ERR_REJECT,
                     "%s cut to %zu of %zu", event_type_name(type), size, bytes->size);
    buf_append_byte(bytes, 0);
    cr_expect_eq(try_bytes(buf_view(bytes), &err), ERR_REJECT, "one byte more");
}

Test(hostile, a_cut_message_is_refused_at_every_length)
{
    try_each_event(1, cut_it);
}

static void change_it(enum event_type type, struct buf *bytes)
{
    static const unsigned char masks[] = {0x01, 0x02, 0x10, 0x40, 0x80, 0xff};
    struct err err;

    (void)type;
    for (size_t i = HEAD_BYTES; i < bytes->size; i++) {
        char before = bytes->data[i];

        for (size_t j = 0; j < sizeof masks; j++) {
            bytes->data[i] = (char)((unsigned char)before ^ masks[j]);
            try_bytes(buf_view(bytes), &err);
        }
        bytes->data[i] = before;
    }
}

Test(hostile, a_changed_byte_is_refused_or_harmless)
{
    try_each_event(2, change_it);
}

Test(hostile, random_bytes_are_refused_or_harmless)
{
    struct dice dice = {.state = 3};
    struct err err;

    for (int i = 0; i < 20000; i++) {
        char bytes[64] = {0};
        size_t size = HEAD_BYTES + dice_roll(&dice, sizeof bytes - HEAD_BYTES);

        bytes[4] = (char)(1 + dice_roll(&dice, EVENT_COUNT - 1));
        for (size_t j = HEAD_BYTES; j < size; j++)
            bytes[j] =
                (char)(dice_roll(&dice, 2) == 0 ? dice_roll(&dice, 8) : dice_roll(&dice, 256));
        try_bytes(view_of(bytes, size), &err);
    }
}

Test(hostile, an_error_names_the_field)
{
    static const struct {
        const char *name;
        struct view bytes;
        const char *want;
    } cases[] = {
        {"nothing", VIEW_INIT(""), "value of 0 bytes, want a head of 5"},
        {"no magic byte", VIEW_INIT("\1\0\0\0\1"),
         "value begins with byte 1, want 0 and a schema id"},
        {"no string", VIEW_INIT("\0\0\0\0\x15"),
         "product.withdrawn (schema id 21): sku ends within a number"},
        {"a long string",
         VIEW_INIT("\0\0\0\0\x15\x0c"
                   "abc"),
         "product.withdrawn (schema id 21): sku is longer than what is there"},
        {"a string of 2^62 bytes", VIEW_INIT("\0\0\0\0\x15\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
         "product.withdrawn (schema id 21): sku has a negative length"},
        {"a negative length", VIEW_INIT("\0\0\0\0\x15\x01"),
         "product.withdrawn (schema id 21): sku has a negative length"},
        {"not UTF-8", VIEW_INIT("\0\0\0\0\x15\x02\xff\0"),
         "product.withdrawn (schema id 21): sku is not UTF-8"},
        {"11 bytes of a number",
         VIEW_INIT("\0\0\0\0\x15\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"),
         "product.withdrawn (schema id 21): occurred_at is a number of more than 64 bits"},
        {"65 bits of a number", VIEW_INIT("\0\0\0\0\x15\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
         "product.withdrawn (schema id 21): occurred_at is a number of more than 64 bits"},
        {"bytes behind it", VIEW_INIT("\0\0\0\0\x15\0\0\0"),
         "shop.products.ProductWithdrawn: 1 bytes behind its end"},
        {"an unknown symbol", VIEW_INIT("\0\0\0\0\4\0\x06\0"),
         "order.closed (schema id 4): outcome has a symbol that its enum does not have"},
        {"a billion items in 4 bytes", VIEW_INIT("\0\0\0\0\5\0\0\x80\xa8\xd6\xb9\x07"),
         "inventory.reserved (schema id 5): items has more items than there are bytes"},
        {"the most items there can be",
         VIEW_INIT("\0\0\0\0\5\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "inventory.reserved (schema id 5): items has more items than there are bytes"},
        {"a block that lies about its bytes",
         VIEW_INIT("\0\0\0\0\5\0\0\x01\x7e\x02"
                   "A\2\0\0"),
         "inventory.reserved (schema id 5): items has a block longer than what is there"},
        {"the second item", VIEW_INIT("\0\0\0\0\5\0\0\4\2A\2\2\xff\2"),
         "inventory.reserved (schema id 5): items[1].sku is not UTF-8"},
        {"a branch", VIEW_INIT("\0\0\0\0\1\0\0\4"),
         "order.created (schema id 1): contact has a branch that its union does not have"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = {0};

        cr_expect_eq(try_bytes(cases[i].bytes, &err), ERR_REJECT, "%s", cases[i].name);
        cr_expect_str_eq(err.text, cases[i].want, "%s: %s", cases[i].name, err.text);
    }
}

Test(hostile, an_unknown_schema_id_may_become_known_later)
{
    struct err err;

    cr_expect_eq(try_bytes(VIEW_LITERAL("\0\x7f\xff\xff\xff"), &err), ERR_RETRY);
    cr_expect_eq(try_bytes(VIEW_LITERAL("\0\xff\xff\xff\xff"), &err), ERR_RETRY);
    cr_expect_eq(try_bytes(VIEW_LITERAL("\0\0\0\0\0"), &err), ERR_RETRY);
}

Test(hostile, what_cannot_be_read_is_not_written)
{
    static const struct order_line bad_line[2] = {
        {.sku = VIEW_INIT("A"), .code = VIEW_INIT("A")},
        {.sku = VIEW_INIT("\xff"), .code = VIEW_INIT("A")},
    };
    struct order_created order = {
        .order_id = VIEW_LITERAL("1"),
        .customer_id = VIEW_LITERAL("2"),
        .country = VIEW_LITERAL("UK"),
        .currency = VIEW_LITERAL("GBP"),
        .payment_token = VIEW_LITERAL("t"),
        .lines = bad_line,
        .lines_count = 2,
    };
    struct order_closed closed = {.order_id = VIEW_LITERAL("1"), .outcome = 17};
    AUTO(buf_clear) struct buf out = {0};
    struct err err;

    buf_append_str(&out, "before");

    cr_expect_eq(event_encode(&out, EVENT_ORDER_CREATED, &order, ids, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "order.created: lines[1].sku is not UTF-8");
    order.lines = NULL;
    cr_expect_eq(event_encode(&out, EVENT_ORDER_CREATED, &order, ids, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "order.created: lines has a count but no items");
    order.lines_count = 0;
    order.customer_id = VIEW_NONE;
    cr_expect_eq(event_encode(&out, EVENT_ORDER_CREATED, &order, ids, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "order.created: customer_id is not set and has no default");
    cr_expect_eq(event_encode(&out, EVENT_ORDER_CLOSED, &closed, ids, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "order.closed: outcome is none of its enum's values");
    cr_expect_eq(event_encode(&out, EVENT_NONE, &closed, ids, &err), ERR_REJECT);
    cr_expect(view_equals(buf_view(&out), "before"), "a failed write leaves nothing behind");
}
