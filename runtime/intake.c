#include "runtime/intake.h"

#include "runtime/clock.h"
#include "runtime/control.h"
#include "runtime/delivery.h"
#include "runtime/kafka_fence.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COMMIT_EVERY_MS 5000
#define ASK_ENDS_EVERY_MS 1000
#define COMMITTED_ANSWER_MS 1000
#define FENCED_FOR_MS 20000
#define SPEAKERS_MAX 16

/* One input partition. */
struct lane {
    bool assigned;
    int64_t epoch;
    struct receiver receiver;
    int64_t stored_offset;  /* what lies below is in the store */
    int64_t told_offset;    /* that the group has of it, for lag tools; -1: none of ours */
    int64_t strangers_from; /* records without a number below it were set aside before */
    int64_t fenced_at_ms;   /* 0: not fenced */
    bool ask_end;
    struct metric *high_water;
};

struct speaker {
    char name[64];
    int64_t heard_ms;
};

struct intake {
    struct intake_options options;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct lane *lanes; /* topic_count * partitions */
    bool leads, assigned;
    uint64_t assignment;  /* counts rebalances: records of an older one are forgotten */
    bool assign_again;    /* a partition has to be fetched from somewhere else */
    bool join_again;      /* the client is fenced: another one has to join the group */
    int64_t fenced_at_ms; /* see kafka_judge_fence */
    struct speaker speakers[SPEAKERS_MAX];
    int64_t commit_at_ms, ends_at_ms;
    struct flow flow;
    int64_t credit, credit_at_ms; /* thousandths of records that a throttle lets through */
    struct arena arena;
    struct err failed;
};

static struct metric read_total =
    METRIC(METRIC_COUNTER, "tradewind_intake_records_total", "Records read from input topics");
static struct metric duplicates_total =
    METRIC(METRIC_COUNTER, "tradewind_intake_duplicates_total", "Records dropped: applied before");
static struct metric gaps_total = METRIC(METRIC_COUNTER, "tradewind_intake_gap_drops_total",
                                         "Records dropped: one before them is missing");
static struct metric nacks_total =
    METRIC(METRIC_COUNTER, "tradewind_intake_nacks_total", "Missing numbers asked for");

static struct metric paused_gauge = METRIC(METRIC_GAUGE, "tradewind_intake_paused",
                                           "Whether an operator has it read nothing: 1 or 0");
static struct metric rate_gauge = METRIC(METRIC_GAUGE, "tradewind_intake_rate_per_second",
                                         "Records a second that an operator lets through; 0: all");

static struct lane *lane_of(const struct intake *intake, size_t topic, int32_t partition)
{
    return &intake->lanes[topic * (size_t)intake->options.partitions + (size_t)partition];
}

