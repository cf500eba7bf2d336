/* The rows that email keeps, for the part, which adds them as it decides, and for its fold. */
#ifndef TRADEWIND_EMAIL_ROWS_H
#define TRADEWIND_EMAIL_ROWS_H

#include "consumers/email/email_decide.h"
#include "events/fold.h"

enum email_rows { EMAIL_ROWS_ORDERS, EMAIL_ROWS_MAILS, EMAIL_ROWS_COUNT };

extern const struct fold_write email_writes[EMAIL_ROWS_COUNT];

/* A mail that is settled: sent, or given up for a reason. */
struct email_row {
    struct view order_id;
    enum mail_kind kind;
    enum saga_email_state state;
    struct view message_id, reason;
    int64_t settled_us;
};

/** One row more. created is what email_keep_order made of the order. */
void email_rows_add_order(struct pg_column *columns, struct view order_id, struct view created);
void email_rows_add_mail(struct pg_column *columns, const struct email_row *row);

#endif
