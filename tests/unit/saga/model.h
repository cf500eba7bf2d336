/* One order in a small world: five parts, a queue from every writer to every reader, the provider's
 * book, the shelf, and everything that can happen to them in every order in which it can happen.
 *
 * The model decides by the same functions as the parts do. What it adds is what the parts lean on:
 * topics keep the order of one writer and nothing else, the provider answers when it likes, and an
 * operator drops and redrives dead letters. A state of the world is a value; exploring is a search
 * through all of them, so it finds the shortest way to whatever goes wrong. */
#ifndef TRADEWIND_TESTS_SAGA_MODEL_H
#define TRADEWIND_TESTS_SAGA_MODEL_H

#include "saga/saga.h"

/* What may happen besides what must. */
struct model_freedom {
    bool customer_cancels; /* at any moment */
    bool deadline;         /* at any moment; a placed order that cannot go on otherwise gets it */
    bool nudge;            /* once, at any moment */
    bool letters; /* what the table lets drop is dropped, and perhaps redriven at any moment */
};

/* A table that differs from the real one in one row, to see that the model notices. */
struct model_mutant {
    const struct saga_step *row;     /* NULL: none differs */
    const struct saga_step *instead; /* NULL: the row is missing */
};

/* One more dead letter that may be dropped; EVENT_NONE: none. */
struct model_drop {
    enum saga_part part;
    enum event_type type;
};

#define MODEL_STEPS_MAX 256

struct model_report {
    size_t states;               /* of the world */
    size_t ends;                 /* of those, where nothing more has to happen */
    bool taken[MODEL_STEPS_MAX]; /* by index in saga_steps */
    char problem[2048];          /* empty: none; else what, and the way to it */
};

/** Explores until there is nothing new or something is wrong. */
void model_explore(const struct model_freedom *freedom, const struct model_mutant *mutant,
                   const struct model_drop *drop, struct model_report *report);

#endif
