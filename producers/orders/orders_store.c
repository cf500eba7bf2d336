/* The reads and writes of a unit: one statement per table and batch, rows sorted by key.
 *
 * Rows of open orders are not locked one by one: whoever changes an order holds the row of its
 * shard. */
#include "events/codec.h"
#include "producers/orders/orders.h"
#include "producers/orders/orders_history.h"

#include <stdlib.h>

/* --- Statements ----------------------------------------------------------------------------- */

static const struct pg_statement read_orders = {
    "orders_read",
    "select s.id, s.state, s.reason, s.customer_id, s.total_minor, s.currency, s.created_number,"
    "       s.created_us, v.heard"
    "  from order_states s left join order_verdicts v on v.id = s.id where s.id = any($1)"};

static const struct pg_statement read_created = {
    "orders_read_created", "select id, created from orders where id = any($1)"};

static const struct pg_statement read_said = {
    "orders_read_said", "select id, said from order_states where id = any($1)"};

static const struct pg_statement read_prices = {
    "orders_read_prices", "select sku, unit_price_minor, currency, kind, sold, event"
                          "  from products where sku = any($1) order by sku"};

/* Whoever comes second waits here for the commit of the first, on this instance or another. */
static const struct pg_statement claim_keys = {
    "orders_claim_keys", "insert into idempotency (key, order_id, request_hash, created_us)"
                         " select unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[]),"
                         "        unnest($4::bigint[])"
                         " on conflict (key) do nothing"};

static const struct pg_statement read_keys = {
    "orders_read_keys",
    "select i.key, i.order_id, i.request_hash, s.customer_id, s.total_minor, s.currency, "
    "s.created_us"
    "  from idempotency i left join order_states s on s.id = i.order_id where i.key = any($1)"};

static const struct pg_statement insert_orders = {
    "orders_insert", "insert into orders (id, customer_id, created)"
                     " select unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[])"};

static const struct pg_statement insert_states = {
    "orders_insert_states",
    "insert into order_states (id, created_us, created_number, customer_id, total_minor, currency,"
    "                          state, reason, detail, said)"
    " select unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::text[]),"
    "        unnest($5::bigint[]), unnest($6::text[]), unnest($7::smallint[]),"
    "        unnest($8::smallint[]), unnest($9::text[]), unnest($10::bytea[])"};

static const struct pg_statement insert_open = {
    "orders_insert_open",
    "insert into open_orders (shard, number, id, deadline_ms)"
    " select unnest($1::int[]), unnest($2::bigint[]), unnest($3::text[]), unnest($4::bigint[])"};

static const struct pg_statement update_states = {
    "orders_update_states",
    "update order_states s set state = u.state, reason = u.reason,"
    "       detail = coalesce(u.detail, s.detail), said = s.said || u.said"
    "  from unnest($1::text[], $2::smallint[], $3::smallint[], $4::text[], $5::bytea[])"
    "       u(id, state, reason, detail, said)"
    " where s.id = u.id"};

/* A queue is taken for a table of one row when it is empty, and would be walked for each key:
 * `offset 0` has it looked up. */
static const struct pg_statement delete_open = {
    "orders_delete_open",
    "delete from open_orders where ctid = any(array("
    "  select o.ctid from unnest($1::int[], $2::bigint[]) u(shard, number)"
    "   cross join lateral (select ctid from open_orders where shard = u.shard"
    "                          and number = u.number offset 0) o))"};

static const struct pg_statement upsert_verdicts = {
    "orders_upsert_verdicts",
    "insert into order_verdicts as v (id, heard, seen)"
    " select unnest($1::text[]), unnest($2::int[]), unnest($3::bytea[])"
    " on conflict (id) do update set heard = excluded.heard, seen = v.seen || excluded.seen"};

static const struct pg_statement upsert_products = {
    "orders_upsert_products",
    "insert into products (sku, unit_price_minor, currency, kind, sold, event)"
    " select unnest($1::text[]), unnest($2::bigint[]), unnest($3::text[]),"
    "        unnest($4::smallint[]), unnest($5::bool[]), unnest($6::text[])"
    " on conflict (sku) do update set unit_price_minor = excluded.unit_price_minor,"
    "   currency = excluded.currency, kind = excluded.kind, sold = excluded.sold,"
    "   event = excluded.event"};

