#include "ops/group_reset.h"

#include "ops/csv.h"
#include "ops/group_kafka.h"
#include "runtime/file.h"

#include <inttypes.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (16u << 20)
#define ANSWER_MS 10000

struct chosen {
    struct group_place *places;
    int64_t *wanted; /* of a file: the offset of each place */
    size_t count, capacity, wanted_capacity;
};

/* --- Which partitions ---------------------------------------------------------------------------
 */

static int64_t committed_of(const struct group *group, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < group->place_count; i++)
        if (group->places[i].partition == partition && strcmp(group->places[i].topic, topic) == 0)
            return group->places[i].committed;
    return -1;
}

static bool is_chosen(const struct chosen *chosen, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < chosen->count; i++)
        if (chosen->places[i].partition == partition && strcmp(chosen->places[i].topic, topic) == 0)
            return true;
    return false;
}

static void choose(struct chosen *chosen, const struct group *group, const char *topic,
                   int32_t partition, int64_t wanted, struct arena *arena)
{
    if (is_chosen(chosen, topic, partition))
        return;
    chosen->places =
        arena_room(arena, chosen->places, chosen->count, &chosen->capacity, sizeof *chosen->places);
    chosen->wanted = arena_room(arena, chosen->wanted, chosen->count, &chosen->wanted_capacity,
                                sizeof *chosen->wanted);
    chosen->wanted[chosen->count] = wanted;
    chosen->places[chosen->count++] = (struct group_place){
        .topic = topic,
        .partition = partition,
        .committed = committed_of(group, topic, partition),
    };
}

/* How many partitions a topic has. */
static enum err_kind count_partitions(struct groups *groups, const char *name, int32_t *out,
                                      struct err *err)
{
    rd_kafka_t *client = groups_client(groups);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code;

    if (topic == NULL)
        return err_set(err, ERR_REJECT, "topic %s: that is no name of a topic", name);
    code = rd_kafka_metadata(client, 0, topic, &metadata, ANSWER_MS);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "topic %s: %s", name, rd_kafka_err2str(code));
    *out = metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR
               ? metadata->topics[0].partition_cnt
               : 0;
    rd_kafka_metadata_destroy(metadata);
    return *out > 0 ? ERR_OK : err_set(err, ERR_REJECT, "topic %s: there is none", name);
}

static enum err_kind check_partition(const char *topic, int64_t partition, int32_t count,
                                     struct err *err)
{
    if (partition >= 0 && partition < count)
        return ERR_OK;
    return err_set(err, ERR_REJECT, "topic %s: there is no partition %" PRId64 ", it has %d", topic,
                   partition, count);
}

/* "topic" or "topic:0,3". */
static enum err_kind choose_topic(struct chosen *chosen, struct groups *groups,
                                  const struct group *group, const char *text, struct arena *arena,
                                  struct err *err)
{
    const char *colon = strchr(text, ':');
    const char *topic =
        colon != NULL ? arena_view(arena, view_of(text, (size_t)(colon - text))).data : text;
    int32_t count = 0;
    enum err_kind kind = count_partitions(groups, topic, &count, err);

    for (int32_t p = 0; p < count && colon == NULL && kind == ERR_OK; p++)
        choose(chosen, group, topic, p, 0, arena);
    while (colon != NULL && kind == ERR_OK) {
        const char *number = colon + 1;
        size_t size = strcspn(number, ",");
        int64_t partition;

        if (!view_to_int64(view_of(number, size), &partition))
            return err_set(err, ERR_REJECT, "topic %s: want TOPIC:0,3 with partitions", text);
        kind = check_partition(topic, partition, count, err);
        if (kind == ERR_OK)
            choose(chosen, group, topic, (int32_t)partition, 0, arena);
        colon = number[size] == ',' ? number + size : NULL;
    }
    return kind;
}

/* --- From a file --------------------------------------------------------------------------------
 */

