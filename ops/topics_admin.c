#include "ops/topics_admin.h"

#include "runtime/kafka.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MS 15000
#define WHY_SIZE 256

struct topics_admin {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
};

enum err_kind topics_admin_open(struct topics_admin **out, const char *brokers, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum err_kind kind = kafka_common_conf(conf, brokers, err);
    struct topics_admin *admin;
    rd_kafka_t *client;

    if (kind != ERR_OK) {
        rd_kafka_conf_destroy(conf);
        return kind;
    }
    if ((kind = kafka_new(&client, RD_KAFKA_PRODUCER, conf, err)) != ERR_OK)
        return kind;
    admin = mem_alloc(sizeof *admin);
    admin->client = client;
    admin->queue = rd_kafka_queue_new(client);
    *out = admin;
    return ERR_OK;
}

void topics_admin_close(struct topics_admin *admin)
{
    if (admin == NULL)
        return;
    rd_kafka_queue_destroy(admin->queue);
    rd_kafka_destroy(admin->client);
    free(admin);
}

/* --- Looking -----------------------------------------------------------------------------------
 */

static enum err_kind find_partitions(struct topics_admin *admin,
                                     const struct declared_topic *topics, size_t count,
                                     struct found_topic *found, struct err *err)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 1, NULL, &metadata, ANSWER_MS);

    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "no Kafka broker answers: %s", rd_kafka_err2str(code));
    for (int m = 0; m < metadata->topic_cnt; m++)
        for (size_t i = 0; i < count; i++)
            if (strcmp(metadata->topics[m].topic, topics[i].name) == 0)
                found[i].partitions = metadata->topics[m].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return ERR_OK;
}

static void keep_settings(struct found_topic *found, const rd_kafka_ConfigEntry_t *const *entries,
                          size_t count, struct arena *arena)
{
    struct found_setting *settings = arena_array(arena, count + 1, sizeof *settings);

    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);

        settings[i] = (struct found_setting){
            .name = arena_strdup(arena, rd_kafka_ConfigEntry_name(entries[i])),
            .value = arena_strdup(arena, value != NULL ? value : ""),
            .is_own = rd_kafka_ConfigEntry_source(entries[i]) ==
                      RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG,
        };
    }
    found->settings = settings;
    found->setting_count = count;
}

const char *found_setting(const struct found_topic *found, const char *name)
{
    for (size_t i = 0; i < found->setting_count; i++)
        if (strcmp(found->settings[i].name, name) == 0)
            return found->settings[i].value;
    return NULL;
}

static enum err_kind read_settings(rd_kafka_event_t *event, const struct declared_topic *topics,
                                   size_t count, struct found_topic *found, struct arena *arena,
                                   struct err *err)
{
    size_t resource_count, entry_count;
    const rd_kafka_ConfigResource_t **resources;

    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "settings of topics: %s",
                       rd_kafka_event_error_string(event));
    resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &resource_count);
    for (size_t r = 0; r < resource_count; r++) {
        const char *name = rd_kafka_ConfigResource_name(resources[r]);
        const rd_kafka_ConfigEntry_t **entries =
            rd_kafka_ConfigResource_configs(resources[r], &entry_count);

        if (rd_kafka_ConfigResource_error(resources[r]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return err_set(err, ERR_RETRY, "settings of topic %s: %s", name,
                           rd_kafka_ConfigResource_error_string(resources[r]));
        for (size_t i = 0; i < count; i++)
            if (strcmp(topics[i].name, name) == 0)
                keep_settings(&found[i], entries, entry_count, arena);
    }
    return ERR_OK;
}

static enum err_kind find_settings(struct topics_admin *admin, const struct declared_topic *topics,
                                   size_t count, struct found_topic *found, struct arena *arena,
                                   struct err *err)
{
    rd_kafka_ConfigResource_t **resources = mem_alloc((count + 1) * sizeof *resources);
    size_t present = 0;
    rd_kafka_event_t *event = NULL;
    enum err_kind kind = ERR_OK;

    for (size_t i = 0; i < count; i++)
        if (found[i].partitions > 0)
            resources[present++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].name);
    if (present > 0) {
        rd_kafka_DescribeConfigs(admin->client, resources, present, NULL, admin->queue);
        event = rd_kafka_queue_poll(admin->queue, ANSWER_MS);
        kind = event != NULL ? read_settings(event, topics, count, found, arena, err)
                             : err_set(err, ERR_RETRY, "settings of topics: no answer for %d s",
                                       ANSWER_MS / 1000);
    }
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy_array(resources, present);
    free(resources);
    return kind;
}

enum err_kind topics_find(struct topics_admin *admin, const struct declared_topic *topics,
                          size_t count, struct found_topic *found, struct arena *arena,
                          struct err *err)
{
    enum err_kind kind;

    memset(found, 0, count * sizeof *found);
    kind = find_partitions(admin, topics, count, found, err);
    return kind == ERR_OK ? find_settings(admin, topics, count, found, arena, err) : kind;
}

/* --- Making ------------------------------------------------------------------------------------
 */

static rd_kafka_NewTopic_t *new_topic(const struct declared_topic *topic, struct err *err)
{
    char why[WHY_SIZE];
    /* Replicas: as many as the brokers do by default. */
    rd_kafka_NewTopic_t *out =
        rd_kafka_NewTopic_new(topic->name, topic->partitions, -1, why, sizeof why);

    if (out == NULL) {
        err_set(err, ERR_REJECT, "topic %s: %s", topic->name, why);
        return NULL;
    }
    for (size_t i = 0; i < topic->setting_count; i++)
        rd_kafka_NewTopic_set_config(out, topic->settings[i].name, topic->settings[i].value);
    return out;
}

