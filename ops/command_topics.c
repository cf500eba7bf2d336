/* tradewind topics: the declared list of topics, made and checked against a broker. */
#include "ops/commands.h"
#include "ops/out.h"
#include "ops/topics_admin.h"
#include "runtime/json.h"
#include "runtime/settings.h"

#include <stdio.h>

static const char *retention(struct arena *arena, const char *retention_ms)
{
    int64_t ms;

    if (strcmp(retention_ms, TOPIC_FOREVER) == 0)
        return "for ever";
    return view_to_int64(view_str(retention_ms), &ms) ? out_duration_us(arena, ms * 1000)
                                                      : retention_ms;
}

static int list_topics(const struct declared_topic *topics, size_t count, struct arena *arena,
                       bool as_json)
{
    static const char *const COLUMNS[] = {"topic", ">partitions", "kept", "holds", NULL};
    struct out_table table;
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer json = {.out = &text};

    out_table_start(&table, COLUMNS, arena);
    json_array_start(&json);
    for (size_t i = 0; i < count; i++) {
        out_cell(&table, "%s", topics[i].name);
        out_cell(&table, "%d", topics[i].partitions);
        out_cell(&table, "%s", retention(arena, topics[i].retention_ms));
        out_cell(&table, "%s", topics[i].holds);
        json_object_start(&json);
        json_member_str(&json, "topic", topics[i].name);
        json_member_int64(&json, "partitions", topics[i].partitions);
        json_member_str(&json, "retention_ms", topics[i].retention_ms);
        json_member_str(&json, "holds", topics[i].holds);
        json_object_end(&json);
    }
    json_array_end(&json);
    if (as_json)
        printf("%s\n", buf_cstr(&text));
    else
        out_table_print(&table, stdout);
    return OPS_OK;
}

/* --- check -------------------------------------------------------------------------------------
 */

struct differences {
    size_t count;
    bool as_json;
    struct json_writer json;
};

static void differs(struct differences *differences, const char *topic, const char *what,
                    const char *is, const char *want)
{
    differences->count++;
    json_object_start(&differences->json);
    json_member_str(&differences->json, "topic", topic);
    json_member_str(&differences->json, "what", what);
    json_member_str(&differences->json, "is", is);
    json_member_str(&differences->json, "want", want);
    json_object_end(&differences->json);
    if (!differences->as_json)
        printf("%s: %s is %s, want %s\n", topic, what, is, want);
}

static void compare(struct differences *differences, const struct declared_topic *topic,
                    const struct found_topic *found)
{
    char is[16], want[16];

    if (found->partitions == 0) {
        differs(differences, topic->name, "the topic", "missing",
                "it made (tradewind topics create)");
        return;
    }
    snprintf(is, sizeof is, "%d", found->partitions);
    snprintf(want, sizeof want, "%d", topic->partitions);
    if (found->partitions != topic->partitions)
        differs(differences, topic->name, "the number of partitions", is, want);
    if (strcmp(found->retention_ms, topic->retention_ms) != 0)
        differs(differences, topic->name, "retention.ms", found->retention_ms, topic->retention_ms);
    if (strcmp(found->cleanup_policy, "delete") != 0)
        differs(differences, topic->name, "cleanup.policy", found->cleanup_policy, "delete");
}

static int check_topics(const struct declared_topic *topics, const struct found_topic *found,
                        size_t count, bool as_json)
{
    AUTO(buf_clear) struct buf text = {0};
    struct differences differences = {.as_json = as_json, .json = {.out = &text}};

    json_array_start(&differences.json);
    for (size_t i = 0; i < count; i++)
        compare(&differences, &topics[i], &found[i]);
    json_array_end(&differences.json);
    if (as_json)
        printf("%s\n", buf_cstr(&text));
    else if (differences.count == 0)
        printf("%zu topics are as declared\n", count);
    else
        printf("%zu differences\n", differences.count);
    return differences.count == 0 ? OPS_OK : OPS_FOUND;
}

/* --- create ------------------------------------------------------------------------------------
 */

static int create_topics(const struct command *command, struct topics_admin *admin,
                         const struct declared_topic *topics, const struct found_topic *found,
                         size_t count, struct arena *arena)
{
    struct declared_topic *missing = arena_array(arena, count, sizeof *missing);
    size_t missing_count = 0;
    struct err err = {0};

    for (size_t i = 0; i < count; i++)
        if (found[i].partitions == 0)
            missing[missing_count++] = topics[i];
    if (topics_make(admin, missing, missing_count, &err) != ERR_OK)
        return ops_failed(command, &err);
    for (size_t i = 0; i < missing_count; i++)
        printf("made %s with %d partition%s\n", missing[i].name, missing[i].partitions,
               missing[i].partitions == 1 ? "" : "s");
    printf("%zu topics made, %zu were there\n", missing_count, count - missing_count);
    return OPS_OK;
}

int command_topics(const struct command *command, int argc, char **argv)
{
    bool as_json = false;
    const struct arg args[] = {{"json", ARG_FLAG, &as_json, .help = "for programs (list, check)"}};
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(topics_admin_close) struct topics_admin *admin = NULL;
    struct declared_topic *topics;
    struct found_topic *found;
    struct err err = {0};
    const char *what;
    size_t count;
    int code = args_parse(command, args, 1, 0, 1, &argc, &argv);

    if (code != ARGS_MORE || (code = ops_settings(command)) != OPS_OK)
        return code;
    what = argc > 0 ? argv[0] : "list";
    count = topics_declared(&topics, (int32_t)setting_integer("TRADEWIND_PARTITIONS"), &arena);
    if (strcmp(what, "list") == 0)
        return list_topics(topics, count, &arena, as_json);
    if (strcmp(what, "create") != 0 && strcmp(what, "check") != 0)
        return args_refuse(command, "%s: want list, create or check", what);
    found = arena_array(&arena, count, sizeof *found);
    if (topics_admin_open(&admin, setting_text("TRADEWIND_KAFKA"), &err) != ERR_OK ||
        topics_find(admin, topics, count, found, &err) != ERR_OK)
        return ops_failed(command, &err);
    if (strcmp(what, "check") == 0)
        return check_topics(topics, found, count, as_json);
    return create_topics(command, admin, topics, found, count, &arena);
}
