#include "ops/provider/desk.h"

#include "ops/provider/behaviour.h"
#include "ops/provider/book_store.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define BATCH_MAX 512
#define RECONNECT_MS 500

struct desk {
    const struct sandbox *sandbox;
    struct book_store *store;
    pthread_t thread;
    pthread_mutex_t lock; /* over the two below */
    pthread_cond_t wake;
    struct job *inbox;
    bool stopping;
    atomic_bool is_ready;

    /* The thread's own. */
    struct arena arena;  /* of a batch */
    struct job *delayed; /* sorted by due_ms */
};

static struct metric requests =
    METRIC(METRIC_COUNTER, "provider_requests_total", "requests that reached the desk");
static struct metric batches =
    METRIC(METRIC_COUNTER, "provider_batches_total", "commits of the book");
static struct metric violations = METRIC(METRIC_COUNTER, "provider_violations_total",
                                         "attempts to take or give too much, or twice");

/* --- Answers ---------------------------------------------------------------------------------- */

static void set_problem(struct job *job, int status, const char *type, struct view detail)
{
    job->status = status;
    job->problem = type;
    job->detail =
        arena_view(http_arena(job->request), detail); /* it may wait longer than the batch */
}

static const char *id_prefix(enum operation_kind kind)
{
    static const char *const prefixes[OPERATION_KIND_COUNT] = {
        [OPERATION_AUTHORIZE] = "auth",
        [OPERATION_CAPTURE] = "cap",
        [OPERATION_VOID] = "void",
        [OPERATION_REFUND] = "ref",
    };

    return prefixes[kind];
}

static const char *status_word(const struct booked *booked)
{
    static const char *const done[OPERATION_KIND_COUNT] = {
        [OPERATION_AUTHORIZE] = "authorized",
        [OPERATION_CAPTURE] = "captured",
        [OPERATION_VOID] = "voided",
        [OPERATION_REFUND] = "refunded",
    };

    if (booked->verdict.outcome == OUTCOME_DONE)
        return done[booked->operation.kind];
    return booked->operation.kind == OPERATION_AUTHORIZE ? "declined" : "failed";
}

/* What the book holds under the key, first time or not. */
static void set_answer(struct job *job, const struct booked *booked)
{
    struct json_writer writer = {.out = &job->body};
    char id[40];

    if (booked->verdict.outcome == OUTCOME_VIOLATION) {
        set_problem(job, 409, "violation", booked->verdict.code);
        return;
    }
    snprintf(id, sizeof id, "%s_%" PRId64, id_prefix(booked->operation.kind), booked->number);
    job->status = booked->verdict.outcome == OUTCOME_DONE ? 201 : 402;
    json_object_start(&writer);
    json_member_str(&writer, "id", id);
    json_member_str(&writer, "status", status_word(booked));
    if (booked->operation.kind != OPERATION_VOID) {
        json_member_int64(&writer, "amount_minor", booked->operation.amount_minor);
        json_member_text(&writer, "currency", booked->operation.currency);
    }
    if (booked->verdict.outcome == OUTCOME_DECLINED)
        json_member_text(&writer, "code", booked->verdict.code);
    json_object_end(&writer);
}

/* The job is gone with its request. */
static void send_answer(struct job *job)
{
    struct buf body = job->body;

    if (job->problem != NULL)
        http_problem(job->request, job->status, job->problem, VIEW_NONE, "%.*s",
                     VIEW_PRINT(job->detail));
    else
        http_reply(job->request, job->status, NULL, buf_view(&body));
    buf_clear(&body);
}

static void send_due(struct desk *desk)
{
    int64_t now_ms = clock_monotonic_ms();

    while (desk->delayed != NULL && desk->delayed->due_ms <= now_ms) {
        struct job *job = desk->delayed;

        DL_DELETE(desk->delayed, job);
        send_answer(job);
    }
}

/* Most delays are the same, so most jobs go to the end. */
static void send_later(struct desk *desk, struct job *job, int64_t delay_ms)
{
    struct job *before = desk->delayed != NULL ? desk->delayed->prev : NULL; /* the last */

    job->due_ms = clock_monotonic_ms() + delay_ms;
    while (before != NULL && before->due_ms > job->due_ms)
        before = before != desk->delayed ? before->prev : NULL;
    DL_APPEND_ELEM(desk->delayed, before, job);
}

/* --- A batch ---------------------------------------------------------------------------------- */

static int compare_booked(const void *a, const void *b)
{
    return view_compare(((const struct booked *)a)->key, ((const struct booked *)b)->key);
}

static int compare_authorization(const void *a, const void *b)
{
    int64_t left = ((const struct authorization *)a)->number;
    int64_t right = ((const struct authorization *)b)->number;

    return (left > right) - (left < right);
}

