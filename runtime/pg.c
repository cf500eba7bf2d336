#include "runtime/pg.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <libpq-fe.h>
#include <sodium.h>

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* What a session sets: a process that is stopped inside a transaction must not hold its locks for
 * long, nor may anybody wait for ever (docs/decisions).
 *
 * Our statements look up keys in tables that grow from nothing. Planned once while the tables are
 * empty, they would read them whole for as long as the plan is kept; so plans that look at every
 * row where an index would do are out, and a plan is made once. */
#define SESSION_SETTINGS                                                                           \
    "set idle_in_transaction_session_timeout = '2s'; set lock_timeout = '5s'; "                    \
    "set statement_timeout = '30s'; set client_min_messages = 'warning'; "                         \
    "set plan_cache_mode = 'force_generic_plan'; set jit = off; "                                  \
    "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off"

/* A little longer than a statement may take. */
#define SILENCE_MS 40000
#define MIGRATION_SILENCE_MS 130000

#define PREPARED_MAX 128

struct pg {
    PGconn *connection;
    PGresult *result; /* what the last pg_next gave out a view of */
    const struct pg_statement *prepared[PREPARED_MAX];
    int prepared_count;
    int silence_ms; /* see pg_wait_at_most */
    bool in_flight; /* a pg_sync is not answered to its end */
    bool failed;    /* the flight has failed: error says how */
    struct err error;
    /* For each queued statement, in order: does its answer follow an answer to PREPARE? */
    bool *expects_prepare;
    size_t expected, expected_capacity, next_expected;
};

/* --- Parameters ----------------------------------------------------------------------------- */

/* The header of a binary array (array_recv): dimensions, has-null flag, element type, length, lower
 * bound. */
#define ARRAY_HEADER_BYTES 20

static void put_int4(char *at, int32_t value)
{
    uint32_t wire = htonl((uint32_t)value);

    memcpy(at, &wire, sizeof wire);
}

static void put_int8(char *at, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);

    memcpy(at, &wire, sizeof wire);
}

void pg_column_start(struct pg_column *column, enum pg_element element)
{
    char *header;

    buf_reset(&column->bytes);
    column->count = 0;
    header = buf_reserve(&column->bytes, ARRAY_HEADER_BYTES);
    put_int4(header, 1);
    put_int4(header + 4, 1);
    put_int4(header + 8, (int32_t)element);
    put_int4(header + 12, 0);
    put_int4(header + 16, 1);
    column->bytes.size = ARRAY_HEADER_BYTES;
}

void pg_column_clear(struct pg_column *column)
{
    buf_clear(&column->bytes);
    column->count = 0;
}

/* The place of a new element of size bytes (-1: NULL), its length already written. */
static char *column_element(struct pg_column *column, int32_t size)
{
    char *at;

    assert(column->bytes.size >= ARRAY_HEADER_BYTES);
    at = buf_reserve(&column->bytes, 4 + (size > 0 ? (size_t)size : 0));
    put_int4(at, size);
    column->bytes.size += 4 + (size > 0 ? (size_t)size : 0);
    column->count++;
    put_int4(column->bytes.data + 12, column->count);
    return at + 4;
}

void pg_column_bool(struct pg_column *column, bool value)
{
    *column_element(column, 1) = value ? 1 : 0;
}

void pg_column_int2(struct pg_column *column, int16_t value)
{
    char *at = column_element(column, 2);
    uint16_t wire = htons((uint16_t)value);

    memcpy(at, &wire, sizeof wire);
}

void pg_column_int4(struct pg_column *column, int32_t value)
{
    put_int4(column_element(column, 4), value);
}

void pg_column_int8(struct pg_column *column, int64_t value)
{
    put_int8(column_element(column, 8), value);
}

void pg_column_bytes(struct pg_column *column, struct view value)
{
    if (value.data == NULL) {
        pg_column_null(column);
        return;
    }
    char *at = column_element(column, (int32_t)value.size);
    if (value.size > 0)
        memcpy(at, value.data, value.size);
}

void pg_column_null(struct pg_column *column)
{
    column_element(column, -1);
}

static char *arg_scratch(struct pg_args *args, int size)
{
    int i = args->count++;

    assert(i < PG_ARGS_MAX);
    args->values[i] = args->scratch[i];
    args->lengths[i] = size;
    return args->scratch[i];
}

void pg_arg_bool(struct pg_args *args, bool value)
{
    *arg_scratch(args, 1) = value ? 1 : 0;
}

