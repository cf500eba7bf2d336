#include "events/catalog.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    const char *writer;
    const char *key;
} topics[TOPIC_COUNT] = {
#define TOPIC(symbol, name, writer, key) [TOPIC_##symbol] = {name, writer, key},
#include "events/catalog.def"
};

static const struct {
    const char *name;
    size_t name_bytes;
    enum topic topic;
} events[EVENT_COUNT] = {
    [EVENT_NONE] = {"", 0, TOPIC_NONE},
#define EVENT(symbol, type, topic, structure)                                                      \
    [EVENT_##symbol] = {type, sizeof(type) - 1, TOPIC_##topic},
#include "events/catalog.def"
};

const char *event_type_name(enum event_type type)
{
    assert(type < EVENT_COUNT);
    return events[type].name;
}

enum topic event_topic(enum event_type type)
{
    assert(type < EVENT_COUNT);
    return events[type].topic;
}

enum event_type event_type_from_name(const char *name, size_t name_bytes)
{
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        if (events[type].name_bytes == name_bytes &&
            memcmp(events[type].name, name, name_bytes) == 0)
            return type;
    }
    return EVENT_NONE;
}

const char *topic_name(enum topic topic)
{
    assert(topic < TOPIC_COUNT);
    return topics[topic].name;
}

const char *topic_writer(enum topic topic)
{
    assert(topic < TOPIC_COUNT);
    return topics[topic].writer;
}

const char *topic_key(enum topic topic)
{
    assert(topic < TOPIC_COUNT);
    return topics[topic].key;
}

enum topic topic_from_name(const char *name)
{
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        if (strcmp(topics[topic].name, name) == 0)
            return topic;
    }
    return TOPIC_NONE;
}
