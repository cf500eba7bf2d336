#include "ops/group.h"

#include "events/catalog.h"
#include "ops/group_kafka.h"
#include "ops/part_client.h"
#include "runtime/clock.h"
#include "runtime/kafka.h"

#include <stdlib.h>

/* Behind its last number a partition may hold a few records that have none, from strangers. */
#define LAST_RECORDS 16

struct groups {
    rd_kafka_t *client;
    int32_t partitions;
    const char *token; /* borrowed */
};

enum err_kind groups_open(struct groups **out, const char *brokers, int32_t partitions,
                          const char *token, struct err *err)
{
    const struct kafka_consumer_options options = {.brokers = brokers};
    struct groups *groups = mem_alloc(sizeof *groups);
    enum err_kind kind = kafka_open_consumer(&groups->client, &options, err);

    if (kind != ERR_OK) {
        free(groups);
        return kind;
    }
    groups->partitions = partitions;
    groups->token = token;
    *out = groups;
    return ERR_OK;
}

void groups_close(struct groups *groups)
{
    if (groups == NULL)
        return;
    kafka_close_consumer(groups->client);
    free(groups);
}

rd_kafka_t *groups_client(struct groups *groups)
{
    return groups->client;
}

/* --- Names --------------------------------------------------------------------------------------
 */

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

enum err_kind groups_names(struct groups *groups, const char ***names, size_t *count,
                           struct arena *arena, struct err *err)
{
    const char **found, **all;
    size_t found_count, kept = 0;
    enum err_kind kind = group_kafka_names(groups->client, &found, &found_count, arena, err);

    if (kind != ERR_OK)
        return kind;
    all = arena_array(arena, found_count + ops_part_count, sizeof *all);
    *count = 0;
    for (size_t i = 0; i < found_count; i++)
        all[(*count)++] = found[i];
    for (size_t i = 0; i < ops_part_count; i++)
        if (ops_parts[i].reads[0] != NULL)
            all[(*count)++] = ops_parts[i].name;
    qsort(all, *count, sizeof *all, by_name);
    for (size_t i = 0; i < *count; i++)
        if (kept == 0 || strcmp(all[kept - 1], all[i]) != 0)
            all[kept++] = all[i];
    *names = all;
    *count = kept;
    return ERR_OK;
}

/* --- Where it stands ----------------------------------------------------------------------------
 */

static struct group_place *place_of(struct group *group, const char *topic, int32_t partition,
                                    struct arena *arena)
{
    for (size_t i = 0; i < group->place_count; i++)
        if (group->places[i].partition == partition && strcmp(group->places[i].topic, topic) == 0)
            return &group->places[i];
    group->places = arena_room(arena, group->places, group->place_count, &group->place_capacity,
                               sizeof *group->places);
    group->places[group->place_count] = (struct group_place){
        .topic = arena_strdup(arena, topic),
        .partition = partition,
        .committed = -1,
        .next_offset = -1,
    };
    return &group->places[group->place_count++];
}

static int by_place(const void *left, const void *right)
{
    const struct group_place *a = left, *b = right;
    int order = strcmp(a->topic, b->topic);

    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static enum err_kind read_offsets(struct group *out, struct groups *groups, struct arena *arena,
                                  struct err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    enum err_kind kind = group_kafka_committed(groups->client, out->name, &list, err);

    if (kind != ERR_OK)
        return kind;
    for (const char *const *topic = out->part != NULL ? out->part->reads : NULL;
         topic != NULL && *topic != NULL; topic++)
        for (int32_t p = 0; p < groups->partitions; p++)
            place_of(out, *topic, p, arena);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset >= 0)
            place_of(out, list->elems[i].topic, list->elems[i].partition, arena)->committed =
                list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (out->place_count > 0)
        qsort(out->places, out->place_count, sizeof *out->places, by_place);
    return group_kafka_ends(groups->client, out->places, out->place_count, err);
}

/* --- What its part says -------------------------------------------------------------------------
 */

static int64_t number_of(const struct json *object, const char *name)
{
    int64_t number = 0;

    json_to_int64(json_member(object, name), &number);
    return number;
}

static void ask_part(struct group *out, struct groups *groups, struct arena *arena)
{
    struct part_call call = {.part = out->name, .path = "/consumer", .token = groups->token};
    const struct json *answer, *positions, *paused;
    struct err err = {0};

    if (part_ask_soon(&answer, &call, arena, &err) != ERR_OK) {
        out->unknown = arena_strdup(arena, err.text);
        return;
    }
    paused = json_member(answer, "paused");
    out->is_known = true;
    out->paused = paused != NULL && paused->boolean;
    out->rate_per_s = number_of(answer, "rate_per_s");
    out->changed_at = part_text(answer, "changed_at", arena);
    positions = json_member(answer, "positions");
    for (size_t i = 0; positions != NULL && i < positions->count; i++) {
        const struct json *position = &positions->items[i];
        struct group_place *place = place_of(out, part_text(position, "topic", arena),
                                             (int32_t)number_of(position, "partition"), arena);

        place->is_counted = true;
        place->applied = (uint64_t)number_of(position, "applied");
        place->next_offset = number_of(position, "next_offset");
    }
}

