#include "ops/provider/enquiry.h"

#include "runtime/pg.h"

#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

/* In the request's arena. */
struct asked {
    struct http_request *request;
    enum question question;
    struct asked *prev, *next;
};

struct enquiry {
    const char *conninfo;
    struct pg *pg;
    pthread_t thread;
    pthread_mutex_t lock; /* over the two below */
    pthread_cond_t wake;
    struct asked *waiting;
    bool stopping;
};

static const struct pg_statement sums = {
    "provider_sums",
    "select currency,"
    " coalesce(sum(amount_minor) filter (where status <> 'declined'), 0)::bigint as authorized,"
    " coalesce(sum(captured_minor), 0)::bigint,"
    " coalesce(sum(refunded_minor), 0)::bigint,"
    " coalesce(sum(amount_minor) filter (where status = 'voided'), 0)::bigint,"
    " coalesce(sum(amount_minor) filter (where status = 'authorized'), 0)::bigint"
    " from authorizations group by currency order by currency",
};

static const struct pg_statement counts = {
    "provider_counts",
    "select kind, outcome, count(*)::bigint, sum(asked)::bigint"
    " from operations group by kind, outcome order by kind, outcome",
};

static const struct pg_statement double_charges = {
    "provider_double_charges",
    "select merchant_ref, count(*)::bigint, sum(captured_minor)::bigint, min(currency)"
    " from authorizations where status in ('captured', 'refunded')"
    " group by merchant_ref having count(*) > 1 order by merchant_ref limit 100",
};

static const struct pg_statement violations = {
    "provider_violations_list",
    "select idempotency_key, request, code from operations where outcome = 'violation'"
    " order by booked_at limit 100",
};

static const struct pg_statement operations = {
    "provider_operations",
    "select o.idempotency_key, o.kind, o.outcome, o.code, o.amount_minor, o.currency, "
    "o.asked::bigint,"
    " (extract(epoch from o.booked_at) * 1000000)::bigint, a.number, a.status"
    " from authorizations a join operations o on o.authorization_number = a.number"
    " where a.merchant_ref = $1::text order by o.booked_at, o.idempotency_key limit 1000",
};

/* What a column of an answer is called, and whether it is a number. */
struct column {
    const char *name;
    enum { TEXT, NUMBER, TIME } kind;
};

/* The rows of a statement as an array of objects. */
static enum err_kind write_rows(struct json_writer *writer, const char *name, struct pg *pg,
                                const struct pg_statement *statement, const struct pg_args *args,
                                const struct column *columns, struct err *err)
{
    struct pg_rows rows;
    enum err_kind kind = pg_run(pg, statement, args, &rows, err);

    if (kind != ERR_OK)
        return kind;
    json_key(writer, name);
    json_array_start(writer);
    for (int row = 0; row < rows.count; row++) {
        json_object_start(writer);
        for (int i = 0; columns[i].name != NULL; i++) {
            if (columns[i].kind == TEXT)
                json_member_text(writer, columns[i].name, pg_bytes(&rows, row, i));
            else if (columns[i].kind == NUMBER)
                json_member_int64(writer, columns[i].name, pg_int(&rows, row, i));
            else
                json_member_time_us(writer, columns[i].name, pg_int(&rows, row, i));
        }
        json_object_end(writer);
    }
    json_array_end(writer);
    return ERR_OK;
}

static enum err_kind write_book(struct json_writer *writer, struct pg *pg, struct err *err)
{
    static const struct column sum_columns[] = {{"currency", TEXT},
                                                {"authorized_minor", NUMBER},
                                                {"captured_minor", NUMBER},
                                                {"refunded_minor", NUMBER},
                                                {"voided_minor", NUMBER},
                                                {"held_minor", NUMBER},
                                                {NULL, TEXT}};
    static const struct column count_columns[] = {
        {"kind", TEXT}, {"outcome", TEXT}, {"count", NUMBER}, {"asked", NUMBER}, {NULL, TEXT}};
    static const struct column double_columns[] = {{"merchant_ref", TEXT},
                                                   {"charges", NUMBER},
                                                   {"captured_minor", NUMBER},
                                                   {"currency", TEXT},
                                                   {NULL, TEXT}};
    static const struct column violation_columns[] = {
        {"idempotency_key", TEXT}, {"request", TEXT}, {"code", TEXT}, {NULL, TEXT}};
    enum err_kind kind = write_rows(writer, "currencies", pg, &sums, NULL, sum_columns, err);

