/* Telling what an operator did in a part's PostgreSQL database: a row of its journal, which its
 * relay sends like any other. */
#ifndef TRADEWIND_REPLAY_ACTED_PG_H
#define TRADEWIND_REPLAY_ACTED_PG_H

#include "ops/replay/acted.h"
#include "runtime/pg.h"

/**
 * Inside the transaction that does it: take the part's next number under its lock, and write the
 * record. (Who locks positions too has locked them before.)
 *
 * told   the highest number that the topic has, when the database was lost; else 0
 */
enum err_kind acted_write(struct pg *pg, const struct acted *acted, uint64_t told, struct err *err);

#endif
