/* A load of orders through the public door, open loop: requests leave at their time whether or not
 * earlier ones are answered, so a slow system cannot slow its own load down.
 *
 *     orders --rate 300 --seconds 60 [--warm 10]
 *
 * It makes products and stock of its own, sends one to three lines an order, each with a contact
 * (so mails are queued, and leave at the mailer's rate), and afterwards reads shop.orders.v1: what
 * counts is the time from order.created to order.confirmed as the events say (the time of the unit
 * of work that committed them). Prints one JSON object. */
#include "events/catalog.h"
#include "runtime/clock.h"
#include "runtime/http_client.h"
#include "runtime/json.h"
#include "runtime/kafka.h"
#include "runtime/lookup.h"
#include "runtime/token.h"
#include "tests/bench/http_load.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PRODUCTS 200
#define PARTITIONS_MAX 1000
#define CONNECTIONS 400
#define SETTLE_S 120

struct options {
    int64_t rate, seconds, warm;
};

struct load {
    struct http_load *http;
    char authorization[2048];
    int64_t accepted, refused, failed;
    int64_t *answer_us; /* of accepted requests of the measured time */
    long answers, answers_max;
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL || value[0] == '\0') {
        fprintf(stderr, "bench orders: %s is not set: start it with `docker/local/stack run`\n",
                name);
        exit(2);
    }
    return value;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench orders: %s: %s\n", what, why);
    exit(1);
}

static void sleep_us(int64_t us)
{
    const struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    nanosleep(&pause, NULL);
}

/* --- Products and stock ---------------------------------------------------------------------- */

static int call(struct load *load, const char *method, const char *path, struct view body,
                struct buf *response)
{
    const char *const headers[] = {load->authorization, "Content-Type: application/json", NULL};
    char url[512];
    struct http_call request = {
        .method = method, .url = url, .headers = headers, .body = body, .timeout_ms = 30000};
    struct err err = {0};
    int status = 0;

    snprintf(url, sizeof url, "%s%s", environment("TRADEWIND_DOOR"), path);
    buf_reset(response);
    if (http_client_get(&request, &status, response, &err) != ERR_OK)
        fail(path, err.text);
    return status;
}

static void stock_up(struct load *load)
{
    AUTO(buf_clear) struct buf products = {0};
    AUTO(buf_clear) struct buf receipts = {0};
    AUTO(buf_clear) struct buf response = {0};
    int64_t now_us = clock_utc_us();
    char last[64];

    for (int i = 0; i < PRODUCTS; i++) {
        buf_printf(&products,
                   "%s{\"sku\":\"BENCH%04d\",\"name\":\"Bench %d\",\"kind\":\"goods\","
                   "\"unit_price_minor\":%d,\"currency\":\"GBP\"}",
                   i == 0 ? "[" : ",", i, i, 100 + i);
        buf_printf(&receipts,
                   "%s{\"receipt_id\":\"bench-%" PRId64
                   "-%d\",\"sku\":\"BENCH%04d\",\"quantity\":1000000}",
                   i == 0 ? "[" : ",", now_us, i, i);
    }
    buf_append_str(&products, "]");
    buf_append_str(&receipts, "]");
    if (call(load, "POST", "/products", buf_view(&products), &response) / 100 != 2)
        fail("POST /products", buf_cstr(&response));
    if (call(load, "POST", "/stock/receipts", buf_view(&receipts), &response) / 100 != 2)
        fail("POST /stock/receipts", buf_cstr(&response));
    snprintf(last, sizeof last, "/orders/prices/BENCH%04d", PRODUCTS - 1);
    for (int i = 0; call(load, "GET", last, VIEW_NONE, &response) != 200; i++) {
        if (i == 300)
            fail(last, "the order service has not heard of the products after 30 s");
        sleep_us(100000);
    }
    sleep_us(500000); /* the other shards' products are as good as there: they were sent together */
}

/* --- The load -------------------------------------------------------------------------------- */

/* The tag is when it was due, in us; negative: it is not measured. */
static void answered(void *context, int64_t tag, int status)
{
    struct load *load = context;

    if (status == 201) {
        load->accepted++;
        if (tag > 0 && load->answers < load->answers_max)
            load->answer_us[load->answers++] = clock_monotonic_us() - tag;
    } else if (status == 0) {
        load->failed++;
    } else {
        load->refused++;
    }
}