    if (kind == ERR_OK)
        kind = write_rows(writer, "operations", pg, &counts, NULL, count_columns, err);
    if (kind == ERR_OK)
        kind = write_rows(writer, "double_charges", pg, &double_charges, NULL, double_columns, err);
    if (kind == ERR_OK)
        kind = write_rows(writer, "violations", pg, &violations, NULL, violation_columns, err);
    return kind;
}

static enum err_kind write_operations(struct json_writer *writer, struct pg *pg,
                                      struct view merchant_ref, struct err *err)
{
    static const struct column columns[] = {{"idempotency_key", TEXT},
                                            {"kind", TEXT},
                                            {"outcome", TEXT},
                                            {"code", TEXT},
                                            {"amount_minor", NUMBER},
                                            {"currency", TEXT},
                                            {"asked", NUMBER},
                                            {"booked_at", TIME},
                                            {"authorization_number", NUMBER},
                                            {"authorization_status", TEXT},
                                            {NULL, TEXT}};
    struct pg_args args = {0};

    pg_arg_bytes(&args, merchant_ref);
    return write_rows(writer, "operations", pg, &operations, &args, columns, err);
}

static enum err_kind write_answer(struct json_writer *writer, struct enquiry *enquiry,
                                  const struct asked *asked, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (enquiry->pg != NULL && pg_is_lost(enquiry->pg)) {
        pg_close(enquiry->pg);
        enquiry->pg = NULL;
    }
    if (enquiry->pg == NULL)
        kind = pg_open(&enquiry->pg, enquiry->conninfo, "provider-enquiry", err);
    if (kind != ERR_OK)
        return kind;
    json_object_start(writer);
    kind = asked->question == QUESTION_BOOK
               ? write_book(writer, enquiry->pg, err)
               : write_operations(writer, enquiry->pg,
                                  http_query_param(asked->request, "merchant_ref"), err);
    json_object_end(writer);
    return kind;
}

static void answer(struct enquiry *enquiry, struct asked *asked)
{
    AUTO(buf_clear) struct buf body = {0};
    struct json_writer writer = {.out = &body};
    struct err err;

    if (write_answer(&writer, enquiry, asked, &err) == ERR_OK)
        http_reply(asked->request, 200, NULL, buf_view(&body));
    else
        http_problem(asked->request, 503, "book-closed", VIEW_NONE, "%s", err.text);
}

static void *run(void *context)
{
    struct enquiry *enquiry = context;

    pthread_mutex_lock(&enquiry->lock);
    while (!enquiry->stopping) {
        struct asked *asked = enquiry->waiting;

        if (asked == NULL) {
            pthread_cond_wait(&enquiry->wake, &enquiry->lock);
            continue;
        }
        DL_DELETE(enquiry->waiting, asked);
        pthread_mutex_unlock(&enquiry->lock);
        answer(enquiry, asked);
        pthread_mutex_lock(&enquiry->lock);
    }
    pthread_mutex_unlock(&enquiry->lock);
    return NULL;
}

struct enquiry *enquiry_new(const char *conninfo)
{
    struct enquiry *enquiry = mem_alloc(sizeof *enquiry);

    enquiry->conninfo = conninfo;
    pthread_mutex_init(&enquiry->lock, NULL);
    pthread_cond_init(&enquiry->wake, NULL);
    pthread_create(&enquiry->thread, NULL, run, enquiry);
    return enquiry;
}

void enquiry_free(struct enquiry *enquiry)
{
    struct asked *asked, *next;

    pthread_mutex_lock(&enquiry->lock);
    enquiry->stopping = true;
    pthread_cond_signal(&enquiry->wake);
    pthread_mutex_unlock(&enquiry->lock);
    pthread_join(enquiry->thread, NULL);
    DL_FOREACH_SAFE(enquiry->waiting, asked, next)
    http_problem(asked->request, 503, "stopping", VIEW_NONE, "the provider stops");

    pg_close(enquiry->pg);
    pthread_cond_destroy(&enquiry->wake);
    pthread_mutex_destroy(&enquiry->lock);
    free(enquiry);
}

void enquiry_submit(struct enquiry *enquiry, struct http_request *request, enum question question)
{
    struct asked *asked = arena_alloc(http_arena(request), sizeof *asked);

    asked->request = request;
    asked->question = question;
    pthread_mutex_lock(&enquiry->lock);
    DL_APPEND(enquiry->waiting, asked);
    pthread_cond_signal(&enquiry->wake);
    pthread_mutex_unlock(&enquiry->lock);
}
