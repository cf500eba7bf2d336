/* tradewind tail: events as they happen, decoded. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/record.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"
#include "runtime/settings.h"

#include <stdio.h>

struct tail {
    const char *order;
    enum event_type type; /* EVENT_NONE: all */
    enum topic topic;     /* TOPIC_NONE: all of events */
    bool from_beginning;
    bool to_end;
    bool as_json;
    int64_t count; /* 0: without end */
    int64_t shown;
    bool is_over;
    size_t partitions_open; /* not read to their ends; for to_end */
    struct schema_ids *ids;
};

static bool is_wanted(const struct tail *tail, const struct record *record)
{
    if (tail->order != NULL && !view_equals(record->key, tail->order))
        return false;
    return tail->type == EVENT_NONE || (record->is_event && record->type == tail->type);
}

static enum out_colour colour_of(enum event_type type)
{
    switch (type) {
    case EVENT_ORDER_CREATED:
        return OUT_BOLD;
    case EVENT_ORDER_CONFIRMED:
    case EVENT_ORDER_CLOSED:
    case EVENT_PAYMENT_CAPTURED:
    case EVENT_INVENTORY_COMMITTED:
        return OUT_GREEN;
    case EVENT_ORDER_CANCELLED:
    case EVENT_INVENTORY_REJECTED:
    case EVENT_PAYMENT_DECLINED:
    case EVENT_PAYMENT_FAILED:
    case EVENT_FRAUD_FLAGGED:
    case EVENT_EMAIL_FAILED:
        return OUT_RED;
    case EVENT_ORDER_REMINDED:
    case EVENT_INVENTORY_RELEASED:
    case EVENT_PAYMENT_VOIDED:
    case EVENT_PAYMENT_REFUNDED:
        return OUT_YELLOW;
    case EVENT_NONE:
    case EVENT_COUNT:
    case EVENT_INVENTORY_RESERVED:
    case EVENT_STOCK_RECEIVED:
    case EVENT_PAYMENT_AUTHORIZED:
    case EVENT_FRAUD_CLEARED:
    case EVENT_EMAIL_SENT:
    case EVENT_PRODUCT_UPSERTED:
    case EVENT_PRODUCT_WITHDRAWN:
    case EVENT_OPS_ACTED:
        return OUT_PLAIN;
    }
    return OUT_PLAIN;
}

static void print_line(const struct record *record, struct arena *arena)
{
    AUTO(buf_clear) struct buf what = {0};
    char time[CLOCK_RFC3339_SIZE];

    if (!record->is_event) {
        printf("%s%s/%d at %lld: no event: %s%s\n", out_colour(OUT_RED), record->topic_name,
               record->partition, (long long)record->offset, record->why.text,
               out_colour(OUT_PLAIN));
        return;
    }
    clock_format_rfc3339(record->envelope.time_us, time);
    record_summary(&what, record, arena);
    printf("%s%.12s%s  %s%-19s%s  %-26.*s  %s", out_colour(OUT_DIM), time + 11,
           out_colour(OUT_PLAIN), out_colour(colour_of(record->type)),
           event_type_name(record->type), out_colour(OUT_PLAIN),
           VIEW_PRINT(record->envelope.subject), buf_cstr(&what));
    if (record->envelope.causation_id.size > 0)
        printf("  %s<- %.*s%s", out_colour(OUT_DIM), VIEW_PRINT(record->envelope.causation_id),
               out_colour(OUT_PLAIN));
    putchar('\n');
}

static void show(struct tail *tail, const rd_kafka_message_t *message)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf text = {0};
    struct record record;

    record_read(&record, message, tail->ids, &arena);
    if (!is_wanted(tail, &record))
        return;
    if (tail->as_json) {
        record_print_json(&text, &record);
        printf("%s\n", buf_cstr(&text));
    } else {
        print_line(&record, &arena);
    }
    tail->shown++;
}

static rd_kafka_topic_partition_list_t *wanted_partitions(const struct tail *tail)
{
    int32_t partitions = (int32_t)setting_integer("TRADEWIND_PARTITIONS");
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(TOPIC_COUNT * partitions);
    int32_t only = tail->order != NULL
                       ? (int32_t)partition_of(view_str(tail->order), (uint32_t)partitions)
                       : -1;

    for (int i = 0; i < TOPIC_COUNT; i++) {
        enum topic topic = (enum topic)i;

        if (tail->topic != TOPIC_NONE && tail->topic != topic)
            continue;
        if (tail->type != EVENT_NONE && event_topic(tail->type) != topic)
            continue;
        for (int32_t p = 0; p < partitions; p++)
            if (only < 0 || only == p)
                rd_kafka_topic_partition_list_add(list, topic_name(topic), p);
    }
    return list;
}

