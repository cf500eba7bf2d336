/* The JSON of POST /products: an array of products, all of it right or none of it taken. */
#ifndef TRADEWIND_CATALOG_REQUEST_H
#define TRADEWIND_CATALOG_REQUEST_H

#include "producers/catalog/catalog_decide.h"
#include "runtime/json.h"

#define CATALOG_PRODUCTS_MAX 5000 /* in one request */
#define CATALOG_NAME_MAX 200      /* bytes */
#define CATALOG_CATEGORY_MAX 64
#define CATALOG_PRICE_MAX INT64_C(1000000000000) /* minor units; times 10^6 pieces it fits int64   \
                                                  */

/**
 * Read body into *out (in the reader's arena), SKUs in capitals, each once.
 * false: reader says which product is wrong, and why.
 */
bool catalog_request_read(struct product **out, size_t *count, const struct json *body,
                          struct json_reader *reader);

#endif
