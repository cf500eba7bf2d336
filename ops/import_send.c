#include "ops/import_send.h"

#include "ops/import_bodies.h"
#include "runtime/clock.h"
#include "runtime/http_client.h"
#include "runtime/json.h"
#include "runtime/token.h"

#include <uthash.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARALLEL 64
#define ARRAY_MAX 500 /* products or receipts in one request */
#define CALL_TIMEOUT_MS 30000
#define NOBODY_MS 10000      /* no answer at all for so long: nobody is there */
#define PATIENCE_MS 300000   /* an outage or a queue behind the door may last so long */
#define AGAIN_MS 500         /* a request that was not answered */
#define LATER_MS 1000        /* asked to come back without saying when */
#define LOOK_MS 300          /* between looks at an order that is to be confirmed first */
#define LOOK_MAX_MS 1200000  /* longer than the deadline of an order */
#define PRICES_MAX_MS 120000 /* for the order service to hear of all products */
#define TOKEN_TTL_S 3600

enum job_kind { JOB_PRODUCTS, JOB_RECEIPTS, JOB_PRICES, JOB_ORDER, JOB_LOOK, JOB_CANCEL };

/* One request, made until it is answered for good. Belongs to the main thread, but for the time
 * that the client has it. */
struct job {
    enum job_kind kind;
    size_t index; /* JOB_ORDER and after: of the order; else of the first product */
    size_t count; /* of products */
    int64_t due_ms;
    int64_t give_up_ms; /* JOB_LOOK, JOB_PRICES */
    char order_id[64];
    struct view cursor; /* JOB_PRICES */

    int status;
    int64_t retry_after_s; /* -1: not said */
    struct buf answer;
    struct sender *sender;
    struct job *next;
};

struct sku {
    UT_hash_handle hh;
};

struct sender {
    const struct retail *retail;
    const struct import_target *target;
    struct import_sent *sent;
    struct arena *arena;
    struct http_client *client;
    char *token;
    int64_t token_until_s;

    struct job **due; /* a heap by due_ms */
    size_t due_count, due_capacity;
    size_t under_way;
    int64_t hold_until_ms; /* nothing is sent before */
    bool is_probing;       /* asked to come back later: one request at a time until one is taken */
    int64_t taken_ms;      /* the last answer that was not "later" */
    bool door_is_there;    /* it has answered something */
    int64_t progress_ms;
    size_t orders_done;
    struct sku *prices_missing; /* products the order service has not heard of */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *finished; /* under lock: answered, newest first */
};

/* --- Jobs by when they are due -------------------------------------------------------------------
 */

static void swap(struct job **a, struct job **b)
{
    struct job *held = *a;

    *a = *b;
    *b = held;
}

static void push(struct sender *sender, struct job *job, int64_t due_ms)
{
    size_t at = sender->due_count++;

    sender->due = mem_room(sender->due, at, &sender->due_capacity, sizeof *sender->due);
    job->due_ms = due_ms;
    sender->due[at] = job;
    for (; at > 0 && sender->due[(at - 1) / 2]->due_ms > sender->due[at]->due_ms; at = (at - 1) / 2)
        swap(&sender->due[at], &sender->due[(at - 1) / 2]);
}

static struct job *pop(struct sender *sender)
{
    struct job *first = sender->due[0];
    size_t at = 0;

    sender->due[0] = sender->due[--sender->due_count];
    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sender->due_count; child++)
            if (sender->due[child]->due_ms < sender->due[least]->due_ms)
                least = child;
        if (least == at)
            return first;
        swap(&sender->due[at], &sender->due[least]);
        at = least;
    }
}

static struct job *new_job(struct sender *sender, enum job_kind kind, size_t index)
{
    struct job *job = arena_alloc(sender->arena, sizeof *job);

    job->kind = kind;
    job->index = index;
    job->sender = sender;
    return job;
}

/* The job itself goes with the arena: the client may still have it when an import is given up. */
static void free_job(struct job *job)
{
    buf_clear(&job->answer);
}

/* --- One request ---------------------------------------------------------------------------------
 */

