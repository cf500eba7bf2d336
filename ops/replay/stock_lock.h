/* One operator at a time replays inventory: who holds the lock says so in the shadow's database,
 * for some seconds, again and again. One that was killed is forgotten after those seconds. (Nothing
 * depends on it but order: what counts is the ledger, and its numbers fence.) */
#ifndef TRADEWIND_REPLAY_STOCK_LOCK_H
#define TRADEWIND_REPLAY_STOCK_LOCK_H

#include "runtime/mongo.h"

struct stock_lock {
    struct mongo *mongo; /* NULL: not held */
    uint64_t number;     /* of our last document */
    int64_t said_ms;     /* monotonic */
    char who[80];
};

/** mongo must outlive the lock. Errors  ERR_REJECT: somebody else has it, and who */
enum err_kind stock_lock_take(struct stock_lock *lock, struct mongo *mongo, struct err *err);
/** Say it again when it is time. Errors  ERR_REJECT: somebody else has it now */
enum err_kind stock_lock_keep(struct stock_lock *lock, struct err *err);
void stock_lock_release(struct stock_lock *lock);

#endif
