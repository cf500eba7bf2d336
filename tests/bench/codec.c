/* What one order.created of 20 lines costs to write and to read: our codec against avro-c's generic
 * one. To write is from the C struct to bytes, so avro-c's value is filled first; to read ends
 * where all fields can be had, in our struct or in avro-c's value. Prints JSON. Run it on a quiet
 * machine; each figure is the best of several rounds. */
#include "events/codec.h"

#include "events/events_generated.h"
#include "runtime/clock.h"
#include "runtime/json.h"

#include <avro.h>

#include <stdio.h>
#include <stdlib.h>

#define LINES 20
#define PER_ROUND 2000
#define ROUNDS 30
#define HEAD_BYTES 5

struct bench {
    struct schema_ids *ids;
    struct order_created order;
    struct order_line lines[LINES];
    struct buf bytes; /* the order in wire format */
    struct arena arena;
    avro_value_t value;
    char theirs[8192];
    size_t their_bytes;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-codec: %s: %s\n", what, why);
    exit(1);
}

static void make_order(struct bench *bench)
{
    for (size_t i = 0; i < LINES; i++)
        bench->lines[i] = (struct order_line){
            .sku = VIEW_LITERAL("85123A"),
            .code = VIEW_LITERAL("85123a"),
            .kind = LINE_KIND_GOODS,
            .quantity = 6,
            .unit_price_minor = 255,
            .price_event = VIEW_LITERAL("catalog/3/1742"),
        };
    bench->order = (struct order_created){
        .order_id = VIEW_LITERAL("01ARYZ6S41TSV4RRFFQ69G5FAV"),
        .customer_id = VIEW_LITERAL("17850"),
        .country = VIEW_LITERAL("United Kingdom"),
        .currency = VIEW_LITERAL("GBP"),
        .lines = bench->lines,
        .lines_count = LINES,
        .total_minor = 30600,
        .payment_token = VIEW_LITERAL("tok_approve"),
        .warehouse = VIEW_LITERAL("main"),
        .idempotency_key = VIEW_LITERAL("service/import/536365"),
        .request_hash = VIEW_LITERAL("0123456789abcdef0123456789abcdef"),
        .deadline_ms = 900000,
        .ordered_at = 1291191960000000,
        .occurred_at = 1291191960123456,
    };
}

static void our_encode(struct bench *bench)
{
    struct err err;

    buf_reset(&bench->bytes);
    if (event_encode(&bench->bytes, EVENT_ORDER_CREATED, &bench->order, bench->ids, &err) != ERR_OK)
        die("encode", err.text);
}

static void our_decode(struct bench *bench)
{
    enum event_type type;
    const void *event;
    struct err err;

    arena_reset(&bench->arena);
    if (event_decode(&type, &event, buf_view(&bench->bytes), bench->ids, &bench->arena, &err) !=
        ERR_OK)
        die("decode", err.text);
}

static void their_decode(struct bench *bench)
{
    avro_reader_t reader = avro_reader_memory(bench->bytes.data + HEAD_BYTES,
                                              (int64_t)(bench->bytes.size - HEAD_BYTES));

    avro_value_reset(&bench->value);
    if (avro_value_read(reader, &bench->value) != 0)
        die("avro-c reads", avro_strerror());
    avro_reader_free(reader);
}

static avro_value_t their_field(avro_value_t *record, size_t index)
{
    avro_value_t field = {0};

    avro_value_get_by_index(record, index, &field, NULL);
    return field;
}

static void put_text(avro_value_t value, struct view text)
{
    avro_value_set_string_len(&value, text.data, text.size + 1); /* it wants the NUL counted */
}

static void put_long(avro_value_t value, int64_t number)
{
    avro_value_set_long(&value, number);
}

static void put_optional(avro_value_t value, struct view text)
{
    avro_value_t branch;

    avro_value_set_branch(&value, text.data != NULL, &branch);
    if (text.data != NULL)
        put_text(branch, text);
    else
        avro_value_set_null(&branch);
}

static void put_line(avro_value_t *line, const struct order_line *from)
{
    avro_value_t kind = their_field(line, 2);

    put_text(their_field(line, 0), from->sku);
    put_text(their_field(line, 1), from->code);
    avro_value_set_enum(&kind, (int)from->kind);
    put_long(their_field(line, 3), from->quantity);
    put_long(their_field(line, 4), from->unit_price_minor);
    put_optional(their_field(line, 5), from->price_event);
}

