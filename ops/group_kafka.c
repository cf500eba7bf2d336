#include "ops/group_kafka.h"

#include "runtime/clock.h"
#include "runtime/kafka.h"

#define ANSWER_MS 10000

/* --- Admin calls --------------------------------------------------------------------------------
 */

/* Wait for the answer on queue. gives *out (rd_kafka_event_destroy) */
static enum err_kind await(rd_kafka_queue_t *queue, const char *what, rd_kafka_event_t **out,
                           struct err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);

    rd_kafka_queue_destroy(queue);
    *out = NULL;
    if (event == NULL)
        return err_set(err, ERR_RETRY, "%s: no broker answers", what);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        err_set(err, ERR_RETRY, "%s: %s", what, rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        return ERR_RETRY;
    }
    *out = event;
    return ERR_OK;
}

enum err_kind group_kafka_names(rd_kafka_t *client, const char ***names, size_t *count,
                                struct arena *arena, struct err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const rd_kafka_ListConsumerGroups_result_t *result;
    const rd_kafka_ConsumerGroupListing_t **groups;
    rd_kafka_event_t *event;
    enum err_kind kind;

    rd_kafka_ListConsumerGroups(client, NULL, queue);
    kind = await(queue, "groups of the cluster", &event, err);
    if (kind != ERR_OK)
        return kind;
    result = rd_kafka_event_ListConsumerGroups_result(event);
    groups = rd_kafka_ListConsumerGroups_result_valid(result, count);
    *names = arena_array(arena, *count + 1, sizeof **names);
    for (size_t i = 0; i < *count; i++)
        (*names)[i] = arena_strdup(arena, rd_kafka_ConsumerGroupListing_group_id(groups[i]));
    rd_kafka_event_destroy(event);
    return ERR_OK;
}

static void note_owner(struct group *group, const char *topic, int32_t partition,
                       const char *member)
{
    for (size_t i = 0; i < group->place_count; i++)
        if (group->places[i].partition == partition && strcmp(group->places[i].topic, topic) == 0)
            group->places[i].member = member;
}

static void read_member(struct group *out, struct group_member *member,
                        const rd_kafka_MemberDescription_t *description, struct arena *arena)
{
    const char *instance = rd_kafka_MemberDescription_group_instance_id(description);
    const rd_kafka_MemberAssignment_t *assignment =
        rd_kafka_MemberDescription_assignment(description);
    const rd_kafka_topic_partition_list_t *list =
        assignment != NULL ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;

    if (instance == NULL || instance[0] == '\0')
        instance = rd_kafka_MemberDescription_client_id(description);
    member->name = arena_strdup(arena, instance);
    member->host = arena_strdup(arena, rd_kafka_MemberDescription_host(description));
    member->partitions = list != NULL ? (size_t)list->cnt : 0;
    for (int i = 0; list != NULL && i < list->cnt; i++)
        note_owner(out, list->elems[i].topic, list->elems[i].partition, member->name);
}

static enum err_kind read_description(struct group *out, const rd_kafka_event_t *event,
                                      struct arena *arena, struct err *err)
{
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result((rd_kafka_event_t *)event), &count);
    const rd_kafka_error_t *error =
        count == 1 ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;

    /* Newer brokers call it an error that there is no such group. */
    if (error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
        out->state = "Dead";
        return ERR_OK;
    }
    if (count != 1 || error != NULL)
        return err_set(err, ERR_RETRY, "group %s: %s", out->name,
                       error != NULL ? rd_kafka_error_string(error) : "no answer");
    out->state =
        rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(groups[0]));
    out->member_count = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
    out->members = arena_array(arena, out->member_count + 1, sizeof *out->members);
    for (size_t i = 0; i < out->member_count; i++)
        read_member(out, &out->members[i], rd_kafka_ConsumerGroupDescription_member(groups[0], i),
                    arena);
    return ERR_OK;
}

enum err_kind group_kafka_describe(rd_kafka_t *client, struct group *out, struct arena *arena,
                                   struct err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const char *names[] = {out->name};
    rd_kafka_event_t *event;
    enum err_kind kind;

    rd_kafka_DescribeConsumerGroups(client, names, 1, NULL, queue);
    kind = await(queue, out->name, &event, err);
    if (kind != ERR_OK)
        return kind;
    kind = read_description(out, event, arena, err);
    rd_kafka_event_destroy(event);
    return kind;
}

/* The one group of an answer. NULL: the broker refuses. */
static const rd_kafka_group_result_t *only(const rd_kafka_group_result_t **groups, size_t count,
                                           const char *name, struct err *err)
{
    const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;

    if (count == 1 && error == NULL)
        return groups[0];
    err_set(err, ERR_REJECT, "group %s: %s", name,
            error != NULL ? rd_kafka_error_string(error) : "no answer");
    return NULL;
}