static bool topic_index(const struct intake *intake, const char *name, size_t *out)
{
    for (size_t i = 0; i < intake->options.topic_count; i++)
        if (strcmp(intake->options.topics[i], name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

/* --- Taking over ---------------------------------------------------------------------------- */

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

    if (topic_index(intake, mark->topic, &topic))
        lane_of(intake, topic, mark->partition)->strangers_from = mark->next_offset;
}

static void start_lane(struct intake *intake, const struct mark *mark)
{
    size_t topic;
    struct lane *lane;

    if (!topic_index(intake, mark->topic, &topic))
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

static void forget_lanes(struct intake *intake)
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

/* rd_kafka_consumer_poll's, on the worker's thread. */
static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct intake *intake = opaque;

    intake->assignment++;
    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assign(intake, partitions);
    } else {
        forget_lanes(intake);
        rd_kafka_assign(client, NULL);
    }
}

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

    metric_add(&read_total, 1);
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
            metric_add(&duplicates_total, 1);
            return false;
        case RECEIVER_GAP:
            metric_add(&gaps_total, 1);
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

    if (message->rkt != NULL && topic_index(intake, rd_kafka_topic_name(message->rkt), &topic) &&
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
        if (message->rkt != NULL && topic_index(intake, topic, &index) &&
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

/* One message. *taken: it became records[0]. */
static enum err_kind take_message(struct intake *intake, rd_kafka_message_t *message,
                                  struct intake_record *record, bool *taken, struct err *err)
{
    struct lane *lane;
    size_t topic;

    *taken = false;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return handle_event(intake, message, err);
    if (!topic_index(intake, rd_kafka_topic_name(message->rkt), &topic)) {
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

/* --- The client ------------------------------------------------------------------------------- */

static enum err_kind subscribe(struct intake *intake, struct err *err)
{
    const struct intake_options *options = &intake->options;
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(8);
    rd_kafka_resp_err_t code;

    if (options->lead_topic != NULL)
        rd_kafka_topic_partition_list_add(topics, options->lead_topic, RD_KAFKA_PARTITION_UA);
    for (size_t i = 0; i < options->topic_count && options->lead_topic == NULL; i++)
        rd_kafka_topic_partition_list_add(topics, options->topics[i], RD_KAFKA_PARTITION_UA);
    code = rd_kafka_subscribe(intake->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_STOP, "kafka: %s: subscribe: %s", options->group,
                       rd_kafka_err2str(code));
    return ERR_OK;
}

static enum err_kind open_client(struct intake *intake, struct err *err)
{
    const struct intake_options *options = &intake->options;
    const struct kafka_consumer_options consumer = {
        .brokers = options->brokers,
        .group = options->group,
        .instance = options->instance,
        .patience_ms = options->patience_ms,
        .opaque = intake,
        .rebalance = on_rebalance,
    };
    enum err_kind kind = kafka_open_consumer(&intake->client, &consumer, err);
    uint64_t one = 1;

    if (kind != ERR_OK)
        return kind;
    intake->queue = rd_kafka_queue_get_consumer(intake->client);
    rd_kafka_queue_io_event_enable(intake->queue, options->wake_fd, &one, sizeof one);
    return subscribe(intake, err);
}

static void leave_queue(struct intake *intake)
{
    if (intake->queue == NULL)
        return;
    rd_kafka_queue_io_event_enable(intake->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(intake->queue);
    intake->queue = NULL;
}

/* The fenced client is of no use any more, and what it had read is forgotten: each partition starts
 * from what is stored when it is taken over again. */
static enum err_kind join_again(struct intake *intake, struct err *err)
{
    intake->join_again = false;
    intake->assignment++;
    forget_lanes(intake);
    leave_queue(intake);
    kafka_drop_consumer(intake->client);
    intake->client = NULL;
    return open_client(intake, err);
}

/* --- Polling ---------------------------------------------------------------------------------- */

/* How many of max records a throttle lets through now. What was not used in a second is lost. */
static size_t allowed_records(struct intake *intake, size_t max)
{
    int64_t now_ms = clock_monotonic_ms(), full = intake->flow.rate_per_s * 1000;

    if (intake->flow.rate_per_s == 0)
        return max;
    intake->credit += (now_ms - intake->credit_at_ms) * intake->flow.rate_per_s;
    intake->credit_at_ms = now_ms;
    if (intake->credit > full)
        intake->credit = full;
    return (size_t)(intake->credit / 1000) < max ? (size_t)(intake->credit / 1000) : max;
}

enum err_kind intake_poll(struct intake *intake, struct intake_record *records, size_t max,
                          size_t max_bytes, size_t *count, bool *more, struct err *err)
{
    /* Here none of its messages is in anybody's hands. */
    enum err_kind kind = intake->join_again ? join_again(intake, err) : ERR_OK;
    size_t bytes = 0, allowed = allowed_records(intake, max);

    *count = 0;
    *more = true;
    while (*count < allowed && bytes < max_bytes && kind == ERR_OK && !intake->join_again) {
        uint64_t assignment = intake->assignment;
        rd_kafka_message_t *message = rd_kafka_consumer_poll(intake->client, 0);
        bool taken = false;

        if (assignment != intake->assignment) {
            /* Partitions moved: what was read before starts again from what is stored. */
            intake_done(intake, records, *count);
            *count = 0;
            bytes = 0;
        }
        if (message == NULL) {
            *more = false;
            break;
        }
        kind = take_message(intake, message, &records[*count], &taken, err);
        if (taken) {
            bytes += message->len + message->key_len + 512;
            (*count)++;
        } else {
            rd_kafka_message_destroy(message);
        }
    }
    if (intake->flow.rate_per_s > 0)
        intake->credit -= (int64_t)*count * 1000;
    if (*count == allowed && allowed < max)
        *more = false; /* time has to pass first */
    if (intake->failed.kind != ERR_OK) {
        kind = err_set(err, intake->failed.kind, "%s", intake->failed.text);
    }
    return kind;
}

void intake_done(struct intake *intake, struct intake_record *records, size_t count)
{
    (void)intake;
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_destroy(records[i].message);
        records[i].message = NULL;
    }
}

void intake_committed(struct intake *intake, const struct mark *marks, size_t count)
{
    size_t topic;

    for (size_t i = 0; i < count; i++)
        if (topic_index(intake, marks[i].topic, &topic))
            lane_of(intake, topic, marks[i].partition)->stored_offset = marks[i].next_offset;
}

int64_t intake_epoch(const struct intake *intake, size_t topic, int32_t partition)
{
    const struct lane *lane = lane_of(intake, topic, partition);

    return lane->assigned ? lane->epoch : 0;
}

void intake_fenced(struct intake *intake, size_t topic, int32_t partition)
{
    struct lane *lane = lane_of(intake, topic, partition);

    if (!lane->assigned)
        return;
    lane->assigned = false;
    lane->epoch = 0;
    lane->fenced_at_ms = clock_monotonic_ms();
    LOG_WARN("fenced", "another instance has this partition now: leaving it alone",
             log_str("topic", intake->options.topics[topic]), log_int("partition", partition));
}

/* --- Ticks ---------------------------------------------------------------------------------- */

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

/* Fetch all lanes again from where they stand; during a pause none. A partition whose offset was
 * out of range is no longer fetched at all and refuses a seek; only an assignment starts it again.
 */
static void assign_positions(struct intake *intake)
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

void intake_set_flow(struct intake *intake, const struct flow *flow)
{
    bool was_paused = intake->flow.paused;

    if (intake->flow.rate_per_s != flow->rate_per_s) {
        intake->credit = 0;
        intake->credit_at_ms = clock_monotonic_ms();
    }
    intake->flow = *flow;
    metric_set(&paused_gauge, flow->paused);
    metric_set(&rate_gauge, flow->rate_per_s);
    relay_pause(intake->options.relay, flow->paused);
    /* Without its lanes the member keeps its place in the group, and hears the control topic. */
    if (was_paused != flow->paused && intake->assigned)
        assign_positions(intake);
}

static void say_nack(struct intake *intake, size_t topic, int32_t partition, uint64_t number)
{
    const struct control nack = {
        .type = CONTROL_NACK,
        .source = view_str(intake->options.sources[topic]),
        .from = view_str(intake->options.instance),
        .shards = &partition,
        .numbers = &number,
        .count = 1,
    };
    AUTO(buf_clear) struct buf text = {0};

    control_write(&text, &nack);
    relay_say(intake->options.relay, buf_view(&text));
    metric_add(&nacks_total, 1);
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

            if (list->elems[i].offset < 0 || !topic_index(intake, list->elems[i].topic, &topic))
                continue;
            lane = lane_of(intake, topic, list->elems[i].partition);
            receiver_end_is(&lane->receiver, list->elems[i].offset, now_ms);
        }
    rd_kafka_topic_partition_list_destroy(list);
}

static void commit_offsets(struct intake *intake)
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
        assign_positions(intake);
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
        commit_offsets(intake);
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

int64_t intake_silence_ms(const struct intake *intake, const char *source)
{
    for (size_t i = 0; i < SPEAKERS_MAX; i++)
        if (strcmp(intake->speakers[i].name, source) == 0)
            return clock_monotonic_ms() - intake->speakers[i].heard_ms;
    return INT64_MAX;
}

bool intake_is_assigned(const struct intake *intake)
{
    return intake->assigned;
}

bool intake_leads(const struct intake *intake)
{
    return intake->leads;
}

/* --- Start and stop ------------------------------------------------------------------------- */

enum err_kind intake_start(struct intake **out, const struct intake_options *options,
                           struct err *err)
{
    static struct metric *const metrics[] = {&read_total,  &duplicates_total, &gaps_total,
                                             &nacks_total, &paused_gauge,     &rate_gauge};
    struct intake *intake = mem_alloc(sizeof *intake);
    enum err_kind kind;

    intake->options = *options;
    intake->lanes =
        mem_alloc(options->topic_count * (size_t)options->partitions * sizeof *intake->lanes);
    for (size_t topic = 0; topic < options->topic_count; topic++)
        for (int32_t p = 0; p < options->partitions; p++)
            lane_of(intake, topic, p)->high_water =
                metric_series(METRIC_GAUGE, "tradewind_intake_high_water",
                              "Highest number applied of an input partition",
                              "topic=\"%s\",partition=\"%d\"", options->topics[topic], p);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        metric_register(metrics[i]);
    kind = open_client(intake, err);
    if (kind != ERR_OK) {
        intake_stop(intake);
        return kind;
    }
    *out = intake;
    return ERR_OK;
}

void intake_stop(struct intake *intake)
{
    if (intake == NULL)
        return;
    if (intake->client != NULL) {
        commit_offsets(intake);
        leave_queue(intake);
        kafka_close_consumer(intake->client);
    }
    arena_clear(&intake->arena);
    free(intake->lanes);
    free(intake);
}
