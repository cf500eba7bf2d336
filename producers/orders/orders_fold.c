/* The order service's tables as folds of topics: orders, order_states and open_orders of its own,
 * order_verdicts and products of its inputs. */
#include "events/fold.h"
#include "producers/orders/orders_history.h"

extern const struct pg_migration orders_scripts[];
extern const size_t orders_script_count;

enum {
    WRITE_ORDERS,
    WRITE_STATES,
    WRITE_CHANGES,
    WRITE_OPEN,
    WRITE_DECIDED,
    WRITE_VERDICTS,
    WRITE_PRODUCTS,
    WRITE_WITHDRAWN,
    WRITE_KEYS,
};

static const struct fold_write writes[] = {
    [WRITE_ORDERS] = {{"orders_fold_orders",
                       "insert into orders (id, customer_id, created)"
                       " select unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[])"},
                      {PG_TEXT, PG_TEXT, PG_BYTEA},
                      3},
    [WRITE_STATES] =
        {{"orders_fold_states",
          "insert into order_states (id, created_us, created_number, customer_id, total_minor,"
          "                          currency, state, reason, detail, said)"
          " select unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[]),"
          "        unnest($4::text[]), unnest($5::bigint[]), unnest($6::text[]),"
          "        unnest($7::smallint[]), unnest($8::smallint[]), unnest($9::text[]),"
          "        unnest($10::bytea[])"},
         {PG_TEXT, PG_INT8, PG_INT8, PG_TEXT, PG_INT8, PG_TEXT, PG_INT2, PG_INT2, PG_TEXT,
          PG_BYTEA},
         10},
    [WRITE_CHANGES] =
        {{"orders_fold_changes",
          "update order_states s set state = coalesce(u.state, s.state),"
          "       reason = coalesce(u.reason, s.reason),"
          "       detail = coalesce(u.detail, s.detail), said = s.said || u.said"
          "  from unnest($1::text[], $2::smallint[], $3::smallint[], $4::text[], $5::bytea[])"
          "       u(id, state, reason, detail, said) where s.id = u.id"},
         {PG_TEXT, PG_INT2, PG_INT2, PG_TEXT, PG_BYTEA},
         5},
    [WRITE_OPEN] = {{"orders_fold_open",
                     "insert into open_orders (shard, number, id, deadline_ms)"
                     " select unnest($1::int[]), unnest($2::bigint[]), unnest($3::text[]),"
                     "        unnest($4::bigint[])"},
                    {PG_INT4, PG_INT8, PG_TEXT, PG_INT8},
                    4},
    [WRITE_DECIDED] = {{"orders_fold_decided",
                        "delete from open_orders o using unnest($1::int[], $2::text[]) u(shard, id)"
                        "  join order_states s on s.id = u.id"
                        " where o.shard = u.shard and o.number = s.created_number"},
                       {PG_INT4, PG_TEXT},
                       2},
    [WRITE_VERDICTS] = {{"orders_fold_verdicts",
                         "insert into order_verdicts as v (id, heard, seen)"
                         " select unnest($1::text[]), unnest($2::int[]), unnest($3::bytea[])"
                         " on conflict (id) do update set heard = v.heard | excluded.heard,"
                         "   seen = v.seen || excluded.seen"},
                        {PG_TEXT, PG_INT4, PG_BYTEA},
                        3},
    [WRITE_PRODUCTS] =
        {{"orders_fold_products",
          "insert into products (sku, unit_price_minor, currency, kind, sold, event)"
          " select unnest($1::text[]), unnest($2::bigint[]), unnest($3::text[]),"
          "        unnest($4::smallint[]), unnest($5::bool[]), unnest($6::text[])"
          " on conflict (sku) do update set unit_price_minor = excluded.unit_price_minor,"
          "   currency = excluded.currency, kind = excluded.kind, sold = excluded.sold,"
          "   event = excluded.event"},
         {PG_TEXT, PG_INT8, PG_TEXT, PG_INT2, PG_BOOL, PG_TEXT},
         6},
    [WRITE_WITHDRAWN] = {{"orders_fold_withdrawn",
                          "update products set sold = false where sku = any($1::text[])"},
                         {PG_TEXT},
                         1},
    [WRITE_KEYS] = {{"orders_fold_keys",
                     "insert into idempotency (key, order_id, request_hash, created_us)"
                     " select unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[]),"
                     "        unnest($4::bigint[])"
                     " on conflict (key) do update set order_id = excluded.order_id,"
                     "   request_hash = excluded.request_hash, created_us = excluded.created_us"
                     " where excluded.created_us > idempotency.created_us"},
                    {PG_TEXT, PG_TEXT, PG_BYTEA, PG_INT8},
                    4},
};

