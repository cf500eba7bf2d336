/* The reads and writes of a unit. Whoever changes an order's mails holds the row of its shard.
 *
 * owed_mails is a queue: when it is empty the planner takes it for a table of one row, and would
 * rather walk all of it than look keys up. A lateral subquery behind `offset 0` leaves it no
 * choice.
 */
#include "consumers/email/email.h"
#include "consumers/email/email_rows.h"

static const struct pg_statement read_owed = {
    "email_read_owed",
    "select o.order_id, o.kind, o.cause"
    "  from unnest($1::int[], $2::text[]) u(shard, id)"
    " cross join lateral (select * from owed_mails"
    "                      where shard = u.shard and order_id = u.id offset 0) o"};

static const struct pg_statement read_mails = {
    "email_read_mails", "select order_id, kind, state from mails where order_id = any($1)"};

static const struct pg_statement insert_owed = {
    "email_insert_owed",
    "insert into owed_mails (shard, order_id, kind, cause, queued_us, reason, was, amount_minor,"
    "                        currency)"
    " select unnest($1::int[]), unnest($2::text[]), unnest($3::smallint[]), unnest($4::text[]),"
    "        unnest($5::bigint[]), unnest($6::smallint[]), unnest($7::smallint[]),"
    "        unnest($8::bigint[]), unnest($9::text[])"};

static const struct pg_statement delete_owed = {
    "email_delete_owed",
    "delete from owed_mails where ctid = any(array("
    "  select o.ctid from unnest($1::int[], $2::text[], $3::smallint[]) u(shard, id, kind)"
    "   cross join lateral (select ctid from owed_mails where shard = u.shard and order_id = u.id"
    "                          and kind = u.kind offset 0) o))"};

static const struct pg_statement count_owed = {"email_count_owed",
                                               "select count(*) from owed_mails where shard = $1"};

/* --- Load ------------------------------------------------------------------------------------- */

static void add_key(struct pg_batch *batch, struct unit *unit, struct view order_id)
{
    pg_column_int4(&batch->columns[0], host_shard_of(unit_host(unit), order_id));
    pg_column_bytes(&batch->columns[1], order_id);
}

/* Only orders with a mail to queue or to settle have state here that matters. */
static void collect_keys(struct unit *unit, struct pg_batch *batch)
{
    const struct event *events;
    struct command *const *commands;
    size_t event_count = unit_events(unit, &events);
    size_t command_count = unit_commands(unit, &commands);

    PG_BATCH_START(batch, PG_INT4, PG_TEXT);
    for (size_t i = 0; i < event_count; i++)
        if (email_kind_of(events[i].type) != MAIL_KIND_UNKNOWN)
            add_key(batch, unit, events[i].envelope->subject);
    for (size_t i = 0; i < command_count; i++)
        if (commands[i]->kind == COMMAND_OUTCOME)
            add_key(batch, unit, commands[i]->key);
}

void email_load(struct unit *unit)
{
    struct pg_batch *batch = &email_of(unit_host(unit))->batch;
    struct pg_args args = {0};

    collect_keys(unit, batch);
    pg_batch_queue(batch, unit_pg(unit), &read_owed);
    if (batch->columns[1].count == 0)
        return;
    pg_arg_column(&args, &batch->columns[1]);
    pg_queue(unit_pg(unit), &read_mails, &args);
}

static struct mail_state *mail_of_row(struct unit *unit, const struct pg_rows *rows, int row)
{
    struct record *record = unit_state(unit, pg_bytes(rows, row, 0));
    int64_t kind = pg_int(rows, row, 1);

    return kind > 0 && kind < MAIL_KIND_COUNT ? &record->mails[kind] : &record->mails[0];
}

enum err_kind email_loaded(struct unit *unit, struct err *err)
{
    struct pg_rows rows;

