#include "consumers/email/email_rows.h"

const struct fold_write email_writes[EMAIL_ROWS_COUNT] = {
    [EMAIL_ROWS_ORDERS] = {{"email_write_orders",
                            "insert into orders (order_id, created)"
                            " select unnest($1::text[]), unnest($2::bytea[])"},
                           {PG_TEXT, PG_BYTEA},
                           2},
    [EMAIL_ROWS_MAILS] =
        {{"email_write_mails",
          "insert into mails (order_id, kind, state, message_id, reason, settled_us)"
          " select unnest($1::text[]), unnest($2::smallint[]), unnest($3::smallint[]),"
          "        unnest($4::text[]), unnest($5::text[]), unnest($6::bigint[])"},
         {PG_TEXT, PG_INT2, PG_INT2, PG_TEXT, PG_TEXT, PG_INT8},
         6},
};

void email_rows_add_order(struct pg_column *columns, struct view order_id, struct view created)
{
    pg_column_bytes(&columns[0], order_id);
    pg_column_bytes(&columns[1], created);
}

void email_rows_add_mail(struct pg_column *columns, const struct email_row *row)
{
    pg_column_bytes(&columns[0], row->order_id);
    pg_column_int2(&columns[1], (int16_t)row->kind);
    pg_column_int2(&columns[2], (int16_t)row->state);
    pg_column_bytes(&columns[3], row->message_id);
    pg_column_bytes(&columns[4], row->reason);
    pg_column_int8(&columns[5], row->settled_us);
}