static void place_order(struct load *load, long number, int64_t tag)
{
    char body[1024];
    int length =
        snprintf(body, sizeof body,
                 "{\"customer_id\":\"bench-%" PRId64 "-%ld\",\"country\":\"United Kingdom\","
                 "\"contact\":{\"name\":\"Bench %ld\",\"email\":\"bench-%ld@example.com\"},"
                 "\"currency\":\"GBP\",\"payment_token\":\"tok_approve\",\"lines\":[",
                 clock_utc_us(), number, number, number);

    for (long line = 0; line <= number % 3; line++)
        length += snprintf(body + length, sizeof body - (size_t)length,
                           "%s{\"sku\":\"BENCH%04ld\",\"quantity\":%ld}", line > 0 ? "," : "",
                           (number * 7 + line * 13) % PRODUCTS, 1 + line);
    length += snprintf(body + length, sizeof body - (size_t)length, "]}");
    http_load_post(load->http, "/orders", view_of(body, (size_t)length), tag);
}

/* Sends for seconds at rate. */
static void run_load(struct load *load, int64_t rate, int64_t seconds, bool measured)
{
    static long number;
    int64_t start_us = clock_monotonic_us();
    long total = (long)(rate * seconds);

    for (long sent = 0; sent < total;) {
        int64_t elapsed_us = clock_monotonic_us() - start_us;
        long due = (long)(elapsed_us * rate / 1000000);

        for (; sent < due && sent < total; sent++) {
            int64_t due_us = start_us + sent * 1000000 / rate;

            place_order(load, number++, measured ? due_us : -due_us);
        }
        http_load_serve(load->http, 1);
    }
}

/* --- What the topic says ---------------------------------------------------------------------- */

struct life {
    struct view key;
    int64_t created_us, confirmed_us;
    bool ended;
};

struct reading {
    struct lookup lives; /* order id -> struct life */
    struct arena arena;
    int64_t from_us, to_us; /* orders created in between are measured */
    long created, confirmed, cancelled, confirmed_in_time;
    int64_t *took_us;
    long took, took_max;
};

static struct view key_of_life(const void *thing)
{
    return ((const struct life *)thing)->key;
}

static struct view header(rd_kafka_headers_t *headers, const char *name)
{
    const void *value;
    size_t size;