    if (email_of(unit_host(unit))->batch.columns[1].count == 0)
        return ERR_OK;
    if (pg_next(unit_pg(unit), &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++) {
        struct mail_state *mail = mail_of_row(unit, &rows, row);

        mail->state = EMAIL_QUEUED;
        mail->cause = arena_view(unit_arena(unit), pg_bytes(&rows, row, 2));
    }
    if (pg_next(unit_pg(unit), &rows, err) != ERR_OK)
        return err->kind;
    for (int row = 0; row < rows.count; row++)
        mail_of_row(unit, &rows, row)->state = (enum saga_email_state)pg_int(&rows, row, 2);
    return ERR_OK;
}

/* --- Save ------------------------------------------------------------------------------------- */

static void save_orders(struct unit *unit, struct pg_batch *batch, size_t count,
                        const struct view *keys)
{
    fold_write_start(batch, &email_writes[EMAIL_ROWS_ORDERS]);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->created.data != NULL)
            email_rows_add_order(batch->columns, keys[i], record->created);
    }
    pg_batch_queue(batch, unit_pg(unit), &email_writes[EMAIL_ROWS_ORDERS].statement);
}

static void save_owed(struct unit *unit, struct pg_batch *batch, size_t count,
                      const struct view *keys)
{
    struct pg_column *columns = batch->columns;

    PG_BATCH_START(batch, PG_INT4, PG_TEXT, PG_INT2, PG_TEXT, PG_INT8, PG_INT2, PG_INT2, PG_INT8,
                   PG_TEXT);
    for (size_t i = 0; i < count * MAIL_KIND_COUNT; i++) {
        const struct record *record = unit_state_at(unit, i / MAIL_KIND_COUNT);
        const struct mail_state *mail = &record->mails[i % MAIL_KIND_COUNT];

        if (!mail->is_queued || mail->is_settled)
            continue;
        add_key(batch, unit, keys[i / MAIL_KIND_COUNT]);
        pg_column_int2(&columns[2], (int16_t)(i % MAIL_KIND_COUNT));
        pg_column_bytes(&columns[3], mail->cause);
        pg_column_int8(&columns[4], mail->queued_us);
        pg_column_int2(&columns[5], (int16_t)mail->reason);
        pg_column_int2(&columns[6], (int16_t)mail->was);
        pg_column_int8(&columns[7], mail->amount_minor);
        pg_column_bytes(&columns[8], mail->currency.data != NULL ? mail->currency : view_str(""));
    }
    pg_batch_queue(batch, unit_pg(unit), &insert_owed);
}

static void save_settled(struct unit *unit, struct pg_batch *batch, size_t count,
                         const struct view *keys)
{
    struct pg_column *columns = batch->columns;

    PG_BATCH_START(batch, PG_INT4, PG_TEXT, PG_INT2);
    for (size_t i = 0; i < count * MAIL_KIND_COUNT; i++) {
        const struct record *record = unit_state_at(unit, i / MAIL_KIND_COUNT);

        if (!record->mails[i % MAIL_KIND_COUNT].is_settled)
            continue;
        add_key(batch, unit, keys[i / MAIL_KIND_COUNT]);
        pg_column_int2(&columns[2], (int16_t)(i % MAIL_KIND_COUNT));
    }
    pg_batch_queue(batch, unit_pg(unit), &delete_owed);

    fold_write_start(batch, &email_writes[EMAIL_ROWS_MAILS]);
    for (size_t i = 0; i < count * MAIL_KIND_COUNT; i++) {
        const struct record *record = unit_state_at(unit, i / MAIL_KIND_COUNT);
        const struct mail_state *mail = &record->mails[i % MAIL_KIND_COUNT];

        if (mail->is_settled)
            email_rows_add_mail(columns,
                                &(struct email_row){.order_id = keys[i / MAIL_KIND_COUNT],
                                                    .kind = (enum mail_kind)(i % MAIL_KIND_COUNT),
                                                    .state = mail->state,
                                                    .message_id = mail->message_id,
                                                    .reason = mail->why,
                                                    .settled_us = unit_now_us(unit)});
    }
    pg_batch_queue(batch, unit_pg(unit), &email_writes[EMAIL_ROWS_MAILS].statement);
}

void email_save(struct unit *unit)
{
    struct pg_batch *batch = &email_of(unit_host(unit))->batch;
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    save_orders(unit, batch, count, keys);
    save_owed(unit, batch, count, keys);
    save_settled(unit, batch, count, keys);
}

/* --- Counting -----------------------------------------------------------------------------------
 */

enum err_kind email_count_owed(int64_t *out, struct pg *pg, int32_t shard, struct err *err)
{
    struct pg_args args = {0};
    struct pg_rows rows;

    pg_arg_int4(&args, shard);
    if (pg_run(pg, &count_owed, &args, &rows, err) != ERR_OK)
        return err->kind;
    *out = pg_int(&rows, 0, 0);
    return ERR_OK;
}
