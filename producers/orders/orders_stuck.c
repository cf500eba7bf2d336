/* GET /orders/stuck, for operators: orders past their deadline, or waiting longer in their state
 * than is usual for it. What is usual is measured on the newest orders that have ended. */
#include "producers/orders/orders.h"
#include "producers/orders/orders_history.h"
#include "runtime/clock.h"

#include <stdlib.h>

enum {
    LIMIT_MAX = 1000,
    LIMIT_DEFAULT = 100,
    SAMPLE = 500,    /* orders that have ended, the newest */
    SAMPLE_MIN = 20, /* fewer say nothing */
    USUAL_TIMES = 3, /* so many times what 99 of 100 orders take is unusual */
};

#define USUAL_MIN_US (10 * INT64_C(1000000)) /* shorter is never unusual */
#define USUAL_UNKNOWN_US (60 * INT64_C(1000000))

/* States have no index, for they change: both read the table, some millions of rows a second. */
static const struct pg_statement read_ended = {
    "orders_stuck_ended", "select said from order_states where state::int8 = any($1)"
                          " order by id desc limit $2"};

static const struct pg_statement read_open = {
    "orders_stuck_open",
    "select s.id, s.state, s.said, coalesce(v.heard, 0), o.created"
    "  from order_states s join orders o on o.id = s.id left join order_verdicts v on v.id = s.id"
    " where not s.state::int8 = any($1) order by s.created_us limit $2"};

struct stuck {
    struct host *host;
    struct arena *arena;
    int64_t now_us;
    int64_t longer_us; /* -1: than is usual */
    int64_t limit;
    int64_t usual_us[SAGA_STATE_MAX];
    struct json_writer json;
};

static void final_states(struct pg_column *column)
{
    pg_column_start(column, PG_INT8);
    for (int state = 0; state < SAGA_STATE_MAX; state++)
        if (saga_state_exists(PART_ORDERS, state) && saga_state_is_final(PART_ORDERS, state))
            pg_column_int8(column, state);
}

/* --- What is usual ------------------------------------------------------------------------------
 */

static int compare_times(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* The state that an event of ours leads to, as far as an order that waits can be in it. */
static int waiting_state(enum event_type type)
{
    return type == EVENT_ORDER_CREATED     ? ORDERS_PLACED
           : type == EVENT_ORDER_CONFIRMED ? ORDERS_CONFIRMED
           : type == EVENT_ORDER_CANCELLED ? ORDERS_CANCELLED
                                           : SAGA_STATE_NONE;
}

struct sample {
    int64_t times_us[SAMPLE * 2]; /* a cancelled order may have been fulfilled before */
    size_t count;
};

static void take_sample(struct sample *samples, const struct history_entry *said, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        struct sample *sample = &samples[waiting_state(said[i].type)];

        if (sample->count < sizeof sample->times_us / sizeof sample->times_us[0])
            sample->times_us[sample->count++] = said[i + 1].time_us - said[i].time_us;
    }
}

/* How the order got from state to state: a reminder leads nowhere. */
static enum err_kind read_moves(struct history_entry **out, size_t *count, struct view said,
                                struct arena *arena, struct err *err)
{
    struct history_entry *entries;
    size_t all, moves = 0;
    enum err_kind kind = history_read(&entries, &all, said, VIEW_LITERAL(""), arena, err);

    if (kind != ERR_OK)
        return kind;
    for (size_t i = 0; i < all; i++)
        if (entries[i].type != EVENT_ORDER_REMINDED)
            entries[moves++] = entries[i];
    *out = entries;
    *count = moves;
    return ERR_OK;
}

static int64_t usual_of(struct sample *sample)
{
    int64_t usual_us;

    if (sample->count < SAMPLE_MIN)
        return USUAL_UNKNOWN_US;
    qsort(sample->times_us, sample->count, sizeof sample->times_us[0], compare_times);
    usual_us = USUAL_TIMES * sample->times_us[sample->count * 99 / 100];
    return usual_us > USUAL_MIN_US ? usual_us : USUAL_MIN_US;
}

static enum err_kind read_usual(struct stuck *stuck, struct pg *pg, struct err *err)
{
    AUTO(pg_column_clear) struct pg_column final = {0};
    struct sample *samples = arena_array(stuck->arena, SAGA_STATE_MAX, sizeof *samples);
    struct pg_args args = {0};
    struct pg_rows rows;

