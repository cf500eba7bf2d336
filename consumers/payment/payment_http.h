#ifndef TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_HTTP_H
#define TRADEWIND_CONSUMERS_PAYMENT_PAYMENT_HTTP_H

#include "runtime/http.h"

/** GET /payments/{order_id}: where the payment stands and how it came there. Context: struct host.
 */
http_handler payment_http_get;

#endif