void pg_arg_int2(struct pg_args *args, int16_t value)
{
    uint16_t wire = htons((uint16_t)value);

    memcpy(arg_scratch(args, 2), &wire, sizeof wire);
}

void pg_arg_int4(struct pg_args *args, int32_t value)
{
    put_int4(arg_scratch(args, 4), value);
}

void pg_arg_int8(struct pg_args *args, int64_t value)
{
    put_int8(arg_scratch(args, 8), value);
}

void pg_arg_bytes(struct pg_args *args, struct view value)
{
    int i = args->count++;

    assert(i < PG_ARGS_MAX);
    args->values[i] = value.data;
    args->lengths[i] = (int)value.size;
}

void pg_arg_str(struct pg_args *args, const char *text)
{
    pg_arg_bytes(args, view_str(text));
}

void pg_arg_column(struct pg_args *args, struct pg_column *column)
{
    pg_arg_bytes(args, buf_view(&column->bytes));
}

/* --- Errors --------------------------------------------------------------------------------- */

static enum err_kind kind_of_sqlstate(const char *sqlstate)
{
    static const char *const retry[] = {
        "08",    /* connection */
        "25P03", /* idle_in_transaction_session_timeout */
        "40",    /* serialization, deadlock */
        "53",    /* resources */
        "55P03", /* lock_not_available */
        "57",    /* operator intervention, statement timeout, shutdown */
        "58",    /* system error */
    };

    if (sqlstate == NULL)
        return ERR_RETRY;
    for (size_t i = 0; i < sizeof retry / sizeof retry[0]; i++)
        if (strncmp(sqlstate, retry[i], strlen(retry[i])) == 0)
            return ERR_RETRY;
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0)
        return ERR_REJECT;
    return ERR_STOP;
}

static void strip_newlines(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    for (; *text != '\0'; text++)
        if (*text == '\n')
            *text = ' ';
}

/* Keep the first error of a flight. */
static enum err_kind flight_fails(struct pg *pg, enum err_kind kind, const char *what)
{
    if (!pg->failed) {
        pg->failed = true;
        err_set(&pg->error, kind, "postgresql: %s", what);
        strip_newlines(pg->error.text);
    }
    return pg->error.kind;
}

static enum err_kind flight_error(const struct pg *pg, struct err *err)
{
    return err_set(err, pg->error.kind, "%s", pg->error.text);
}

static void drop_result(struct pg *pg)
{
    PQclear(pg->result);
    pg->result = NULL;
}

/* --- Sessions ------------------------------------------------------------------------------- */

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

enum err_kind pg_open(struct pg **out, const char *conninfo, const char *application,
                      struct err *err)
{
    const char *keywords[] = {"dbname", "application_name", "connect_timeout", "client_encoding",
                              NULL};
    const char *values[] = {conninfo, application, "5", "UTF8", NULL};
    AUTO(pg_close) struct pg *pg = mem_alloc(sizeof *pg);

    pg->silence_ms = SILENCE_MS;
    pg->connection = PQconnectdbParams(keywords, values, 1);
    if (PQstatus(pg->connection) != CONNECTION_OK) {
        err_set(err, ERR_RETRY, "%s", PQerrorMessage(pg->connection));
        if (err != NULL)
            strip_newlines(err->text);
        return ERR_RETRY;
    }
    PQsetNoticeReceiver(pg->connection, ignore_notice, NULL);
    if (pg_script(pg, SESSION_SETTINGS, err) != ERR_OK)
        return ERR_RETRY;
    if (PQenterPipelineMode(pg->connection) != 1)
        return err_set(err, ERR_RETRY, "postgresql: no pipeline mode on this connection");
    *out = pg_close_keep(&pg);
    return ERR_OK;
}

void pg_close(struct pg *pg)
{
    if (pg == NULL)
        return;
    drop_result(pg);
    PQfinish(pg->connection);
    free(pg->expects_prepare);
    free(pg);
}

bool pg_is_lost(const struct pg *pg)
{
    return PQstatus(pg->connection) != CONNECTION_OK;
}

void pg_wait_at_most(struct pg *pg, int silence_ms)
{
    pg->silence_ms = silence_ms;
}

/* Until PQgetResult does not wait: an answer is there, or the connection is lost. False: nothing
 * came for so long, or not all of it until then (monotonic). */
static bool is_heard(const struct pg *pg, int silence_ms, int64_t until_ms)
{
    while (!pg_is_lost(pg) && PQisBusy(pg->connection)) {
        struct pollfd answer = {.fd = PQsocket(pg->connection), .events = POLLIN};
        int64_t left_ms = until_ms - clock_monotonic_ms();
        int ready =
            left_ms > 0 ? poll(&answer, 1, left_ms < silence_ms ? (int)left_ms : silence_ms) : 0;

        if (ready == 0)
            return false;
        if (ready > 0 && PQconsumeInput(pg->connection) != 1)
            return true;
    }
    return true;
}