/* What a batch has heard of a key: an order, or a product. */
struct change {
    bool is_placed; /* created in this batch: the whole row is known */
    int64_t created_us, total_minor, deadline_ms;
    uint64_t created_number;
    struct view customer_id, currency;
    enum saga_orders_state state; /* ORDERS_NONE: it stays what it was */
    bool is_decided;              /* left `placed` in this batch */
    bool is_cancelled;            /* in this batch: reason and detail are known */
    enum cancel_reason reason;
    struct view detail, said;
    uint32_t heard;
    struct view seen;

    int64_t unit_price_minor;
    struct view price_currency, price_event;
    enum product_kind kind;
    bool is_upserted, is_withdrawn;
};

/* --- Own events ------------------------------------------------------------------------------- */

static void add_order(struct fold_batch *batch, const struct event *event)
{
    const struct order_created *created = event->data;
    struct pg_column *columns = fold_columns(batch, WRITE_ORDERS);

    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], created->customer_id);
    pg_column_bytes(&columns[2], batch->value);
}

/* A key that is used again names the later order: the earlier one is more than a day old. */
static void add_key(struct fold_batch *batch, const struct event *event)
{
    const struct order_created *created = event->data;
    struct pg_column *columns = fold_columns(batch, WRITE_KEYS);

    if (created->idempotency_key.data == NULL || created->occurred_at < batch->young_us)
        return;
    pg_column_bytes(&columns[0], created->idempotency_key);
    pg_column_bytes(&columns[1], event->envelope->subject);
    pg_column_bytes(&columns[2], created->request_hash);
    pg_column_int8(&columns[3], created->occurred_at);
}

static void note_created(struct fold_batch *batch, struct change *change, const struct event *event)
{
    const struct order_created *created = event->data;

    add_order(batch, event);
    add_key(batch, event);
    change->is_placed = true;
    change->created_us = created->occurred_at;
    change->created_number = event->envelope->number;
    change->customer_id = fold_keep(batch, created->customer_id);
    change->total_minor = created->total_minor;
    change->currency = fold_keep(batch, created->currency);
    change->deadline_ms = created->deadline_ms;
    change->state = ORDERS_PLACED;
}

static void note_cancelled(struct fold_batch *batch, struct change *change,
                           const struct order_cancelled *cancelled)
{
    change->is_decided |= cancelled->was == ORDER_STAGE_PLACED;
    change->is_cancelled = true;
    change->reason = cancelled->reason;
    change->detail = fold_keep(batch, cancelled->detail);
    change->state = ORDERS_CANCELLED;
}

static void note_said(struct fold_batch *batch, struct change *change, const struct event *event)
{
    struct history_entry entry = {
        .number = event->envelope->number,
        .time_us = event->envelope->time_us,
    };

    history_set_cause(&entry, event->envelope->causation_id);
    change->said = event->type == EVENT_ORDER_REMINDED
                       ? history_add_reminder(change->said, &entry, batch->arena)
                       : history_add_said(change->said, change->state, &entry, batch->arena);
}