static void on_header(void *context, struct view name, struct view value)
{
    struct job *job = context;
    int64_t seconds;

    if (name.size == 11 && strncasecmp(name.data, "retry-after", 11) == 0 &&
        view_to_int64(value, &seconds))
        job->retry_after_s = seconds < 0 ? 0 : seconds > 60 ? 60 : seconds;
}

/* The client's thread. */
static void on_done(void *context, int status, struct view response, const struct err *err)
{
    struct job *job = context;
    struct sender *sender = job->sender;

    (void)err; /* an answer that did not come is asked for again; why is said when none comes at all
                */
    job->status = status;
    buf_reset(&job->answer);
    buf_append_view(&job->answer, response);
    pthread_mutex_lock(&sender->lock);
    job->next = sender->finished;
    sender->finished = job;
    pthread_cond_signal(&sender->wake);
    pthread_mutex_unlock(&sender->lock);
}

static enum err_kind renew_token(struct sender *sender, struct err *err)
{
    int64_t now_s = clock_utc_us() / 1000000;
    struct token_claims claims = {
        .subject = "import", .role = "service", .expires_at_s = now_s + TOKEN_TTL_S};
    enum err_kind kind;

    if (sender->token != NULL && now_s < sender->token_until_s - 120)
        return ERR_OK;
    free(sender->token);
    sender->token = NULL;
    kind = token_sign(&sender->token, sender->target->signing_key, &claims, now_s, err);
    sender->token_until_s = claims.expires_at_s;
    return kind;
}

static void write_request(struct sender *sender, struct job *job, struct buf *path,
                          struct buf *body, struct buf *key)
{
    const struct retail *retail = sender->retail;
    const char *run = sender->target->run;

    switch (job->kind) {
    case JOB_PRODUCTS:
        buf_append_str(path, "/products");
        import_write_products(body, &retail->products[job->index], job->count);
        buf_printf(key, "import-%s-products-%zu", run, job->index);
        return;
    case JOB_RECEIPTS:
        buf_append_str(path, "/stock/receipts");
        import_write_receipts(body, &retail->products[job->index], job->count, run);
        buf_printf(key, "import-%s-receipts-%zu", run, job->index);
        return;
    case JOB_PRICES:
        buf_append_str(path, "/orders/prices?limit=1000");
        if (job->cursor.size > 0)
            buf_append_str(path, "&cursor=");
        for (size_t i = 0; i < job->cursor.size; i++)
            buf_printf(path, "%%%02X", (unsigned char)job->cursor.data[i]);
        return;
    case JOB_ORDER:
        buf_append_str(path, "/orders");
        import_write_order(body, retail, &retail->orders[job->index]);
        buf_printf(key, "import-%s-%.*s", run, VIEW_PRINT(retail->orders[job->index].invoice));
        return;
    case JOB_LOOK:
        buf_printf(path, "/orders/%s", job->order_id);
        return;
    case JOB_CANCEL:
        buf_printf(path, "/orders/%s/cancel", job->order_id);
        return;
    }
}

static void send_job(struct sender *sender, struct job *job)
{
    AUTO(buf_clear) struct buf url = {0};
    AUTO(buf_clear) struct buf body = {0};
    AUTO(buf_clear) struct buf key = {0};
    AUTO(buf_clear) struct buf bearer = {0};
    const char *headers[4] = {0};
    struct http_call call = {.headers = headers,
                             .timeout_ms = CALL_TIMEOUT_MS,
                             .header = on_header,
                             .done = on_done,
                             .context = job};
    size_t count = 0;

    buf_append_str(&url, sender->target->door);
    buf_append_str(&key, "Idempotency-Key: ");
    write_request(sender, job, &url, &body, &key);
    buf_printf(&bearer, "Authorization: Bearer %s", sender->token);
    headers[count++] = buf_cstr(&bearer);
    if (body.size > 0) {
        headers[count++] = "Content-Type: application/json";
        headers[count++] = buf_cstr(&key);
    }
    call.method = job->kind == JOB_LOOK || job->kind == JOB_PRICES ? "GET" : "POST";
    call.url = buf_cstr(&url);
    call.body = buf_view(&body);
    job->retry_after_s = -1;
    sender->under_way++;
    http_client_send(sender->client, &call);
}

