/* The table as pictures, in Graphviz' language. docs/saga/draw makes the files in docs/saga/. */
#ifndef TRADEWIND_SAGA_DRAW_H
#define TRADEWIND_SAGA_DRAW_H

#include "runtime/bytes.h"
#include "saga/saga.h"

/** Who tells what to whom: the parts and the world outside, with the triggers between them. */
void saga_draw_flow(struct buf *out);

/** The states of one part and the steps between them. What changes nothing is left out. */
void saga_draw_part(struct buf *out, enum saga_part part);

#endif
