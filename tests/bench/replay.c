/* For tests/bench/replay: fills the topics of a stack without parts with the events of many orders,
 * and reads them with the bare client library, as the measure of what a replay could reach.
 *
 *     bench-replay fill ORDERS     created, confirmed, closed; authorized, captured; reserved,
 *                                  committed; cleared: eight events an order, as parts write them
 *     bench-replay read TOPIC...   each record once; prints JSON */
#include "events/codec.h"
#include "events/envelope.h"
#include "events/events_generated.h"
#include "ops/replay/log_reader.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"
#include "runtime/murmur2.h"
#include "runtime/settings.h"
#include "runtime/ulid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LINES 3
#define SKUS 2000
#define PARTITIONS_MAX 64
#define POLL_RECORDS 256

struct fill {
    rd_kafka_t *producer;
    struct schema_ids *ids;
    uint64_t numbers[TOPIC_COUNT][PARTITIONS_MAX];
    uint32_t partitions;
    int64_t now_us;
    char asked[ENVELOPE_ID_SIZE]; /* the order service's last event: what the others answer */
    struct buf headers, value;
    uint64_t written;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-replay: %s: %s\n", what, why);
    exit(1);
}

static void publish(struct fill *fill, enum event_type type, const void *data, struct view key)
{
    uint32_t shard = partition_of(key, fill->partitions);
    const char *topic = topic_name(event_topic(type));
    struct envelope envelope = {
        .type = type,
        .source = view_str(event_topic(type) == TOPIC_INVENTORY ? "inventory/main"
                                                                : topic_writer(event_topic(type))),
        .shard = (int32_t)shard,
        .number = ++fill->numbers[event_topic(type)][shard],
        .time_us = fill->now_us,
        .subject = key,
        .causation_id = event_topic(type) == TOPIC_ORDERS ? VIEW_NONE : view_str(fill->asked),
    };
    rd_kafka_resp_err_t code;
    struct err err;

    buf_reset(&fill->value);
    if (envelope_write(&fill->headers, &envelope, &err) != ERR_OK ||
        event_encode(&fill->value, type, data, fill->ids, &err) != ERR_OK)
        die("event", err.text);
    do {
        code = rd_kafka_producev(
            fill->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION((int32_t)shard),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.data, key.size),
            RD_KAFKA_V_TIMESTAMP(fill->now_us / 1000),
            RD_KAFKA_V_VALUE(fill->value.data, fill->value.size),
            RD_KAFKA_V_HEADERS(kafka_headers_from_block(buf_view(&fill->headers))), RD_KAFKA_V_END);
        rd_kafka_poll(fill->producer, code == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 10 : 0);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("produce", rd_kafka_err2str(code));
    if (event_topic(type) == TOPIC_ORDERS)
        envelope_id(fill->asked, envelope.source, envelope.shard, envelope.number);
    fill->written++;
}

static void send_order(struct fill *fill, uint64_t i)
{
    static const struct view GBP = VIEW_INIT("GBP"), SANDBOX = VIEW_INIT("sandbox");
    char sku[16];
    const struct order_line line = {
        .sku = view_of(sku, (size_t)snprintf(sku, sizeof sku, "S%05" PRIu64, i % SKUS)),
        .code = VIEW_LITERAL("85123a"),
        .kind = LINE_KIND_GOODS,
        .quantity = 2,
        .unit_price_minor = 255,
        .price_event = VIEW_LITERAL("catalog/3/1742")};
    const struct order_line lines[LINES] = {line, line, line};
    const struct stock_item items[1] = {{.sku = line.sku, .quantity = 2 * LINES}};
    uint8_t random[ULID_RANDOM_BYTES] = {0};
    char id[ULID_SIZE], ref[32];
    struct view key, provider_ref;
    int64_t at = fill->now_us += 200;

    memcpy(random, &i, sizeof i);
    ulid_make(id, at / 1000, random);
    key = view_str(id);
    provider_ref = view_of(ref, (size_t)snprintf(ref, sizeof ref, "auth_%" PRIu64, i));
    publish(
        fill, EVENT_ORDER_CREATED,
        &(struct order_created){.order_id = key,
                                .customer_id = VIEW_LITERAL("c-17850"),
                                .country = VIEW_LITERAL("United Kingdom"),
                                .currency = GBP,
                                .lines = lines,
                                .lines_count = LINES,
                                .total_minor = 1530,
                                .payment_token = VIEW_LITERAL("tok_approve"),
                                .warehouse = VIEW_LITERAL("main"),
                                .request_hash = VIEW_LITERAL("0123456789abcdef0123456789abcdef"),
                                .deadline_ms = 900000,
                                .ordered_at = at,
                                .occurred_at = at},
        key);
    publish(fill, EVENT_INVENTORY_RESERVED,
            &(struct inventory_reserved){.order_id = key,
                                         .warehouse = VIEW_LITERAL("main"),
                                         .items = items,
                                         .items_count = 1,
                                         .occurred_at = at},
            key);
    publish(fill, EVENT_PAYMENT_AUTHORIZED,
            &(struct payment_authorized){key, 1530, GBP, SANDBOX, provider_ref, at}, key);
    publish(fill, EVENT_FRAUD_CLEARED,
            &(struct fraud_cleared){.order_id = key,
                                    .customer_id = VIEW_LITERAL("c-17850"),
                                    .threshold = 100,
                                    .occurred_at = at},
            key);
    publish(fill, EVENT_ORDER_CONFIRMED,
            &(struct order_confirmed){key, VIEW_LITERAL("c-17850"), 1530, GBP, at}, key);
    publish(fill, EVENT_INVENTORY_COMMITTED,
            &(struct inventory_committed){.order_id = key,
                                          .warehouse = VIEW_LITERAL("main"),
                                          .items = items,
                                          .items_count = 1,
                                          .occurred_at = at},
            key);
    publish(fill, EVENT_PAYMENT_CAPTURED,
            &(struct payment_captured){key, 1530, GBP, SANDBOX, provider_ref, at}, key);
    publish(fill, EVENT_ORDER_CLOSED,
            &(struct order_closed){
                .order_id = key, .outcome = ORDER_OUTCOME_FULFILLED, .occurred_at = at},
            key);
}

