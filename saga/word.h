/* Whether the events that a part published about one order are a word that the table can produce.
 *
 * What the part saw in between is not known to who reads its topic, so the word keeps every state
 * that the part may be in after what it said so far. Email has one word for each order and kind of
 * mail. */
#ifndef TRADEWIND_SAGA_WORD_H
#define TRADEWIND_SAGA_WORD_H

#include "saga/saga.h"

#include <stdint.h>

struct saga_word {
    enum saga_part part;
    uint32_t states; /* a set of 1 << state; empty once the word is none */
};

/** The empty word. */
struct saga_word saga_word_begin(enum saga_part part);

/** Takes the part's next event. false: no word of the table begins like this; nor will it later. */
bool saga_word_next(struct saga_word *word, enum event_type type);

/** Whether the part may owe nothing more after what it said. */
bool saga_word_can_end(const struct saga_word *word);

#endif
