/* Keeps the client library fetching ahead. Version 2.0 stands still for up to a second when its
 * queue is full, whatever is taken out of it meanwhile, until something is asked of the broker: so
 * something is. The answer is waited for in a thread of its own, while records are read. */
#ifndef TRADEWIND_REPLAY_FETCH_WAKER_H
#define TRADEWIND_REPLAY_FETCH_WAKER_H

#include "runtime/kafka.h"

#include <pthread.h>

struct fetch_waker {
    rd_kafka_t *client;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    bool runs, ends;
    const char *topic; /* whose broker is to be woken; NULL: none */
    int32_t partition;
};

/** Not moved afterwards. */
void fetch_waker_init(struct fetch_waker *waker, rd_kafka_t *client);
/** There is room in the queue for records of this partition. Keeps topic. */
void fetch_waker_wake(struct fetch_waker *waker, const char *topic, int32_t partition);
/** Before the client is closed. */
void fetch_waker_clear(struct fetch_waker *waker);

#endif
