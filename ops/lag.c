#include "ops/lag.h"

#include "ops/parts.h"
#include "runtime/kafka.h"

#include <stdlib.h>

#define ANSWER_MS 5000

/* The library asks the offsets of its own group only, so there is a client for each part. It never
 * joins the group: it subscribes to nothing. */
struct lag {
    int32_t partitions;
    rd_kafka_t **clients; /* of ops_parts; NULL: reads nothing */
};

enum err_kind lag_open(struct lag **out, const char *brokers, int32_t partitions, struct err *err)
{
    struct lag *lag = mem_alloc(sizeof *lag);

    lag->partitions = partitions;
    lag->clients = mem_alloc(ops_part_count * sizeof *lag->clients);
    for (size_t i = 0; i < ops_part_count; i++) {
        const struct kafka_consumer_options options = {.brokers = brokers,
                                                       .group = ops_parts[i].name};
        enum err_kind kind;

        if (ops_parts[i].reads[0] == NULL)
            continue;
        if ((kind = kafka_open_consumer(&lag->clients[i], &options, err)) != ERR_OK) {
            lag_close(lag);
            return kind;
        }
    }
    *out = lag;
    return ERR_OK;
}

void lag_close(struct lag *lag)
{
    if (lag == NULL)
        return;
    for (size_t i = 0; i < ops_part_count; i++)
        if (lag->clients[i] != NULL)
            kafka_close_consumer(lag->clients[i]);
    free(lag->clients);
    free(lag);
}

static rd_kafka_topic_partition_list_t *partitions_of(const struct lag *lag,
                                                      const struct ops_part *part)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(lag->partitions);

    for (const char *const *topic = part->reads; *topic != NULL; topic++)
        for (int32_t p = 0; p < lag->partitions; p++)
            rd_kafka_topic_partition_list_add(list, *topic, p);
    return list;
}

static enum err_kind read_part(const struct lag *lag, size_t index, int64_t *records,
                               struct err *err)
{
    rd_kafka_t *client = lag->clients[index];
    rd_kafka_topic_partition_list_t *ends = partitions_of(lag, &ops_parts[index]);
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(ends);
    enum err_kind kind = kafka_ends(client, ends, ANSWER_MS, err);
    rd_kafka_resp_err_t code;

    *records = 0;
    if (kind == ERR_OK &&
        (code = rd_kafka_committed(client, committed, ANSWER_MS)) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_RETRY, "offsets of group %s: %s", ops_parts[index].name,
                       rd_kafka_err2str(code));
    for (int i = 0; kind == ERR_OK && i < ends->cnt; i++) {
        int64_t end = ends->elems[i].offset, at = committed->elems[i].offset;

        if (end > 0)
            *records += at < 0 ? end : at < end ? end - at : 0;
    }
    rd_kafka_topic_partition_list_destroy(ends);
    rd_kafka_topic_partition_list_destroy(committed);
    return kind;
}

enum err_kind lag_read(struct lag *lag, int64_t *records, struct err *err)
{
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < ops_part_count; i++) {
        records[i] = -1;
        if (kind == ERR_OK && lag->clients[i] != NULL)
            kind = read_part(lag, i, &records[i], err);
    }
    return kind;
}