    final_states(&final);
    pg_arg_column(&args, &final);
    pg_arg_int8(&args, SAMPLE);
    if (pg_run(pg, &read_ended, &args, &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++) {
        struct history_entry *said;
        size_t count;

        if (read_moves(&said, &count, pg_bytes(&rows, row, 0), stuck->arena, err) != ERR_OK)
            return err->kind;
        take_sample(samples, said, count);
    }
    for (int state = 0; state < SAGA_STATE_MAX; state++)
        stuck->usual_us[state] = usual_of(&samples[state]);
    return ERR_OK;
}

/* --- Who waits ----------------------------------------------------------------------------------
 */

static void put_usual(struct stuck *stuck)
{
    json_key(&stuck->json, "unusual_after_ms");
    json_object_start(&stuck->json);
    for (int state = ORDERS_PLACED; state < SAGA_STATE_MAX; state++)
        if (saga_state_exists(PART_ORDERS, state) && !saga_state_is_final(PART_ORDERS, state))
            json_member_int64(&stuck->json, saga_state_name(PART_ORDERS, state),
                              stuck->usual_us[state] / 1000);
    json_object_end(&stuck->json);
}

struct waiting {
    struct view id;
    struct order_progress progress;
    int64_t since_us, deadline_us;
};

static bool is_stuck(const struct stuck *stuck, const struct waiting *waiting)
{
    int64_t waited_us = stuck->now_us - waiting->since_us;
    bool is_late = waiting->progress.state == ORDERS_PLACED && stuck->now_us > waiting->deadline_us;

    if (stuck->longer_us >= 0)
        return waited_us >= stuck->longer_us;
    return is_late || !saga_state_exists(PART_ORDERS, (int)waiting->progress.state) ||
           waited_us > stuck->usual_us[waiting->progress.state];
}

static void put_waiting(struct stuck *stuck, const struct waiting *waiting)
{
    struct json_writer *json = &stuck->json;

    json_object_start(json);
    json_member_text(json, "order_id", waiting->id);
    json_member_str(json, "state", saga_state_name(PART_ORDERS, (int)waiting->progress.state));
    json_member_time_us(json, "since", waiting->since_us);
    json_member_int64(json, "waited_ms", (stuck->now_us - waiting->since_us) / 1000);
    if (waiting->progress.state == ORDERS_PLACED)
        json_member_time_us(json, "deadline_at", waiting->deadline_us);
    orders_put_waits(json, waiting->progress);
    json_object_end(json);
}

static enum err_kind read_waiting(struct stuck *stuck, const struct pg_rows *rows, int row,
                                  struct waiting *out, struct err *err)
{
    const struct order_created *created;
    struct history_entry *said;
    size_t count;
    enum err_kind kind;

    *out = (struct waiting){
        .id = pg_bytes(rows, row, 0),
        .progress = {(enum saga_orders_state)pg_int(rows, row, 1), (uint32_t)pg_int(rows, row, 3)},
    };
    kind = read_moves(&said, &count, pg_bytes(rows, row, 2), stuck->arena, err);
    if (kind == ERR_OK)
        kind =
            orders_decode_created(&created, stuck->host, pg_bytes(rows, row, 4), stuck->arena, err);
    if (kind != ERR_OK)
        return kind;
    out->since_us = count > 0 ? said[count - 1].time_us : created->occurred_at;
    out->deadline_us = created->occurred_at + created->deadline_ms * 1000;
    return ERR_OK;
}

static enum err_kind put_stuck(struct stuck *stuck, struct pg *pg, struct err *err)
{
    AUTO(pg_column_clear) struct pg_column final = {0};
    struct pg_args args = {0};
    struct pg_rows rows;
    enum err_kind kind;

    final_states(&final);
    pg_arg_column(&args, &final);
    pg_arg_int8(&args, stuck->limit);
    kind = pg_run(pg, &read_open, &args, &rows, err);
    json_key(&stuck->json, "orders");
    json_array_start(&stuck->json);
    for (int row = 0; kind == ERR_OK && row < rows.count; row++) {
        struct waiting waiting;

        kind = read_waiting(stuck, &rows, row, &waiting, err);
        if (kind == ERR_OK && is_stuck(stuck, &waiting))
            put_waiting(stuck, &waiting);
    }
    json_array_end(&stuck->json);
    return kind;
}

static void answer_stuck(struct host *host, struct http_request *request, struct pg *pg)
{
    AUTO(buf_clear) struct buf body = {0};
    struct stuck stuck = {
        .host = host,
        .arena = http_arena(request),
        .now_us = clock_utc_us(),
        .longer_us = -1,
        .limit = LIMIT_DEFAULT,
        .json = {.out = &body},
    };
    int64_t longer_ms = -1;
    struct err err;

    if (!http_query_int64(request, "longer_than_ms", 0, INT32_MAX, &longer_ms) ||
        !http_query_int64(request, "limit", 1, LIMIT_MAX, &stuck.limit))
        return;
    if (longer_ms >= 0)
        stuck.longer_us = longer_ms * 1000;
    json_object_start(&stuck.json);
    if (read_usual(&stuck, pg, &err) != ERR_OK) {
        orders_query_failed(request, &err);
        return;
    }
    put_usual(&stuck);
    if (put_stuck(&stuck, pg, &err) != ERR_OK) {
        orders_query_failed(request, &err);
        return;
    }
    json_object_end(&stuck.json);
    http_reply(request, 200, NULL, buf_view(&body));
}

void orders_http_stuck(struct http_request *request, void *context)
{
    host_query(context, request, answer_stuck);
}
