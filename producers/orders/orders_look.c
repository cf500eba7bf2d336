/* Who waits: carries out deadlines, and refuses new orders when too many wait.
 *
 * About once a second one command of its own, a look, reads in a unit of work which placed orders
 * came into the table open_orders and which are no longer in it. Between two looks the units of
 * this instance say what they placed and decided. An order whose time is up is cancelled by a
 * command of its own; when it was decided meanwhile, the saga table has that command change
 * nothing.
 *
 * All but orders_admit runs on the worker. */
#include "producers/orders/orders.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <stdlib.h>

enum {
    LATE_MS = 5000,        /* who waits longer, waits too long */
    SILENT_MS = 3000,      /* a part that said nothing for so long is away */
    LOOK_MS = 1000,        /* between two looks, when the deadline is long */
    LOOK_ROWS = 10000,     /* read by one look; the next one goes on */
    KEEP_KEYS_HOURS = 24,  /* idempotency keys */
    DROP_KEYS_MAX = 10000, /* by one look */
    PROBE_MS = 1000, /* in overload one order in this time is let in, to see whether it is over */
};

/* The topic whose partitions say which shards are ours: partitions of one number go together. */
static const enum topic shard_topic = TOPIC_INVENTORY;

static struct metric open_gauge =
    METRIC(METRIC_GAUGE, "tradewind_orders_open",
           "Placed orders that wait for a verdict, in the shards of this instance.");
static struct metric late_gauge =
    METRIC(METRIC_GAUGE, "tradewind_orders_late",
           "Of these, those that wait longer than 5 s behind the last one confirmed.");

/* --- The reads of a look -------------------------------------------------------------------- */

static const struct pg_statement read_new = {
    "orders_look_new",
    "select o.shard, o.number, o.deadline_ms"
    "  from unnest($1::int[], $2::bigint[]) u(shard, after)"
    "  join lateral (select * from open_orders where shard = u.shard and number > u.after"
    "                order by number limit $3) o on true"
    " order by o.shard, o.number"};

static const struct pg_statement read_oldest = {
    "orders_look_oldest",
    "select u.shard, (select min(number) from open_orders o where o.shard = u.shard)"
    "  from unnest($1::int[]) u(shard)"};

static const struct pg_statement read_due = {
    "orders_look_due",
    "select u.shard, u.number, o.id from unnest($1::int[], $2::bigint[]) u(shard, number)"
    "  left join open_orders o on o.shard = u.shard and o.number = u.number"};

static const struct pg_statement drop_old_keys = {
    "orders_drop_old_keys",
    "delete from idempotency where key in"
    " (select key from idempotency where created_us < $1 order by created_us limit $2"
    "  for update skip locked)"};

/* What came into the table, and what is the oldest in it, of our shards. */
static void queue_news(struct orders *orders, struct pg *pg)
{
    struct pg_column *columns = orders->work.batch.columns;
    struct pg_args news = {0}, oldest = {0};

    PG_BATCH_START(&orders->work.batch, PG_INT4, PG_INT8);
    for (int32_t shard = 0; shard < host_partitions(orders->host); shard++) {
        if (!orders->shards[shard].ours)
            continue;
        pg_column_int4(&columns[0], shard);
        pg_column_int8(&columns[1], (int64_t)orders->shards[shard].looked_at);
    }
    pg_arg_column(&news, &columns[0]);
    pg_arg_column(&news, &columns[1]);
    pg_arg_int8(&news, LOOK_ROWS);
    pg_queue(pg, &read_new, &news);
    pg_arg_column(&oldest, &columns[0]);
    pg_queue(pg, &read_oldest, &oldest);
}

static void queue_due(struct look *look, struct pg *pg)
{
    struct pg_column *columns = look->orders->work.batch.columns;
    struct pg_args args = {0};

    PG_BATCH_START(&look->orders->work.batch, PG_INT4, PG_INT8);
    for (size_t i = 0; i < look->due_count; i++) {
        pg_column_int4(&columns[0], look->due_shards[i]);
        pg_column_int8(&columns[1], (int64_t)look->due_numbers[i]);
    }
    pg_arg_column(&args, &columns[0]);
    pg_arg_column(&args, &columns[1]);
    pg_queue(pg, &read_due, &args);
}

void look_queue(struct look *look, struct unit *unit)
{
    int64_t keep_us = (int64_t)KEEP_KEYS_HOURS * 3600 * 1000000;
    struct pg_args args = {0};

    queue_news(look->orders, unit_pg(unit));
    queue_due(look, unit_pg(unit));
    pg_arg_int8(&args, unit_now_us(unit) - keep_us);
    pg_arg_int8(&args, DROP_KEYS_MAX);
    pg_queue(unit_pg(unit), &drop_old_keys, &args);
}

