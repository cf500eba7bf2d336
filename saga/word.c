#include "saga/word.h"

/* The states that `states` can reach by steps that publish `type`. */
static uint32_t reach(enum saga_part part, uint32_t states, enum event_type type)
{
    uint32_t reached = 0;

    for (size_t i = 0; i < saga_step_count; i++) {
        const struct saga_step *step = &saga_steps[i];

        if (step->part == part && step->publishes == type && (states & 1u << step->state) != 0)
            reached |= 1u << step->next;
    }
    return reached;
}

/* `states` and all that they can reach in silence. */
static uint32_t with_silent_steps(enum saga_part part, uint32_t states)
{
    uint32_t before;

    do {
        before = states;
        states |= reach(part, states, EVENT_NONE);
    } while (states != before);
    return states;
}

struct saga_word saga_word_begin(enum saga_part part)
{
    return (struct saga_word){
        .part = part,
        .states = with_silent_steps(part, 1u << SAGA_STATE_NONE),
    };
}

bool saga_word_next(struct saga_word *word, enum event_type type)
{
    if (type == EVENT_NONE)
        return word->states != 0;
    word->states = with_silent_steps(word->part, reach(word->part, word->states, type));
    return word->states != 0;
}

bool saga_word_can_end(const struct saga_word *word)
{
    for (int state = 0; state < SAGA_STATE_MAX; state++) {
        if ((word->states & 1u << state) != 0 && saga_state_is_final(word->part, state))
            return true;
    }
    return false;
}