/* --- Answers -------------------------------------------------------------------------------------
 */

/* What a problem document says, in one line. */
static const char *problem_text(struct sender *sender, const struct job *job)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *problem;
    const struct json *detail, *pointer;

    if (json_parse(&problem, buf_view(&job->answer), &arena, NULL) != ERR_OK)
        return arena_printf(sender->arena, "HTTP %d", job->status).data;
    detail = json_member(problem, "detail");
    pointer = json_member(problem, "pointer");
    if (detail == NULL)
        detail = json_member(problem, "title");
    return arena_printf(sender->arena, "HTTP %d: %.*s%s%.*s", job->status,
                        VIEW_PRINT(detail != NULL ? detail->text : VIEW_NONE),
                        pointer != NULL ? " at " : "",
                        VIEW_PRINT(pointer != NULL ? pointer->text : VIEW_NONE))
        .data;
}

static void keep_example(struct sender *sender, struct view what, const char *why)
{
    struct import_sent *sent = sender->sent;

    if (sent->example_count < IMPORT_EXAMPLES_MAX)
        sent->examples[sent->example_count++] =
            arena_printf(sender->arena, "invoice %.*s: %s", VIEW_PRINT(what), why).data;
}

/* A text member of a JSON answer; VIEW_NONE: there is none. Lives in the arena. */
static struct view answer_text(const struct job *job, const char *name, struct arena *arena)
{
    struct json *root;
    const struct json *member;

    if (json_parse(&root, buf_view(&job->answer), arena, NULL) != ERR_OK)
        return VIEW_NONE;
    member = json_member(root, name);
    return member != NULL && member->kind == JSON_STRING ? member->text : VIEW_NONE;
}

static void order_is_done(struct sender *sender, struct job *job)
{
    sender->orders_done++;
    free_job(job);
}

static void on_order(struct sender *sender, struct job *job)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct retail_order *order = &sender->retail->orders[job->index];
    struct view id = answer_text(job, "order_id", &arena);
    int64_t now_ms = clock_monotonic_ms();

    if (job->status / 100 != 2 || id.size == 0 || id.size >= sizeof job->order_id) {
        sender->sent->refused++;
        keep_example(sender, order->invoice, problem_text(sender, job));
        order_is_done(sender, job);
        return;
    }
    sender->sent->accepted++;
    snprintf(job->order_id, sizeof job->order_id, "%.*s", VIEW_PRINT(id));
    switch (order->cancel) {
    case RETAIL_KEEP:
        order_is_done(sender, job);
        return;
    case RETAIL_CANCEL_AT_ONCE:
        job->kind = JOB_CANCEL;
        push(sender, job, now_ms);
        return;
    case RETAIL_CANCEL_CONFIRMED:
        job->kind = JOB_LOOK;
        job->give_up_ms = now_ms + LOOK_MAX_MS;
        push(sender, job, now_ms + LOOK_MS);
        return;
    }
}

static void on_look(struct sender *sender, struct job *job)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view state = answer_text(job, "state", &arena);
    int64_t now_ms = clock_monotonic_ms();

    if (view_equals(state, "confirmed") || view_equals(state, "fulfilled")) {
        job->kind = JOB_CANCEL;
        push(sender, job, now_ms);
    } else if (view_equals(state, "placed") && now_ms < job->give_up_ms) {
        push(sender, job, now_ms + LOOK_MS);
    } else {
        sender->sent->not_cancelled++;
        order_is_done(sender, job);
    }
}

/* Cancelling answers the same way whoever cancelled first: only the reason tells. */
static void on_cancel(struct sender *sender, struct job *job)
{
    AUTO(arena_clear) struct arena arena = {0};

    if (job->status / 100 == 2 && view_equals(answer_text(job, "reason", &arena), "customer")) {
        sender->sent->cancelled++;
    } else {
        sender->sent->not_cancelled++;
        if (job->status / 100 != 2)
            keep_example(sender, sender->retail->orders[job->index].invoice,
                         problem_text(sender, job));
    }
    order_is_done(sender, job);
}

/* One page of the prices that the order service knows. After the last page it begins again until
 * none of our products is missing. */