static void apply_own(struct fold_batch *batch, struct change *change, const struct event *event)
{
    switch ((int)event->type) {
    case EVENT_ORDER_CREATED:
        note_created(batch, change, event);
        break;
    case EVENT_ORDER_CONFIRMED:
        change->is_decided = true;
        change->state = ORDERS_CONFIRMED;
        break;
    case EVENT_ORDER_CANCELLED:
        note_cancelled(batch, change, event->data);
        break;
    case EVENT_ORDER_CLOSED: {
        const struct order_closed *closed = event->data;

        change->state =
            closed->outcome == ORDER_OUTCOME_FULFILLED ? ORDERS_FULFILLED : ORDERS_CLOSED;
        break;
    }
    case EVENT_ORDER_REMINDED:
        break;
    default:
        return;
    }
    note_said(batch, change, event);
}

/* --- Inputs ----------------------------------------------------------------------------------- */

static void note_product(struct fold_batch *batch, struct change *change, const struct event *event)
{
    const struct product_upserted *product = event->data;

    change->is_upserted = true;
    change->is_withdrawn = false;
    change->unit_price_minor = product->unit_price_minor;
    change->price_currency = fold_keep(batch, product->currency);
    change->kind = product->kind;
    change->price_event = fold_keep(batch, event->envelope->id);
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct change *change = state;

    (void)err;
    if (event_topic(event->type) == TOPIC_ORDERS)
        apply_own(batch, change, event);
    else if (event->type == EVENT_PRODUCT_UPSERTED)
        note_product(batch, change, event);
    else if (event->type == EVENT_PRODUCT_WITHDRAWN)
        change->is_withdrawn = true;
    else if (saga_reacts(PART_ORDERS, saga_trigger_of(event->type))) {
        change->heard = order_progress_hear(change->heard, event->type);
        change->seen = history_add_seen(change->seen, event, batch->arena);
    }
    return ERR_OK;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void save_new(struct fold_batch *batch, struct view key, const struct change *change)
{
    struct pg_column *columns = fold_columns(batch, WRITE_STATES);

    pg_column_bytes(&columns[0], key);
    pg_column_int8(&columns[1], change->created_us);
    pg_column_int8(&columns[2], (int64_t)change->created_number);
    pg_column_bytes(&columns[3], change->customer_id);
    pg_column_int8(&columns[4], change->total_minor);
    pg_column_bytes(&columns[5], change->currency);
    pg_column_int2(&columns[6], (int16_t)change->state);
    pg_column_int2(&columns[7], (int16_t)change->reason);
    pg_column_bytes(&columns[8], fold_text(change->detail));
    pg_column_bytes(&columns[9], change->said);
    if (change->is_decided)
        return;
    columns = fold_columns(batch, WRITE_OPEN);
    pg_column_int4(&columns[0], fold_shard_of(batch, key));
    pg_column_int8(&columns[1], (int64_t)change->created_number);
    pg_column_bytes(&columns[2], key);
    pg_column_int8(&columns[3], change->deadline_ms);
}

static void save_changed(struct fold_batch *batch, struct view key, const struct change *change)
{
    struct pg_column *columns = fold_columns(batch, WRITE_CHANGES);

    pg_column_bytes(&columns[0], key);
    if (change->state != ORDERS_NONE)
        pg_column_int2(&columns[1], (int16_t)change->state);
    else
        pg_column_null(&columns[1]);
    if (change->is_cancelled)
        pg_column_int2(&columns[2], (int16_t)change->reason);
    else
        pg_column_null(&columns[2]);
    pg_column_bytes(&columns[3], change->is_cancelled ? fold_text(change->detail) : VIEW_NONE);
    pg_column_bytes(&columns[4], change->said);
    if (!change->is_decided)
        return;
    columns = fold_columns(batch, WRITE_DECIDED);
    pg_column_int4(&columns[0], fold_shard_of(batch, key));
    pg_column_bytes(&columns[1], key);
}

static void save_product(struct fold_batch *batch, struct view key, const struct change *change)
{
    struct pg_column *columns = fold_columns(batch, WRITE_PRODUCTS);

    pg_column_bytes(&columns[0], key);
    pg_column_int8(&columns[1], change->unit_price_minor);
    pg_column_bytes(&columns[2], change->price_currency);
    pg_column_int2(&columns[3], (int16_t)change->kind);
    pg_column_bool(&columns[4], !change->is_withdrawn);
    pg_column_bytes(&columns[5], change->price_event);
}

static void save(struct fold_batch *batch, struct view key, const void *state)
{
    const struct change *change = state;

    if (change->is_placed)
        save_new(batch, key, change);
    else if (change->said.size > 0)
        save_changed(batch, key, change);
    if (change->seen.size > 0) {
        struct pg_column *columns = fold_columns(batch, WRITE_VERDICTS);

        pg_column_bytes(&columns[0], key);
        pg_column_int4(&columns[1], (int32_t)change->heard);
        pg_column_bytes(&columns[2], change->seen);
    }
    if (change->is_upserted)
        save_product(batch, key, change);
    else if (change->is_withdrawn)
        pg_column_bytes(&fold_columns(batch, WRITE_WITHDRAWN)[0], key);
}

/* --- After a loss ----------------------------------------------------------------------------- */

static const struct pg_statement open_keys = {
    "orders_fold_open_keys", "select id, state::bigint from order_states where state in (1, 2, 4)"
                             " order by id"};
_Static_assert(ORDERS_PLACED == 1 && ORDERS_CONFIRMED == 2 && ORDERS_CANCELLED == 4,
               "stored numbers never change");

/* A confirmed order has had its verdicts; a placed and a cancelled one hear all of theirs again. */
static bool is_open(int64_t state, enum event_type type)
{
    if (!saga_reacts(PART_ORDERS, saga_trigger_of(type)))
        return false;
    return state != ORDERS_CONFIRMED || type == EVENT_INVENTORY_COMMITTED ||
           type == EVENT_PAYMENT_CAPTURED || type == EVENT_PAYMENT_FAILED;
}

/* --- The part --------------------------------------------------------------------------------- */

/* Entries of 26 bytes, in the order in which the topics happened to be read: history_read sorts
 * them. */
#define SEEN_SORTED                                                                                \
    "(select string_agg(substr(seen, i * 26 + 1, 26), '' order by substr(seen, i * 26 + 1, 26))"   \
    "   from generate_series(0, length(seen) / 26 - 1) i)"

static const struct fold_table tables[] = {
    {"orders", "id", "id", "id", FOLD_OWN, NULL, NULL},
    {"order_states", "id", "id", "id", FOLD_OWN, NULL, NULL},
    {"open_orders", "shard, number", "id", "id", FOLD_OWN, NULL, NULL},
    {"order_verdicts", "id", "id", "id", FOLD_INPUTS, "seen", SEEN_SORTED},
    {"products", "sku", "sku", "sku", FOLD_INPUTS, NULL, NULL},
};

static const char *const beside[] = {"idempotency", NULL};
static const enum topic inputs[] = {TOPIC_INVENTORY, TOPIC_PAYMENTS, TOPIC_FRAUD, TOPIC_PRODUCTS};

static const char *name_of(const char *column, int value)
{
    if (strcmp(column, "state") == 0 && saga_state_exists(PART_ORDERS, value))
        return saga_state_name(PART_ORDERS, value);
    if (strcmp(column, "reason") == 0 && value != CANCEL_REASON_UNKNOWN)
        return cancel_reason_name((enum cancel_reason)value);
    return NULL;
}

const struct fold orders_fold = {
    .part = "orders",
    .publishes = TOPIC_ORDERS,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .scripts = orders_scripts,
    .script_count = &orders_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .beside = beside,
    .make_beside = "insert into public.idempotency select * from replay_shadow.idempotency",
    .name_of = name_of,
    .writes = writes,
    .write_count = sizeof writes / sizeof writes[0],
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
    .open_keys = &open_keys,
    .is_open = is_open,
};
