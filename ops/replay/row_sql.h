/* SQL over a row of a folded table: its name, and the hash by which rows are compared. */
#ifndef TRADEWIND_REPLAY_ROW_SQL_H
#define TRADEWIND_REPLAY_ROW_SQL_H

#include "events/fold.h"

/** The primary key as text: "order_id=... number=...". In the arena. */
const char *row_name_sql(const struct fold_table *table, struct arena *arena);

/** hash_record_extended over all columns; a column with several ways to say the same is put in one
 * of them. In the arena. pg sees the table. */
enum err_kind row_hash_sql(const char **out, struct pg *pg, const struct fold_table *table,
                           struct arena *arena, struct err *err);

/** Rows of the whole table, and the sum of their hashes. */
enum err_kind row_sum(int64_t *rows, uint64_t *checksum, struct pg *pg,
                      const struct fold_table *table, struct arena *arena, struct err *err);

#endif
