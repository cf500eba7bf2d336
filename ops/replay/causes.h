/* The inputs that a part's own events answer.
 *
 * A part that is rebuilt after a loss must not stand before one of them: when a topic that it reads
 * has lost its end, the writer sends that end again, and the part would answer it twice. */
#ifndef TRADEWIND_REPLAY_CAUSES_H
#define TRADEWIND_REPLAY_CAUSES_H

#include "ops/replay/log_reader.h"

/**
 * Wait until the position is behind every input that the part's own events before it answer; move
 * takes it to where its places shall end. Of own events only the latest are looked at, for what was
 * published longer ago than its writer's journal reaches never comes again.
 *
 * own     the part's own topic; TOPIC_NONE: it answers nothing
 * Errors  ERR_RETRY: an input does not come again within ten seconds, and which; the broker
 */
enum err_kind causes_wait(struct log_reader *position, enum topic own,
                          enum err_kind (*move)(void *context, struct err *err), void *context,
                          struct err *err);

#endif