/* Asking for the ends also finds out whether there is a broker and the topics are made. */
static enum err_kind place_at_start(const struct tail *tail, rd_kafka_t *client,
                                    rd_kafka_topic_partition_list_t *list, struct err *err)
{
    enum err_kind kind = kafka_ends(client, list, 10000, err);

    for (int i = 0; kind == ERR_OK && i < list->cnt; i++) {
        if (list->elems[i].offset < 0)
            return err_set(err, ERR_RETRY, "%s/%d cannot be read; tradewind topics verify says more",
                           list->elems[i].topic, list->elems[i].partition);
        if (tail->from_beginning)
            list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    return kind;
}

static enum err_kind run(struct tail *tail, rd_kafka_t *client, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = wanted_partitions(tail);
    enum err_kind kind = place_at_start(tail, client, list, err);

    tail->partitions_open = (size_t)list->cnt;
    if (kind == ERR_OK && rd_kafka_assign(client, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_STOP, "the partitions cannot be assigned");
    while (kind == ERR_OK && !tail->is_over) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 200);

        if (message == NULL) {
            fflush(stdout); /* a pipe sees what there is whenever it is quiet */
            continue;
        }
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            show(tail, message);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && tail->to_end &&
                 --tail->partitions_open == 0)
            tail->is_over = true;
        tail->is_over |= tail->count > 0 && tail->shown >= tail->count;
        rd_kafka_message_destroy(message);
        if (ferror(stdout))
            kind = err_set(err, ERR_STOP, "standard output is closed");
    }
    rd_kafka_topic_partition_list_destroy(list);
    return kind;
}

/* "shop.orders.v1" or "orders". */
static enum topic find_topic(const char *name)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        const char *full = topic_name((enum topic)i);

        if (strcmp(full, name) == 0 ||
            (strncmp(full + 5, name, strlen(name)) == 0 && full[5 + strlen(name)] == '.'))
            return (enum topic)i;
    }
    return TOPIC_NONE;
}

static const char *topic_names(struct arena *arena)
{
    AUTO(buf_clear) struct buf names = {0};

    for (int i = 0; i < TOPIC_COUNT; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", topic_name((enum topic)i));
    return arena_strdup(arena, buf_cstr(&names));
}

static int read_filters(const struct command *command, struct tail *tail, const char *type,
                        const char *topic)
{
    AUTO(arena_clear) struct arena arena = {0};

    tail->topic = TOPIC_NONE;
    if (type != NULL && (tail->type = event_type_from_name(type, strlen(type))) == EVENT_NONE)
        return args_refuse(
            command,
            "--type %s: there is no such event; they are listed by tradewind saga explain and "
            "in docs/",
            type);
    if (topic != NULL && (tail->topic = find_topic(topic)) == TOPIC_NONE)
        return args_refuse(command, "--topic %s: want one of %s", topic, topic_names(&arena));
    if (type != NULL && topic != NULL && event_topic(tail->type) != tail->topic)
        return args_refuse(command, "--type %s: it is never in %s", type, topic_name(tail->topic));
    return OPS_OK;
}

int command_tail(const struct command *command, int argc, char **argv)
{
    struct tail tail = {0};
    const char *type = NULL, *topic = NULL, *from = "end";
    const struct arg args[] = {
        {"order", ARG_TEXT, &tail.order, "ID", "only this order's (or this SKU's)"},
        {"type", ARG_TEXT, &type, "TYPE", "only events of this type, like order.cancelled"},
        {"topic", ARG_TEXT, &topic, "TOPIC",
         "only this topic: shop.orders.v1, or orders for short"},
        {"from", ARG_CHOICE, &from, "WHERE", "beginning or end", .choices = "beginning|end"},
        {"to-end", ARG_FLAG, &tail.to_end,
         .help = "stop at the present end instead of waiting for more"},
        {"count", ARG_INTEGER, &tail.count, "N", "stop after N events; 0: never", .min = 0,
         .max = INT64_MAX},
        {"json", ARG_FLAG, &tail.as_json, .help = "one JSON object a line"},
    };
    AUTO(schema_ids_free) struct schema_ids *ids = NULL;
    struct kafka_consumer_options options = {.fetch_bytes = 8u << 20};
    rd_kafka_t *client;
    struct err err = {0};
    enum err_kind kind;
    int code = args_parse(command, args, sizeof args / sizeof args[0], 0, 0, &argc, &argv);

    if (code != ARGS_MORE || (code = read_filters(command, &tail, type, topic)) != OPS_OK ||
        (code = ops_settings(command)) != OPS_OK)
        return code;
    tail.from_beginning = strcmp(from, "beginning") == 0;
    options.brokers = setting_text("TRADEWIND_KAFKA");
    if (schema_ids_open(&ids, setting_text("TRADEWIND_SCHEMAS"), setting_text("TRADEWIND_REGISTRY"),
                        &err) != ERR_OK ||
        kafka_open_consumer(&client, &options, &err) != ERR_OK)
        return ops_failed(command, &err);
    tail.ids = ids;
    kind = run(&tail, client, &err);
    kafka_close_consumer(client);
    return kind == ERR_OK ? OPS_OK : ops_failed(command, &err);
}
