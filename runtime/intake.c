#include "runtime/clock.h"
#include "runtime/intake_parts.h"
#include "runtime/kafka_fence.h"
#include "runtime/log.h"
#include "runtime/relay.h"

#include <stdlib.h>

struct metric intake_read_total =
    METRIC(METRIC_COUNTER, "tradewind_intake_records_total", "Records read from input topics");
struct metric intake_duplicates_total =
    METRIC(METRIC_COUNTER, "tradewind_intake_duplicates_total", "Records dropped: applied before");
struct metric intake_gaps_total = METRIC(METRIC_COUNTER, "tradewind_intake_gap_drops_total",
                                         "Records dropped: one before them is missing");
struct metric intake_nacks_total =
    METRIC(METRIC_COUNTER, "tradewind_intake_nacks_total", "Missing numbers asked for");

static struct metric paused_gauge = METRIC(METRIC_GAUGE, "tradewind_intake_paused",
                                           "Whether an operator has it read nothing: 1 or 0");
static struct metric rate_gauge = METRIC(METRIC_GAUGE, "tradewind_intake_rate_per_second",
                                         "Records a second that an operator lets through; 0: all");

bool intake_topic(const struct intake *intake, const char *name, size_t *out)
{
    for (size_t i = 0; i < intake->options.topic_count; i++)
        if (strcmp(intake->options.topics[i], name) == 0) {
            *out = i;
            return true;
        }
    return false;
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
        .rebalance = intake_on_rebalance,
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
    intake_forget_lanes(intake);
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
        kind = intake_take_message(intake, message, &records[*count], &taken, err);
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
        if (intake_topic(intake, marks[i].topic, &topic))
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

/* --- What others ask and tell ------------------------------------------------------------------
 */

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
        intake_assign_positions(intake);
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
    static struct metric *const metrics[] = {&intake_read_total, &intake_duplicates_total,
                                             &intake_gaps_total, &intake_nacks_total,
                                             &paused_gauge,      &rate_gauge};
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
        intake_commit_offsets(intake);
        leave_queue(intake);
        kafka_close_consumer(intake->client);
    }
    arena_clear(&intake->arena);
    free(intake->lanes);
    free(intake);
}