static const struct pg_statement withdraw_products = {
    "orders_withdraw_products", "update products set sold = false where sku = any($1)"};

static const struct pg_statement drop_keys = {
    "orders_drop_keys",
    "delete from idempotency i using unnest($1::text[], $2::text[]) u(key, order_id)"
    " where i.key = u.key and i.order_id = u.order_id"};

static void work_start(struct work *work, size_t command_count, struct arena *arena)
{
    work->claims = arena_array(arena, command_count + 1, sizeof *work->claims);
    work->claim_count = 0;
    work->prices = NULL;
    work->price_count = 0;
    work->reads_orders = work->reads_prices = false;
    work->look = NULL;
    pg_column_start(&work->told, PG_TEXT);
    pg_column_start(&work->nudged, PG_TEXT);
}

/* --- Load: what this unit has to know --------------------------------------------------------- */

static void note_event(struct work *work, struct pg_column *told, const struct event *event)
{
    enum saga_trigger trigger = saga_trigger_of(event->type);

    if (!saga_reacts(PART_ORDERS, trigger))
        return;
    work->reads_orders = true;
    if (order_tells_in_full(trigger))
        pg_column_bytes(told, event->envelope->subject);
}

static size_t note_command(struct work *work, struct pg_column *told, struct command *command)
{
    switch (command->kind) {
    case COMMAND_PLACE: {
        struct place *place = (struct place *)command;

        work->reads_orders = true;
        if (place->request.idempotency_key.data != NULL)
            work->claims[work->claim_count++] = place;
        return place->request.line_count;
    }
    case COMMAND_NUDGE:
        pg_column_bytes(&work->nudged, command->key);
        /* fall through */
    case COMMAND_CANCEL:
    case COMMAND_DEADLINE:
        work->reads_orders = true;
        pg_column_bytes(told, command->key);
        return 0;
    case COMMAND_LOOK:
        work->look = (struct look *)command;
        return 0;
    }
    return 0;
}

static int compare_views(const void *a, const void *b)
{
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* The SKUs of all carts, each once: the same few products are in many. */
static void queue_prices(struct unit *unit, struct work *work, size_t line_count)
{
    struct view *skus = arena_array(unit_arena(unit), line_count, sizeof *skus);
    struct command *const *commands;
    size_t command_count = unit_commands(unit, &commands), count = 0;
    struct pg_column *column = &work->batch.columns[0];
    struct pg_args args = {0};

    for (size_t i = 0; i < command_count; i++) {
        const struct order_request *request = &((struct place *)commands[i])->request;

        for (size_t j = 0; commands[i]->kind == COMMAND_PLACE && j < request->line_count; j++)
            skus[count++] = request->lines[j].sku;
    }
    qsort(skus, count, sizeof *skus, compare_views);
    pg_column_start(column, PG_TEXT);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !view_equal(skus[i], skus[i - 1]))
            pg_column_bytes(column, skus[i]);
    }
    pg_arg_column(&args, column);
    pg_queue(unit_pg(unit), &read_prices, &args);
    work->reads_prices = true;
}

static int compare_claims(const void *a, const void *b)
{
    return view_compare((*(struct place *const *)a)->request.idempotency_key,
                        (*(struct place *const *)b)->request.idempotency_key);
}

/* Sorted, so that two instances with the same keys wait for each other in one direction only. */
static void queue_claims(struct unit *unit, struct work *work)
{
    struct pg_column *columns = work->batch.columns;
    struct pg_args args = {0};

    qsort(work->claims, work->claim_count, sizeof(struct place *), compare_claims);
    PG_BATCH_START(&work->batch, PG_TEXT, PG_TEXT, PG_BYTEA, PG_INT8);
    for (size_t i = 0; i < work->claim_count; i++) {
        pg_column_bytes(&columns[0], work->claims[i]->request.idempotency_key);
        pg_column_bytes(&columns[1], work->claims[i]->order_id);
        pg_column_bytes(&columns[2], work->claims[i]->request.request_hash);
        pg_column_int8(&columns[3], unit_now_us(unit));
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &claim_keys);
    pg_arg_column(&args, &columns[0]);
    pg_queue(unit_pg(unit), &read_keys, &args);
}

