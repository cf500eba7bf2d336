/* What the parts' databases say, put beside the world of an audit. Read only, page by page: no
 * statement is long, so nothing in a live database waits for us. */
#ifndef TRADEWIND_OPS_AUDIT_STORES_H
#define TRADEWIND_OPS_AUDIT_STORES_H

#include "ops/audit.h"

/**
 * Read the databases of all parts, the provider's book among them. A store that is not set or does
 * not answer is left out: the audit's checks then say so.
 */
void audit_stores_read(struct audit *audit);

/** Only the last numbers, once more, after the topics are read. */
void audit_stores_read_numbers_after(struct audit *audit);

#endif
