/* How far each consumer group is behind the ends of the topics it reads, by the offsets it has
 * committed. */
#ifndef TRADEWIND_OPS_LAG_H
#define TRADEWIND_OPS_LAG_H

#include "runtime/cleanup.h"
#include "runtime/err.h"

#include <stddef.h>
#include <stdint.h>

struct lag;

/** For all parts that read topics. gives *out (lag_close). Errors  ERR_STOP: the brokers' address
 * makes no sense */
enum err_kind lag_open(struct lag **out, const char *brokers, int32_t partitions, struct err *err);
void lag_close(struct lag *lag);
CLEANUP(lag_close, struct lag *)

/**
 * Records between what each part has committed and the ends: one number for each row of ops_parts,
 * -1 for a part that reads nothing. A group that never committed lags by all there is. Errors
 * ERR_RETRY: no broker answers
 */
enum err_kind lag_read(struct lag *lag, int64_t *records, struct err *err);

#endif