/* Rows are sorted by shard; a shard that filled its share is not read to its end. */
static void take_new(struct orders *orders, const struct pg_rows *rows)
{
    int row = 0;

    for (int32_t shard = 0; shard < host_partitions(orders->host); shard++) {
        int first = row;

        for (; row < rows->count && pg_int(rows, row, 0) == shard; row++)
            open_shard_add(&orders->shards[shard], (uint64_t)pg_int(rows, row, 1),
                           pg_int(rows, row, 2));
        if (row - first < LOOK_ROWS)
            open_shard_caught_up(&orders->shards[shard]);
    }
}

static void take_oldest(struct orders *orders, const struct pg_rows *rows)
{
    for (int row = 0; row < rows->count; row++) {
        struct open_shard *shard = &orders->shards[pg_int(rows, row, 0)];

        open_shard_drop_below(shard,
                              pg_null(rows, row, 1) ? UINT64_MAX : (uint64_t)pg_int(rows, row, 1));
    }
}

static void ask_again(struct open_shard *shard, uint64_t number)
{
    struct open_order *order = open_shard_find(shard, number);

    if (order != NULL)
        order->asked = false;
}

static void deadline_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct deadline *deadline = (struct deadline *)command;

    (void)err;
    if (outcome != ERR_OK)
        ask_again(deadline->shard, deadline->number);
    free(deadline);
}

static struct deadline *make_deadline(struct open_shard *shard, uint64_t number, struct view id)
{
    struct deadline *deadline = mem_alloc(sizeof *deadline);

    snprintf(deadline->id, sizeof deadline->id, "%.*s", VIEW_PRINT(id));
    deadline->shard = shard;
    deadline->number = number;
    deadline->command = (struct command){
        .kind = COMMAND_DEADLINE,
        .key = view_str(deadline->id),
        .done = deadline_done,
    };
    return deadline;
}

static void forget_found(struct look *look)
{
    for (size_t i = 0; i < look->found_count; i++)
        free(look->found[i]);
    look->found_count = 0;
}

static void take_due(struct look *look, struct orders *orders, const struct pg_rows *rows)
{
    forget_found(look); /* of the unit that is made again */
    for (int row = 0; row < rows->count; row++) {
        struct open_shard *shard = &orders->shards[pg_int(rows, row, 0)];
        uint64_t number = (uint64_t)pg_int(rows, row, 1);

        if (pg_null(rows, row, 2))
            open_shard_decided(shard, number, false);
        else
            look->found[look->found_count++] = make_deadline(shard, number, pg_bytes(rows, row, 2));
    }
}

enum err_kind look_read(struct look *look, struct unit *unit, struct err *err)
{
    struct orders *orders = orders_of(unit_host(unit));
    struct pg *pg = unit_pg(unit);
    struct pg_rows rows;

    if (pg_next(pg, &rows, err) != ERR_OK)
        return err->kind;
    take_new(orders, &rows);
    if (pg_next(pg, &rows, err) != ERR_OK)
        return err->kind;
    take_oldest(orders, &rows);
    if (pg_next(pg, &rows, err) != ERR_OK)
        return err->kind;
    take_due(look, orders, &rows);
    return pg_next(pg, &rows, err);
}

/* The look is over. Those it found are cancelled, each by a command that locks its shard. */
static void look_done(struct command *command, enum err_kind outcome, const struct err *err)
{
    struct look *look = (struct look *)command;

    (void)err;
    if (outcome == ERR_OK) {
        for (size_t i = 0; i < look->found_count; i++) {
            struct command *deadline = &look->found[i]->command;

            if (!host_submit(look->orders->host, deadline))
                deadline_done(deadline, ERR_RETRY, NULL);
        }
        look->found_count = 0;
    } else {
        for (size_t i = 0; i < look->due_count; i++)
            ask_again(&look->orders->shards[look->due_shards[i]], look->due_numbers[i]);
        forget_found(look);
    }
    look->due_count = 0;
    look->under_way = false;
}

/* --- Once a look, before it ------------------------------------------------------------------- */

/* Those whose time is up and whose verdicts, had they come, would have been read. */
static void find_due(struct orders *orders, int32_t shard, int64_t now_ms)
{
    struct look *look = &orders->look;
    struct open_order *order;
    size_t cursor = 0;

    while (look->due_count < LOOK_DUE_MAX &&
           (order = open_shard_next_due(&orders->shards[shard], now_ms, &cursor)) != NULL &&
           host_read_to_end_since(orders->host, shard, open_order_deadline_ms(order))) {
        order->asked = true;
        look->due_shards[look->due_count] = shard;
        look->due_numbers[look->due_count++] = order->number;
    }
}

static bool all_answer(struct host *host)
{
    static const char *const parts[] = {"inventory", "payment", "fraud"};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (host_silence_ms(host, parts[i]) >= SILENT_MS)
            return false;
    }
    return true;
}

