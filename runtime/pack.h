/* Bytes made smaller and back (zstd, level 1): for what is written once and seldom read. */
#ifndef TRADEWIND_RUNTIME_PACK_H
#define TRADEWIND_RUNTIME_PACK_H

#include "runtime/arena.h"
#include "runtime/err.h"

/** Append one zstd frame that holds bytes. */
void pack(struct buf *out, struct view bytes);

/**
 * What one frame holds, in the arena.
 * Errors  ERR_REJECT: it is no whole frame of known size, or holds more than max bytes
 */
enum err_kind unpack(struct view *out, struct view frame, size_t max, struct arena *arena,
                     struct err *err);

#endif