/* What a cluster answers that is still starting. Replicas are as many as it wants by default, so
 * that too many for the brokers there are means that brokers are still to come: one that has
 * started answers before the controller counts it. */
static bool is_passing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR ||
           code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR_NOT_CONTROLLER ||
           code == RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE;
}

static enum err_kind read_made(rd_kafka_event_t *event, struct err *err)
{
    const rd_kafka_topic_result_t **results;
    size_t count;

    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_RETRY, "making topics: %s", rd_kafka_event_error_string(event));
    results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return err_set(err, is_passing(code) ? ERR_RETRY : ERR_REJECT, "topic %s: %s",
                           rd_kafka_topic_result_name(results[i]),
                           rd_kafka_topic_result_error_string(results[i]));
    }
    return ERR_OK;
}

enum err_kind topics_make(struct topics_admin *admin, const struct declared_topic *topics,
                          size_t count, struct err *err)
{
    rd_kafka_NewTopic_t **wanted = mem_alloc((count + 1) * sizeof *wanted);
    rd_kafka_event_t *event = NULL;
    enum err_kind kind = ERR_OK;
    size_t made = 0;

    while (made < count && (wanted[made] = new_topic(&topics[made], err)) != NULL)
        made++;
    if (made < count) {
        kind = ERR_REJECT;
    } else if (count > 0) {
        rd_kafka_CreateTopics(admin->client, wanted, count, NULL, admin->queue);
        event = rd_kafka_queue_poll(admin->queue, 2 * ANSWER_MS);
        kind = event != NULL ? read_made(event, err)
                             : err_set(err, ERR_RETRY, "making topics: no answer for %d s",
                                       2 * ANSWER_MS / 1000);
    }
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(wanted, made);
    free(wanted);
    return kind;
}

/* --- Changing ----------------------------------------------------------------------------------
 */

/* This version of the library replaces all of a topic's own settings: those that are there and not
 * declared are given again. */
static rd_kafka_ConfigResource_t *new_settings(const struct declared_topic *topic,
                                               const struct found_topic *found)
{
    rd_kafka_ConfigResource_t *out =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic->name);

    for (size_t i = 0; i < found->setting_count; i++)
        if (found->settings[i].is_own && topic_setting(topic, found->settings[i].name) == NULL)
            rd_kafka_ConfigResource_set_config(out, found->settings[i].name,
                                               found->settings[i].value);
    for (size_t i = 0; i < topic->setting_count; i++)
        if (found_setting(found, topic->settings[i].name) != NULL)
            rd_kafka_ConfigResource_set_config(out, topic->settings[i].name,
                                               topic->settings[i].value);
    return out;
}

enum err_kind topics_set(struct topics_admin *admin, const struct declared_topic *topic,
                         const struct found_topic *found, struct err *err)
{
    rd_kafka_ConfigResource_t *resource = new_settings(topic, found);
    const rd_kafka_ConfigResource_t **done;
    rd_kafka_event_t *event;
    enum err_kind kind = ERR_OK;
    size_t count;

    rd_kafka_AlterConfigs(admin->client, &resource, 1, NULL, admin->queue);
    event = rd_kafka_queue_poll(admin->queue, ANSWER_MS);
    rd_kafka_ConfigResource_destroy(resource);
    if (event == NULL)
        return err_set(err, ERR_RETRY, "settings of topic %s: no answer for %d s", topic->name,
                       ANSWER_MS / 1000);
    done =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_RETRY, "settings of topic %s: %s", topic->name,
                       rd_kafka_event_error_string(event));
    else if (count != 1 || rd_kafka_ConfigResource_error(done[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_REJECT, "settings of topic %s: %s", topic->name,
                       count == 1 ? rd_kafka_ConfigResource_error_string(done[0]) : "no answer");
    rd_kafka_event_destroy(event);
    return kind;
}

enum err_kind topics_grow(struct topics_admin *admin, const struct declared_topic *topic,
                          struct err *err)
{
    char why[WHY_SIZE];
    rd_kafka_NewPartitions_t *wanted =
        rd_kafka_NewPartitions_new(topic->name, (size_t)topic->partitions, why, sizeof why);
    const rd_kafka_topic_result_t **done;
    rd_kafka_event_t *event;
    enum err_kind kind = ERR_OK;
    size_t count;

    if (wanted == NULL)
        return err_set(err, ERR_REJECT, "topic %s: %s", topic->name, why);
    rd_kafka_CreatePartitions(admin->client, &wanted, 1, NULL, admin->queue);
    event = rd_kafka_queue_poll(admin->queue, ANSWER_MS);
    rd_kafka_NewPartitions_destroy(wanted);
    if (event == NULL)
        return err_set(err, ERR_RETRY, "partitions of topic %s: no answer for %d s", topic->name,
                       ANSWER_MS / 1000);
    done = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event),
                                                   &count);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_RETRY, "partitions of topic %s: %s", topic->name,
                       rd_kafka_event_error_string(event));
    else if (count != 1 || rd_kafka_topic_result_error(done[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        kind = err_set(err, ERR_REJECT, "partitions of topic %s: %s", topic->name,
                       count == 1 ? rd_kafka_topic_result_error_string(done[0]) : "no answer");
    rd_kafka_event_destroy(event);
    return kind;
}