static size_t count_open(const struct orders *orders)
{
    size_t open = 0;

    for (int32_t shard = 0; shard < host_partitions(orders->host); shard++)
        open += open_shard_count(&orders->shards[shard]);
    return open;
}

static void set_admission(struct orders *orders, enum admission admission)
{
    enum admission before = (enum admission)atomic_exchange(&orders->admission, (int)admission);

    if (admission == before)
        return;
    if (admission == ADMIT)
        LOG_INFO("orders_admitted", "new orders are accepted again");
    else
        LOG_WARN("orders_refused",
                 admission == ADMIT_NONE_OVERLOAD
                     ? "new orders are refused: those placed before wait too long"
                     : "new orders are refused: as many wait as TRADEWIND_OPEN_ORDERS_MAX allows",
                 log_int("open", metric_value(&open_gauge)),
                 log_int("late", metric_value(&late_gauge)));
}

static void pulse(struct orders *orders, int64_t now_ms)
{
    size_t late = 0, open;

    for (int32_t shard = 0; shard < host_partitions(orders->host); shard++) {
        struct open_moment moment = {now_ms, host_published(orders->host, shard)};

        if (!orders->shards[shard].ours)
            continue;
        late += open_shard_pulse(&orders->shards[shard], moment, LATE_MS);
        find_due(orders, shard, now_ms);
    }
    open = count_open(orders);
    metric_set(&open_gauge, (int64_t)open);
    metric_set(&late_gauge, (int64_t)late);
    if (open >= orders->open_max)
        set_admission(orders, ADMIT_NONE_TOO_MANY);
    else if (late >= orders->overload && all_answer(orders->host))
        set_admission(orders, ADMIT_NONE_OVERLOAD);
    else
        set_admission(orders, ADMIT);
}

/* --- The part's hooks ------------------------------------------------------------------------- */

void orders_look_init(struct orders *orders)
{
    size_t partitions = (size_t)host_partitions(orders->host);

    orders->shards = mem_alloc(partitions * sizeof *orders->shards);
    orders->open_max = (size_t)setting_integer("TRADEWIND_OPEN_ORDERS_MAX");
    orders->overload = (size_t)setting_integer("TRADEWIND_OVERLOAD_ORDERS");
    orders->look = (struct look){
        .command = {.kind = COMMAND_LOOK, .done = look_done},
        .orders = orders,
        .every_ms = orders->deadline_ms / 4 < LOOK_MS ? orders->deadline_ms / 4 : LOOK_MS,
    };
    metric_register(&open_gauge);
    metric_register(&late_gauge);
}

void orders_look_clear(struct orders *orders)
{
    for (int32_t shard = 0; shard < host_partitions(orders->host); shard++)
        open_shard_stop(&orders->shards[shard]);
    forget_found(&orders->look);
    free(orders->shards);
}

enum err_kind orders_taken_over(struct host *host, struct pg *pg, enum topic topic, int32_t shard,
                                struct err *err)
{
    (void)pg;
    (void)err;
    if (topic == shard_topic)
        open_shard_start(&orders_of(host)->shards[shard]);
    return ERR_OK;
}

void orders_lost(struct host *host, enum topic topic, int32_t shard)
{
    if (topic == shard_topic)
        open_shard_stop(&orders_of(host)->shards[shard]);
}

void orders_tick(struct host *host, int64_t now_ms)
{
    struct orders *orders = orders_of(host);
    struct look *look = &orders->look;

    if (look->under_way || now_ms < look->next_ms)
        return;
    look->under_way = true;
    look->next_ms = now_ms + look->every_ms;
    pulse(orders, now_ms);
    if (!host_submit(host, &look->command))
        look_done(&look->command, ERR_RETRY, NULL);
}

void orders_look_committed(struct unit *unit)
{
    struct orders *orders = orders_of(unit_host(unit));
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);
        struct open_shard *shard;

        if (!record->placed && !record->decided)
            continue;
        shard = &orders->shards[host_shard_of(orders->host, keys[i])];
        if (record->placed)
            open_shard_placed(shard, record->created_number);
        if (record->decided)
            open_shard_decided(shard, record->created_number, record->confirmed);
    }
    metric_set(&open_gauge, (int64_t)count_open(orders));
    if (metric_value(&open_gauge) >= (int64_t)orders->open_max)
        set_admission(orders, ADMIT_NONE_TOO_MANY);
}

enum admission orders_admit(struct orders *orders, int64_t now_ms)
{
    enum admission admission = (enum admission)atomic_load(&orders->admission);
    int64_t probe_ms = atomic_load(&orders->probe_ms);

    if (admission == ADMIT_NONE_OVERLOAD && now_ms >= probe_ms &&
        atomic_compare_exchange_strong(&orders->probe_ms, &probe_ms, now_ms + PROBE_MS))
        return ADMIT;
    return admission;
}
