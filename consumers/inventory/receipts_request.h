/* The JSON of POST /stock/receipts: an array of receipts, all of it right or none of it taken. */
#ifndef TRADEWIND_INVENTORY_RECEIPTS_REQUEST_H
#define TRADEWIND_INVENTORY_RECEIPTS_REQUEST_H

#include "consumers/inventory/stock.h"
#include "runtime/json.h"

#define RECEIPTS_MAX 3000 /* of a request: well below a document of the ledger */
#define RECEIPT_QUANTITY_MAX INT64_C(1000000000)

struct receipt {
    struct view id;
    struct stock_item item;
};

/**
 * Read body into *out (in the reader's arena), SKUs in capitals.
 * false: reader says which receipt is wrong, and why.
 */
bool receipts_request_read(struct receipt **out, size_t *count, const struct json *body,
                           struct json_reader *reader);

#endif
