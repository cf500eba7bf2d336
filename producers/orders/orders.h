/* The order service: takes orders in over HTTP, joins the verdicts, decides. What its files share.
 *
 *     orders.c          the part: its settings, routes and hooks
 *     orders_decide.c   what to decide (pure)
 *     orders_open.c     deadlines and overload: which orders wait, since when (pure)
 *     orders_history.c  an order's events in a few bytes (pure)
 *     orders_request.c  the JSON of a request (pure)
 *     orders_store.c    the reads and writes of a unit
 *     orders_look.c     carries out deadlines, watches the load
 *     orders_http.c     answers requests that change something
 *     orders_query.c    answers those that only read
 *     orders_stuck.c    finds the orders that wait too long */
#ifndef TRADEWIND_ORDERS_H
#define TRADEWIND_ORDERS_H

#include "events/contact.h"
#include "events/part.h"
#include "producers/orders/orders_decide.h"
#include "producers/orders/orders_open.h"
#include "runtime/lookup.h"
#include "runtime/pg_batch.h"
#include "runtime/ulid.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- A unit of work ------------------------------------------------------------------------- */

/* What a unit knows and changes of one key: an order, or a product. */
struct record {
    struct order order; /* as it was read, then as it was decided */
    uint64_t created_number;
    int64_t created_us;

    struct view created;    /* order.created as it was sent: of an order that this unit placed */
    struct view said, seen; /* what this unit adds to its history */
    enum cancel_reason reason;
    struct view detail;
    bool placed, confirmed, decided; /* by this unit: created, all three yes, no longer waiting */
    bool cancelled, closed;
    int64_t reminded_us; /* of an order that is nudged: when it was last; 0: never */

    struct price price; /* of a product.upserted */
    bool upserted, withdrawn;
};

/* The worker's scratch paper: good for one unit, begun again by orders_load. */
struct work {
    struct place **claims; /* sorted by idempotency key */
    size_t claim_count;
    struct price *prices; /* sorted by SKU */
    size_t price_count;
    bool reads_orders, reads_prices; /* which answers to expect */
    struct look *look;
    struct pg_column told;   /* orders of which it may tell what order.created told */
    struct pg_column nudged; /* orders whose last nudge it has to know */
    struct pg_batch batch;   /* of the statement that is being made */
};

/* --- Commands ------------------------------------------------------------------------------- */

enum { COMMAND_PLACE = 1, COMMAND_CANCEL, COMMAND_DEADLINE, COMMAND_LOOK, COMMAND_NUDGE };

/* What a 201 says. */
struct receipt {
    struct view order_id;
    struct view customer_id;
    int64_t total_minor;
    struct view currency;
    int64_t created_us;
};

/* POST /orders. Lives in its request's arena. */
struct place {
    struct command command;
    struct http_request *http;
    struct orders *orders;
    struct order_request request;
    struct view order_id;
    struct view earlier_id; /* the order of this idempotency key: our own, or an earlier one */
    struct view earlier_hash;
    struct receipt receipt;
    struct refusal refusal;
    char id[ULID_SIZE];
    char request_hash[32]; /* SHA-256 */
};

/* POST /orders/{id}/cancel. Lives in its request's arena. */
struct cancel {
    struct command command;
    struct http_request *http;
    struct view only_customer;  /* VIEW_NONE: whoever ordered */
    const char *caller;         /* role, as the event's detail says it */
    struct operation operation; /* of an operator: it is recorded */
    enum saga_orders_state state;
    enum cancel_reason reason;
    bool not_found;
};

/* POST /orders/{id}/nudge. Lives in its request's arena. */
struct nudge {
    struct command command;
    struct http_request *http;
    struct operation operation;
    int64_t asked_us; /* what was published since then is what it asks for */
    struct order_progress progress;
    struct refusal refusal; /* status 0: none */
    int64_t again_s;        /* after a refusal: when it may be asked again; 0: never */
};

/* An order's time is up. Heap. */
struct deadline {
    struct command command;
    char id[ULID_SIZE];
    struct open_shard *shard;
    uint64_t number;
};