static void put_order(avro_value_t *order, const struct order_created *from)
{
    avro_value_t lines = their_field(order, 5), hash = their_field(order, 10), line;

    put_text(their_field(order, 0), from->order_id);
    put_text(their_field(order, 1), from->customer_id);
    put_optional(their_field(order, 2), VIEW_NONE); /* no contact */
    put_text(their_field(order, 3), from->country);
    put_text(their_field(order, 4), from->currency);
    for (size_t i = 0; i < from->lines_count; i++) {
        avro_value_append(&lines, &line, NULL);
        put_line(&line, &from->lines[i]);
    }
    put_long(their_field(order, 6), from->total_minor);
    put_text(their_field(order, 7), from->payment_token);
    put_text(their_field(order, 8), from->warehouse);
    put_optional(their_field(order, 9), from->idempotency_key);
    avro_value_set_bytes(&hash, (void *)(uintptr_t)from->request_hash.data,
                         from->request_hash.size);
    put_long(their_field(order, 11), from->deadline_ms);
    put_long(their_field(order, 12), from->ordered_at);
    put_long(their_field(order, 13), from->occurred_at);
}

static void their_encode(struct bench *bench)
{
    avro_writer_t writer = avro_writer_memory(bench->theirs, sizeof bench->theirs);

    avro_value_reset(&bench->value);
    put_order(&bench->value, &bench->order);
    if (avro_value_write(writer, &bench->value) != 0)
        die("avro-c writes", avro_strerror());
    bench->their_bytes = (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
}

/* Both write the same bytes, or the figures compare nothing. */
static void check(const struct bench *bench)
{
    if (!view_equal(view_of(bench->bytes.data + HEAD_BYTES, bench->bytes.size - HEAD_BYTES),
                    view_of(bench->theirs, bench->their_bytes)))
        die("check", "avro-c writes other bytes");
}

/* Nanoseconds a call, of the best round: the others were disturbed. */
static double measure(struct bench *bench, void (*call)(struct bench *bench))
{
    double best = 1e18;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = clock_monotonic_us();
        double ns;

        for (int i = 0; i < PER_ROUND; i++)
            call(bench);
        ns = (double)(clock_monotonic_us() - start) * 1000 / PER_ROUND;
        if (ns < best)
            best = ns;
    }
    return best;
}

static void print_figure(struct json_writer *writer, const char *name, double ours, double theirs)
{
    json_key(writer, name);
    json_object_start(writer);
    json_member_int64(writer, "ns", (int64_t)ours);
    json_member_int64(writer, "avro_c_ns", (int64_t)theirs);
    json_key(writer, "times_faster");
    json_put_double(writer, (double)(int64_t)(theirs / ours * 10) / 10);
    json_object_end(writer);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    AUTO(buf_clear) struct buf out = {0};
    struct json_writer writer = {.out = &out};
    double encode, decode, their_decode_ns, their_encode_ns;
    struct view text = event_schema_text(EVENT_ORDER_CREATED);
    avro_value_iface_t *class;
    avro_schema_t schema;
    struct err err;

    if (argc != 2) {
        fprintf(stderr, "usage: bench-codec SCHEMAS\n");
        return 2;
    }
    if (schema_ids_open(&bench.ids, argv[1], NULL, &err) != ERR_OK)
        die(argv[1], err.text);
    if (avro_schema_from_json_length(text.data, text.size, &schema) != 0)
        die("avro-c parses", avro_strerror());
    class = avro_generic_class_from_schema(schema);
    avro_generic_value_new(class, &bench.value);
    make_order(&bench);

    encode = measure(&bench, our_encode);
    decode = measure(&bench, our_decode);
    their_decode_ns = measure(&bench, their_decode);
    their_encode_ns = measure(&bench, their_encode);
    check(&bench);

    json_object_start(&writer);
    json_member_str(&writer, "event", "order.created");
    json_member_int64(&writer, "lines", LINES);
    json_member_int64(&writer, "bytes", (int64_t)bench.bytes.size);
    print_figure(&writer, "encode", encode, their_encode_ns);
    print_figure(&writer, "decode", decode, their_decode_ns);
    json_object_end(&writer);
    printf("%s\n", buf_cstr(&out));

    avro_value_decref(&bench.value);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
    buf_clear(&bench.bytes);
    arena_clear(&bench.arena);
    schema_ids_free(bench.ids);
    return 0;
}
