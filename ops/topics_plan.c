#include "ops/topics_plan.h"

struct planning {
    struct topic_step *steps;
    size_t count;
    struct arena *arena;
};

static void add(struct planning *planning, struct topic_step step)
{
    planning->steps[planning->count++] = step;
}

static void plan_partitions(struct planning *planning, const struct declared_topic *topic,
                            const struct found_topic *found)
{
    struct topic_step step = {
        .kind = TOPIC_STEP_GROW,
        .topic = topic,
        .found = found,
        .what = "partitions",
        .is = arena_printf(planning->arena, "%d", found->partitions).data,
        .want = arena_printf(planning->arena, "%d", topic->partitions).data,
    };

    if (found->partitions == topic->partitions)
        return;
    if (found->partitions > topic->partitions)
        step.why = "Kafka takes no partitions away";
    else
        step.why = topic->fixed;
    if (step.why != NULL)
        step.kind = TOPIC_STEP_REFUSED;
    add(planning, step);
}

static void plan_settings(struct planning *planning, const struct declared_topic *topic,
                          const struct found_topic *found)
{
    for (size_t i = 0; i < topic->setting_count; i++) {
        const char *is = found_setting(found, topic->settings[i].name);

        if (is != NULL && strcmp(is, topic->settings[i].value) == 0)
            continue;
        add(planning, (struct topic_step){
                          .kind = is != NULL ? TOPIC_STEP_SET : TOPIC_STEP_REFUSED,
                          .topic = topic,
                          .found = found,
                          .what = topic->settings[i].name,
                          .is = is != NULL ? is : "not known",
                          .want = topic->settings[i].value,
                          .why = is != NULL ? NULL : "the broker knows no such setting",
                      });
    }
}

size_t topics_plan(struct topic_step **out, const struct declared_topic *topics,
                   const struct found_topic *found, size_t count, struct arena *arena)
{
    struct planning planning = {
        .steps = arena_array(arena, count * (TOPIC_SETTINGS_MAX + 1) + 1, sizeof **out),
        .arena = arena};

    for (size_t i = 0; i < count; i++) {
        if (found[i].partitions == 0) {
            add(&planning, (struct topic_step){
                               .kind = TOPIC_STEP_MAKE,
                               .topic = &topics[i],
                               .found = &found[i],
                               .what = "the topic",
                               .is = "missing",
                               .want = arena_printf(arena, "%d partition%s", topics[i].partitions,
                                                    topics[i].partitions == 1 ? "" : "s")
                                           .data,
                           });
            continue;
        }
        plan_partitions(&planning, &topics[i], &found[i]);
        plan_settings(&planning, &topics[i], &found[i]);
    }
    *out = planning.steps;
    return planning.count;
}

const char *topic_step_name(enum topic_step_kind kind)
{
    switch (kind) {
    case TOPIC_STEP_MAKE:
        return "make";
    case TOPIC_STEP_SET:
        return "set";
    case TOPIC_STEP_GROW:
        return "grow";
    case TOPIC_STEP_REFUSED:
        return "refused";
    }
    return "";
}
