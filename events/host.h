/* The running part, as its own files see it: part.c starts and stops it, worker.c makes units of
 * work, unit.c is what the hooks see of one, health.c says how it is. Parts include events/part.h,
 * never this. */
#ifndef TRADEWIND_EVENTS_HOST_H
#define TRADEWIND_EVENTS_HOST_H

#include "events/codec.h"
#include "events/part.h"
#include "runtime/intake.h"
#include "runtime/relay.h"
#include "runtime/token.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* The bounds of one unit: what waits beyond them is the next unit's. */
#define UNIT_RECORDS_MAX 1000
#define UNIT_COMMANDS_MAX 1000
#define UNIT_BYTES_MAX (2u << 20)
/* Commands that wait; the next one is refused. */
#define INBOX_MAX 10000

/* The command kinds of the host itself are negative. */
#define COMMAND_REDRIVE (-1)
#define COMMAND_DROP (-2)
#define COMMAND_SHOW_CONSUMER (-3)
#define COMMAND_SET_FLOW (-4)
/* A dead letter that was tried so often is not tried again unless an operator insists. */
#define DEAD_ATTEMPTS_MAX 5

struct inbox {
    pthread_mutex_t lock;
    struct command *first, **last;
    size_t count;
    bool closed;
};

/* unknown.c */
#define UNKNOWN_SCHEMAS_MAX 16

struct unknown_schema {
    int32_t id;
    int64_t given_up_ms; /* monotonic; 0: the row is free */
    int64_t looked_ms;
};

/* One thing in a unit: an event, a command, or a record that was set aside before it was one. */
struct item {
    struct intake_record *record; /* NULL: not out of a topic */
    struct command *command;      /* NULL: none */
    struct event event;           /* type EVENT_NONE: none */
    struct envelope envelope;
    const struct dead_letter *redriven; /* out of the dead letters */
    enum dead_reason dead_reason;       /* only when error is set */
    const char *error;                  /* set aside, and why */
    enum err_kind refused;              /* of a command */
    struct err why;
};

struct unit {
    struct host *host;
    struct arena *arena;
    struct item *items;
    size_t item_count;
    struct commit commit;
    struct view *keys;
    size_t key_count;
    char *states; /* key_count * state_bytes */
    const struct event *events;
    size_t event_count;
    struct command **commands;
    size_t command_count;
    int64_t now_us;
    struct view last_value;
    uint64_t last_number;
    const struct item *current;        /* whose hook runs: only it may emit */
    bool dry_run;                      /* decide, then give it up */
    const struct operation *operation; /* of a command of the host's own */
    /* After the decisions of such a unit; may be NULL. */
    enum err_kind (*conclude)(struct unit *unit, void *context, struct err *err);
    void *conclude_context;
};

/* A dead letter on its way back: an operator's request. */
struct bring_back {
    struct command command; /* COMMAND_REDRIVE or COMMAND_DROP */
    struct http_request *request;
    int64_t id;
    struct operation operation;
    bool dry_run, beyond_limit;
    struct buf report; /* JSON: what became of it, and of those behind it */
};

struct query {
    struct query *next;
    struct http_request *request;
    void (*answer)(struct host *host, struct http_request *request, struct pg *pg);
};

struct host {
    const struct part *part;
    void *context;
    char source[80];     /* "orders", "inventory/main" */
    char ops_source[80]; /* "ops/orders": of what operators do here */
    int32_t partitions;
    struct schema_ids *ids;
    struct store store;
    bool store_is_open;
    struct relay *relay;
    struct intake *intake; /* NULL: no inputs */
    struct http_server *http;
    struct http_route *routes; /* the host's, then the part's */
    struct token_verifier *verifier;
    struct inbox inbox;
    int wake_fd; /* eventfd: records or commands wait */

    atomic_bool stopping;
    sem_t asked_to_leave; /* posted when it is stopping */
    atomic_int exit_code;
    atomic_bool flowing;                    /* started, the worker runs */
    atomic_bool assigned, leads;            /* for /readyz */
    atomic_bool storing;                    /* no unit is being made again: commits go through */
    atomic_bool was_ready;                  /* once since the start */
    atomic_int_least64_t store_answered_ms; /* monotonic; 0: not since it failed to. health.c */

    /* health.c */
    bool is_probed;
    pthread_t probe_thread;
    int probe_end_fd;

    /* worker */
    int64_t leave_by_ms;     /* 0: it was not asked to leave */
    int64_t flow_at_ms;      /* flow.c: when it is looked at next */
    int64_t undecided_at_ms; /* undecided.c */
    struct unknown_schema unknown[UNKNOWN_SCHEMAS_MAX];
    struct arena arena;      /* of the batch: decoded records */
    struct arena unit_arena; /* of one unit made of it */
    struct intake_record *records;
    struct pg_column keys_column;