static struct view trimmed(struct view text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = view_of(text.data + 1, text.size - 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

/* topic,partition,offset or group,topic,partition,offset, as Kafka's --export writes them. */
static enum err_kind choose_row(struct chosen *chosen, struct groups *groups,
                                const struct group *group, const struct csv_record *row,
                                struct arena *arena, struct err *err)
{
    const struct view *fields = row->fields + (row->field_count == 4);
    const char *topic = arena_view(arena, trimmed(fields[0])).data;
    int64_t partition, offset;
    int32_t count;
    enum err_kind kind;

    if (row->field_count == 4 && !view_equals(trimmed(row->fields[0]), group->name))
        return ERR_OK;
    if (!view_to_int64(trimmed(fields[1]), &partition) ||
        !view_to_int64(trimmed(fields[2]), &offset) || offset < 0)
        return err_set(err, ERR_REJECT, "line %zu: want topic,partition,offset with whole numbers",
                       row->line);
    kind = count_partitions(groups, topic, &count, err);
    if (kind == ERR_OK)
        kind = check_partition(topic, partition, count, err);
    if (kind == ERR_OK)
        choose(chosen, group, topic, (int32_t)partition, offset, arena);
    return kind;
}

static enum err_kind choose_file(struct chosen *chosen, struct groups *groups,
                                 const struct group *group, const char *path, struct arena *arena,
                                 struct err *err)
{
    struct csv csv;
    struct csv_record row;
    struct view text;
    bool more = true;
    struct err why = {0};
    enum err_kind kind = file_read(&text, path, FILE_BYTES_MAX, arena, err);

    if (kind != ERR_OK)
        return kind;
    kind = csv_start(&csv, text, arena, &why);
    while (kind == ERR_OK && (kind = csv_next(&csv, &row, &more, &why)) == ERR_OK && more) {
        if (row.field_count != 3 && row.field_count != 4)
            kind = err_set(&why, ERR_REJECT, "line %zu: want topic,partition,offset", row.line);
        else
            kind = choose_row(chosen, groups, group, &row, arena, &why);
    }
    return kind == ERR_OK ? ERR_OK : err_set(err, kind, "%s: %s", path, why.text);
}

static enum err_kind choose_all(struct chosen *chosen, struct groups *groups,
                                const struct group *group, const struct reset_wish *wish,
                                struct arena *arena, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (wish->to == RESET_FILE)
        kind = choose_file(chosen, groups, group, wish->file, arena, err);
    for (size_t i = 0; i < wish->topics.count && kind == ERR_OK; i++)
        kind = choose_topic(chosen, groups, group, wish->topics.items[i], arena, err);
    for (size_t i = 0; i < group->place_count && wish->all_topics; i++)
        choose(chosen, group, group->places[i].topic, group->places[i].partition, 0, arena);
    if (kind == ERR_OK && chosen->count == 0)
        kind = err_set(err, ERR_REJECT, "group %s: no partition is chosen", group->name);
    return kind;
}

/* --- Where to -----------------------------------------------------------------------------------
 */

static int64_t within(const struct group_place *place, int64_t offset)
{
    return offset < place->low ? place->low : offset > place->end ? place->end : offset;
}

static enum err_kind offsets_at(struct groups *groups, const struct chosen *chosen, int64_t time_ms,
                                int64_t *out, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)chosen->count);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < chosen->count; i++)
        rd_kafka_topic_partition_list_add(list, chosen->places[i].topic,
                                          chosen->places[i].partition)
            ->offset = time_ms;
    code = rd_kafka_offsets_for_times(groups_client(groups), list, ANSWER_MS);
    for (size_t i = 0; i < chosen->count; i++)
        out[i] = list->elems[i].offset >= 0 ? list->elems[i].offset : chosen->places[i].end;
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? ERR_OK
               : err_set(err, ERR_RETRY, "offsets at a time: %s", rd_kafka_err2str(code));
}