static enum err_kind on_prices(struct sender *sender, struct job *job, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *root;
    const struct json *prices, *cursor;
    int64_t now_ms = clock_monotonic_ms();

    if (job->status / 100 != 2 || json_parse(&root, buf_view(&job->answer), &arena, NULL) != ERR_OK)
        return err_set(err, ERR_REJECT, "prices of the order service: %s",
                       problem_text(sender, job));
    prices = json_member(root, "prices");
    for (size_t i = 0; prices != NULL && i < prices->count; i++) {
        const struct json *sku = json_member(&prices->items[i], "sku");
        struct sku *missing = NULL;

        if (sku != NULL)
            HASH_FIND(hh, sender->prices_missing, sku->text.data, sku->text.size, missing);
        if (missing != NULL)
            HASH_DEL(sender->prices_missing, missing);
    }
    if (sender->prices_missing == NULL) {
        free_job(job);
        return ERR_OK;
    }
    if (now_ms > job->give_up_ms)
        return err_set(
            err, ERR_RETRY,
            "the order service has not heard of %u products for %d s: is the catalog running?",
            HASH_COUNT(sender->prices_missing), PRICES_MAX_MS / 1000);
    cursor = json_member(root, "next_cursor");
    job->cursor = cursor != NULL && cursor->kind == JSON_STRING
                      ? arena_view(sender->arena, cursor->text)
                      : VIEW_NONE;
    push(sender, job, job->cursor.size > 0 ? now_ms : now_ms + LOOK_MS);
    return ERR_OK;
}

static enum err_kind on_array(struct sender *sender, struct job *job, struct err *err)
{
    const struct retail_product *products = &sender->retail->products[job->index];
    const char *what = job->kind == JOB_PRODUCTS ? "products" : "receipts of stock";

    if (job->status / 100 != 2) {
        err_set(err, ERR_REJECT, "%s from %.*s on: %s", what, VIEW_PRINT(products[0].sku),
                problem_text(sender, job));
        free_job(job);
        return ERR_REJECT;
    }
    for (size_t i = 0; i < job->count; i++) {
        sender->sent->products += job->kind == JOB_PRODUCTS;
        sender->sent->receipts += job->kind == JOB_RECEIPTS && products[i].opening > 0;
    }
    free_job(job);
    return ERR_OK;
}

static bool is_to_be_made_again(struct sender *sender, struct job *job)
{
    int64_t now_ms = clock_monotonic_ms();

    sender->door_is_there |= job->status != 0;
    if (job->status == 429 || job->status == 503) {
        int64_t wait_ms = job->retry_after_s >= 0 ? job->retry_after_s * 1000 : LATER_MS;

        sender->sent->held_back++;
        sender->is_probing = true;
        if (now_ms + wait_ms > sender->hold_until_ms)
            sender->hold_until_ms = now_ms + wait_ms;
        push(sender, job, now_ms + wait_ms);
        return true;
    }
    /* 409: this very request is under way somewhere. */
    if (job->status == 0 || job->status >= 500 || (job->status == 409 && job->kind != JOB_CANCEL)) {
        sender->sent->unanswered++;
        push(sender, job, now_ms + AGAIN_MS);
        return true;
    }
    return false;
}

static enum err_kind on_answer(struct sender *sender, struct job *job, struct err *err)
{
    sender->under_way--;
    if (is_to_be_made_again(sender, job))
        return ERR_OK;
    sender->taken_ms = clock_monotonic_ms();
    sender->is_probing = false;
    if (job->status == 401 || job->status == 403) {
        err_set(err, ERR_REJECT,
                "the door does not take our token (%s): is TRADEWIND_SIGNING_KEY the key of this "
                "stack?",
                problem_text(sender, job));
        free_job(job);
        return ERR_REJECT;
    }
    switch (job->kind) {
    case JOB_PRODUCTS:
    case JOB_RECEIPTS:
        return on_array(sender, job, err);
    case JOB_PRICES:
        return on_prices(sender, job, err);
    case JOB_ORDER:
        on_order(sender, job);
        return ERR_OK;
    case JOB_LOOK:
        on_look(sender, job);
        return ERR_OK;
    case JOB_CANCEL:
        on_cancel(sender, job);
        return ERR_OK;
    }
    return ERR_OK;
}