/* PQgetResult, which would wait for ever: for a server that has gone without a word, and for one
 * that waits itself, because a flipped bit makes it take a TLS record for a longer one. */
static PGresult *next_result(struct pg *pg)
{
    if (!is_heard(pg, pg->silence_ms, INT64_MAX))
        shutdown(PQsocket(pg->connection), SHUT_RDWR); /* libpq finds the connection lost */
    return PQgetResult(pg->connection);
}

static bool is_prepared(const struct pg *pg, const struct pg_statement *statement)
{
    for (int i = 0; i < pg->prepared_count; i++)
        if (pg->prepared[i] == statement)
            return true;
    return false;
}

static void expect_answer(struct pg *pg, bool after_prepare)
{
    pg->expects_prepare = mem_room(pg->expects_prepare, pg->expected, &pg->expected_capacity,
                                   sizeof *pg->expects_prepare);
    pg->expects_prepare[pg->expected++] = after_prepare;
}

void pg_queue(struct pg *pg, const struct pg_statement *statement, const struct pg_args *args)
{
    static const struct pg_args none = {0};
    int formats[PG_ARGS_MAX];
    bool first = !is_prepared(pg, statement);

    assert(!pg->in_flight);
    if (args == NULL)
        args = &none;
    for (int i = 0; i < args->count; i++)
        formats[i] = 1;
    if (first) {
        assert(pg->prepared_count < PREPARED_MAX);
        if (PQsendPrepare(pg->connection, statement->name, statement->sql, 0, NULL) != 1)
            flight_fails(pg, ERR_RETRY, PQerrorMessage(pg->connection));
        pg->prepared[pg->prepared_count++] = statement;
    }
    if (PQsendQueryPrepared(pg->connection, statement->name, args->count, args->values,
                            args->lengths, formats, 1) != 1)
        flight_fails(pg, ERR_RETRY, PQerrorMessage(pg->connection));
    expect_answer(pg, first);
}

void pg_sync(struct pg *pg)
{
    if (PQpipelineSync(pg->connection) != 1)
        flight_fails(pg, ERR_RETRY, PQerrorMessage(pg->connection));
    pg->in_flight = true;
}

/* The next result of the flight that is not the NULL between two statements; NULL when it is lost.
 */
static PGresult *flight_result(struct pg *pg)
{
    PGresult *result = next_result(pg);

    if (result == NULL)
        result = next_result(pg);
    if (result == NULL)
        flight_fails(pg, ERR_RETRY, "the connection was lost before the answer");
    return result;
}

/* Takes one result: ERR_OK keeps it in pg->result. */
static enum err_kind take_result(struct pg *pg)
{
    drop_result(pg);
    pg->result = flight_result(pg);
    if (pg->result == NULL)
        return pg->error.kind;
    switch (PQresultStatus(pg->result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        return pg->failed ? pg->error.kind : ERR_OK;
    case PGRES_PIPELINE_ABORTED:
        return flight_fails(pg, ERR_RETRY, "an earlier statement of the flight failed");
    case PGRES_FATAL_ERROR:
        return flight_fails(pg, kind_of_sqlstate(PQresultErrorField(pg->result, PG_DIAG_SQLSTATE)),
                            PQresultErrorMessage(pg->result));
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_SYNC:
        break;
    }
    return flight_fails(pg, ERR_STOP, "an answer that no statement of ours asks for");
}

static void forget_prepared(struct pg *pg)
{
    /* Which of the flight's PREPAREs went through is not known: a new session is cheap. */
    if (pg->failed && pg->connection != NULL)
        for (size_t i = 0; i < pg->expected; i++)
            if (pg->expects_prepare[i]) {
                PQreset(pg->connection);
                if (PQstatus(pg->connection) == CONNECTION_OK) {
                    struct err ignored;

                    pg->prepared_count = 0;
                    pg_script(pg, SESSION_SETTINGS, &ignored);
                    PQenterPipelineMode(pg->connection);
                }
                return;
            }
}

enum err_kind pg_next(struct pg *pg, struct pg_rows *rows, struct err *err)
{
    bool after_prepare;

