#include "consumers/payment/payment_calls.h"

#include "runtime/clock.h"
#include "runtime/hash.h"
#include "runtime/http_client.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#define FIRST_WAIT_MS 200
#define LEVELS 7 /* the last waits 12.8 s */

enum place {
    PLACE_READY,
    PLACE_UNDER_WAY,
    PLACE_ANSWERED, /* the answer is with the worker */
    PLACE_WAITING,
};

struct entry {
    struct owed_call call; /* views into text */
    enum place place;
    int failures;   /* of this call, in this memory */
    int level;      /* PLACE_WAITING: which queue */
    int64_t due_ms; /* PLACE_WAITING */
    struct entry *prev, *next;
    UT_hash_handle hh;
    char text[];
};

struct payment_calls {
    struct payment_calls_options options;
    struct http_client *client;
    pthread_mutex_t lock;  /* over all below; http_client_send is called inside, never answered */
    struct entry *entries; /* by order id */
    struct entry *ready;
    struct entry *waiting[LEVELS];
    struct attempt *attempts;
    int under_way;
    int limit; /* of under_way, for now: 1..options.parallel */
    int64_t silent_since_ms;
};

/* One request. It knows its entry by name: the entry may be gone or replaced when the answer comes.
 */
struct attempt {
    struct payment_calls *calls;
    enum payment_call operation;
    int64_t started_us;
    struct attempt *prev, *next;
    struct view order_id; /* in text */
    char text[];
};

static struct metric owed_gauge = METRIC(METRIC_GAUGE, "tradewind_payment_owed_calls",
                                         "calls to the provider not yet answered, in memory");
static struct metric under_way_gauge =
    METRIC(METRIC_GAUGE, "tradewind_payment_calls_under_way", "calls to the provider under way");
static struct metric latency = METRIC(METRIC_HISTOGRAM, "tradewind_payment_provider_seconds",
                                      "time to an answer of the provider");
static struct metric *outcomes[CALL_COUNT][PROVIDER_SAYS_COUNT];

static void register_metrics(void)
{
    static const char *const said[PROVIDER_SAYS_COUNT] = {
        [PROVIDER_NOTHING] = "no_answer", [PROVIDER_YES] = "yes", [PROVIDER_NO] = "no"};

    metric_register(&owed_gauge);
    metric_register(&under_way_gauge);
    metric_register(&latency);
    for (int call = CALL_NONE + 1; call < CALL_COUNT; call++)
        for (int says = 0; says < PROVIDER_SAYS_COUNT; says++)
            outcomes[call][says] = metric_series(
                METRIC_COUNTER, "tradewind_payment_provider_calls_total",
                "calls to the provider by what came back", "operation=\"%s\",outcome=\"%s\"",
                payment_call_name((enum payment_call)call), said[says]);
}

/* --- Entries: with the lock held ------------------------------------------------------------- */

static struct entry *find(struct payment_calls *calls, struct view order_id)
{
    struct entry *entry;

    HASH_FIND(hh, calls->entries, order_id.data, order_id.size, entry);
    return entry;
}

static struct view keep_text(char **at, struct view text)
{
    struct view kept = view_of(*at, text.size);

    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return kept;
}

static struct entry *entry_new(const struct owed_call *call)
{
    struct entry *entry = mem_alloc(sizeof *entry + call->order_id.size + call->currency.size +
                                    call->payment_token.size + call->ref.size);
    char *at = entry->text;

    entry->call = *call;
    entry->call.order_id = keep_text(&at, call->order_id);
    entry->call.currency = keep_text(&at, call->currency);
    entry->call.payment_token = keep_text(&at, call->payment_token);
    entry->call.ref = keep_text(&at, call->ref);
    return entry;
}

static void unqueue(struct payment_calls *calls, struct entry *entry)
{
    if (entry->place == PLACE_READY)
        DL_DELETE(calls->ready, entry);
    else if (entry->place == PLACE_WAITING)
        DL_DELETE(calls->waiting[entry->level], entry);
}

static void entry_remove(struct payment_calls *calls, struct entry *entry)
{
    unqueue(calls, entry);
    HASH_DEL(calls->entries, entry);
    free(entry);
}

static void make_ready(struct payment_calls *calls, struct entry *entry)
{
    entry->place = PLACE_READY;
    DL_APPEND(calls->ready, entry);
}

static void make_wait(struct payment_calls *calls, struct entry *entry)
{
    entry->place = PLACE_WAITING;
    entry->level = entry->failures < LEVELS ? entry->failures : LEVELS - 1;
    entry->failures++;
    entry->due_ms = clock_monotonic_ms() + (FIRST_WAIT_MS << entry->level);
    DL_APPEND(calls->waiting[entry->level], entry);
}