void orders_load(struct unit *unit)
{
    struct orders *orders = orders_of(unit_host(unit));
    struct work *work = &orders->work;
    struct pg_column *told = &work->told;
    const struct event *events;
    struct command *const *commands;
    size_t event_count = unit_events(unit, &events);
    size_t command_count = unit_commands(unit, &commands), line_count = 0;
    struct pg_args args = {0};

    work_start(work, command_count, unit_arena(unit));
    for (size_t i = 0; i < event_count; i++)
        note_event(work, told, &events[i]);
    for (size_t i = 0; i < command_count; i++)
        line_count += note_command(work, told, commands[i]);

    if (work->claim_count > 0)
        queue_claims(unit, work);
    if (work->reads_orders) {
        pg_arg_column(&args, unit_keys_column(unit));
        pg_queue(unit_pg(unit), &read_orders, &args);
    }
    if (told->count > 0) {
        args = (struct pg_args){0};
        pg_arg_column(&args, told);
        pg_queue(unit_pg(unit), &read_created, &args);
    }
    if (work->nudged.count > 0) {
        args = (struct pg_args){0};
        pg_arg_column(&args, &work->nudged);
        pg_queue(unit_pg(unit), &read_said, &args);
    }
    if (line_count > 0)
        queue_prices(unit, work, line_count);
    if (work->look != NULL)
        look_queue(work->look, unit);
}

/* --- Loaded: the answers, in the order of the questions --------------------------------------- */

static struct place *find_claim(struct work *work, struct view key)
{
    size_t low = 0, high = work->claim_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(work->claims[middle]->request.idempotency_key, key);

