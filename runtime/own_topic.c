#include "runtime/own_topic.h"

#include "runtime/kafka.h"

#include <inttypes.h>
#include <stdlib.h>

/* Behind its last number a partition may hold a few records that have none, from strangers. */
#define LAST_RECORDS 16

struct seen {
    const char *source;
    uint64_t *highest; /* by partition */
};

static bool note_number(void *context, const rd_kafka_message_t *message)
{
    const struct seen *seen = context;
    uint64_t number = kafka_record_number(message, seen->source);

    if (number > seen->highest[message->partition])
        seen->highest[message->partition] = number;
    return true;
}

static enum err_kind read_ends(const char *brokers, const char *topic, int32_t partitions,
                               int32_t *numbers, int64_t *starts, struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = brokers};
    rd_kafka_t *client;
    enum err_kind kind = kafka_open_consumer(&client, &options, err);

    if (kind != ERR_OK)
        return kind;
    for (int32_t i = 0; i < partitions; i++) {
        numbers[i] = i;
        starts[i] = RD_KAFKA_OFFSET_END;
    }
    kind = kafka_offsets_at(client, topic, numbers, (size_t)partitions, starts, 5000, err);
    kafka_close_consumer(client);
    for (int32_t i = 0; i < partitions; i++)
        starts[i] = starts[i] > LAST_RECORDS ? starts[i] - LAST_RECORDS : 0;
    return kind;
}

/* The topic before the store: whatever the topic holds was committed before. */
enum err_kind own_topic_check(const char *brokers, const char *topic, const char *source,
                              int32_t partitions, struct store *store, struct err *err)
{
    size_t count = (size_t)partitions;
    int32_t *numbers = mem_alloc(count * sizeof *numbers);
    int64_t *starts = mem_alloc(count * sizeof *starts);
    uint64_t *highest = mem_alloc(2 * count * sizeof *highest), *given = highest + count;
    struct seen seen = {source, highest};
    enum err_kind kind = read_ends(brokers, topic, partitions, numbers, starts, err);

    if (kind == ERR_OK)
        kind = kafka_read_to_end(brokers, topic, numbers, starts, count, note_number, &seen, err);
    if (kind == ERR_OK)
        kind = store->last_numbers(store->self, given, partitions, err);
    for (size_t i = 0; i < count && kind == ERR_OK; i++)
        if (highest[i] > given[i])
            kind =
                err_set(err, ERR_STOP,
                        "%s/%zu holds number %" PRIu64 ", the database has given out only %" PRIu64
                        ": it is older than its topic (restored or lost); rebuild it with "
                        "`tradewind replay`",
                        topic, i, highest[i], given[i]);
    free(numbers);
    free(starts);
    free(highest);
    return kind;
}