static void fill(uint64_t orders)
{
    /* Old enough that no journal has it any more. */
    struct fill fill = {.partitions = (uint32_t)setting_integer("TRADEWIND_PARTITIONS"),
                        .now_us = clock_utc_us() - 3 * 3600 * INT64_C(1000000)};
    struct err err;

    if (fill.partitions > PARTITIONS_MAX)
        die("partitions", "too many");
    if (schema_ids_open(&fill.ids, setting_text("TRADEWIND_SCHEMAS"), NULL, &err) != ERR_OK ||
        kafka_open_producer(&fill.producer, setting_text("TRADEWIND_KAFKA"), NULL, NULL, &err) !=
            ERR_OK)
        die("start", err.text);
    for (uint64_t i = 0; i < orders; i++)
        send_order(&fill, i);
    if (rd_kafka_flush(fill.producer, 60000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("flush", "the broker did not take all");
    rd_kafka_destroy(fill.producer);
    schema_ids_free(fill.ids);
    buf_clear(&fill.headers);
    buf_clear(&fill.value);
    printf("{\"orders\":%" PRIu64 ",\"events\":%" PRIu64 "}\n", orders, fill.written);
}

/* Nothing is looked at but where the record lies. */
static void read_bare(char **names, size_t count)
{
    enum topic topics[TOPIC_COUNT];
    struct log_reader reader;
    int64_t start_us, took_us;
    uint64_t records = 0, there = 0;
    rd_kafka_topic_partition_list_t *list;
    struct err err;

    for (size_t i = 0; i < count; i++)
        if ((topics[i] = topic_from_name(names[i])) == TOPIC_NONE)
            die(names[i], "no topic of ours");
    if (log_reader_open(&reader, setting_text("TRADEWIND_KAFKA"), topics, count,
                        (int32_t)setting_integer("TRADEWIND_PARTITIONS"), &err) != ERR_OK ||
        log_reader_aim_at_ends(&reader, &err) != ERR_OK)
        die("start", err.text);
    list = rd_kafka_topic_partition_list_new((int)reader.place_count);
    for (size_t i = 0; i < reader.place_count; i++) {
        there += (uint64_t)reader.places[i].until_offset;
        rd_kafka_topic_partition_list_add(list, topic_name(reader.places[i].topic),
                                          reader.places[i].partition)
            ->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    start_us = clock_monotonic_us();
    rd_kafka_assign(reader.client, list);
    while (records < there) {
        rd_kafka_message_t *messages[POLL_RECORDS];
        ssize_t polled = rd_kafka_consume_batch_queue(reader.queue, 1, messages, POLL_RECORDS);

        for (ssize_t i = 0; i < polled; i++) {
            records += messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    took_us = clock_monotonic_us() - start_us;
    rd_kafka_topic_partition_list_destroy(list);
    log_reader_close(&reader);
    printf("{\"records\":%" PRIu64 ",\"took_ms\":%" PRId64 ",\"records_per_s\":%" PRIu64 "}\n",
           records, took_us / 1000, records * 1000000 / (uint64_t)(took_us > 0 ? took_us : 1));
}

int main(int argc, char **argv)
{
    struct err err;
    int64_t orders;

    if (settings_load("tradewind", NULL, 0, &err) != ERR_OK)
        die("settings", err.text);
    if (argc == 3 && strcmp(argv[1], "fill") == 0 && view_to_int64(view_str(argv[2]), &orders) &&
        orders > 0)
        fill((uint64_t)orders);
    else if (argc > 2 && argc <= 2 + TOPIC_COUNT && strcmp(argv[1], "read") == 0)
        read_bare(argv + 2, (size_t)argc - 2);
    else
        die("usage", "fill ORDERS | read TOPIC...");
    return 0;
}
