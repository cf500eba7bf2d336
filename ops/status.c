#include "ops/status.h"

#include "ops/part_client.h"
#include "runtime/json.h"
#include "runtime/pg.h"
#include "runtime/settings.h"
#include "saga/saga.h"

#include <stdlib.h>

enum { ASK_HEALTH, ASK_READY, ASK_METRICS, ASK_COUNT };
static const char *const PATHS[ASK_COUNT] = {"/health", "/readyz", "/metrics"};

static const char *json_text(struct view body, const char *name, struct arena *arena)
{
    struct json *root;
    const struct json *member;

    if (json_parse(&root, body, arena, NULL) != ERR_OK ||
        (member = json_member(root, name)) == NULL || member->kind != JSON_STRING)
        return "";
    return arena_view(arena, member->text).data;
}

static void read_part(struct part_status *out, const struct part_call *calls, struct arena *arena)
{
    const struct part_call *ready = &calls[ASK_READY];

    out->reachable = calls[ASK_HEALTH].status != 0 || ready->status != 0;
    out->ready = ready->status == 200;
    out->not_ready = out->ready ? "" : json_text(ready->answer, "detail", arena);
    out->instance = json_text(calls[ASK_HEALTH].answer, "instance", arena);
    if (calls[ASK_METRICS].status == 200)
        out->metrics = metrics_read(calls[ASK_METRICS].answer, arena);
}

static void read_lags(struct status *status, struct lag *lag, struct arena *arena)
{
    int64_t *records = arena_array(arena, ops_part_count, sizeof *records);

    status->broker_answers = lag != NULL && lag_read(lag, records, &status->broker_err) == ERR_OK;
    for (size_t i = 0; i < ops_part_count; i++)
        status->parts[i].lag = status->broker_answers ? records[i] : -1;
}

enum err_kind status_read(struct status *out, struct lag *lag, struct arena *arena, struct err *err)
{
    struct part_call *calls = arena_array(arena, ops_part_count * ASK_COUNT, sizeof *calls);
    enum err_kind kind;

    *out = (struct status){.parts = arena_array(arena, ops_part_count, sizeof *out->parts)};
    for (size_t i = 0; i < ops_part_count * ASK_COUNT; i++)
        calls[i] =
            (struct part_call){.part = ops_parts[i / ASK_COUNT].name, .path = PATHS[i % ASK_COUNT]};
    if ((kind = part_call_all(calls, ops_part_count * ASK_COUNT, arena, err)) != ERR_OK)
        return kind;
    for (size_t i = 0; i < ops_part_count; i++) {
        out->parts[i] = (struct part_status){.part = &ops_parts[i],
                                             .address = part_address(ops_parts[i].name),
                                             .lag = -1,
                                             .dead_letters = -1};
        read_part(&out->parts[i], &calls[i * ASK_COUNT], arena);
    }
    read_lags(out, lag, arena);
    return ERR_OK;
}

double status_sum(const struct status *status, const char *metric)
{
    double sum = 0;

    for (size_t i = 0; i < ops_part_count; i++)
        sum += metrics_sum(&status->parts[i].metrics, metric);
    return sum;
}

double status_under_way(const struct status *status)
{
    double sum = status_sum(status, "tradewind_orders_open") +
                 status_sum(status, "tradewind_relay_unpublished") +
                 status_sum(status, "tradewind_payment_owed_calls") +
                 status_sum(status, "tradewind_email_queued");

    for (size_t i = 0; i < ops_part_count; i++)
        sum += status->parts[i].lag > 0 ? (double)status->parts[i].lag : 0;
    return sum;
}

/* --- What costs more -----------------------------------------------------------------------------
 */

static void read_dead_letters(struct status *status, struct arena *arena)
{
    struct part_call *calls = arena_array(arena, ops_part_count, sizeof *calls);
    char *token = NULL;

    if (part_token(&token, "operator", NULL) != ERR_OK)
        return;
    for (size_t i = 0; i < ops_part_count; i++)
        calls[i] =
            (struct part_call){.part = ops_parts[i].name, .path = "/dead-letters", .token = token};
    if (part_call_all(calls, ops_part_count, arena, NULL) == ERR_OK)
        for (size_t i = 0; i < ops_part_count; i++) {
            struct json *list;

            if (calls[i].status == 200 &&
                json_parse(&list, calls[i].answer, arena, NULL) == ERR_OK &&
                list->kind == JSON_ARRAY)
                status->parts[i].dead_letters = (int64_t)list->count;
        }
    free(token);
}

/* States have no index, for they change: this reads all orders, some 10 million a second. */
static const struct pg_statement OLDEST = {
    "ops_oldest",
    "select id, state::int8, created_us from order_states where not state::int8 = any($1)"
    " order by created_us limit 1"};

static void read_oldest(struct status *status, struct arena *arena)
{
    const char *database = setting_of_part("orders", "DATABASE");
    AUTO(pg_column_clear) struct pg_column final = {0};
    AUTO(pg_close) struct pg *pg = NULL;
    struct pg_args args = {0};
    struct pg_rows rows;

    if (database == NULL || pg_open(&pg, database, "tradewind", NULL) != ERR_OK)
        return;
    pg_column_start(&final, PG_INT8);
    for (int state = 0; state < SAGA_STATE_MAX; state++)
        if (saga_state_exists(PART_ORDERS, state) && saga_state_is_final(PART_ORDERS, state))
            pg_column_int8(&final, state);
    pg_arg_column(&args, &final);
    if (pg_run(pg, &OLDEST, &args, &rows, NULL) != ERR_OK)
        return;
    status->orders_answer = true;
    status->oldest.exists = rows.count > 0;
    if (rows.count == 0)
        return;
    status->oldest.id = arena_strdup(arena, pg_text(&rows, 0, 0));
    status->oldest.state = saga_state_name(PART_ORDERS, (int)pg_int(&rows, 0, 1));
    status->oldest.created_us = pg_int(&rows, 0, 2);
}

void status_read_more(struct status *status, struct arena *arena)
{
    read_dead_letters(status, arena);
    read_oldest(status, arena);
}