        if (order == 0)
            return work->claims[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void take_claims(struct unit *unit, struct work *work, const struct pg_rows *rows)
{
    struct arena *arena = unit_arena(unit);

    for (int row = 0; row < rows->count; row++) {
        struct place *place = find_claim(work, pg_bytes(rows, row, 0));

        if (place == NULL)
            continue;
        place->earlier_id = arena_view(arena, pg_bytes(rows, row, 1));
        place->earlier_hash = arena_view(arena, pg_bytes(rows, row, 2));
        place->receipt = (struct receipt){
            .order_id = place->earlier_id,
            .customer_id = arena_view(arena, pg_bytes(rows, row, 3)),
            .total_minor = pg_int(rows, row, 4),
            .currency = arena_view(arena, pg_bytes(rows, row, 5)),
            .created_us = pg_int(rows, row, 6),
        };
    }
}

static void take_orders(struct unit *unit, const struct pg_rows *rows)
{
    struct arena *arena = unit_arena(unit);

    for (int row = 0; row < rows->count; row++) {
        struct view id = pg_bytes(rows, row, 0);
        struct record *record = unit_state(unit, id);

        if (record == NULL)
            continue;
        record->order = (struct order){
            .progress = {(enum saga_orders_state)pg_int(rows, row, 1),
                         (uint32_t)pg_int(rows, row, 8)},
            .customer_id = arena_view(arena, pg_bytes(rows, row, 3)),
            .total_minor = pg_int(rows, row, 4),
            .currency = arena_view(arena, pg_bytes(rows, row, 5)),
        };
        record->reason = (enum cancel_reason)pg_int(rows, row, 2);
        record->created_number = (uint64_t)pg_int(rows, row, 6);
        record->created_us = pg_int(rows, row, 7);
    }
}

enum err_kind orders_decode_created(const struct order_created **out, const struct host *host,
                                    struct view value, struct arena *arena, struct err *err)
{
    enum event_type type;
    const void *event;

    if (event_decode_kept(&type, &event, value, host_schema_ids(host), arena, err) != ERR_OK)
        return err_set(err, ERR_STOP, "stored order.created: %s", err->text);
    if (type != EVENT_ORDER_CREATED)
        return err_set(err, ERR_STOP, "stored event is %s, want order.created",
                       event_type_name(type));
    *out = event;
    return ERR_OK;
}

static enum err_kind take_created(struct unit *unit, const struct pg_rows *rows, struct err *err)
{
    struct arena *arena = unit_arena(unit);

    for (int row = 0; row < rows->count; row++) {
        struct record *record = unit_state(unit, pg_bytes(rows, row, 0));

        if (record != NULL &&
            orders_decode_created(&record->order.created, unit_host(unit),
                                  arena_view(arena, pg_bytes(rows, row, 1)), arena, err) != ERR_OK)
            return err->kind;
    }
    return ERR_OK;
}

/* When the order was last nudged. */
static enum err_kind take_said(struct unit *unit, const struct pg_rows *rows, struct err *err)
{
    for (int row = 0; row < rows->count; row++) {
        struct record *record = unit_state(unit, pg_bytes(rows, row, 0));
        struct history_entry *said;
        size_t count;

        if (record == NULL)
            continue;
        if (history_read(&said, &count, pg_bytes(rows, row, 1), VIEW_LITERAL(""), unit_arena(unit),
                         err) != ERR_OK)
            return err->kind;
        for (size_t i = 0; i < count; i++)
            if (said[i].type == EVENT_ORDER_REMINDED && said[i].time_us > record->reminded_us)
                record->reminded_us = said[i].time_us;
    }
    return ERR_OK;
}

static void take_prices(struct unit *unit, struct work *work, const struct pg_rows *rows)
{
    struct arena *arena = unit_arena(unit);

    work->price_count = (size_t)rows->count;
    work->prices = arena_array(arena, work->price_count + 1, sizeof *work->prices);
    for (int row = 0; row < rows->count; row++)
        work->prices[row] = (struct price){
            .sku = arena_view(arena, pg_bytes(rows, row, 0)),
            .unit_price_minor = pg_int(rows, row, 1),
            .currency = arena_view(arena, pg_bytes(rows, row, 2)),
            .kind = (enum product_kind)pg_int(rows, row, 3),
            .sold = pg_bool(rows, row, 4),
            .event = arena_view(arena, pg_bytes(rows, row, 5)),
        };
}

/* The ids are the unit's own copies of the keys. */
static void name_orders(struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    for (size_t i = 0; i < count; i++)
        ((struct record *)unit_state_at(unit, i))->order.id = keys[i];
}

enum err_kind orders_loaded(struct unit *unit, struct err *err)
{
    struct orders *orders = orders_of(unit_host(unit));
    struct work *work = &orders->work;
    struct pg *pg = unit_pg(unit);
    struct pg_rows rows;

    if (work->claim_count > 0) {
        if (pg_next(pg, &rows, err) != ERR_OK || pg_next(pg, &rows, err) != ERR_OK)
            return err->kind;
        take_claims(unit, work, &rows);
    }
    if (work->reads_orders) {
        if (pg_next(pg, &rows, err) != ERR_OK)
            return err->kind;
        take_orders(unit, &rows);
    }
    if (work->told.count > 0 &&
        (pg_next(pg, &rows, err) != ERR_OK || take_created(unit, &rows, err) != ERR_OK))
        return err->kind;
    if (work->nudged.count > 0 &&
        (pg_next(pg, &rows, err) != ERR_OK || take_said(unit, &rows, err) != ERR_OK))
        return err->kind;
    if (work->reads_prices) {
        if (pg_next(pg, &rows, err) != ERR_OK)
            return err->kind;
        take_prices(unit, work, &rows);
    }
    if (work->look != NULL && look_read(work->look, unit, err) != ERR_OK)
        return err->kind;
    name_orders(unit);
    return ERR_OK;
}

/* --- Save ----------------------------------------------------------------------------------- */

static void save_new_orders(struct unit *unit, struct work *work, size_t count)
{
    PG_BATCH_START(&work->batch, PG_TEXT, PG_TEXT, PG_BYTEA);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (!record->placed)
            continue;
        pg_column_bytes(&work->batch.columns[0], record->order.id);
        pg_column_bytes(&work->batch.columns[1], record->order.customer_id);
        pg_column_bytes(&work->batch.columns[2], record->created);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &insert_orders);
}

static void save_new_states(struct unit *unit, struct work *work, size_t count)
{
    struct pg_column *columns = work->batch.columns;

    PG_BATCH_START(&work->batch, PG_TEXT, PG_INT8, PG_INT8, PG_TEXT, PG_INT8, PG_TEXT, PG_INT2,
                   PG_INT2, PG_TEXT, PG_BYTEA);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (!record->placed)
            continue;
        pg_column_bytes(&columns[0], record->order.id);
        pg_column_int8(&columns[1], record->created_us);
        pg_column_int8(&columns[2], (int64_t)record->created_number);
        pg_column_bytes(&columns[3], record->order.customer_id);
        pg_column_int8(&columns[4], record->order.total_minor);
        pg_column_bytes(&columns[5], record->order.currency);
        pg_column_int2(&columns[6], (int16_t)record->order.progress.state);
        pg_column_int2(&columns[7], (int16_t)record->reason);
        pg_column_bytes(&columns[8], record->detail.data != NULL ? record->detail : view_str(""));
        pg_column_bytes(&columns[9], record->said);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &insert_states);
}

