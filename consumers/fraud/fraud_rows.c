#include "consumers/fraud/fraud_rows.h"

const struct fold_write fraud_writes[FRAUD_ROWS_COUNT] = {
    [FRAUD_ROWS_VERDICTS] = {{"fraud_write_verdicts",
                              "insert into verdicts (order_id, flagged, score)"
                              " select unnest($1::text[]), unnest($2::bool[]), unnest($3::int[])"},
                             {PG_TEXT, PG_BOOL, PG_INT4},
                             3},
    [FRAUD_ROWS_TOMBSTONES] =
        {{"fraud_write_tombstones",
          "insert into tombstones (order_id) select u.id from unnest($1::text[])"
          " u(id) where not exists (select from replay_waiting w"
          "                          where w.key = u.id and w.what = 1)"
          " on conflict do nothing"},
         {PG_TEXT},
         1},
    [FRAUD_ROWS_ORDERS] = {{"fraud_write_orders",
                            "insert into customer_orders (customer_id, ordered_us, order_id)"
                            " select unnest($1::text[]), unnest($2::bigint[]), unnest($3::text[])"},
                           {PG_TEXT, PG_INT8, PG_TEXT},
                           3},
    /* A reminder tells of the order where nothing was heard before, and only there. */
    [FRAUD_ROWS_REMINDED] =
        {{"fraud_write_reminded",
          "insert into customer_orders (customer_id, ordered_us, order_id)"
          " select * from unnest($1::text[], $2::bigint[], $3::text[]) u(customer_id, us, id)"
          "  where not exists (select from customer_orders c where c.customer_id = u.customer_id"
          "                       and c.ordered_us = u.us and c.order_id = u.id)"
          "    and not exists (select from tombstones t where t.order_id = u.id)"},
         {PG_TEXT, PG_INT8, PG_TEXT},
         3},
    /* As the part does it after each unit: which rows are left does not depend on when. */
    [FRAUD_ROWS_DROP] =
        {{"fraud_write_drop",
          "delete from customer_orders c"
          " using (select u.id, (select max(ordered_us) from customer_orders n"
          "                       where n.customer_id = u.id) - max(u.window_us) as until"
          "          from unnest($1::text[], $2::bigint[]) u(id, window_us)"
          "         group by u.id) u"
          " where c.customer_id = u.id and c.ordered_us <= u.until"},
         {PG_TEXT, PG_INT8},
         2},
};

void fraud_rows_add_verdict(struct pg_column *columns, struct view order_id, bool flagged,
                            int32_t score)
{
    pg_column_bytes(&columns[0], order_id);
    pg_column_bool(&columns[1], flagged);
    pg_column_int4(&columns[2], score);
}

void fraud_rows_add_order(struct pg_column *columns, const struct order_created *created,
                          struct view order_id)
{
    pg_column_bytes(&columns[0], created->customer_id);
    pg_column_int8(&columns[1], created->ordered_at);
    pg_column_bytes(&columns[2], order_id);
}