/* --- The loop ------------------------------------------------------------------------------------
 */

static void say_progress(struct sender *sender, const char *what, size_t done, size_t count,
                         bool last)
{
    int64_t now_ms = clock_monotonic_ms();
    bool is_terminal = isatty(STDERR_FILENO);

    if (!last && now_ms - sender->progress_ms < (is_terminal ? 200 : 5000))
        return;
    sender->progress_ms = now_ms;
    fprintf(stderr, "%s%s: %zu of %zu%s%s", is_terminal ? "\r\x1b[K" : "", what, done, count,
            now_ms < sender->hold_until_ms ? " (asked to wait)" : "",
            is_terminal && !last ? "" : "\n");
}

static size_t parallel(const struct sender *sender)
{
    return sender->is_probing ? 1 : PARALLEL;
}

static void send_due(struct sender *sender)
{
    int64_t now_ms = clock_monotonic_ms();

    while (sender->due_count > 0 && sender->under_way < parallel(sender) &&
           sender->due[0]->due_ms <= now_ms && sender->hold_until_ms <= now_ms)
        send_job(sender, pop(sender));
}

/* What was answered since the last call, oldest first; waits for it until wait_ms have passed. */
static struct job *take_finished(struct sender *sender, int64_t wait_ms)
{
    struct job *list, *in_order = NULL;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (wait_ms % 1000) * 1000000;
    until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&sender->lock);
    if (sender->finished == NULL)
        pthread_cond_timedwait(&sender->wake, &sender->lock, &until);
    list = sender->finished;
    sender->finished = NULL;
    pthread_mutex_unlock(&sender->lock);
    while (list != NULL) {
        struct job *next = list->next;

        list->next = in_order;
        in_order = list;
        list = next;
    }
    return in_order;
}

static int64_t wait_ms(const struct sender *sender)
{
    int64_t now_ms = clock_monotonic_ms(), until_ms = now_ms + 200;

    if (sender->due_count > 0 && sender->under_way < parallel(sender) &&
        sender->due[0]->due_ms < until_ms)
        until_ms = sender->due[0]->due_ms > sender->hold_until_ms ? sender->due[0]->due_ms
                                                                  : sender->hold_until_ms;
    return until_ms <= now_ms ? 0 : until_ms - now_ms > 200 ? 200 : until_ms - now_ms;
}

/* Whether it makes sense to go on. Pauses of our own (a slow rate) are no silence. */
static enum err_kind look_at_silence(struct sender *sender, struct err *err)
{
    int64_t silence_ms = clock_monotonic_ms() - sender->taken_ms;

    if (sender->under_way == 0 && sender->sent->held_back + sender->sent->unanswered == 0)
        return ERR_OK;
    if (!sender->door_is_there && silence_ms > NOBODY_MS)
        return err_set(err, ERR_RETRY, "nobody answers at the door %s: does the stack run?",
                       sender->target->door);
    if (silence_ms > PATIENCE_MS)
        return err_set(
            err, ERR_RETRY,
            "the door has taken nothing for %d minutes; with --run %s a later call goes on here",
            PATIENCE_MS / 60000, sender->target->run);
    return ERR_OK;
}

/* Make all jobs there are. `what` and its numbers are for the progress. */
static enum err_kind run_jobs(struct sender *sender, const char *what, const size_t *done,
                              size_t count, struct err *err)
{
    enum err_kind kind = ERR_OK;

    sender->taken_ms = clock_monotonic_ms();
    while (kind == ERR_OK && sender->due_count + sender->under_way > 0) {
        struct job *finished;

        if ((kind = renew_token(sender, err)) != ERR_OK)
            break;
        send_due(sender);
        finished = take_finished(sender, wait_ms(sender));
        while (finished != NULL) {
            struct job *next = finished->next;

            if (kind == ERR_OK)
                kind = on_answer(sender, finished, err);
            else
                free_job(finished);
            finished = next;
        }
        if (kind == ERR_OK)
            kind = look_at_silence(sender, err);
        say_progress(sender, what, *done, count, kind != ERR_OK);
    }
    if (kind == ERR_OK && count > 0)
        say_progress(sender, what, *done, count, true);
    return kind;
}