enum err_kind group_kafka_committed(rd_kafka_t *client, const char *group,
                                    rd_kafka_topic_partition_list_t **out, struct err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_ListConsumerGroupOffsets_t *wanted =
        rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    const rd_kafka_group_result_t *found, **groups;
    rd_kafka_event_t *event;
    enum err_kind kind;
    size_t count;

    rd_kafka_ListConsumerGroupOffsets(client, &wanted, 1, NULL, queue);
    kind = await(queue, group, &event, err);
    rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
    if (kind != ERR_OK)
        return kind;
    groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    found = only(groups, count, group, err);
    if (found != NULL)
        *out = rd_kafka_topic_partition_list_copy(rd_kafka_group_result_partitions(found));
    rd_kafka_event_destroy(event);
    return found != NULL ? ERR_OK : ERR_REJECT;
}

static enum err_kind first_refused(const rd_kafka_group_result_t *group, const char *name,
                                   struct err *err)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(group);

    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return err_set(err, ERR_REJECT, "group %s: %s/%d: %s%s", name, list->elems[i].topic,
                           list->elems[i].partition, rd_kafka_err2str(list->elems[i].err),
                           list->elems[i].err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
                               ? ": it has members: stop them first"
                               : "");
    return ERR_OK;
}

enum err_kind group_kafka_alter(rd_kafka_t *client, const char *group,
                                const rd_kafka_topic_partition_list_t *offsets, struct err *err)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_AlterConsumerGroupOffsets_t *wanted =
        rd_kafka_AlterConsumerGroupOffsets_new(group, offsets);
    const rd_kafka_group_result_t *done, **groups;
    rd_kafka_event_t *event;
    enum err_kind kind;
    size_t count;

    rd_kafka_AlterConsumerGroupOffsets(client, &wanted, 1, NULL, queue);
    kind = await(queue, group, &event, err);
    rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
    if (kind != ERR_OK)
        return kind;
    groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
    done = only(groups, count, group, err);
    kind = done != NULL ? first_refused(done, group, err) : ERR_REJECT;
    rd_kafka_event_destroy(event);
    return kind;
}

/* --- Logs ---------------------------------------------------------------------------------------
 */

static enum err_kind offsets_at(rd_kafka_t *client, const struct group_place *places, size_t count,
                                int64_t time, rd_kafka_topic_partition_list_t *list,
                                struct err *err)
{
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, places[i].topic, places[i].partition)->offset =
            time;
    code = rd_kafka_offsets_for_times(client, list, ANSWER_MS);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            list->elems[i].offset = 0; /* a topic that is no more has no records */
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? ERR_OK
               : err_set(err, ERR_RETRY, "ends of partitions: %s", rd_kafka_err2str(code));
}

enum err_kind group_kafka_ends(rd_kafka_t *client, struct group_place *places, size_t count,
                               struct err *err)
{
    rd_kafka_topic_partition_list_t *lows = rd_kafka_topic_partition_list_new((int)count);
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new((int)count);
    enum err_kind kind = ERR_OK;

    if (count > 0)
        kind = offsets_at(client, places, count, RD_KAFKA_OFFSET_BEGINNING, lows, err);
    if (count > 0 && kind == ERR_OK)
        kind = offsets_at(client, places, count, RD_KAFKA_OFFSET_END, ends, err);
    /* The lists keep the order in which they were filled. */
    for (size_t i = 0; i < count && kind == ERR_OK; i++) {
        places[i].low = lows->elems[i].offset;
        places[i].end = ends->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(lows);
    rd_kafka_topic_partition_list_destroy(ends);
    return kind;
}

static void see(struct group_look *look, const rd_kafka_message_t *message)
{
    uint64_t number;

    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        look->done = true;
    } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (message->offset < look->until) {
            number = kafka_record_number(message, look->writer);
            look->highest = number > look->highest ? number : look->highest;
            if (look->time_ms < 0)
                look->time_ms = rd_kafka_message_timestamp(message, NULL);
        }
        look->done = message->offset + 1 >= look->until;
    }
}

static size_t start_looks(rd_kafka_t *client, struct group_look *looks, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    size_t open = 0;

    for (size_t i = 0; i < count; i++) {
        looks[i].time_ms = -1;
        looks[i].done = looks[i].from >= looks[i].until;
        if (looks[i].done)
            continue;
        rd_kafka_topic_partition_list_add(list, looks[i].topic, looks[i].partition)->offset =
            looks[i].from;
        open++;
    }
    if (open > 0)
        rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return open;
}

enum err_kind group_kafka_look(rd_kafka_t *client, struct group_look *looks, size_t count,
                               struct err *err)
{
    size_t open = start_looks(client, looks, count);
    int64_t give_up_ms = clock_monotonic_ms() + ANSWER_MS;
    enum err_kind kind = ERR_OK;

    if (open == 0)
        return ERR_OK;
    while (open > 0 && kind == ERR_OK) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 100);

        for (size_t i = 0; i < count && message != NULL && message->rkt != NULL; i++)
            if (!looks[i].done && looks[i].partition == message->partition &&
                strcmp(looks[i].topic, rd_kafka_topic_name(message->rkt)) == 0) {
                see(&looks[i], message);
                open -= looks[i].done;
                break;
            }
        if (message != NULL)
            rd_kafka_message_destroy(message);
        if (clock_monotonic_ms() > give_up_ms)
            kind = err_set(err, ERR_RETRY, "records at the ends of topics: no broker answers");
    }
    rd_kafka_assign(client, NULL);
    return kind;
}
