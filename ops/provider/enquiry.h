/* Questions about the book, answered on a thread and a session of their own: a long sum must not
 * keep the desk waiting. */
#ifndef TRADEWIND_OPS_PROVIDER_ENQUIRY_H
#define TRADEWIND_OPS_PROVIDER_ENQUIRY_H

#include "runtime/http.h"

struct enquiry;

/** conninfo is borrowed. gives (enquiry_free). */
struct enquiry *enquiry_new(const char *conninfo);
/** End the thread; what waits is answered. After the HTTP server: nobody submits any more. */
void enquiry_free(struct enquiry *enquiry);

enum question {
    QUESTION_BOOK,       /* sums per currency, counts, what is wrong */
    QUESTION_OPERATIONS, /* of ?merchant_ref= */
};

/** Takes the request. Any thread. */
void enquiry_submit(struct enquiry *enquiry, struct http_request *request, enum question question);

#endif