/* --- How far behind -----------------------------------------------------------------------------
 */

/* "" of a topic that is none of ours: its records have no numbers. */
static const char *writer_of(const char *topic)
{
    enum topic ours = topic_from_name(topic);

    return ours != TOPIC_NONE ? topic_writer(ours) : "";
}

static enum err_kind read_numbers(struct group *group, struct groups *groups,
                                  struct group_look *looks, struct err *err)
{
    enum err_kind kind;

    for (size_t i = 0; i < group->place_count; i++) {
        const struct group_place *place = &group->places[i];
        int64_t from = place->end - LAST_RECORDS;

        looks[i] = (struct group_look){
            .topic = place->topic,
            .writer = writer_of(place->topic),
            .partition = place->partition,
            .from = from > place->low ? from : place->low,
            .until = place->is_counted ? place->end : 0,
        };
    }
    kind = group_kafka_look(groups->client, looks, group->place_count, err);
    for (size_t i = 0; i < group->place_count; i++)
        group->places[i].published = looks[i].highest;
    return kind;
}

/* The first record that is not done yet. A part reads on below its first gap, so what it has
 * applied may lie there too; then a gap is as old as that record. */
static int64_t first_unread(const struct group_place *place)
{
    int64_t offset = place->is_counted ? place->next_offset : place->committed;

    return offset > place->low ? offset : place->low;
}

static enum err_kind read_ages(struct group *group, struct groups *groups, struct group_look *looks,
                               struct err *err)
{
    int64_t now_us = clock_utc_us();
    enum err_kind kind;

    for (size_t i = 0; i < group->place_count; i++) {
        struct group_place *place = &group->places[i];
        int64_t from = first_unread(place);

        if (place->is_counted)
            place->lag = place->published > place->applied
                             ? (int64_t)(place->published - place->applied)
                             : 0;
        else
            place->lag = place->end > from ? place->end - from : 0;
        looks[i] = (struct group_look){
            .topic = place->topic,
            .writer = writer_of(place->topic),
            .partition = place->partition,
            .from = from,
            .until = place->lag > 0 && from < place->end ? from + 1 : 0,
        };
    }
    kind = group_kafka_look(groups->client, looks, group->place_count, err);
    for (size_t i = 0; i < group->place_count && kind == ERR_OK; i++)
        if (looks[i].time_ms >= 0 && now_us > looks[i].time_ms * 1000)
            group->places[i].behind_us = now_us - looks[i].time_ms * 1000;
    return kind;
}

enum err_kind group_read_offsets(struct group *out, struct groups *groups, const char *name,
                                 struct arena *arena, struct err *err)
{
    enum err_kind kind;

    *out = (struct group){.name = name, .part = ops_part_find(name), .unknown = ""};
    if (out->part != NULL && out->part->reads[0] == NULL)
        out->part = NULL;
    kind = read_offsets(out, groups, arena, err);
    if (kind == ERR_OK)
        kind = group_kafka_describe(groups->client, out, arena, err);
    return kind;
}

enum err_kind group_read(struct group *out, struct groups *groups, const char *name,
                         struct arena *arena, struct err *err)
{
    struct group_look *looks;
    enum err_kind kind = group_read_offsets(out, groups, name, arena, err);

    if (kind != ERR_OK)
        return kind;
    if (out->part != NULL)
        ask_part(out, groups, arena);
    looks = arena_array(arena, out->place_count + 1, sizeof *looks);
    kind = read_numbers(out, groups, looks, err);
    return kind == ERR_OK ? read_ages(out, groups, looks, err) : kind;
}

bool group_exists(const struct group *group)
{
    return group->part != NULL || group->place_count > 0 || strcmp(group->state, "Dead") != 0;
}

bool group_is_active(const struct group *group)
{
    return group->member_count > 0;
}

int64_t group_lag(const struct group *group)
{
    int64_t lag = 0;

    for (size_t i = 0; i < group->place_count; i++)
        lag += group->places[i].lag;
    return lag;
}

int64_t group_behind_us(const struct group *group)
{
    int64_t behind_us = 0;

    for (size_t i = 0; i < group->place_count; i++)
        if (group->places[i].behind_us > behind_us)
            behind_us = group->places[i].behind_us;
    return behind_us;
}
