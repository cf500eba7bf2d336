/* Email's tables as folds of topics: mails of its own, orders of its inputs. */
#include "consumers/email/email_rows.h"

extern const struct pg_migration email_scripts[];
extern const size_t email_script_count;

/* What a batch has heard of an order. */
struct change {
    int balance[MAIL_KIND_COUNT]; /* mails that are to be sent, less those that are settled */
};

static enum err_kind add_order(struct fold_batch *batch, const struct event *event, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view created;
    enum err_kind kind = email_keep_order(&created, event->data, batch->ids, &arena, err);

    if (kind == ERR_OK)
        email_rows_add_order(fold_columns(batch, EMAIL_ROWS_ORDERS), event->envelope->subject,
                             created);
    return kind;
}

static void add_mail(struct fold_batch *batch, struct change *change, const struct event *event,
                     struct email_row row)
{
    row.order_id = event->envelope->subject;
    email_rows_add_mail(fold_columns(batch, EMAIL_ROWS_MAILS), &row);
    change->balance[row.kind]--;
}

static enum err_kind apply(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err)
{
    struct change *change = state;

    if (event->type == EVENT_ORDER_CREATED)
        return add_order(batch, event, err);
    if (event->type == EVENT_EMAIL_FAILED) {
        const struct email_failed *failed = event->data;

        add_mail(batch, change, event,
                 (struct email_row){.kind = failed->kind,
                                    .state = EMAIL_GIVEN_UP,
                                    .message_id = failed->message_id,
                                    .reason = failed->reason,
                                    .settled_us = failed->occurred_at});
    } else if (event->type == EVENT_EMAIL_SENT) {
        const struct email_sent *sent = event->data;

        add_mail(batch, change, event,
                 (struct email_row){.kind = sent->kind,
                                    .state = EMAIL_SENT,
                                    .message_id = sent->message_id,
                                    .reason = VIEW_LITERAL(""),
                                    .settled_us = sent->occurred_at});
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
    .writes = email_writes,
    .write_count = EMAIL_ROWS_COUNT,
    .state_bytes = sizeof(struct change),
    .apply = apply,
    .save = save,
    .open_keys = &open_keys,
    .is_open = is_open,
    .owed_keys = &owed_keys,
    .forget_owed = &forget_owed,
};
