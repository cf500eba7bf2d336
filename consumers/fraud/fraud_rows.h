/* The rows that fraud keeps, for the part, which adds them as it decides, and for its fold. */
#ifndef TRADEWIND_FRAUD_ROWS_H
#define TRADEWIND_FRAUD_ROWS_H

#include "events/events_generated.h"
#include "events/fold.h"

/* Those that both write alike; then those of the fold alone, which has not seen what was before. */
enum fraud_rows {
    FRAUD_ROWS_VERDICTS,
    FRAUD_ROWS_TOMBSTONES,
    FRAUD_ROWS_ORDERS,
    FRAUD_ROWS_REMINDED,
    FRAUD_ROWS_DROP,
    FRAUD_ROWS_COUNT,
};

extern const struct fold_write fraud_writes[FRAUD_ROWS_COUNT];

/** One row more of FRAUD_ROWS_VERDICTS. */
void fraud_rows_add_verdict(struct pg_column *columns, struct view order_id, bool flagged,
                            int32_t score);
/** One row more of FRAUD_ROWS_ORDERS or FRAUD_ROWS_REMINDED. */
void fraud_rows_add_order(struct pg_column *columns, const struct order_created *created,
                          struct view order_id);

#endif