/* Look into open_orders: who waits, and what are the ids of those whose time is up? One at a time.
 */
#define LOOK_DUE_MAX 256
struct look {
    struct command command;
    struct orders *orders;
    bool under_way;
    int64_t next_ms, every_ms;
    size_t due_count;
    int32_t due_shards[LOOK_DUE_MAX];
    uint64_t due_numbers[LOOK_DUE_MAX];
    struct deadline *found[LOOK_DUE_MAX];
    size_t found_count;
};

/* --- The part ------------------------------------------------------------------------------- */

/* Whether a new order is let in. */
enum admission { ADMIT, ADMIT_NONE_OVERLOAD, ADMIT_NONE_TOO_MANY };

struct orders {
    struct host *host;
    int64_t deadline_ms, nudge_every_ms;
    size_t open_max, overload; /* orders */
    struct contact_key contact_key;

    /* Worker only. */
    struct work work;
    struct open_shard *shards; /* one per partition */
    struct look look;

    /* Any thread. */
    _Atomic int admission;
    _Atomic int64_t probe_ms; /* when the next order is let in all the same */
    pthread_mutex_t lock;
    struct lookup in_flight; /* under lock: struct place by idempotency key, being worked on */
};

static inline struct orders *orders_of(const struct host *host)
{
    return host_context(host);
}

/* --- orders_store.c ------------------------------------------------------------------------- */
void orders_load(struct unit *unit);
enum err_kind orders_loaded(struct unit *unit, struct err *err);
void orders_save(struct unit *unit);
/** The order.created of a stored value. ERR_STOP: it is none. */
enum err_kind orders_decode_created(const struct order_created **out, const struct host *host,
                                    struct view value, struct arena *arena, struct err *err);

/* --- orders_look.c -------------------------------------------------------------------------- */
enum err_kind orders_taken_over(struct host *host, struct pg *pg, enum topic topic, int32_t shard,
                                struct err *err);
void orders_lost(struct host *host, enum topic topic, int32_t shard);
void orders_tick(struct host *host, int64_t now_ms);
/** A unit is committed: who waits no longer, who waits now. */
void orders_look_committed(struct unit *unit);
void orders_look_init(struct orders *orders);
void orders_look_clear(struct orders *orders);
/** Whether to let one more order in, at this moment. Any thread. */
enum admission orders_admit(struct orders *orders, int64_t now_ms);

/** The reads of a look, as part of its unit. */
void look_queue(struct look *look, struct unit *unit);
enum err_kind look_read(struct look *look, struct unit *unit, struct err *err);

/* --- orders_http.c, orders_query.c, orders_stuck.c
 * ---------------------------------------------------------- */
void orders_http_place(struct http_request *request, void *context);
void orders_http_cancel(struct http_request *request, void *context);
void orders_http_nudge(struct http_request *request, void *context);
void orders_http_get(struct http_request *request, void *context);
void orders_http_list(struct http_request *request, void *context);
void orders_http_price(struct http_request *request, void *context);
void orders_http_prices(struct http_request *request, void *context);
void orders_http_stuck(struct http_request *request, void *context);

/** Answer 503: the database is away, or a stored row is unreadable. Nothing the caller did. */
void orders_query_failed(struct http_request *request, const struct err *err);
/** "waits_for": the parts whose answer the order waits for. */
void orders_put_waits(struct json_writer *json, struct order_progress progress);

/** "out_of_stock" for OUT_OF_STOCK: a symbol of a schema as JSON and metrics have it. In the arena.
 */
const char *orders_symbol(const char *symbol, struct arena *arena);
/** The only customer whose orders the caller may see; VIEW_NONE: they may see all. */
struct view orders_only_customer(const struct http_caller *caller);
/** The {id} of the path; VIEW_NONE: no order can have it, and the request has been answered 404. */
struct view orders_path_id(struct http_request *request);
/** A place's idempotency key, for the lookup. */
struct view orders_place_key(const void *place);

#endif
