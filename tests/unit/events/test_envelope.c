#include "events/envelope.h"

#include <criterion/criterion.h>

#include <stdlib.h>

static struct envelope order_created(void)
{
    return (struct envelope){
        .type = EVENT_ORDER_CREATED,
        .source = VIEW_LITERAL("orders"),
        .shard = 7,
        .number = 42,
        .time_us = 1291191960000000,
        .subject = VIEW_LITERAL("01ARYZ6S410000000000000000"),
        .causation_id = VIEW_LITERAL("catalog/0/3"),
        .traceparent = VIEW_LITERAL("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    };
}

/* The headers as a list that a test can change. */
struct list {
    struct header headers[20];
    size_t count, at;
};

static bool list_next(void *context, struct header *header)
{
    struct list *list = context;

    if (list->at == list->count)
        return false;
    *header = list->headers[list->at++];
    return true;
}

static void list_of(struct list *list, const struct buf *block)
{
    struct headers headers;

    *list = (struct list){0};
    cr_assert_eq(headers_read(&headers, buf_view(block), NULL), ERR_OK);
    while (headers_next(&headers, &list->headers[list->count]))
        list->count++;
}

static struct header *list_find(struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (view_equals(list->headers[i].name, name))
            return &list->headers[i];
    cr_assert(false, "no header %s", name);
    abort();
}

Test(envelope, the_headers_are_those_of_the_kafka_binding)
{
    static const struct {
        const char *name, *value;
    } want[] = {
        {"content-type", "application/avro"},
        {"ce_specversion", "1.0"},
        {"ce_id", "orders/7/42"},
        {"ce_type", "order.created"},
        {"ce_source", "/tradewind/orders"},
        {"ce_time", "2010-12-01T08:26:00.000000Z"},
        {"ce_subject", "01ARYZ6S410000000000000000"},
        {"ce_sequence", "00000000000000000042"},
        {"ce_causationid", "catalog/0/3"},
        {"ce_correlationid", "01ARYZ6S410000000000000000"},
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    };
    AUTO(buf_clear) struct buf block = {0};
    struct envelope envelope = order_created();
    struct list list;

    cr_assert_eq(envelope_write(&block, &envelope, NULL), ERR_OK);
    list_of(&list, &block);

    cr_assert_eq(list.count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < list.count; i++) {
        cr_expect(view_equals(list.headers[i].name, want[i].name), "%s", want[i].name);
        cr_expect(view_equals(list.headers[i].value, want[i].value), "%s", want[i].name);
    }
}

Test(envelope, what_was_written_is_read_back)
{
    AUTO(buf_clear) struct buf block = {0};
    struct envelope wrote = order_created(), read;
    struct err err;

    wrote.type = EVENT_STOCK_RECEIVED;
    wrote.source = VIEW_LITERAL("inventory/main");
    wrote.causation_id = VIEW_NONE;
    wrote.traceparent = VIEW_NONE;
    wrote.correlation_id = VIEW_LITERAL("delivery 9");
    cr_assert_eq(envelope_write(&block, &wrote, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(envelope_read_block(&read, TOPIC_INVENTORY, buf_view(&block), &err), ERR_OK, "%s",
                 err.text);

    cr_expect_eq(read.type, EVENT_STOCK_RECEIVED);
    cr_expect(view_equals(read.id, "inventory/main/7/42"));
    cr_expect(view_equals(read.source, "inventory/main"));
    cr_expect_eq(read.shard, 7);
    cr_expect_eq(read.number, 42);
    cr_expect_eq(read.time_us, wrote.time_us);
    cr_expect(view_equal(read.subject, wrote.subject));
    cr_expect(view_equals(read.correlation_id, "delivery 9"));
    cr_expect_null(read.causation_id.data);
    cr_expect_null(read.traceparent.data);
}

Test(envelope, a_wrong_header_is_refused_by_name)
{
    static const struct {
        const char *name, *value; /* NULL: missing */
    } cases[] = {
        {"content-type", "application/json"},
        {"content-type", NULL},
        {"ce_specversion", "0.3"},
        {"ce_specversion", NULL},
        {"ce_id", NULL},
        {"ce_id", ""},
        {"ce_id", "orders/7"},
        {"ce_id", "orders/7/0"},
        {"ce_id", "orders/7/-1"},
        {"ce_id", "orders/07/42"},
        {"ce_id", "orders/7/042"},
        {"ce_id", "orders/7/42/"},
        {"ce_id", "/7/42"},
        {"ce_id", "orders//7/42"},
        {"ce_id", "orders/2147483648/42"},
        {"ce_id", "orders/7/9223372036854775808"},
        {"ce_type", "order.invented"},
        {"ce_type", "payment.captured"},
        {"ce_type", NULL},
        {"ce_source", "/tradewind/payment"},
        {"ce_source", "orders"},
        {"ce_source", "/tradewind/"},
        {"ce_source", NULL},
        {"ce_time", "yesterday"},
        {"ce_time", NULL},
        {"ce_subject", ""},
        {"ce_subject", "\xff"},
        {"ce_subject", "line\nfeed"},
        {"ce_subject", NULL},
        {"ce_sequence", "42"},
        {"ce_sequence", "00000000000000000043"},
        {"ce_sequence", NULL},
        {"ce_causationid", ""},
        {"ce_correlationid", ""},
        {"ce_correlationid", NULL},
        {"traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
        {"traceparent", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"traceparent", "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"traceparent", "nonsense"},
    };
    AUTO(buf_clear) struct buf block = {0};
    struct envelope envelope = order_created(), read;

    cr_assert_eq(envelope_write(&block, &envelope, NULL), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct list list;
        struct header *changed;
        struct err err = {0};

        list_of(&list, &block);
        changed = list_find(&list, cases[i].name);
        changed->value = view_str(cases[i].value);
        if (cases[i].value == NULL)
            changed->name = view_str("x-foreign");
        cr_expect_eq(envelope_read(&read, TOPIC_ORDERS, list_next, &list, &err), ERR_REJECT,
                     "%s: %s", cases[i].name, cases[i].value);
        cr_expect_not_null(strstr(err.text, cases[i].name), "%s: \"%s\" does not name it",
                           cases[i].name, err.text);
    }
}

Test(envelope, a_known_header_twice_or_null_is_refused_and_a_foreign_one_passed_over)
{
    AUTO(buf_clear) struct buf block = {0};
    struct envelope envelope = order_created(), read;
    struct list list;
    struct err err;

    cr_assert_eq(envelope_write(&block, &envelope, NULL), ERR_OK);

    list_of(&list, &block);
    list.headers[list.count++] = *list_find(&list, "ce_id");
    cr_expect_eq(envelope_read(&read, TOPIC_ORDERS, list_next, &list, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "header ce_id: there twice");

    list_of(&list, &block);
    list_find(&list, "ce_time")->value = VIEW_NONE;
    cr_expect_eq(envelope_read(&read, TOPIC_ORDERS, list_next, &list, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "header ce_time: null, want a value");

    list_of(&list, &block);
    list.headers[list.count++] = (struct header){view_str("x-tool"), VIEW_NONE};
    list.headers[list.count++] = (struct header){view_str("x-tool"), view_str("1")};
    cr_expect_eq(envelope_read(&read, TOPIC_ORDERS, list_next, &list, &err), ERR_OK);
}

Test(envelope, what_would_not_be_read_is_not_written)
{
    AUTO(buf_clear) struct buf block = {0};
    struct envelope good = order_created(), bad[6];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        bad[i] = good;
    bad[0].type = EVENT_NONE;
    bad[1].source = VIEW_LITERAL("payment");
    bad[2].number = 0;
    bad[3].subject = VIEW_NONE;
    bad[4].correlation_id = VIEW_LITERAL("\xff");
    bad[5].traceparent = VIEW_LITERAL("?");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(envelope_write(&block, &bad[i], NULL), ERR_REJECT, "case %zu", i);
}
