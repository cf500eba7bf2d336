/* The record that lies just before a position: who comes back with the position later finds it
 * there, or the topics are others than those it was taken from. */
#ifndef TRADEWIND_REPLAY_LOG_WITNESS_H
#define TRADEWIND_REPLAY_LOG_WITNESS_H

#include "ops/replay/log_reader.h"

struct log_witness {
    char hex[65]; /* SHA-256 of key, headers and value; empty: nothing lies before it */
};

/** Of each of the reader's places, in their order. ERR_RETRY: the broker does not answer. */
enum err_kind log_witness_read(struct log_witness *out, struct log_reader *reader, struct err *err);

/**
 * Whether the topics can be read on from the reader's places.
 * Errors  ERR_REJECT: what lies behind a place is not in the topic any more, the topic ends before
 *         it, or another record lies there
 */
enum err_kind log_witness_check(const struct log_witness *wanted, struct log_reader *reader,
                                struct err *err);

#endif
