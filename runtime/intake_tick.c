#include "runtime/control.h"
#include "runtime/intake_parts.h"
#include "runtime/log.h"
#include "runtime/relay.h"

#define COMMIT_EVERY_MS 5000
#define ASK_ENDS_EVERY_MS 1000
#define FENCED_FOR_MS 20000

static void seek(struct intake *intake, size_t topic, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_error_t *error;

    rd_kafka_topic_partition_list_add(list, intake->options.topics[topic], partition)->offset =
        offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : offset;
    error = rd_kafka_seek_partitions(intake->client, list, 1000);
    if (error != NULL)
        LOG_WARN("seek", rd_kafka_error_string(error), log_int("partition", partition));
    rd_kafka_error_destroy(error);
    rd_kafka_topic_partition_list_destroy(list);
}

static void say_nack(struct intake *intake, size_t topic, int32_t partition, uint64_t number)
{
    relay_say_number(intake->options.relay, CONTROL_NACK, intake->options.sources[topic], partition,
                     number);
    metric_add(&intake_nacks_total, 1);
    LOG_WARN("gap", "a record is missing: asking its writer for it",
             log_str("topic", intake->options.topics[topic]), log_int("partition", partition),
             log_int("number", (int64_t)number));
}

static void tick_lane(struct intake *intake, size_t topic, int32_t partition, int64_t now_ms)
{
    struct lane *lane = lane_of(intake, topic, partition);

    switch (receiver_tick(&lane->receiver, now_ms)) {
    case RECEIVER_NOTHING:
        return;
    case RECEIVER_LOOK_BACK:
        seek(intake, topic, partition, receiver_position(&lane->receiver));
        return;
    case RECEIVER_ASK_END:
        lane->ask_end = true;
        return;
    case RECEIVER_NACK:
        say_nack(intake, topic, partition, lane->receiver.high_water + 1);
        return;
    }
}

/* Lanes that somebody wants to have been read to their end: one request for all of them. */
static void ask_ends(struct intake *intake, int64_t now_ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t topic = 0; topic < intake->options.topic_count; topic++)
        for (int32_t p = 0; p < intake->options.partitions; p++) {
            struct lane *lane = lane_of(intake, topic, p);

            if (lane->assigned && lane->ask_end)
                rd_kafka_topic_partition_list_add(list, intake->options.topics[topic], p);
            lane->ask_end = false;
        }
    if (list->cnt > 0 && kafka_ends(intake->client, list, 300, NULL) == ERR_OK)
        for (int i = 0; i < list->cnt; i++) {
            size_t topic;
            struct lane *lane;

            if (list->elems[i].offset < 0 || !intake_topic(intake, list->elems[i].topic, &topic))
                continue;
            lane = lane_of(intake, topic, list->elems[i].partition);
            receiver_end_is(&lane->receiver, list->elems[i].offset, now_ms);
        }
    rd_kafka_topic_partition_list_destroy(list);
}

void intake_commit_offsets(struct intake *intake)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t topic = 0; topic < intake->options.topic_count; topic++)
        for (int32_t p = 0; p < intake->options.partitions; p++) {
            struct lane *lane = lane_of(intake, topic, p);

            if (!lane->assigned || lane->stored_offset < 0 ||
                lane->stored_offset == lane->told_offset)
                continue;
            rd_kafka_topic_partition_list_add(list, intake->options.topics[topic], p)->offset =
                lane->stored_offset;
            lane->told_offset = lane->stored_offset;
        }
    if (list->cnt > 0)
        rd_kafka_commit(intake->client, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

enum err_kind intake_tick(struct intake *intake, int64_t now_ms, struct err *err)
{
    if (intake->join_again)
        return ERR_OK; /* the client can do nothing any more */
    if (intake->assign_again && intake->assigned)
        intake_assign_positions(intake);
    intake->assign_again = false;
    for (size_t topic = 0; topic < intake->options.topic_count; topic++)
        for (int32_t p = 0; p < intake->options.partitions; p++) {
            struct lane *lane = lane_of(intake, topic, p);

            /* No unit is under way: repeats that were dropped behind the last one count, too. */
            lane->stored_offset = receiver_position(&lane->receiver);
            if (lane->assigned && !intake->flow.paused)
                tick_lane(intake, topic, p, now_ms);
            else if (lane->fenced_at_ms > 0 && now_ms - lane->fenced_at_ms > FENCED_FOR_MS)
                return err_set(err, ERR_STOP,
                               "%s/%d: another instance took it over and the group did not say so",
                               intake->options.topics[topic], p);
        }
    if (now_ms >= intake->ends_at_ms) {
        intake->ends_at_ms = now_ms + ASK_ENDS_EVERY_MS;
        ask_ends(intake, now_ms);
    }
    if (now_ms >= intake->commit_at_ms) {
        intake->commit_at_ms = now_ms + COMMIT_EVERY_MS;
        intake_commit_offsets(intake);
    }
    return ERR_OK;
}

bool intake_read_to_end_since(struct intake *intake, int32_t partition, int64_t since_ms)
{
    bool all = true;

    for (size_t topic = 0; topic < intake->options.topic_count; topic++) {
        struct lane *lane = lane_of(intake, topic, partition);

        if (lane->assigned && receiver_is_read_since(&lane->receiver, since_ms))
            continue;
        lane->ask_end = true;
        all = false;
    }
    return all;
}
