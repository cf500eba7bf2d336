/* Whether a part's database is older than the topic the part writes. */
#ifndef TRADEWIND_RUNTIME_OWN_TOPIC_H
#define TRADEWIND_RUNTIME_OWN_TOPIC_H

#include "runtime/store.h"

/**
 * Compare the numbers at the ends of a topic with those the store has given out. A database that
 * was restored or lost would give them out again, and would first react again to all it had reacted
 * to: so this is asked before any input flows.
 *
 * Errors  ERR_STOP: the database is older
 *         ERR_RETRY: broker or store do not answer
 */
enum err_kind own_topic_check(const char *brokers, const char *topic, const char *source,
                              int32_t partitions, struct store *store, struct err *err);

#endif
