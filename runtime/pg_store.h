/* The store of a part that keeps its state in PostgreSQL (runtime/store.h).
 *
 * Two sessions: the worker's, which the part's own statements share, and the relay's. */
#ifndef TRADEWIND_RUNTIME_PG_STORE_H
#define TRADEWIND_RUNTIME_PG_STORE_H

#include "runtime/pg.h"
#include "runtime/store.h"

/* A partition of the journal spans this long: so much longer than journal_s what was published may
 * stay. */
#define PG_JOURNAL_SPAN_S 600

/**
 * Open the sessions (waits for nothing: ERR_RETRY when the server is not there), run the delivery
 * migrations and then the part's own.
 *
 * journal_s  how long what was published stays in the journal
 */
enum err_kind pg_store_open(struct store *out, const char *conninfo, const char *application,
                            int32_t partitions, int64_t journal_s,
                            const struct pg_migration *migrations, size_t migration_count,
                            struct err *err);

#endif
