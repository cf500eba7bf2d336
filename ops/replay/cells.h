/* Rows of a part's folded tables cell by cell, as text: what a comparison names when rows differ,
 * and what is asked which event gave a field its value. */
#ifndef TRADEWIND_REPLAY_CELLS_H
#define TRADEWIND_REPLAY_CELLS_H

#include "ops/replay/key_events.h"

struct cell {
    const struct fold_table *table;
    const char *row; /* "order_id=01J... number=5" */
    const char *column;
    const char *value;             /* NULL: SQL null */
    struct view key;               /* of the records that it comes from */
    const struct key_event *event; /* that gave it its value; NULL: not known */
};

struct cells {
    struct cell *list; /* sorted by table, row, column */
    size_t count;
};

/* The statements of one table, made once. */
struct cell_statements {
    struct pg_statement by_key;
};

struct cell_reader {
    const struct fold *fold;
    struct cell_statements *statements; /* one a table */
    struct pg_column keys;
    struct arena arena;
};

void cell_reader_init(struct cell_reader *reader, const struct fold *fold);
void cell_reader_clear(struct cell_reader *reader);

/** The rows that come from records of these keys, in whatever schema the session looks at. */
enum err_kind cells_read(struct cells *out, struct cell_reader *reader, struct pg *pg,
                         const struct view *keys, size_t key_count, struct arena *arena,
                         struct err *err);

const struct cell *cells_find(const struct cells *cells, const struct fold_table *table,
                              const char *row, const char *column);

#endif
