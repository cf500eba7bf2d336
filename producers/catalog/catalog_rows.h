/* The rows that the catalog keeps, for the part, which writes them as it decides, and for its fold.
 */
#ifndef TRADEWIND_CATALOG_ROWS_H
#define TRADEWIND_CATALOG_ROWS_H

#include "events/fold.h"
#include "producers/catalog/catalog_decide.h"

/* Whole products; and, only for the fold, which may not know the rest, that one is withdrawn. */
enum catalog_rows { CATALOG_ROWS_PRODUCTS, CATALOG_ROWS_WITHDRAWN, CATALOG_ROWS_COUNT };

extern const struct fold_write catalog_writes[CATALOG_ROWS_COUNT];

/** One row more of CATALOG_ROWS_PRODUCTS. */
void catalog_rows_add(struct pg_column *columns, struct view sku, const struct product *product);

#endif