/* --- Requests --------------------------------------------------------------------------------- */

static void on_done(void *context, int status, struct view response, const struct err *err);

static void send_request(struct payment_calls *calls, const struct owed_call *call)
{
    AUTO(buf_clear) struct buf url = {0};
    AUTO(buf_clear) struct buf key = {0};
    AUTO(buf_clear) struct buf body = {0};
    struct attempt *attempt = mem_alloc(sizeof *attempt + call->order_id.size);
    char *at = attempt->text;

    attempt->calls = calls;
    attempt->operation = call->operation;
    attempt->started_us = clock_monotonic_us();
    attempt->order_id = keep_text(&at, call->order_id);
    DL_APPEND(calls->attempts, attempt);
    payment_provider_url(&url, calls->options.provider, call);
    buf_append_str(&key, "Idempotency-Key: ");
    payment_provider_key(&key, call);
    payment_provider_body(&body, call);
    http_client_send(calls->client,
                     &(struct http_call){
                         .method = "POST",
                         .url = buf_cstr(&url),
                         .headers = (const char *const[]){"Content-Type: application/json",
                                                          buf_cstr(&key), NULL},
                         .body = buf_view(&body),
                         .timeout_ms = calls->options.timeout_ms,
                         .done = on_done,
                         .context = attempt,
                     });
}

static void start_ready(struct payment_calls *calls)
{
    while (calls->ready != NULL && calls->under_way < calls->limit) {
        struct entry *entry = calls->ready;

        DL_DELETE(calls->ready, entry);
        entry->place = PLACE_UNDER_WAY;
        calls->under_way++;
        send_request(calls, &entry->call);
    }
    metric_set(&owed_gauge, HASH_COUNT(calls->entries));
    metric_set(&under_way_gauge, calls->under_way);
}

static void note_outcome(struct payment_calls *calls, bool answered)
{
    if (answered) {
        calls->silent_since_ms = 0;
        if (calls->limit < calls->options.parallel)
            calls->limit++;
        return;
    }
    if (calls->silent_since_ms == 0)
        calls->silent_since_ms = clock_monotonic_ms();
    calls->limit = calls->limit > 1 ? calls->limit / 2 : 1;
}

static void log_no_answer(const struct attempt *attempt, int status, const struct err *err)
{
    /* 4xx: it understood us as saying something wrong; asking again heals it only when one side
     * changes. */
    bool is_our_mistake = status >= 400 && status < 500 && status != 408 && status != 429;

    if (is_our_mistake)
        LOG_ERROR("provider_refused",
                  "the provider refuses a call: it stays owed and is made again",
                  log_view("order_id", attempt->order_id),
                  log_str("operation", payment_call_name(attempt->operation)),
                  log_int("status", status), log_err(err));
    else
        LOG_DEBUG("provider_silent", "no answer of the provider: the call is made again",
                  log_view("order_id", attempt->order_id),
                  log_str("operation", payment_call_name(attempt->operation)),
                  log_int("status", status), log_err(err));
}

/* HTTP client's thread. */
static void on_done(void *context, int status, struct view response, const struct err *err)
{
    struct attempt *attempt = context;
    struct payment_calls *calls = attempt->calls;
    AUTO(arena_clear) struct arena arena = {0};
    struct err why = {0};
    struct provider_answer answer =
        payment_provider_read(attempt->operation, status, response, &arena, &why);
    bool answered = answer.says != PROVIDER_NOTHING;
    struct owed_call call = {.operation = attempt->operation, .order_id = attempt->order_id};
    struct entry *entry;
    bool is_awaited;

    metric_add(outcomes[attempt->operation][answer.says], 1);
    if (answered)
        metric_observe_us(&latency, clock_monotonic_us() - attempt->started_us);
    else
        log_no_answer(attempt, status, status == 0 && err != NULL ? err : &why);

    pthread_mutex_lock(&calls->lock);
    DL_DELETE(calls->attempts, attempt);
    calls->under_way--;
    note_outcome(calls, answered);
    entry = find(calls, attempt->order_id);
    is_awaited = entry != NULL && entry->place == PLACE_UNDER_WAY &&
                 entry->call.operation == attempt->operation;
    if (is_awaited && answered) {
        entry->place = PLACE_ANSWERED;
        call.shard = entry->call.shard;
    } else if (is_awaited) {
        make_wait(calls, entry);
    }
    start_ready(calls);
    pthread_mutex_unlock(&calls->lock);

    if (is_awaited && answered && !calls->options.answered(calls->options.context, &call, &answer))
        payment_calls_retry(calls, call.order_id, call.operation);
    free(attempt);
}

/* --- Outside ---------------------------------------------------------------------------------- */