/* --- The three parts of an import
 * ------------------------------------------------------------------ */

static void push_arrays(struct sender *sender, enum job_kind kind)
{
    const struct retail *retail = sender->retail;

    for (size_t first = 0; first < retail->product_count; first += ARRAY_MAX) {
        struct job *job = new_job(sender, kind, first);
        AUTO(buf_clear) struct buf body = {0};

        job->count =
            retail->product_count - first < ARRAY_MAX ? retail->product_count - first : ARRAY_MAX;
        if (kind == JOB_RECEIPTS && import_write_receipts(&body, &retail->products[first],
                                                          job->count, sender->target->run) == 0)
            free_job(job);
        else
            push(sender, job, 0);
    }
}

static enum err_kind send_products(struct sender *sender, struct err *err)
{
    const struct retail *retail = sender->retail;
    size_t receipts = 0;
    enum err_kind kind;

    for (size_t i = 0; i < retail->product_count; i++)
        receipts += retail->products[i].opening > 0;
    push_arrays(sender, JOB_PRODUCTS);
    kind = run_jobs(sender, "products", &sender->sent->products, retail->product_count, err);
    if (kind != ERR_OK)
        return kind;
    push_arrays(sender, JOB_RECEIPTS);
    return run_jobs(sender, "receipts of stock", &sender->sent->receipts, receipts, err);
}

static enum err_kind await_prices(struct sender *sender, struct err *err)
{
    const struct retail *retail = sender->retail;
    struct job *job = new_job(sender, JOB_PRICES, 0);
    size_t none = 0;
    enum err_kind kind;

    for (size_t i = 0; i < retail->product_count; i++) {
        struct sku *missing = arena_alloc(sender->arena, sizeof *missing);

        HASH_ADD_KEYPTR(hh, sender->prices_missing, retail->products[i].sku.data,
                        retail->products[i].sku.size, missing);
    }
    job->give_up_ms = clock_monotonic_ms() + PRICES_MAX_MS;
    push(sender, job, 0);
    kind = run_jobs(sender, "the order service hears of the products", &none, 0, err);
    HASH_CLEAR(hh, sender->prices_missing);
    return kind;
}

static enum err_kind send_orders(struct sender *sender, struct err *err)
{
    size_t count = sender->retail->order_count;
    int64_t start_ms = clock_monotonic_ms();
    enum err_kind kind;

    for (size_t i = 0; i < count; i++)
        push(sender, new_job(sender, JOB_ORDER, i),
             start_ms + (int64_t)i * 1000 / sender->target->rate);
    kind = run_jobs(sender, "orders", &sender->orders_done, count, err);
    sender->sent->duration_ms = clock_monotonic_ms() - start_ms;
    return kind;
}

static void clear(struct sender *sender)
{
    struct job *finished;

    http_client_free(sender->client); /* from here on nothing is answered any more */
    finished = take_finished(sender, 0);
    while (finished != NULL) {
        struct job *next = finished->next;

        free_job(finished);
        finished = next;
    }
    while (sender->due_count > 0)
        free_job(pop(sender));
    free(sender->due);
    free(sender->token);
    pthread_cond_destroy(&sender->wake);
    pthread_mutex_destroy(&sender->lock);
}

enum err_kind import_send(const struct retail *retail, const struct import_target *target,
                          struct import_sent *sent, struct arena *arena, struct err *err)
{
    struct sender sender = {.retail = retail, .target = target, .sent = sent, .arena = arena};
    enum err_kind kind;

    pthread_mutex_init(&sender.lock, NULL);
    pthread_cond_init(&sender.wake, NULL);
    kind = http_client_new(&sender.client, PARALLEL, err);
    if (kind == ERR_OK)
        kind = send_products(&sender, err);
    if (kind == ERR_OK)
        kind = await_prices(&sender, err);
    if (kind == ERR_OK)
        kind = send_orders(&sender, err);
    clear(&sender);
    return kind;
}
