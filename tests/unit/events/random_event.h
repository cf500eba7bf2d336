/* Events of random content, by a seed: the same seed gives the same event. */
#ifndef TRADEWIND_TESTS_RANDOM_EVENT_H
#define TRADEWIND_TESTS_RANDOM_EVENT_H

#include "events/codec.h"

struct dice {
    uint64_t state;
};

/** 0..below-1. */
uint64_t dice_roll(struct dice *dice, uint64_t below);

/** A generated struct of type, valid for event_encode; strings never hold a NUL. */
void *random_event(struct dice *dice, enum event_type type, struct arena *arena);

#endif
