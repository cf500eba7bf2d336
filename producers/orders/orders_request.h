/* The JSON of POST /orders, as docs/http.md describes it: strict, and every mistake has a pointer.
 */
#ifndef TRADEWIND_ORDERS_REQUEST_H
#define TRADEWIND_ORDERS_REQUEST_H

#include "events/contact.h"
#include "producers/orders/orders_decide.h"
#include "runtime/json.h"

/* Who asks, and of whom. */
struct order_asker {
    bool is_service;          /* may speak for customers and state prices */
    const char *subject;      /* a customer's id, when it is no service */
    const char *shop_country; /* when none is stated */
    const char *warehouses;   /* those that there are, separated by commas */
};

/**
 * Read and check the form of a request; whether its SKUs are sold is decided later.
 *
 * out      views of body, or in the reader's arena; contact, idempotency_key and request_hash are
 * left to the caller contact  all three VIEW_NONE when none was given
 *
 * Returns false when reader has failed: the first mistake.
 */
bool order_request_read(struct order_request *out, struct contact *contact, const struct json *body,
                        const struct order_asker *asker, struct json_reader *reader);

#endif
