#include "ops/topics.h"

#include "events/catalog.h"
#include "ops/parts.h"

#define AN_HOUR_MS "3600000"

/* Topics without events: what is in them may be lost. */
static const struct declared_topic AMONG_PARTS[] = {
    {"shop.control.v1", 1, AN_HOUR_MS, "what parts say to each other, again each second"},
    {"shop.inventory.lead.v1", 1, AN_HOUR_MS, "nothing: who owns its partition writes the ledger"},
};

static size_t among_parts(void)
{
    return sizeof AMONG_PARTS / sizeof AMONG_PARTS[0];
}

static size_t count_dead_letter_topics(void)
{
    size_t count = 0;

    for (size_t p = 0; p < ops_part_count; p++)
        for (const char *const *reads = ops_parts[p].reads; *reads != NULL; reads++)
            count++;
    return count;
}

size_t topics_declared(struct declared_topic **out, int32_t partitions, struct arena *arena)
{
    struct declared_topic *topics = arena_array(
        arena, TOPIC_COUNT + among_parts() + count_dead_letter_topics(), sizeof *topics);
    size_t count = 0;

    for (int i = 0; i < TOPIC_COUNT; i++) {
        enum topic topic = (enum topic)i;

        topics[count++] = (struct declared_topic){
            topic_name(topic), partitions, TOPIC_FOREVER,
            arena_printf(arena, "events of %s, by %s", topic_writer(topic), topic_key(topic)).data};
    }
    for (size_t i = 0; i < among_parts(); i++)
        topics[count++] = AMONG_PARTS[i];
    for (size_t p = 0; p < ops_part_count; p++)
        for (const char *const *reads = ops_parts[p].reads; *reads != NULL; reads++)
            topics[count++] = (struct declared_topic){
                arena_printf(arena, "%s.%s.dlq", *reads, ops_parts[p].name).data, 1, TOPIC_FOREVER,
                arena_printf(arena, "what %s set aside", ops_parts[p].name).data};
    *out = topics;
    return count;
}