    assert(pg->in_flight && pg->next_expected < pg->expected);
    after_prepare = pg->expects_prepare[pg->next_expected++];
    if (pg_is_lost(pg))
        flight_fails(pg, ERR_RETRY, PQerrorMessage(pg->connection));
    if (pg->failed && pg_is_lost(pg))
        return flight_error(pg, err);
    if (after_prepare)
        take_result(pg);
    if (take_result(pg) != ERR_OK)
        return flight_error(pg, err);
    if (rows != NULL) {
        rows->result = (const struct pg_result *)pg->result;
        rows->count = PQntuples(pg->result);
        rows->affected = strtoll(PQcmdTuples(pg->result), NULL, 10); /* "" is none */
    }
    return ERR_OK;
}

enum err_kind pg_finish(struct pg *pg, struct err *err)
{
    enum err_kind kind;

    if (pg->in_flight) {
        while (!pg_is_lost(pg)) {
            PGresult *result = next_result(pg);
            ExecStatusType status;

            if (result == NULL) {
                result = next_result(pg);
                if (result == NULL)
                    break;
            }
            status = PQresultStatus(result);
            if (status == PGRES_FATAL_ERROR)
                flight_fails(pg, kind_of_sqlstate(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
                             PQresultErrorMessage(result));
            PQclear(result);
            if (status == PGRES_PIPELINE_SYNC)
                break;
        }
        if (pg_is_lost(pg))
            flight_fails(pg, ERR_RETRY, PQerrorMessage(pg->connection));
    }
    kind = pg->failed ? flight_error(pg, err) : ERR_OK;
    pg->in_flight = false;
    forget_prepared(pg);
    pg->failed = false;
    pg->expected = 0;
    pg->next_expected = 0;
    return kind;
}

enum err_kind pg_finish_commit(struct pg *pg, struct err *err)
{
    while (pg->next_expected < pg->expected)
        if (pg_next(pg, NULL, err) != ERR_OK)
            return pg_finish(pg, err);
    if (strcmp(PQcmdStatus(pg->result), "COMMIT") != 0)
        flight_fails(pg, ERR_RETRY, "the transaction was rolled back at its commit");
    return pg_finish(pg, err);
}

/* --- Results -------------------------------------------------------------------------------- */

static const PGresult *result_of(const struct pg_rows *rows)
{
    return (const PGresult *)rows->result;
}

bool pg_null(const struct pg_rows *rows, int row, int column)
{
    return PQgetisnull(result_of(rows), row, column) != 0;
}

bool pg_bool(const struct pg_rows *rows, int row, int column)
{
    return !pg_null(rows, row, column) && *PQgetvalue(result_of(rows), row, column) != 0;
}

int64_t pg_int(const struct pg_rows *rows, int row, int column)
{
    const char *value = PQgetvalue(result_of(rows), row, column);
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (PQgetlength(result_of(rows), row, column)) {
    case 2:
        memcpy(&two, value, sizeof two);
        return (int16_t)ntohs(two);
    case 4:
        memcpy(&four, value, sizeof four);
        return (int32_t)ntohl(four);
    case 8:
        memcpy(&eight, value, sizeof eight);
        return (int64_t)be64toh(eight);
    default:
        return 0;
    }
}

struct view pg_bytes(const struct pg_rows *rows, int row, int column)
{
    if (pg_null(rows, row, column))
        return VIEW_NONE;
    return view_of(PQgetvalue(result_of(rows), row, column),
                   (size_t)PQgetlength(result_of(rows), row, column));
}

const char *pg_text(const struct pg_rows *rows, int row, int column)
{
    return pg_null(rows, row, column) ? "" : PQgetvalue(result_of(rows), row, column);
}

/* --- In one call ---------------------------------------------------------------------------- */

enum err_kind pg_run(struct pg *pg, const struct pg_statement *statement,
                     const struct pg_args *args, struct pg_rows *rows, struct err *err)
{
    PGresult *kept;
    enum err_kind kind;

    pg_queue(pg, statement, args);
    pg_sync(pg);
    pg_next(pg, rows, err);
    kept = pg->result;
    pg->result = NULL;
    kind = pg_finish(pg, err);
    pg->result = kept;
    return kind;
}

/* PQexec: the last result, which is the first error when there is one. */
static PGresult *script_result(struct pg *pg, const char *sql)
{
    PGresult *last = NULL, *next;

    if (PQsendQuery(pg->connection, sql) != 1)
        return NULL;
    while ((next = next_result(pg)) != NULL) {
        PQclear(last);
        last = next;
    }
    return last;
}

enum err_kind pg_script(struct pg *pg, const char *sql, struct err *err)
{
    bool pipelined = PQpipelineStatus(pg->connection) != PQ_PIPELINE_OFF;
    enum err_kind kind = ERR_OK;
    PGresult *result;

