/* Amounts are integers of minor units and an ISO 4217 code; here is what people get to read. */
#ifndef TRADEWIND_EVENTS_MONEY_H
#define TRADEWIND_EVENTS_MONEY_H

#include "runtime/arena.h"

/** Whether it has the form of an ISO 4217 code: three capital letters. */
bool money_is_currency(struct view code);

/** Digits behind the point: 2 for GBP, 0 for JPY, 3 for KWD; 2 for a code that we do not know. */
int money_digits(struct view currency);

/** "GBP 1,234.50", in the arena with a NUL behind it. */
struct view money_format(int64_t amount_minor, struct view currency, struct arena *arena);

#endif
