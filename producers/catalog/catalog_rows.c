#include "producers/catalog/catalog_rows.h"

const struct fold_write catalog_writes[CATALOG_ROWS_COUNT] = {
    [CATALOG_ROWS_PRODUCTS] =
        {{"catalog_write_products",
          "insert into products (sku, name, kind, unit_price_minor, currency, category, sold,"
          "                      event, changed_us)"
          " select unnest($1::text[]), unnest($2::text[]), unnest($3::smallint[]),"
          "        unnest($4::bigint[]), unnest($5::text[]), unnest($6::text[]),"
          "        unnest($7::bool[]), unnest($8::text[]), unnest($9::bigint[])"
          " on conflict (sku) do update set name = excluded.name, kind = excluded.kind,"
          "   unit_price_minor = excluded.unit_price_minor, currency = excluded.currency,"
          "   category = excluded.category, sold = excluded.sold, event = excluded.event,"
          "   changed_us = excluded.changed_us"},
         {PG_TEXT, PG_TEXT, PG_INT2, PG_INT8, PG_TEXT, PG_TEXT, PG_BOOL, PG_TEXT, PG_INT8},
         9},
    [CATALOG_ROWS_WITHDRAWN] =
        {{"catalog_write_withdrawn",
          "update products p set sold = false, event = u.event, changed_us = u.us"
          "  from unnest($1::text[], $2::text[], $3::bigint[]) u(sku, event, us)"
          " where p.sku = u.sku"},
         {PG_TEXT, PG_TEXT, PG_INT8},
         3},
};

void catalog_rows_add(struct pg_column *columns, struct view sku, const struct product *product)
{
    pg_column_bytes(&columns[0], sku);
    pg_column_bytes(&columns[1], product->name);
    pg_column_int2(&columns[2], (int16_t)product->kind);
    pg_column_int8(&columns[3], product->unit_price_minor);
    pg_column_bytes(&columns[4], product->currency);
    pg_column_bytes(&columns[5], product->category);
    pg_column_bool(&columns[6], product->sold);
    pg_column_bytes(&columns[7], product->event);
    pg_column_int8(&columns[8], product->changed_us);
}