    assert(!pg->in_flight);
    if (pipelined && PQexitPipelineMode(pg->connection) != 1)
        return err_set(err, ERR_RETRY, "%s", PQerrorMessage(pg->connection));
    result = script_result(pg, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

        kind =
            err_set(err, kind_of_sqlstate(sqlstate), "postgresql: %s",
                    result != NULL ? PQresultErrorMessage(result) : PQerrorMessage(pg->connection));
        if (err != NULL)
            strip_newlines(err->text);
    }
    PQclear(result);
    if (pipelined && !pg_is_lost(pg))
        PQenterPipelineMode(pg->connection);
    return kind;
}

static const struct pg_statement PING = {"ping", "select 1"};

enum err_kind pg_ping(struct pg *pg, int answer_ms, struct err *err)
{
    pg_queue(pg, &PING, NULL);
    pg_sync(pg);
    if (!is_heard(pg, answer_ms, clock_monotonic_ms() + answer_ms))
        return err_set(err, ERR_RETRY, "postgresql: no answer within %d ms", answer_ms);
    return pg_finish(pg, err);
}

void pg_rollback(struct pg *pg)
{
    struct err ignored;

    if (pg->in_flight || pg->expected > 0) {
        if (!pg->in_flight)
            pg_sync(pg);
        pg_finish(pg, &ignored);
    }
    if (!pg_is_lost(pg) && PQtransactionStatus(pg->connection) != PQTRANS_IDLE)
        pg_script(pg, "rollback", &ignored);
}

/* --- Migrations ----------------------------------------------------------------------------- */

static const struct pg_statement MIGRATION_READ = {"migration_read",
                                                   "select sha256 from migrations where name = $1"};

static const struct pg_statement MIGRATION_WRITE = {
    "migration_write", "insert into migrations (name, sha256) values ($1, $2)"};

static enum err_kind migrate_one(struct pg *pg, const struct pg_migration *migration,
                                 struct err *err)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct pg_args args = {0};
    struct pg_rows rows = {0};
    struct err why;

    crypto_hash_sha256(hash, (const unsigned char *)migration->sql, strlen(migration->sql));
    pg_arg_str(&args, migration->name);
    if (pg_run(pg, &MIGRATION_READ, &args, &rows, err) != ERR_OK)
        return err != NULL ? err->kind : ERR_RETRY;
    if (rows.count == 1) {
        if (view_equal(pg_bytes(&rows, 0, 0), view_of(hash, sizeof hash)))
            return ERR_OK;
        return err_set(err, ERR_STOP,
                       "migration %s: this database was made by another text of it; "
                       "a script that was run is never changed, write a new one",
                       migration->name);
    }
    if (pg_script(pg, "begin", err) != ERR_OK)
        return ERR_RETRY;
    if (pg_script(pg, migration->sql, &why) != ERR_OK) {
        pg_rollback(pg);
        return err_set(err, why.kind == ERR_RETRY ? ERR_RETRY : ERR_STOP, "migration %s: %s",
                       migration->name, why.text);
    }
    pg_arg_bytes(&args, view_of(hash, sizeof hash));
    if (pg_run(pg, &MIGRATION_WRITE, &args, NULL, err) != ERR_OK ||
        pg_script(pg, "commit", err) != ERR_OK) {
        pg_rollback(pg);
        return ERR_RETRY;
    }
    LOG_INFO("migrated", "the database has a new schema version",
             log_str("migration", migration->name));
    return ERR_OK;
}

enum err_kind pg_migrate(struct pg *pg, const struct pg_migration *migrations, size_t count,
                         struct err *err)
{
    /* Two instances that start at the same time: the second waits and then finds all done. */
    static const char lock[] =
        "set lock_timeout = '60s'; set statement_timeout = '120s';"
        "select pg_advisory_lock(7236283);"
        "create table if not exists migrations (name text primary key, sha256 bytea not null, "
        "applied_at timestamptz not null default now())";
    static const char unlock[] = "select pg_advisory_unlock(7236283);" SESSION_SETTINGS;
    enum err_kind kind;

    pg_wait_at_most(pg, MIGRATION_SILENCE_MS);
    kind = pg_script(pg, lock, err);
    for (size_t i = 0; i < count && kind == ERR_OK; i++)
        kind = migrate_one(pg, &migrations[i], err);
    if (!pg_is_lost(pg))
        pg_script(pg, unlock, NULL);
    pg_wait_at_most(pg, SILENCE_MS);
    return kind;
}
