#include "ops/replay/log_witness.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <sodium.h>

#include <inttypes.h>

#define CALL_MS 10000
#define SILENCE_MS 10000

/* Lengths are in it, so that no byte can move from one of them to the other. */
static void hash_record(struct log_witness *out, const rd_kafka_message_t *message)
{
    AUTO(buf_clear) struct buf text = {0};
    unsigned char hash[crypto_hash_sha256_BYTES];

    buf_printf(&text, "%zu %zu ", message->key_len, message->len);
    buf_append(&text, message->key, message->key_len);
    buf_append(&text, message->payload, message->len);
    kafka_headers_to_block(message, &text);
    crypto_hash_sha256(hash, (const unsigned char *)text.data, text.size);
    sodium_bin2hex(out->hex, sizeof out->hex, hash, sizeof hash);
}

static size_t assign(struct log_reader *reader)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)reader->place_count);
    size_t open;

    for (size_t i = 0; i < reader->place_count; i++)
        if (reader->places[i].next_offset > 0)
            rd_kafka_topic_partition_list_add(list, topic_name(reader->places[i].topic),
                                              reader->places[i].partition)
                ->offset = reader->places[i].next_offset - 1;
    open = (size_t)list->cnt;
    rd_kafka_assign(reader->client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return open;
}

/* True for the first answer about a place: the record, or that it is not there. */
static bool take(struct log_witness *out, const struct log_reader *reader, bool *answered,
                 const rd_kafka_message_t *message)
{
    const struct log_place *place = log_reader_place(
        reader, topic_from_name(rd_kafka_topic_name(message->rkt)), message->partition);
    size_t i;

    if (place == NULL || answered[i = (size_t)(place - reader->places)])
        return false;
    answered[i] = true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset == place->next_offset - 1)
        hash_record(&out[i], message);
    return true;
}

enum err_kind log_witness_read(struct log_witness *out, struct log_reader *reader, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    bool *answered = arena_array(&arena, reader->place_count, sizeof *answered);
    int64_t until_ms = clock_monotonic_ms() + SILENCE_MS;
    size_t open;

    memset(out, 0, reader->place_count * sizeof *out);
    for (open = assign(reader); open > 0 && clock_monotonic_ms() < until_ms;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->client, 100);

        if (message == NULL)
            continue;
        open -= message->rkt != NULL && take(out, reader, answered, message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(reader->client, NULL);
    if (open == 0)
        return ERR_OK;
    return err_set(err, ERR_RETRY, "kafka: the records before %zu positions do not come", open);
}

/* The witness may be gone with what came before it; what comes behind it must be there. */
static enum err_kind check_place(const struct log_place *place, int64_t low, int64_t end,
                                 struct err *err)
{
    if (place->next_offset >= 0 && place->next_offset < low)
        return err_set(err, ERR_REJECT,
                       "%s/%d begins at offset %" PRId64 ", behind the snapshot's %" PRId64
                       ": what lies between is not in the topic any more",
                       topic_name(place->topic), place->partition, low, place->next_offset);
    if (place->next_offset > end)
        return err_set(err, ERR_REJECT,
                       "%s/%d ends at offset %" PRId64 ", before the snapshot's %" PRId64
                       ": it is not the topic that the snapshot was made of",
                       topic_name(place->topic), place->partition, end, place->next_offset);
    return ERR_OK;
}

/* Places lie topic by topic. */
static enum err_kind check_bounds(const struct log_reader *reader, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    size_t count = (size_t)reader->partitions;
    int32_t *partitions = arena_array(&arena, count, sizeof *partitions);
    int64_t *lows = arena_array(&arena, count, sizeof *lows);
    int64_t *ends = arena_array(&arena, count, sizeof *ends);
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count; i++)
        partitions[i] = (int32_t)i;
    for (size_t i = 0; i < reader->place_count && kind == ERR_OK; i++) {
        const struct log_place *place = &reader->places[i];

        if (place->partition == 0)
            kind = kafka_bounds(reader->client, topic_name(place->topic), partitions, count, lows,
                                ends, CALL_MS, err);
        if (kind == ERR_OK)
            kind = check_place(place, lows[place->partition], ends[place->partition], err);
    }
    return kind;
}

enum err_kind log_witness_check(const struct log_witness *wanted, struct log_reader *reader,
                                struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct log_witness *found = arena_array(&arena, reader->place_count, sizeof *found);
    enum err_kind kind = check_bounds(reader, err);

    if (kind == ERR_OK)
        kind = log_witness_read(found, reader, err);
    for (size_t i = 0; kind == ERR_OK && i < reader->place_count; i++)
        if (found[i].hex[0] != '\0' && strcmp(found[i].hex, wanted[i].hex) != 0)
            return err_set(err, ERR_REJECT,
                           "%s/%d offset %" PRId64
                           " is another record than the snapshot was taken behind: it is not the "
                           "topic that it was made of",
                           topic_name(reader->places[i].topic), reader->places[i].partition,
                           reader->places[i].next_offset - 1);
    return kind;
}
