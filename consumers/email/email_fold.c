/* Email's tables as folds of topics: mails of its own, orders of its inputs. */
#include "consumers/email/email_decide.h"
#include "events/fold.h"

extern const struct pg_migration email_scripts[];
extern const size_t email_script_count;

enum { WRITE_ORDERS, WRITE_MAILS };

static const struct fold_write writes[] = {
    [WRITE_ORDERS] = {{"email_fold_orders", "insert into orders (order_id, created)"
                                            " select * from unnest($1::text[], $2::bytea[])"},
                      {PG_TEXT, PG_BYTEA},
                      2},
    [WRITE_MAILS] =
        {{"email_fold_mails",
          "insert into mails (order_id, kind, state, message_id, reason, settled_us)"
          " select * from unnest($1::text[], $2::smallint[], $3::smallint[], $4::text[],"
          "                      $5::text[], $6::bigint[])"},
         {PG_TEXT, PG_INT2, PG_INT2, PG_TEXT, PG_TEXT, PG_INT8},
         6},
};

/* What a batch has heard of an order. */
struct change {
    int balance[MAIL_KIND_COUNT]; /* mails that are to be sent, less those that are settled */
};

static void add_mail(struct fold_batch *batch, const struct event *event,
                     enum saga_email_state state, const struct email_failed *mail)
{
    struct pg_column *columns = fold_columns(batch, WRITE_MAILS);

    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_int2(&columns[1], (int16_t)mail->kind);
    pg_column_int2(&columns[2], (int16_t)state);
    pg_column_bytes(&columns[3], mail->message_id);
    pg_column_bytes(&columns[4], mail->reason);
    pg_column_int8(&columns[5], mail->occurred_at);
}

static enum err_kind add_order(struct fold_batch *batch, const struct event *event, struct err *err)
{
    struct pg_column *columns = fold_columns(batch, WRITE_ORDERS);
    AUTO(arena_clear) struct arena arena = {0};
    struct view created;
    enum err_kind kind = email_keep_order(&created, event->data, batch->ids, &arena, err);

    if (kind != ERR_OK)
        return kind;
    pg_column_bytes(&columns[0], event->envelope->subject);
    pg_column_bytes(&columns[1], created);
    return ERR_OK;
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct change *change = state;

    if (event->type == EVENT_ORDER_CREATED)
        return add_order(batch, event, err);
    if (event->type == EVENT_EMAIL_FAILED) {
        const struct email_failed *failed = event->data;

        add_mail(batch, event, EMAIL_GIVEN_UP, failed);
        change->balance[failed->kind]--;
    } else if (event->type == EVENT_EMAIL_SENT) {
        const struct email_sent *sent = event->data;
        const struct email_failed mail = {.kind = sent->kind,
                                          .message_id = sent->message_id,
                                          .reason = VIEW_LITERAL(""),
                                          .occurred_at = sent->occurred_at};

        add_mail(batch, event, EMAIL_SENT, &mail);
        change->balance[sent->kind]--;
    } else {
        change->balance[email_kind_of(event->type)]++;
    }
    return ERR_OK;
}

static void save(struct fold_batch *batch, struct view key, const void *state)
{
    const struct change *change = state;

    for (int16_t kind = MAIL_KIND_UNKNOWN + 1; kind < MAIL_KIND_COUNT; kind++)
        fold_wait(batch, key, kind, change->balance[kind]);
}

/* --- After a loss: a mail that was queued is queued again, and given up when it is old
 * ------------ */

static const struct pg_statement open_keys = {
    "email_fold_open", "select key, sum(1 << what)::bigint from replay_waiting where balance > 0"
                       " group by key order by key"};

static const struct pg_statement owed_keys = {"email_fold_owed",
                                              "select distinct order_id from owed_mails"};
static const struct pg_statement forget_owed = {
    "email_fold_forget_owed", "delete from owed_mails where order_id = any($1::text[])"};

static bool is_open(int64_t state, enum event_type type)
{
    enum mail_kind kind = email_kind_of(type);

    return kind != MAIL_KIND_UNKNOWN && (state >> kind & 1) != 0;
}

/* --- The part --------------------------------------------------------------------------------- */

static const struct fold_table tables[] = {
    {"orders", "order_id", "order_id", "order_id", FOLD_INPUTS, NULL, NULL},
    {"mails", "order_id, kind", "order_id", "order_id", FOLD_OWN, NULL, NULL},
};

static const char *const beside[] = {"owed_mails", NULL};
static const enum topic inputs[] = {TOPIC_ORDERS, TOPIC_PAYMENTS};

const struct fold email_fold = {
    .part = "email",
    .publishes = TOPIC_EMAILS,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .scripts = email_scripts,
    .script_count = &email_script_count,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0],
    .beside = beside,
    .writes = writes,
    .write_count = sizeof writes / sizeof writes[0],
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
    .open_keys = &open_keys,
    .is_open = is_open,
    .owed_keys = &owed_keys,
    .forget_owed = &forget_owed,
};
