/* Schemas as tests write them. */
#ifndef TRADEWIND_TESTS_UNIT_EVENTS_SCHEMA_OF_H
#define TRADEWIND_TESTS_UNIT_EVENTS_SCHEMA_OF_H

#include "events/schema.h"

/** The schema of a text; one that is none fails the test. */
const struct schema *schema_of(const char *text, struct arena *arena);

#endif
