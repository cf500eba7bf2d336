#include "runtime/control.h"
#include "runtime/intake_parts.h"
#include "runtime/log.h"

#include <stdlib.h>
#include <time.h>

#define COMMITTED_ANSWER_MS 1000

/* The marks of what was assigned: the group's partitions, or all when this instance leads. */
static size_t wanted_marks(const struct intake *intake,
                           const rd_kafka_topic_partition_list_t *partitions, struct mark *marks)
{
    size_t count = 0;

    for (size_t topic = 0; topic < intake->options.topic_count; topic++)
        for (int32_t p = 0; p < intake->options.partitions; p++) {
            const char *name = intake->options.topics[topic];
            bool ours = intake->options.lead_topic != NULL && partitions->cnt > 0;

            for (int i = 0; i < partitions->cnt && !ours; i++)
                ours = partitions->elems[i].partition == p &&
                       strcmp(partitions->elems[i].topic, name) == 0;
            if (ours)
                marks[count++] = (struct mark){.topic = name, .partition = p};
        }
    return count;
}

static enum err_kind take_over(struct intake *intake, struct mark *marks, size_t count)
{
    struct err err;
    struct timespec pause = {.tv_nsec = 200000000};

    for (;;) {
        enum err_kind kind =
            intake->options.store->take_over(intake->options.store->self, marks, count, &err);

        if (kind == ERR_OK)
            kind = intake->options.assigned(intake->options.context, marks, count, &err);
        if (kind == ERR_OK)
            return ERR_OK;
        if (kind != ERR_RETRY) {
            intake->failed = err;
            return kind;
        }
        LOG_WARN("take_over_waits", "partitions cannot be taken over yet: trying again",
                 log_err(&err));
        if (intake->options.stopping(intake->options.context))
            return ERR_RETRY;
        nanosleep(&pause, NULL);
    }
}

/* What lies before the stored place was read, records without a number too. */
static void forget_strangers(struct intake *intake, const struct mark *mark)
{
    size_t topic;

    if (intake_topic(intake, mark->topic, &topic))
        lane_of(intake, topic, mark->partition)->strangers_from = mark->next_offset;
}

static void start_lane(struct intake *intake, const struct mark *mark)
{
    size_t topic;
    struct lane *lane;

    if (!intake_topic(intake, mark->topic, &topic))
        return;
    lane = lane_of(intake, topic, mark->partition);
    lane->assigned = true;
    lane->epoch = mark->epoch;
    lane->stored_offset = mark->next_offset;
    lane->told_offset = -1;
    lane->fenced_at_ms = 0;
    lane->ask_end = false;
    receiver_start(&lane->receiver, mark->high_water, mark->next_offset, mark->fresh);
    metric_set(lane->high_water, (int64_t)mark->high_water);
}

/* Where the group's offset has been set back (or is some seconds old, after a crash), reading
 * begins there: what is applied is dropped by its number. One that lies further on than the store
 * is not heeded, for what is between is not applied. */
static void heed_offsets(const struct intake *intake, struct mark *marks, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1);

    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, marks[i].topic, marks[i].partition);
    /* Without an answer the store's place does as well. */
    if (count > 0 &&
        rd_kafka_committed(intake->client, list, COMMITTED_ANSWER_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0; i < count; i++) {
            int64_t offset = list->elems[i].offset;

            if (!marks[i].fresh && offset >= 0 && offset < marks[i].next_offset)
                marks[i].next_offset = offset;
        }
    rd_kafka_topic_partition_list_destroy(list);
}

static void assign(struct intake *intake, const rd_kafka_topic_partition_list_t *partitions)
{
    struct mark *marks =
        mem_alloc(intake->options.topic_count * (size_t)intake->options.partitions * sizeof *marks);
    size_t count = wanted_marks(intake, partitions, marks);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count + 1);

    intake->leads = intake->options.lead_topic != NULL && partitions->cnt > 0;
    if (count == 0 || take_over(intake, marks, count) == ERR_OK) {
        intake->assigned = true;
        for (size_t i = 0; i < count; i++)
            forget_strangers(intake, &marks[i]);
        heed_offsets(intake, marks, count);
        for (size_t i = 0; i < count; i++) {
            start_lane(intake, &marks[i]);
            if (!intake->flow.paused)
                rd_kafka_topic_partition_list_add(list, marks[i].topic, marks[i].partition)
                    ->offset =
                    marks[i].next_offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : marks[i].next_offset;
        }
        rd_kafka_topic_partition_list_add(list, CONTROL_TOPIC, 0)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_assign(intake->client, list);
    LOG_INFO("assigned", "input partitions were taken over", log_int("partitions", (int64_t)count));
    rd_kafka_topic_partition_list_destroy(list);
    free(marks);
}

void intake_forget_lanes(struct intake *intake)
{
    struct mark *marks =
        mem_alloc(intake->options.topic_count * (size_t)intake->options.partitions * sizeof *marks);
    size_t count = 0;

    for (size_t topic = 0; topic < intake->options.topic_count; topic++)
        for (int32_t p = 0; p < intake->options.partitions; p++) {
            struct lane *lane = lane_of(intake, topic, p);

            if (lane->assigned)
                marks[count++] =
                    (struct mark){.topic = intake->options.topics[topic], .partition = p};
            lane->assigned = false;
            lane->epoch = 0;
            lane->fenced_at_ms = 0; /* the group has said so now */
        }
    intake->assigned = false;
    intake->leads = false;
    intake->options.lost(intake->options.context, marks, count);
    free(marks);
}

void intake_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct intake *intake = opaque;

    intake->assignment++;
    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assign(intake, partitions);
    } else {
        intake_forget_lanes(intake);
        rd_kafka_assign(client, NULL);
    }
}

/* --- Fetching ------------------------------------------------------------------------------- */

void intake_assign_positions(struct intake *intake)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t topic = 0; topic < intake->options.topic_count; topic++)
        for (int32_t p = 0; p < intake->options.partitions; p++) {
            const struct lane *lane = lane_of(intake, topic, p);
            int64_t offset = receiver_position(&lane->receiver);

            if (lane->assigned && !intake->flow.paused)
                rd_kafka_topic_partition_list_add(list, intake->options.topics[topic], p)->offset =
                    offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : offset;
        }
    rd_kafka_topic_partition_list_add(list, CONTROL_TOPIC, 0)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_assign(intake->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}
