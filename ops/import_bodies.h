/* The requests of an import as JSON. */
#ifndef TRADEWIND_OPS_IMPORT_BODIES_H
#define TRADEWIND_OPS_IMPORT_BODIES_H

#include "ops/import_retail.h"

void import_write_products(struct buf *out, const struct retail_product *products, size_t count);
/** Receipts of goods with opening stock; charges are left out. Gives how many there are. */
size_t import_write_receipts(struct buf *out, const struct retail_product *products, size_t count,
                             const char *run);
void import_write_order(struct buf *out, const struct retail *retail,
                        const struct retail_order *order);

#endif
