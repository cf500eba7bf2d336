/* The table for people and programs: what `tradewind saga explain` prints and docs/saga/ holds. */
#ifndef TRADEWIND_SAGA_EXPLAIN_H
#define TRADEWIND_SAGA_EXPLAIN_H

#include "runtime/bytes.h"
#include "saga/saga.h"

/** For a terminal: each state of the part, what can happen in it and what cannot. PART_NONE: all
 * parts. */
void saga_explain_text(struct buf *out, enum saga_part part);

/** The whole table as one JSON document: parts with states, steps and impossible pairs; the words.
 */
void saga_explain_json(struct buf *out);

/** The whole table in Markdown: docs/saga/table.md. */
void saga_explain_markdown(struct buf *out);

#endif
