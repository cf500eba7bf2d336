/* The event catalogue as numbers and names. Everything here is read from events/catalog.def; a new
 * event or topic is a new row there and nothing here. */
#ifndef TRADEWIND_EVENTS_CATALOG_H
#define TRADEWIND_EVENTS_CATALOG_H

#include <stddef.h>

enum topic {
#define TOPIC(symbol, name, writer, key) TOPIC_##symbol,
#include "events/catalog.def"
    TOPIC_COUNT,
    TOPIC_NONE = TOPIC_COUNT,
};

enum event_type {
    EVENT_NONE,
#define EVENT(symbol, type, topic, structure) EVENT_##symbol,
#include "events/catalog.def"
    EVENT_COUNT,
};

/** `order.created`: the CloudEvents type. Empty for EVENT_NONE. */
const char *event_type_name(enum event_type type);

/** The topic an event is published in. TOPIC_NONE for EVENT_NONE. */
enum topic event_topic(enum event_type type);

/** The event of a CloudEvents type; `name` need not end in NUL. EVENT_NONE: there is none such. */
enum event_type event_type_from_name(const char *name, size_t name_bytes);

/** `shop.orders.v1`: the topic's name in Kafka. */
const char *topic_name(enum topic topic);

/** `orders`: the only part that writes this topic. */
const char *topic_writer(enum topic topic);

/** What the topic's records are keyed by, for people. */
const char *topic_key(enum topic topic);

/** The topic of a Kafka name. TOPIC_NONE: it is none of ours. */
enum topic topic_from_name(const char *name);

#endif
