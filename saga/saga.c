#include "saga/saga.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* ---- the rows, and where each of them is ---- */

const struct saga_step saga_steps[] = {
#define STEP(part, state, trigger, guard, next, action, publishes, because)                        \
    {PART_##part,   part##_##state,  TRIGGER_##trigger, GUARD_##guard,                             \
     part##_##next, ACTION_##action, EVENT_##publishes, because},
#include "saga/table.def"
};

const struct saga_impossible saga_impossibles[] = {
#define IMPOSSIBLE(part, state, trigger, because)                                                  \
    {PART_##part, part##_##state, TRIGGER_##trigger, because},
#include "saga/table.def"
};

const size_t saga_step_count = sizeof saga_steps / sizeof *saga_steps;
const size_t saga_impossible_count = sizeof saga_impossibles / sizeof *saga_impossibles;

/* One name a row, numbered from 1, so that 0 in the indexes below is "no row". A row that stands
 * twice in the table is the same name twice, which does not compile. */
enum {
    STEP_ROW_NONE,
#define STEP(part, state, trigger, guard, next, action, publishes, because)                        \
    STEP_ROW_##part##_##state##_##trigger##_##guard,
#include "saga/table.def"
    STEP_ROW_END
};

enum {
    IMPOSSIBLE_ROW_NONE,
#define IMPOSSIBLE(part, state, trigger, because) IMPOSSIBLE_ROW_##part##_##state##_##trigger,
#include "saga/table.def"
    IMPOSSIBLE_ROW_END
};

static_assert(STEP_ROW_END <= UINT8_MAX && IMPOSSIBLE_ROW_END <= UINT8_MAX, "a row fits in a byte");

static const uint8_t step_row[PART_COUNT][SAGA_STATE_MAX][TRIGGER_COUNT][GUARD_COUNT] = {
#define STEP(part, state, trigger, guard, next, action, publishes, because)                        \
    [PART_##part][part##_##state][TRIGGER_##trigger][GUARD_##guard] =                              \
        STEP_ROW_##part##_##state##_##trigger##_##guard,
#include "saga/table.def"
};

static const uint8_t impossible_row[PART_COUNT][SAGA_STATE_MAX][TRIGGER_COUNT] = {
#define IMPOSSIBLE(part, state, trigger, because)                                                  \
    [PART_##part][part##_##state][TRIGGER_##trigger] = IMPOSSIBLE_ROW_##part##_##state##_##trigger,
#include "saga/table.def"
};

static bool is_known(enum saga_part part, int state)
{
    return part < PART_COUNT && state >= 0 && state < SAGA_STATE_MAX;
}

const struct saga_step *saga_step(enum saga_part part, int state, enum saga_trigger trigger,
                                  enum saga_guard guard)
{
    if (!is_known(part, state) || trigger >= TRIGGER_COUNT || guard >= GUARD_COUNT)
        return NULL;

    const uint8_t *rows = step_row[part][state][trigger];
    uint8_t row = rows[guard] != 0 ? rows[guard] : rows[GUARD_ALWAYS];

    return row != 0 ? &saga_steps[row - 1] : NULL;
}

const struct saga_impossible *saga_impossible(enum saga_part part, int state,
                                              enum saga_trigger trigger)
{
    if (!is_known(part, state) || trigger >= TRIGGER_COUNT)
        return NULL;

    uint8_t row = impossible_row[part][state][trigger];

    return row != 0 ? &saga_impossibles[row - 1] : NULL;
}

/* ---- what concerns whom ---- */

static const bool reads[PART_COUNT][TOPIC_COUNT] = {
#define READS(part, topic) [PART_##part][TOPIC_##topic] = true,
#include "saga/table.def"
};

static const bool reacts[PART_COUNT][TRIGGER_COUNT] = {
#define REACTS(part, trigger) [PART_##part][TRIGGER_##trigger] = true,
#include "saga/table.def"
};

static const char *const drops[PART_COUNT][EVENT_COUNT] = {
#define DROP(part, event, because) [PART_##part][EVENT_##event] = because,
#include "saga/table.def"
};

bool saga_reads(enum saga_part part, enum topic topic)
{
    return part < PART_COUNT && topic < TOPIC_COUNT && reads[part][topic];
}

bool saga_reacts(enum saga_part part, enum saga_trigger trigger)
{
    return part < PART_COUNT && trigger < TRIGGER_COUNT && reacts[part][trigger];
}

const char *saga_drop(enum saga_part part, enum event_type type)
{
    return part < PART_COUNT && type < EVENT_COUNT ? drops[part][type] : NULL;
}

/* ---- names ---- */

struct word {
    const char *name;
    const char *meaning;
};

static const struct word parts[PART_COUNT] = {
#define PART(symbol, name, meaning) [PART_##symbol] = {name, meaning},
#include "saga/table.def"
};

static const struct {
    struct word word;
    bool rests;
} states[PART_COUNT][SAGA_STATE_MAX] = {
#define STATE(part, symbol, number, name, rests, meaning)                                          \
    [PART_##part][part##_##symbol] = {{name, meaning}, rests},
#include "saga/table.def"
};

/* Those from outside; events are named by the catalogue. */
static const struct {
    struct word word;
    const char *source;
} triggers[TRIGGER_COUNT] = {
#define TRIGGER(symbol, source, name, meaning) [TRIGGER_##symbol] = {{name, meaning}, source},
#include "saga/table.def"
};

static const struct {
    struct word word;
    const char *question;
} guards[GUARD_COUNT] = {
#define GUARD(symbol, question, name, meaning) [GUARD_##symbol] = {{name, meaning}, #question},
#include "saga/table.def"
};

static const struct {
    struct word word;
    enum saga_action undo;
} actions[ACTION_COUNT] = {
#define ACTION(symbol, undo, name, meaning) [ACTION_##symbol] = {{name, meaning}, ACTION_##undo},
#include "saga/table.def"
};

bool saga_state_exists(enum saga_part part, int state)
{
    return is_known(part, state) && states[part][state].word.name != NULL;
}

bool saga_state_is_final(enum saga_part part, int state)
{
    return is_known(part, state) && states[part][state].rests;
}

const char *saga_trigger_source(enum saga_trigger trigger)
{
    assert(trigger > TRIGGER_NONE && trigger < TRIGGER_COUNT);
    return triggers[trigger].source != NULL ? triggers[trigger].source
                                            : topic_writer(event_topic(saga_event_of(trigger)));
}

const char *saga_guard_question(enum saga_guard guard)
{
    assert(guard < GUARD_COUNT);
    return guards[guard].question;
}

enum saga_action saga_action_undo(enum saga_action action)
{
    assert(action < ACTION_COUNT);
    return actions[action].undo;
}

const char *saga_part_name(enum saga_part part)
{
    assert(part < PART_COUNT);
    return parts[part].name;
}

const char *saga_part_meaning(enum saga_part part)
{
    assert(part < PART_COUNT);
    return parts[part].meaning;
}

const char *saga_state_name(enum saga_part part, int state)
{
    return saga_state_exists(part, state) ? states[part][state].word.name : "unknown";
}

const char *saga_state_meaning(enum saga_part part, int state)
{
    assert(saga_state_exists(part, state));
    return states[part][state].word.meaning;
}

const char *saga_trigger_name(enum saga_trigger trigger)
{
    assert(trigger < TRIGGER_COUNT);
    return triggers[trigger].word.name != NULL ? triggers[trigger].word.name
                                               : event_type_name(saga_event_of(trigger));
}

const char *saga_trigger_meaning(enum saga_trigger trigger)
{
    assert(trigger < TRIGGER_COUNT);
    return triggers[trigger].word.meaning != NULL ? triggers[trigger].word.meaning : "";
}

const char *saga_guard_name(enum saga_guard guard)
{
    assert(guard < GUARD_COUNT);
    return guards[guard].word.name;
}

const char *saga_guard_meaning(enum saga_guard guard)
{
    assert(guard < GUARD_COUNT);
    return guards[guard].word.meaning;
}

const char *saga_action_name(enum saga_action action)
{
    assert(action < ACTION_COUNT);
    return actions[action].word.name;
}

const char *saga_action_meaning(enum saga_action action)
{
    assert(action < ACTION_COUNT);
    return actions[action].word.meaning;
}

enum saga_part saga_part_from_name(const char *name)
{
    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        if (strcmp(parts[part].name, name) == 0)
            return part;
    }
    return PART_NONE;
}

int saga_state_from_name(enum saga_part part, const char *name)
{
    for (int state = 0; state < SAGA_STATE_MAX; state++) {
        if (saga_state_exists(part, state) && strcmp(states[part][state].word.name, name) == 0)
            return state;
    }
    return -1;
}