/* wanted: of a file, or at a time. */
static enum err_kind target(const struct reset_wish *wish, const struct group_place *place,
                            int64_t wanted, int64_t *out, struct err *err)
{
    switch (wish->to) {
    case RESET_EARLIEST:
        *out = place->low;
        return ERR_OK;
    case RESET_LATEST:
        *out = place->end;
        return ERR_OK;
    case RESET_CURRENT:
        *out = place->committed >= 0 ? place->committed : place->end;
        return ERR_OK;
    case RESET_SHIFT:
        if (place->committed < 0)
            return err_set(err, ERR_REJECT,
                           "%s/%d: nothing is committed that could be shifted: leave it out with "
                           "--topic",
                           place->topic, place->partition);
        *out = within(place, place->committed + wish->number);
        return ERR_OK;
    case RESET_OFFSET:
        *out = within(place, wish->number);
        return ERR_OK;
    case RESET_DATETIME:
    case RESET_FILE:
        *out = within(place, wanted);
        return ERR_OK;
    }
    return err_set(err, ERR_REJECT, "no way to reset");
}

static int by_place(const void *left, const void *right)
{
    const struct reset_step *a = left, *b = right;
    int order = strcmp(a->topic, b->topic);

    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static enum err_kind plan_steps(struct reset_plan *out, struct groups *groups,
                                struct chosen *chosen, const struct reset_wish *wish,
                                struct arena *arena, struct err *err)
{
    enum err_kind kind =
        group_kafka_ends(groups_client(groups), chosen->places, chosen->count, err);

    if (kind == ERR_OK && wish->to == RESET_DATETIME)
        kind = offsets_at(groups, chosen, wish->time_ms, chosen->wanted, err);
    out->steps = arena_array(arena, chosen->count, sizeof *out->steps);
    for (size_t i = 0; i < chosen->count && kind == ERR_OK; i++) {
        const struct group_place *place = &chosen->places[i];
        struct reset_step *step = &out->steps[i];

        *step = (struct reset_step){place->topic, place->partition, place->committed, 0};
        kind = target(wish, place, chosen->wanted[i], &step->to, err);
    }
    out->count = chosen->count;
    qsort(out->steps, out->count, sizeof *out->steps, by_place);
    return kind;
}

/* --- The plan -----------------------------------------------------------------------------------
 */

static enum err_kind refuse_active(const struct group *group, struct err *err)
{
    return err_set(
        err, ERR_REJECT,
        "group %s is %s with %zu member%s (%s): a reset is refused while somebody reads; "
        "stop them first, and a stopped one counts until its session ends (6 s)",
        group->name, group->state, group->member_count, group->member_count == 1 ? "" : "s",
        group->members[0].name);
}

enum err_kind reset_plan(struct reset_plan *out, struct groups *groups, const char *name,
                         const struct reset_wish *wish, struct arena *arena, struct err *err)
{
    struct chosen chosen = {0};
    struct group group;
    enum err_kind kind = group_read_offsets(&group, groups, name, arena, err);

    if (kind != ERR_OK)
        return kind;
    if (!group_exists(&group))
        return err_set(err, ERR_REJECT, "group %s: there is none", name);
    if (group_is_active(&group))
        return refuse_active(&group, err);
    *out = (struct reset_plan){.group = name};
    kind = choose_all(&chosen, groups, &group, wish, arena, err);
    return kind == ERR_OK ? plan_steps(out, groups, &chosen, wish, arena, err) : kind;
}

enum err_kind reset_carry_out(struct groups *groups, const struct reset_plan *plan, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)plan->count);
    enum err_kind kind;

    for (size_t i = 0; i < plan->count; i++)
        rd_kafka_topic_partition_list_add(list, plan->steps[i].topic, plan->steps[i].partition)
            ->offset = plan->steps[i].to;
    kind = group_kafka_alter(groups_client(groups), plan->group, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    return kind;
}
