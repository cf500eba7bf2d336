/* The catalog: which products are sold, at which price. What its files share.
 *
 *     catalog.c           the part: its routes and hooks
 *     catalog_decide.c    what to publish (pure)
 *     catalog_request.c   the JSON of a request (pure)
 *     catalog_store.c     the reads and writes of a unit
 *     catalog_rows.c      the rows that it keeps, also for its fold
 *     catalog_http.c      requests and answers */
#ifndef TRADEWIND_CATALOG_H
#define TRADEWIND_CATALOG_H

#include "events/part.h"
#include "producers/catalog/catalog_decide.h"
#include "runtime/pg_batch.h"

/* What a unit of work knows and changes of one SKU. */
struct record {
    struct product product;
    bool changed;
};

enum { COMMAND_UPSERT = 1, COMMAND_WITHDRAW };

/* POST /products. Lives in its request's arena. */
struct upsert {
    struct command command;
    struct http_request *http;
    const struct product *wanted;
    size_t count;
    struct view *events; /* of each, the last one's ce_id; good until done */
    size_t changed;
};

/* DELETE /products/{sku}. Lives in its request's arena. */
struct withdraw {
    struct command command;
    struct http_request *http;
    bool not_found;
    struct view event; /* good until done */
};

struct catalog {
    struct pg_batch batch; /* the worker's, for the statement that is being made */
};

static inline struct catalog *catalog_of(const struct host *host)
{
    return host_context(host);
}

/* --- catalog_store.c ------------------------------------------------------------------------ */
void catalog_load(struct unit *unit);
enum err_kind catalog_loaded(struct unit *unit, struct err *err);
void catalog_save(struct unit *unit);

/* --- catalog_http.c ------------------------------------------------------------------------- */
#define CATALOG_BODY_MAX (4 << 20)
void catalog_http_upsert(struct http_request *request, void *context);
void catalog_http_withdraw(struct http_request *request, void *context);
void catalog_http_get(struct http_request *request, void *context);
void catalog_http_list(struct http_request *request, void *context);

#endif
