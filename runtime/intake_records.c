#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/intake_parts.h"
#include "runtime/kafka_fence.h"
#include "runtime/log.h"

#include <stdio.h>

/* --- The control topic ---------------------------------------------------------------------- */

static void note_speaker(struct intake *intake, struct view name, int64_t now_ms)
{
    for (size_t i = 0; i < SPEAKERS_MAX; i++) {
        struct speaker *speaker = &intake->speakers[i];

        if (speaker->name[0] == '\0')
            snprintf(speaker->name, sizeof speaker->name, "%.*s", VIEW_PRINT(name));
        if (view_equals(name, speaker->name)) {
            speaker->heard_ms = now_ms;
            return;
        }
    }
}

static void read_control(struct intake *intake, const rd_kafka_message_t *message)
{
    int64_t now_ms = clock_monotonic_ms();
    struct control control;

    arena_reset(&intake->arena);
    if (control_parse(&control, view_of(message->payload, message->len), &intake->arena, NULL) !=
            ERR_OK ||
        control.type == CONTROL_NACK)
        return;
    /* Who answers nothing is as silent as one that is down. */
    if (control.type == CONTROL_PUBLISHED && !control.paused)
        note_speaker(intake, control.source, now_ms);
    for (size_t topic = 0; topic < intake->options.topic_count; topic++) {
        if (!view_equals(control.source, intake->options.sources[topic]))
            continue;
        for (size_t i = 0; i < control.count; i++)
            if (control.shards[i] < intake->options.partitions) {
                struct lane *lane = lane_of(intake, topic, control.shards[i]);

                if (lane->assigned && control.type == CONTROL_PUBLISHED)
                    receiver_heartbeat(&lane->receiver, control.numbers[i], now_ms);
                else if (lane->assigned)
                    receiver_gone(&lane->receiver, control.numbers[i]);
            }
    }
}

/* --- Records -------------------------------------------------------------------------------- */

/* A record that is next in sequence; true when it is in the batch. */
static bool look_at_next(struct intake *intake, struct lane *lane, struct intake_record *record)
{
    int64_t now_ms = clock_monotonic_ms();

    record->waited = receiver_has_waited(&lane->receiver, now_ms);
    switch (intake->options.look(intake->options.context, record)) {
    case INTAKE_TAKE:
        receiver_taken(&lane->receiver);
        return true;
    case INTAKE_WAIT:
        receiver_hold(&lane->receiver, record->message->offset, now_ms);
        return false;
    case INTAKE_ASK_AGAIN:
        if (receiver_undecodable(&lane->receiver, record->message->offset))
            return false;
        record->last_chance = true;
        intake->options.look(intake->options.context, record);
        return true;
    }
    return false;
}

/* Judge one record; true when it is in the batch. */
static bool judge(struct intake *intake, struct lane *lane, struct intake_record *record)
{
    int64_t offset = record->message->offset;

    metric_add(&intake_read_total, 1);
    record->number = kafka_record_number(record->message, intake->options.sources[record->topic]);
    if (record->number == 0) {
        receiver_read_unnumbered(&lane->receiver, offset);
        if (offset < lane->strangers_from)
            return false;
        lane->strangers_from = offset + 1;
        record->last_chance = true;
        intake->options.look(intake->options.context, record);
    } else {
        switch (receiver_read(&lane->receiver, record->number, offset)) {
        case RECEIVER_DUPLICATE:
            metric_add(&intake_duplicates_total, 1);
            return false;
        case RECEIVER_GAP:
            metric_add(&intake_gaps_total, 1);
            return false;
        case RECEIVER_APPLY:
            break;
        }
        if (!look_at_next(intake, lane, record))
            return false;
    }
    metric_set(lane->high_water, (int64_t)lane->receiver.high_water);
    record->after = (struct mark){
        .topic = intake->options.topics[record->topic],
        .partition = record->partition,
        .epoch = lane->epoch,
        .next_offset = receiver_position(&lane->receiver),
        .high_water = lane->receiver.high_water,
        .fresh = lane->receiver.fresh,
    };
    return true;
}

static void at_end(struct intake *intake, const rd_kafka_message_t *message)
{
    size_t topic;

    if (message->rkt != NULL && intake_topic(intake, rd_kafka_topic_name(message->rkt), &topic) &&
        message->partition < intake->options.partitions)
        receiver_at_end(&lane_of(intake, topic, message->partition)->receiver,
                        clock_monotonic_ms());
}

/* A message that is no record. ERR_STOP when this instance cannot go on. */
static enum err_kind handle_event(struct intake *intake, const rd_kafka_message_t *message,
                                  struct err *err)
{
    const char *topic = message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "";
    size_t index;

    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        at_end(intake, message);
        return ERR_OK;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        /* The offset is a hint: read all there is; what was applied is dropped by its number. */
        LOG_WARN("offset_out_of_range",
                 "the log is shorter than the stored position: reading it from its beginning",
                 log_str("topic", topic), log_int("partition", message->partition));
        if (message->rkt != NULL && intake_topic(intake, topic, &index) &&
            message->partition < intake->options.partitions) {
            lane_of(intake, index, message->partition)->strangers_from = -1;
            receiver_log_is_shorter(&lane_of(intake, index, message->partition)->receiver);
            intake->assign_again = true;
        }
        return ERR_OK;
    }
    switch (
        kafka_judge_fence(intake->client, message, intake->options.group, &intake->fenced_at_ms)) {
    case KAFKA_FENCE_FORGIVEN:
        intake->join_again = true;
        return ERR_OK;
    case KAFKA_NOT_FENCED:
    case KAFKA_FENCED:
        break;
    }
    if (kafka_err_kind(message->err) == ERR_STOP)
        return err_set(err, ERR_STOP, "kafka: %s: %s", intake->options.group,
                       rd_kafka_message_errstr(message));
    LOG_DEBUG("intake_event", rd_kafka_message_errstr(message), log_str("topic", topic));
    return ERR_OK;
}

enum err_kind intake_take_message(struct intake *intake, rd_kafka_message_t *message,
                                  struct intake_record *record, bool *taken, struct err *err)
{
    struct lane *lane;
    size_t topic;

    *taken = false;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return handle_event(intake, message, err);
    if (!intake_topic(intake, rd_kafka_topic_name(message->rkt), &topic)) {
        read_control(intake, message);
        return ERR_OK;
    }
    if (message->partition >= intake->options.partitions)
        return ERR_OK;
    lane = lane_of(intake, topic, message->partition);
    if (!lane->assigned || intake->flow.paused)
        return ERR_OK;
    *record =
        (struct intake_record){.message = message, .topic = topic, .partition = message->partition};
    *taken = judge(intake, lane, record);
    return ERR_OK;
}