/* The keys and authorizations that the jobs are about, sorted, each once. */
static void batch_of(struct batch *batch, struct arena *arena, struct job *const *jobs,
                     size_t count)
{
    size_t kept;

    *batch = (struct batch){
        .arena = arena,
        .operations = arena_array(arena, count, sizeof *batch->operations),
        .authorizations = arena_array(arena, count, sizeof *batch->authorizations),
        .opened = arena_array(arena, count, sizeof *batch->opened),
    };
    for (size_t i = 0; i < count; i++) {
        batch->operations[batch->operation_count++].key = jobs[i]->key;
        if (jobs[i]->number > 0)
            batch->authorizations[batch->authorization_count++].number = jobs[i]->number;
    }
    qsort(batch->operations, batch->operation_count, sizeof *batch->operations, compare_booked);
    qsort(batch->authorizations, batch->authorization_count, sizeof *batch->authorizations,
          compare_authorization);
    kept = 0;
    for (size_t i = 0; i < batch->operation_count; i++)
        if (i == 0 || !view_equal(batch->operations[kept - 1].key, batch->operations[i].key))
            batch->operations[kept++] = batch->operations[i];
    batch->operation_count = kept;
    kept = 0;
    for (size_t i = 0; i < batch->authorization_count; i++)
        if (i == 0 || batch->authorizations[kept - 1].number != batch->authorizations[i].number)
            batch->authorizations[kept++] = batch->authorizations[i];
    batch->authorization_count = kept;
}

/* The authorization that the job is about: a new one, or the one it names; NULL: there is none. */
static struct authorization *authorization_of(struct batch *batch, const struct job *job,
                                              int64_t next_number)
{
    struct authorization *authorization;

    if (job->operation.kind == OPERATION_AUTHORIZE) {
        authorization = &batch->opened[batch->opened_count];
        *authorization = (struct authorization){
            .number = next_number + (int64_t)batch->opened_count,
            .merchant_ref = job->merchant_ref,
            .payment_token = job->payment_token,
            .currency = job->operation.currency,
            .amount_minor = job->operation.amount_minor,
        };
        batch->opened_count++;
        return authorization;
    }
    authorization = batch_authorization(batch, job->number);
    return authorization->status != AUTHORIZATION_NONE ? authorization : NULL;
}

static void book_one(struct batch *batch, struct job *job, int64_t next_number)
{
    struct booked *booked = batch_operation(batch, job->key);
    struct authorization *authorization;

    if (booked->is_known && !view_equal(booked->request, job->text)) {
        set_problem(job, 422, "idempotency-key-reused", booked->request);
        return;
    }
    if (!booked->is_known) {
        authorization = authorization_of(batch, job, next_number);
        if (authorization == NULL) {
            set_problem(job, 404, "unknown-authorization", job->text);
            return;
        }
        booked->is_known = true;
        booked->request = job->text;
        booked->operation = job->operation;
        booked->number = authorization->number;
        booked->verdict = book_apply(authorization, &job->operation);
        if (booked->verdict.outcome == OUTCOME_VIOLATION)
            metric_add(&violations, 1);
    }
    booked->is_changed = true;
    booked->asked++;
    set_answer(job, booked);
}

static struct view token_of(const struct batch *batch, const struct job *job)
{
    return job->operation.kind == OPERATION_AUTHORIZE
               ? job->payment_token
               : batch_authorization(batch, job->number)->payment_token;
}

static int64_t delay_of(const struct desk *desk, const struct batch *batch, const struct job *job)
{
    const struct sandbox *sandbox = desk->sandbox;
    struct behaviour behaviour = behaviour_of(token_of(batch, job));
    int32_t asked = batch_operation(batch, job->key)->asked;
    bool is_lost = asked > 0 && asked <= behaviour.lost_answers;

    return sandbox->latency_ms + (behaviour.is_slow ? sandbox->slow_ms : 0) +
           (is_lost ? sandbox->lost_ms : 0);
}

static enum err_kind book(struct desk *desk, struct batch *batch, struct job *const *jobs,
                          size_t count, struct err *err)
{
    int64_t next_number = 0;
    enum err_kind kind = book_store_ready(desk->store, &next_number, err);

    if (kind == ERR_OK)
        kind = book_store_load(desk->store, batch, err);
    if (kind != ERR_OK)
        return kind;
    for (size_t i = 0; i < count; i++)
        book_one(batch, jobs[i], next_number);
    return book_store_save(desk->store, batch, err);
}

/* Answer, with the delays that the book's words ask for. An answered request takes its texts along,
 * and the batch points into them: all delays are known before the first answer goes out. */
static void answer_booked(struct desk *desk, const struct batch *batch, struct job *const *jobs,
                          size_t count)
{
    int64_t *delays_ms = arena_array(&desk->arena, count, sizeof *delays_ms);

    for (size_t i = 0; i < count; i++)
        delays_ms[i] = delay_of(desk, batch, jobs[i]);
    for (size_t i = 0; i < count; i++) {
        if (delays_ms[i] > 0)
            send_later(desk, jobs[i], delays_ms[i]);
        else
            send_answer(jobs[i]);
    }
}

