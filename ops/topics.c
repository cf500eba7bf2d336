#include "ops/topics.h"

#include "events/catalog.h"
#include "ops/parts.h"
#include "runtime/file.h"
#include "runtime/json.h"

#define AN_HOUR_MS "3600000"
/* Larger than the largest event: an order of 1,000 lines (a request of 1 MiB). */
#define MESSAGE_MAX_BYTES "2097152"
#define FILE_BYTES_MAX (1u << 20)

static const char KEYED[] =
    "a record's partition is its key's hash modulo their number: later records of a key would lie "
    "elsewhere than its earlier ones, and each partition's numbers would no longer be those of a "
    "shard. Drain it and make a .v2 topic";
static const char ALONE[] = "parts rely on its being one";

static void add_setting(struct declared_topic *topic, const char *name, const char *value)
{
    topic->settings[topic->setting_count++] = (struct topic_setting){name, value};
}

static struct declared_topic declare(const char *name, int32_t partitions, const char *retention_ms,
                                     const char *fixed, const char *holds)
{
    struct declared_topic topic = {
        .name = name, .partitions = partitions, .fixed = fixed, .holds = holds};

    add_setting(&topic, "retention.ms", retention_ms);
    add_setting(&topic, "cleanup.policy", "delete");
    add_setting(&topic, "max.message.bytes", MESSAGE_MAX_BYTES);
    return topic;
}

struct declared_topic topic_kept_for_ever(const char *name)
{
    return declare(name, 0, TOPIC_FOREVER, KEYED, "");
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
    struct declared_topic *topics =
        arena_array(arena, TOPIC_COUNT + 2 + count_dead_letter_topics(), sizeof *topics);
    size_t count = 0;

    for (int i = 0; i < TOPIC_COUNT; i++) {
        enum topic topic = (enum topic)i;

        topics[count++] = declare(
            topic_name(topic), partitions, TOPIC_FOREVER, KEYED,
            arena_printf(arena, "events of %s, by %s", topic_writer(topic), topic_key(topic)).data);
    }
    /* Topics without events: what is in them may be lost. */
    topics[count++] = declare("shop.control.v1", 1, AN_HOUR_MS, ALONE,
                              "what parts say to each other, again each second");
    topics[count++] = declare("shop.inventory.lead.v1", 1, AN_HOUR_MS, ALONE,
                              "nothing: who owns its partition writes the ledger");
    for (size_t p = 0; p < ops_part_count; p++)
        for (const char *const *reads = ops_parts[p].reads; *reads != NULL; reads++)
            topics[count++] = declare(
                arena_printf(arena, "%s.%s.dlq", *reads, ops_parts[p].name).data, 1, TOPIC_FOREVER,
                NULL, arena_printf(arena, "what %s set aside", ops_parts[p].name).data);
    *out = topics;
    return count;
}

const char *topic_setting(const struct declared_topic *topic, const char *name)
{
    for (size_t i = 0; i < topic->setting_count; i++)
        if (strcmp(topic->settings[i].name, name) == 0)
            return topic->settings[i].value;
    return NULL;
}

/* --- From a file --------------------------------------------------------------------------------
 */

static const char *text_of(struct json_reader *reader, const struct json *object, const char *name)
{
    return arena_view(reader->arena, json_read_text(reader, object, name, 1, 249)).data;
}

static void read_settings(struct declared_topic *out, struct json_reader *reader,
                          const struct json *object)
{
    const struct json *settings = json_read_object(reader, object, "settings");

    for (size_t i = 0; settings != NULL && i < settings->count; i++) {
        const char *name = arena_view(reader->arena, settings->items[i].name).data;

        if (settings->count > TOPIC_SETTINGS_MAX) {
            json_fail(reader, settings, "%zu settings, want at most %d", settings->count,
                      TOPIC_SETTINGS_MAX);
            return;
        }
        add_setting(out, name, text_of(reader, settings, name));
    }
}

/* A topic of ours keeps the reason why it does not grow, whatever the file says of it. */
static const char *fixed_of(const char *name, bool grows, const struct declared_topic *own,
                            size_t own_count)
{
    for (size_t i = 0; i < own_count; i++)
        if (strcmp(own[i].name, name) == 0)
            return own[i].fixed;
    return grows ? NULL : KEYED;
}

static struct declared_topic read_topic(struct json_reader *reader, const struct json *object,
                                        const struct declared_topic *own, size_t own_count)
{
    static const char *const NAMES[] = {"topic", "partitions", "settings", "grows", "holds", NULL};
    struct declared_topic out = {0};
    bool grows;

    if (!json_only(reader, object, NAMES))
        return out;
    out.name = text_of(reader, object, "topic");
    out.partitions = (int32_t)json_read_int64(reader, object, "partitions", 1, 10000);
    read_settings(&out, reader, object);
    grows = json_read_bool_optional(reader, object, "grows", false);
    out.holds =
        arena_view(reader->arena, json_read_text_optional(reader, object, "holds", 0, 1000)).data;
    if (out.holds == NULL)
        out.holds = "";
    if (!reader->failed)
        out.fixed = fixed_of(out.name, grows, own, own_count);
    return out;
}

enum err_kind topics_from_file(struct declared_topic **out, size_t *count, const char *path,
                               int32_t partitions, struct arena *arena, struct err *err)
{
    struct json_reader reader = {.arena = arena};
    struct declared_topic *topics, *own;
    size_t own_count = topics_declared(&own, partitions, arena);
    struct json *root;
    struct view text;
    struct err why;
    enum err_kind kind = file_read(&text, path, FILE_BYTES_MAX, arena, err);

    if (kind != ERR_OK)
        return kind;
    if (json_parse(&root, text, arena, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "%s: %s", path, why.text);
    if (root->kind != JSON_ARRAY)
        return err_set(err, ERR_REJECT, "%s: want a list of topics", path);
    topics = arena_array(arena, root->count + 1, sizeof *topics);
    for (size_t i = 0; i < root->count && !reader.failed; i++)
        topics[i] = read_topic(&reader, &root->items[i], own, own_count);
    if (reader.failed)
        return err_set(err, ERR_REJECT, "%s: %.*s: %s", path, VIEW_PRINT(reader.pointer),
                       reader.err.text);
    *out = topics;
    *count = root->count;
    return ERR_OK;
}