static void save_changed_states(struct unit *unit, struct work *work, size_t count)
{
    struct pg_column *columns = work->batch.columns;

    PG_BATCH_START(&work->batch, PG_TEXT, PG_INT2, PG_INT2, PG_TEXT, PG_BYTEA);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->placed || record->said.size == 0)
            continue;
        pg_column_bytes(&columns[0], record->order.id);
        pg_column_int2(&columns[1], (int16_t)record->order.progress.state);
        pg_column_int2(&columns[2], (int16_t)record->reason);
        pg_column_bytes(&columns[3], record->detail);
        pg_column_bytes(&columns[4], record->said);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &update_states);
}

static void save_open_orders(struct unit *unit, struct work *work, size_t count)
{
    struct host *host = unit_host(unit);
    struct pg_column *columns = work->batch.columns;

    PG_BATCH_START(&work->batch, PG_INT4, PG_INT8, PG_TEXT, PG_INT8);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (!record->placed || record->decided)
            continue;
        pg_column_int4(&columns[0], host_shard_of(host, record->order.id));
        pg_column_int8(&columns[1], (int64_t)record->created_number);
        pg_column_bytes(&columns[2], record->order.id);
        pg_column_int8(&columns[3], orders_of(host)->deadline_ms);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &insert_open);

    PG_BATCH_START(&work->batch, PG_INT4, PG_INT8);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (!record->decided || record->placed)
            continue;
        pg_column_int4(&columns[0], host_shard_of(host, record->order.id));
        pg_column_int8(&columns[1], (int64_t)record->created_number);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &delete_open);
}

static void save_verdicts(struct unit *unit, struct work *work, size_t count)
{
    struct pg_column *columns = work->batch.columns;

    PG_BATCH_START(&work->batch, PG_TEXT, PG_INT4, PG_BYTEA);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->seen.size == 0)
            continue;
        pg_column_bytes(&columns[0], record->order.id);
        pg_column_int4(&columns[1], (int32_t)record->order.progress.heard);
        pg_column_bytes(&columns[2], record->seen);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &upsert_verdicts);
}

static void save_products(struct unit *unit, struct work *work, size_t count)
{
    struct pg_column *columns = work->batch.columns;

    PG_BATCH_START(&work->batch, PG_TEXT, PG_INT8, PG_TEXT, PG_INT2, PG_BOOL, PG_TEXT);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (!record->upserted)
            continue;
        pg_column_bytes(&columns[0], record->price.sku);
        pg_column_int8(&columns[1], record->price.unit_price_minor);
        pg_column_bytes(&columns[2], record->price.currency);
        pg_column_int2(&columns[3], (int16_t)record->price.kind);
        pg_column_bool(&columns[4], record->price.sold);
        pg_column_bytes(&columns[5], record->price.event);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &upsert_products);

    PG_BATCH_START(&work->batch, PG_TEXT);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->withdrawn && !record->upserted)
            pg_column_bytes(&columns[0], record->order.id);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &withdraw_products);
}

/* A refused request did not happen: its key is free for the corrected one. */
static void drop_refused_claims(struct unit *unit, struct work *work)
{
    PG_BATCH_START(&work->batch, PG_TEXT, PG_TEXT);
    for (size_t i = 0; i < work->claim_count; i++) {
        const struct place *place = work->claims[i];

        if (place->refusal.status == 0)
            continue;
        pg_column_bytes(&work->batch.columns[0], place->request.idempotency_key);
        pg_column_bytes(&work->batch.columns[1], place->order_id);
    }
    pg_batch_queue(&work->batch, unit_pg(unit), &drop_keys);
}

void orders_save(struct unit *unit)
{
    struct work *work = &orders_of(unit_host(unit))->work;
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    save_new_orders(unit, work, count);
    save_new_states(unit, work, count);
    save_changed_states(unit, work, count);
    save_open_orders(unit, work, count);
    save_verdicts(unit, work, count);
    save_products(unit, work, count);
    drop_refused_claims(unit, work);
}