enum err_kind payment_calls_new(struct payment_calls **out,
                                const struct payment_calls_options *options, struct err *err)
{
    struct payment_calls *calls = mem_alloc(sizeof *calls);
    enum err_kind kind = http_client_new(&calls->client, options->parallel, err);

    if (kind != ERR_OK) {
        free(calls);
        return kind;
    }
    calls->options = *options;
    calls->limit = options->parallel;
    pthread_mutex_init(&calls->lock, NULL);
    register_metrics();
    *out = calls;
    return ERR_OK;
}

void payment_calls_free(struct payment_calls *calls)
{
    struct entry *entry, *next_entry;
    struct attempt *attempt, *next_attempt;

    if (calls == NULL)
        return;
    http_client_free(calls->client);
    DL_FOREACH_SAFE(calls->attempts, attempt, next_attempt)
    free(attempt);
    HASH_ITER (hh, calls->entries, entry, next_entry)
        entry_remove(calls, entry);
    pthread_mutex_destroy(&calls->lock);
    free(calls);
}

size_t payment_calls_room(struct payment_calls *calls)
{
    size_t used;

    pthread_mutex_lock(&calls->lock);
    used = HASH_COUNT(calls->entries);
    pthread_mutex_unlock(&calls->lock);
    return used < (size_t)calls->options.room ? (size_t)calls->options.room - used : 0;
}

bool payment_calls_set(struct payment_calls *calls, const struct owed_call *call, bool may_add)
{
    struct entry *entry;
    bool has_room = true;

    pthread_mutex_lock(&calls->lock);
    entry = find(calls, call->order_id);
    if (entry != NULL && entry->call.operation != call->operation) {
        entry_remove(calls, entry);
        entry = NULL;
        may_add = true;
    }
    if (entry == NULL) {
        has_room = may_add && HASH_COUNT(calls->entries) < (unsigned)calls->options.room;
        if (has_room) {
            entry = entry_new(call);
            HASH_ADD_KEYPTR(hh, calls->entries, entry->call.order_id.data,
                            entry->call.order_id.size, entry);
            make_ready(calls, entry);
            start_ready(calls);
        }
    }
    pthread_mutex_unlock(&calls->lock);
    return has_room;
}

void payment_calls_settle(struct payment_calls *calls, struct view order_id)
{
    struct entry *entry;

    pthread_mutex_lock(&calls->lock);
    entry = find(calls, order_id);
    if (entry != NULL) {
        entry_remove(calls, entry);
        metric_set(&owed_gauge, HASH_COUNT(calls->entries));
    }
    pthread_mutex_unlock(&calls->lock);
}

void payment_calls_retry(struct payment_calls *calls, struct view order_id,
                         enum payment_call operation)
{
    struct entry *entry;

    pthread_mutex_lock(&calls->lock);
    entry = find(calls, order_id);
    if (entry != NULL && entry->place == PLACE_ANSWERED && entry->call.operation == operation)
        make_wait(calls, entry);
    pthread_mutex_unlock(&calls->lock);
}

void payment_calls_hurry(struct payment_calls *calls, struct view order_id)
{
    struct entry *entry;

    pthread_mutex_lock(&calls->lock);
    entry = find(calls, order_id);
    if (entry != NULL && entry->place == PLACE_WAITING) {
        unqueue(calls, entry);
        make_ready(calls, entry);
        start_ready(calls);
    }
    pthread_mutex_unlock(&calls->lock);
}

void payment_calls_forget(struct payment_calls *calls, int32_t shard)
{
    struct entry *entry, *next;

    pthread_mutex_lock(&calls->lock);
    HASH_ITER (hh, calls->entries, entry, next)
        if (entry->call.shard == shard)
            entry_remove(calls, entry);
    pthread_mutex_unlock(&calls->lock);
}

void payment_calls_tick(struct payment_calls *calls, int64_t now_ms)
{
    pthread_mutex_lock(&calls->lock);
    for (int level = 0; level < LEVELS; level++)
        while (calls->waiting[level] != NULL && calls->waiting[level]->due_ms <= now_ms) {
            struct entry *entry = calls->waiting[level];

            DL_DELETE(calls->waiting[level], entry);
            make_ready(calls, entry);
        }
    start_ready(calls);
    pthread_mutex_unlock(&calls->lock);
}

struct payment_calls_health payment_calls_health(struct payment_calls *calls, int64_t now_ms)
{
    struct payment_calls_health health;

    pthread_mutex_lock(&calls->lock);
    health.owed = (int)HASH_COUNT(calls->entries);
    health.under_way = calls->under_way;
    health.silent_ms = calls->silent_since_ms > 0 ? now_ms - calls->silent_since_ms : 0;
    pthread_mutex_unlock(&calls->lock);
    return health;
}
