/* What an operator does with a replay, told as an event of the part whose state it is (ops.acted in
 * shop.ops.v1). No part carries it out, so the replay writes the event itself, where the part
 * would: in the transaction that does it, under the part's next number, into what the part's relay
 * sends. */
#ifndef TRADEWIND_REPLAY_ACTED_H
#define TRADEWIND_REPLAY_ACTED_H

#include "events/ids.h"
#include "runtime/arena.h"
#include "runtime/store.h"

struct acted {
    const char *part;
    const char *action;        /* "state.swap" */
    const char *reason;        /* may be NULL */
    struct view before, after; /* JSON */
    int32_t partitions;
    const struct schema_ids *ids;
};

/** The record under that number, by the user who runs this. In the arena.
 *  Errors  ERR_REJECT: a text that no event can hold */
enum err_kind acted_record(struct journal_record *out, const struct acted *acted, uint64_t number,
                           struct arena *arena, struct err *err);

/** The highest number that the topic has of a part; 0: none. For a part whose database was lost. */
enum err_kind acted_last_number(uint64_t *out, int64_t *offset, const char *brokers,
                                const char *part, int32_t partitions, struct err *err);

#endif
