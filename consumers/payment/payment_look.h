/* Looking through owed_calls for what this instance has to call: when it takes a shard over, when
 * memory had no room for all of a shard's calls, and every now and then, so that a call that was
 * stored but slipped out of memory (nobody knew how its commit ended) is made all the same.
 * Worker only. */
#ifndef TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_LOOK_H
#define TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_LOOK_H

#include "consumers/payment/payment_calls.h"
#include "events/part.h"

struct payment_look;

struct payment_look *payment_look_new(struct host *host, struct payment_calls *calls,
                                      int command_kind);
void payment_look_free(struct payment_look *look);

/** The shard is ours: look at it soon. Or no longer: leave it. */
void payment_look_take(struct payment_look *look, int32_t shard);
void payment_look_leave(struct payment_look *look, int32_t shard);
/** Calls of the shard are in the table and not in memory: a new one must wait behind them. */
bool payment_look_is_behind(const struct payment_look *look, int32_t shard);
/** A call of the shard was left to the table: look as soon as there is room for it. */
void payment_look_left(struct payment_look *look, int32_t shard);

/** Ask the worker to look at the shard that is due, by a command of the kind. One at a time. */
void payment_look_tick(struct payment_look *look, int64_t now_ms);

/* The command's way through its unit. */
void payment_look_load(struct unit *unit, struct command *command);
enum err_kind payment_look_loaded(struct unit *unit, struct command *command, struct err *err);
void payment_look_committed(struct command *command);

#endif
