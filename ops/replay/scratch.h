/* The rows of a few keys, made event by event in a schema that nobody else sees and that is rolled
 * back: which event gave each field its value, with the very fold that a replay uses. */
#ifndef TRADEWIND_REPLAY_SCRATCH_H
#define TRADEWIND_REPLAY_SCRATCH_H

#include "ops/replay/cells.h"

/**
 * Fold the events of keys one by one.
 *
 * asides  records to leave out; may be NULL
 * out     the cells at the end, each with its event
 */
enum err_kind scratch_fold(struct cells *out, const struct fold *fold, const char *database,
                           const struct schema_ids *ids, int32_t partitions,
                           const struct asides *asides, const struct key_event *events,
                           size_t event_count, const struct view *keys, size_t key_count,
                           struct arena *arena, struct err *err);

#endif
