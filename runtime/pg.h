/* PostgreSQL through libpq in pipeline mode: statements are queued, sent together, answered in
 * order.
 *
 * A session is for one thread and waits. Statements are static and prepared at their first use.
 * Parameters and results are binary. Rows for many keys go as arrays: one statement a batch,
 * `insert ... select unnest($1::text[]), unnest($2::bigint[])`. That hands on row by row;
 * `select * from unnest($1::text[], $2::bigint[])` is for joins: it first collects all columns.
 *
 *     pg_queue(pg, &LOCK, &args);  pg_queue(pg, &READ, &args);
 *     pg_sync(pg);
 *     pg_next(pg, &rows, err);  pg_next(pg, &rows, err);   in the order of queueing
 *     pg_finish(pg, err);                                  what is left, and the session is idle
 *
 * The first error of a flight is what every later pg_next of it answers.
 * Errors  ERR_RETRY: connection, lock, timeout, shutdown, deadlock (open a new session when
 * pg_is_lost); ERR_REJECT: the data cannot be stored (SQLSTATE 22, 23); ERR_STOP: our mistake (a
 * syntax error ...) */
#ifndef TRADEWIND_RUNTIME_PG_H
#define TRADEWIND_RUNTIME_PG_H

#include "runtime/bytes.h"
#include "runtime/err.h"

struct pg;
struct pg_result; /* PGresult */

struct pg_statement {
    const char *name; /* unique in the program */
    const char *sql;
};

/* One array parameter, or one column of many rows. Zeroed is not started. */
struct pg_column {
    struct buf bytes;
    int32_t count;
};

enum pg_element {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
};

/** Start (again) an array of element; memory is kept from the last use. */
void pg_column_start(struct pg_column *column, enum pg_element element);
void pg_column_clear(struct pg_column *column);
CLEANUP_IN_PLACE(pg_column_clear, struct pg_column)
void pg_column_bool(struct pg_column *column, bool value);
void pg_column_int2(struct pg_column *column, int16_t value);
void pg_column_int4(struct pg_column *column, int32_t value);
void pg_column_int8(struct pg_column *column, int64_t value);
void pg_column_bytes(struct pg_column *column,
                     struct view value); /* text or bytea; VIEW_NONE is NULL */
void pg_column_null(struct pg_column *column);

/* The parameters $1, $2, ... of one statement. Borrows texts, bytes and columns until pg_queue. */
#define PG_ARGS_MAX 32
struct pg_args {
    int count;
    const char *values[PG_ARGS_MAX];
    int lengths[PG_ARGS_MAX];
    char scratch[PG_ARGS_MAX][8];
};

void pg_arg_bool(struct pg_args *args, bool value);
void pg_arg_int2(struct pg_args *args, int16_t value);
void pg_arg_int4(struct pg_args *args, int32_t value);
void pg_arg_int8(struct pg_args *args, int64_t value);
void pg_arg_bytes(struct pg_args *args, struct view value); /* text or bytea; VIEW_NONE is NULL */
void pg_arg_str(struct pg_args *args, const char *text);    /* NULL is NULL */
void pg_arg_column(struct pg_args *args, struct pg_column *column);

/**
 * Connect, with timeouts that keep a stopped process from blocking the others
 * (idle_in_transaction_session_timeout 2 s, lock_timeout 5 s, statement_timeout 30 s).
 * gives *out: pg_close. application names the session in pg_stat_activity.
 */
enum err_kind pg_open(struct pg **out, const char *conninfo, const char *application,
                      struct err *err);
void pg_close(struct pg *pg);
CLEANUP(pg_close, struct pg *)
bool pg_is_lost(const struct pg *pg); /* the connection is gone: close and open */
/** The connection counts as lost when an answer is due and nothing comes for so long: 40 s, until
 * this says otherwise, which who gives statements more than their 30 s has to. */
void pg_wait_at_most(struct pg *pg, int silence_ms);

void pg_queue(struct pg *pg, const struct pg_statement *statement, const struct pg_args *args);
void pg_sync(struct pg *pg);

/* Rows are a view: good until the next pg_next, pg_finish or pg_close. */
struct pg_rows {
    const struct pg_result *result;
    int count;
    int64_t affected; /* rows inserted, updated or deleted */
};

enum err_kind pg_next(struct pg *pg, struct pg_rows *rows, struct err *err);
/** Drop the answers that are left of this flight; answers its first error. */
enum err_kind pg_finish(struct pg *pg, struct err *err);
/**
 * pg_finish for a flight whose last statement is `commit`: ERR_OK only when its tag is COMMIT (a
 * failed transaction answers ROLLBACK without an error). ERR_RETRY: not stored, or nobody knows.
 */
enum err_kind pg_finish_commit(struct pg *pg, struct err *err);

bool pg_null(const struct pg_rows *rows, int row, int column);
bool pg_bool(const struct pg_rows *rows, int row, int column);
int64_t pg_int(const struct pg_rows *rows, int row, int column); /* int2, int4 or int8; NULL is 0 */
struct view pg_bytes(const struct pg_rows *rows, int row,
                     int column); /* text or bytea; NULL is VIEW_NONE */
const char *pg_text(const struct pg_rows *rows, int row, int column); /* C string; NULL is "" */

/** One statement in a flight of its own; rows (may be NULL) stay good until the next call. */
enum err_kind pg_run(struct pg *pg, const struct pg_statement *statement,
                     const struct pg_args *args, struct pg_rows *rows, struct err *err);
/** One statement with a text made at run time and no parameters (DDL, transaction ends). */
enum err_kind pg_script(struct pg *pg, const char *sql, struct err *err);
/** Whether the server answers within answer_ms. After an error the session is of no use: close it.
 */
enum err_kind pg_ping(struct pg *pg, int answer_ms, struct err *err);
/** Roll back whatever is open; a lost session stays lost. */
void pg_rollback(struct pg *pg);

/* A script that is run once per database, in the order of the table; its text never changes. */
struct pg_migration {
    const char *name; /* runtime/001_delivery */
    const char *sql;
};

/** Run those that this database has not seen, under an advisory lock, each in its own transaction.
 *  Errors  ERR_STOP: a script failed, or one that was run has another text now */
enum err_kind pg_migrate(struct pg *pg, const struct pg_migration *migrations, size_t count,
                         struct err *err);

#endif