static void refuse(struct job *const *jobs, size_t count, const struct err *err)
{
    LOG_WARN("book_closed", "a batch could not be booked: its requests are answered 503",
             log_int("requests", (int64_t)count), log_err(err));
    for (size_t i = 0; i < count; i++) {
        set_problem(jobs[i], 503, "book-closed", view_str(err->text));
        send_answer(jobs[i]);
    }
}

static void do_batch(struct desk *desk, struct job *const *jobs, size_t count)
{
    struct batch batch;
    struct err err = {0};

    arena_reset(&desk->arena);
    batch_of(&batch, &desk->arena, jobs, count);
    metric_add(&requests, (int64_t)count);
    if (book(desk, &batch, jobs, count, &err) != ERR_OK) {
        refuse(jobs, count, &err);
        return;
    }
    metric_add(&batches, 1);
    answer_booked(desk, &batch, jobs, count);
}

/* --- The thread ------------------------------------------------------------------------------- */

/* With the lock held: until woken, or the moment has come. */
static void wait_until(struct desk *desk, int64_t moment_ms)
{
    struct timespec until = {.tv_sec = moment_ms / 1000, .tv_nsec = moment_ms % 1000 * 1000000};

    pthread_cond_timedwait(&desk->wake, &desk->lock, &until);
}

/* Up to BATCH_MAX jobs; waits for them, but not beyond the next delayed answer. */
static size_t take_jobs(struct desk *desk, struct job **jobs, bool *stopping)
{
    size_t count = 0;

    pthread_mutex_lock(&desk->lock);
    if (desk->inbox == NULL && !desk->stopping) {
        if (desk->delayed == NULL)
            pthread_cond_wait(&desk->wake, &desk->lock);
        else
            wait_until(desk, desk->delayed->due_ms);
    }
    while (desk->inbox != NULL && count < BATCH_MAX) {
        jobs[count] = desk->inbox;
        DL_DELETE(desk->inbox, jobs[count]);
        count++;
    }
    *stopping = desk->stopping;
    pthread_mutex_unlock(&desk->lock);
    return count;
}

/* Before the first request, so that it finds the book open. false: stopping. */
static bool open_book(struct desk *desk)
{
    struct err err;
    int64_t next_number;
    bool stopping = false;

    while (!stopping && book_store_ready(desk->store, &next_number, &err) != ERR_OK) {
        LOG_WARN("book_waits", "the book cannot be opened: trying again", log_err(&err));
        pthread_mutex_lock(&desk->lock);
        if (!desk->stopping)
            wait_until(desk, clock_monotonic_ms() + RECONNECT_MS);
        stopping = desk->stopping;
        pthread_mutex_unlock(&desk->lock);
    }
    atomic_store(&desk->is_ready, !stopping);
    return !stopping;
}

static void *run(void *context)
{
    struct desk *desk = context;
    struct job *jobs[BATCH_MAX];
    bool stopping = !open_book(desk);

    while (!stopping) {
        size_t count = take_jobs(desk, jobs, &stopping);

        if (count > 0)
            do_batch(desk, jobs, count);
        send_due(desk);
    }
    return NULL;
}

struct desk *desk_new(const char *conninfo, const struct sandbox *sandbox)
{
    struct desk *desk = mem_alloc(sizeof *desk);
    pthread_condattr_t monotonic;

    desk->sandbox = sandbox;
    desk->store = book_store_new(conninfo);
    pthread_mutex_init(&desk->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&desk->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    metric_register(&requests);
    metric_register(&batches);
    metric_register(&violations);
    pthread_create(&desk->thread, NULL, run, desk);
    return desk;
}

/* Whoever holds a request answers it, also when nobody listens any more. */
static void answer_late(struct job *jobs)
{
    struct job *job, *next;

    DL_FOREACH_SAFE(jobs, job, next)
    {
        if (job->status == 0)
            set_problem(job, 503, "stopping", VIEW_LITERAL("the provider stops"));
        send_answer(job);
    }
}

void desk_free(struct desk *desk)
{
    pthread_mutex_lock(&desk->lock);
    desk->stopping = true;
    pthread_cond_signal(&desk->wake);
    pthread_mutex_unlock(&desk->lock);
    pthread_join(desk->thread, NULL);
    answer_late(desk->inbox);
    answer_late(desk->delayed);
    book_store_close(desk->store);
    arena_clear(&desk->arena);
    pthread_cond_destroy(&desk->wake);
    pthread_mutex_destroy(&desk->lock);
    free(desk);
}

void desk_submit(struct desk *desk, struct job *job)
{
    pthread_mutex_lock(&desk->lock);
    DL_APPEND(desk->inbox, job);
    pthread_cond_signal(&desk->wake);
    pthread_mutex_unlock(&desk->lock);
}

bool desk_is_ready(struct desk *desk)
{
    return atomic_load(&desk->is_ready);
}