    /* queries */
    pthread_t query_thread;
    pthread_mutex_t query_lock;
    pthread_cond_t query_ready;
    struct query *queries, **queries_last;
    size_t query_count;
    struct pg *query_session;
};

/* worker.c */
enum err_kind worker_run(struct host *host, struct err *err);
enum intake_answer worker_look(void *context, struct intake_record *record);
void inbox_init(struct inbox *inbox);
/** Refuse everything that waits and everything to come. */
void inbox_close(struct inbox *inbox);

/** Read what stands behind the envelope of an item, and check that the two fit each other.
 *  Errors  as event_decode */
enum err_kind worker_read_value(struct host *host, struct item *item, int32_t partition,
                                struct view key, struct view value, struct err *err);
struct unit worker_unit(struct host *host, struct item *items, size_t count);
/** Commit the unit (or give it up, when it is a dry run). On anything but ERR_OK nothing is stored,
 * or (after a lost answer) nobody knows. */
enum err_kind worker_make_unit(struct unit *unit, bool *fenced, struct err *err);
void worker_unit_is_stored(struct unit *unit, int64_t started_us);

/* items.c: a command is answered once, wherever its item has moved to meanwhile */
/** Items that are over (records that were applied after all or are somebody else's, commands that
 * were answered) leave; the order of the rest stays. Returns how many are left; no command is in
 * the items behind them. */
size_t items_keep(struct item *items, size_t count, bool (*keep)(void *context, struct item *),
                  void *context);
#define NOT_IN_TIME "not done in time, or not known to be done"
bool command_is_expired(const struct command *command, int64_t now_ms);
/** Commands whose time is up are answered ERR_RETRY and leave. Returns how many items are left. */
size_t items_expire(struct item *items, size_t count, int64_t now_ms);
/** The commands that nobody has answered are answered ERR_RETRY. */
void items_refuse(struct item *items, size_t count, const char *why);

/* health.c */
/** From now on the store is asked whether it answers. */
enum err_kind health_start(struct host *host, struct err *err);
void health_stop(struct host *host);
void health_livez(struct http_request *request, void *context);
void health_readyz(struct http_request *request, void *context);
void health_show(struct http_request *request, void *context);

/* redrive.c: worker only */
/** Errors  ERR_REJECT: it may not, or it was set aside again (that is stored, and counted) */
enum err_kind redrive(struct host *host, struct bring_back *back, struct err *err);
/** All dead letters of some keys, for nobody who asked: in one unit, or key by key when that cannot
 * be stored. Sorts them.
 *  Errors  ERR_REJECT: of a key, the first was set aside again; ERR_RETRY: not all were tried */
enum err_kind redrive_together(struct host *host, struct dead_letter *letters, size_t count,
                               struct err *err);

/* dead_letters.c: HTTP */
void dead_letters_list(struct http_request *request, void *context);
void dead_letters_show(struct http_request *request, void *context);
void dead_letters_redrive(struct http_request *request, void *context);
void dead_letters_drop(struct http_request *request, void *context);

/* flow.c: how inputs are read */
/** Before anything of a partition is read. */
enum err_kind flow_read(struct host *host, struct err *err);
/** What another instance was told. */
void flow_tick(struct host *host, int64_t now_ms);
/** COMMAND_SHOW_CONSUMER, COMMAND_SET_FLOW: worker only */
enum err_kind flow_command(struct host *host, struct command *command, struct err *err);
void consumer_show(struct http_request *request, void *context);
void consumer_pause(struct http_request *request, void *context);
void consumer_resume(struct http_request *request, void *context);
void consumer_throttle(struct http_request *request, void *context);

/** What handlers of the host's own ask of each other: false when the request has been answered. */
bool host_has_started(struct host *host, struct http_request *request);
bool host_read_flag(struct http_request *request, const char *name, bool *out);

/* unknown.c: worker only */
/** A record of this schema was waited for in vain and set aside, not long ago. */
bool unknown_is_given_up(struct host *host, int32_t id);
void unknown_give_up(struct host *host, int32_t id);
/** Whether the schema is to be looked for now. */
bool unknown_may_look(struct host *host, int32_t id);

/* undecided.c */
void undecided_tick(struct host *host, int64_t now_ms);

/* unit.c */
/** Collect keys, shards and marks of the items. */
void unit_plan(struct unit *unit);
/** tried: this was an attempt; false: it waits behind another. */
void unit_add_dead_letter(struct unit *unit, struct item *item, bool tried);
/** After the decisions: which of the redriven letters are no longer needed. */
void unit_plan_removed(struct unit *unit);
bool *unit_key_parked(struct unit *unit, struct view key);

#endif