    if (rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return VIEW_NONE;
    return view_of(value, size);
}

static bool read_event(void *context, const rd_kafka_message_t *message)
{
    struct reading *reading = context;
    rd_kafka_headers_t *headers;
    struct view type, time, key = view_of(message->key, message->key_len);
    struct life *life;
    int64_t time_us;
    bool measured;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    type = header(headers, "ce_type");
    time = header(headers, "ce_time");
    if (clock_parse_rfc3339(time.data, time.size, &time_us) != 0)
        return true;
    life = lookup_find(&reading->lives, key);
    if (view_equals(type, "order.created") && life == NULL) {
        life = arena_alloc(&reading->arena, sizeof *life);
        life->created_us = time_us;
        life->key = arena_view(&reading->arena, key);
        lookup_add(&reading->lives, life);
        reading->created++;
        return true;
    }
    if (life == NULL)
        return true;
    measured = life->created_us >= reading->from_us && life->created_us < reading->to_us;
    if (view_equals(type, "order.confirmed") && life->confirmed_us == 0) {
        life->confirmed_us = time_us;
        reading->confirmed++;
        reading->confirmed_in_time += time_us >= reading->from_us && time_us < reading->to_us;
        if (measured && reading->took < reading->took_max)
            reading->took_us[reading->took++] = time_us - life->created_us;
    } else if (view_equals(type, "order.cancelled") && !life->ended) {
        reading->cancelled += life->confirmed_us == 0;
        life->ended = true;
    }
    return true;
}

static int compare_int64(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static double quantile_ms(int64_t *values, long count, double quantile)
{
    if (count == 0)
        return -1;
    qsort(values, (size_t)count, sizeof *values, compare_int64);
    return (double)values[(long)(quantile * (double)(count - 1))] / 1000.0;
}

static int topic_ends(const char *brokers, int32_t *partitions, int64_t *ends)
{
    const struct rd_kafka_metadata *metadata;
    static int64_t lows[PARTITIONS_MAX];
    rd_kafka_topic_t *topic;
    rd_kafka_t *client;
    struct err err;
    int count;

    if (kafka_open_producer(&client, brokers, NULL, NULL, &err) != ERR_OK)
        fail("kafka", err.text);
    topic = rd_kafka_topic_new(client, topic_name(TOPIC_ORDERS), NULL);
    if (rd_kafka_metadata(client, 0, topic, &metadata, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("kafka", "no metadata");
    count = metadata->topics[0].partition_cnt;
    count = count < PARTITIONS_MAX ? count : PARTITIONS_MAX;
    for (int i = 0; i < count; i++)
        partitions[i] = i;
    if (kafka_bounds(client, topic_name(TOPIC_ORDERS), partitions, (size_t)count, lows, ends, 10000,
                     &err) != ERR_OK)
        fail("kafka", err.text);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return count;
}

static void print_result(const struct options *options, struct load *load, struct reading *reading,
                         double settled_s)
{
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};

    json_object_start(&writer);
    json_member_int64(&writer, "rate", options->rate);
    json_member_int64(&writer, "seconds", options->seconds);
    json_member_int64(&writer, "accepted", load->accepted);
    json_member_int64(&writer, "refused", load->refused);
    json_member_int64(&writer, "failed", load->failed);
    json_member_int64(&writer, "created", reading->created);
    json_member_int64(&writer, "confirmed", reading->confirmed);
    json_member_int64(&writer, "cancelled", reading->cancelled);
    json_key(&writer, "confirmed_per_s");
    json_put_double(&writer, (double)reading->confirmed_in_time / (double)options->seconds);
    json_key(&writer, "accepted_to_confirmed_ms");
    json_object_start(&writer);
    json_key(&writer, "p50");
    json_put_double(&writer, quantile_ms(reading->took_us, reading->took, 0.5));
    json_key(&writer, "p99");
    json_put_double(&writer, quantile_ms(reading->took_us, reading->took, 0.99));
    json_object_end(&writer);
    json_key(&writer, "answer_ms");
    json_object_start(&writer);
    json_key(&writer, "p50");
    json_put_double(&writer, quantile_ms(load->answer_us, load->answers, 0.5));
    json_key(&writer, "p99");
    json_put_double(&writer, quantile_ms(load->answer_us, load->answers, 0.99));
    json_object_end(&writer);
    json_key(&writer, "settled_s");
    json_put_double(&writer, settled_s);
    json_object_end(&writer);
    printf("%s\n", buf_cstr(&out));
}

static void parse_options(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {{"rate", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"warm", required_argument, NULL, 'w'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        int64_t *target = letter == 'r'   ? &options->rate
                          : letter == 's' ? &options->seconds
                          : letter == 'w' ? &options->warm
                                          : NULL;

        if (target == NULL || !view_to_int64(view_str(optarg), target) || *target < 0 ||
            *target > 1000000) {
            fprintf(stderr, "usage: orders --rate N --seconds S [--warm S]\n");
            exit(letter == 'h' ? 0 : 2);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options = {.rate = 300, .seconds = 30, .warm = 10};
    static int32_t partitions[PARTITIONS_MAX];
    static int64_t ends[PARTITIONS_MAX];
    struct token_claims claims = {.subject = "bench", .role = "service"};
    struct load load = {0};
    struct reading reading = {.lives = {.key_of = key_of_life}};
    int64_t from_us, settle_from_us;
    struct err err;
    char *token;
    int count;

    parse_options(&options, argc, argv);
    claims.expires_at_s = clock_utc_us() / 1000000 + 3600;
    if (token_sign(&token, environment("TRADEWIND_SIGNING_KEY"), &claims, clock_utc_us() / 1000000,
                   &err) != ERR_OK)
        fail("token", err.text);
    snprintf(load.authorization, sizeof load.authorization, "Authorization: Bearer %s", token);
    free(token);
    load.answers_max = (long)(options.rate * options.seconds) + 1;
    load.answer_us = mem_alloc((size_t)load.answers_max * sizeof(int64_t));
    load.http = http_load_new(&(struct http_load_options){.url = environment("TRADEWIND_DOOR"),
                                                          .authorization = load.authorization,
                                                          .connections = CONNECTIONS,
                                                          .answered = answered,
                                                          .context = &load});
    stock_up(&load);
    count = topic_ends(environment("TRADEWIND_KAFKA"), partitions, ends);
    run_load(&load, options.rate, options.warm, false);
    from_us = clock_utc_us();
    run_load(&load, options.rate, options.seconds, true);
    reading.from_us = from_us;
    reading.to_us = clock_utc_us();
    settle_from_us = clock_monotonic_us();
    while (http_load_pending(load.http) > 0 &&
           clock_monotonic_us() - settle_from_us < 40 * 1000000LL)
        http_load_serve(load.http, 10);
    reading.took_max = load.answers_max + (long)(options.rate * options.warm);
    reading.took_us = mem_alloc((size_t)reading.took_max * sizeof(int64_t));
    for (;;) {
        lookup_clear(&reading.lives);
        arena_clear(&reading.arena);
        reading.created = reading.confirmed = reading.cancelled = reading.confirmed_in_time = 0;
        reading.took = 0;
        if (kafka_read_to_end(environment("TRADEWIND_KAFKA"), topic_name(TOPIC_ORDERS), partitions,
                              ends, (size_t)count, read_event, &reading, &err) != ERR_OK)
            fail("kafka", err.text);
        if (reading.created >= load.accepted &&
            reading.confirmed + reading.cancelled >= reading.created)
            break;
        if (clock_monotonic_us() - settle_from_us > SETTLE_S * 1000000LL)
            break;
        sleep_us(200000);
    }
    print_result(&options, &load, &reading, (double)(clock_monotonic_us() - settle_from_us) / 1e6);
    http_load_free(load.http);
    return 0;
}
