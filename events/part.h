/* A part: one process that reacts to events, answers requests and publishes what it decided.
 *
 * A part is one table of functions (struct part); main, settings, database, consumer, relay, HTTP,
 * health and dead letters are the same for all and live behind it. All hooks run on the worker
 * thread unless it says otherwise; the worker is the only thread that writes state.
 *
 * The worker takes all that waits - records that are next in their sequence, and commands
 * (requests, answers of providers, deadlines) - as one unit of work and makes one transaction of
 * it:
 *
 *     begin, lock positions, lock shards      the host
 *     load    queue the reads of state        the part     (one flight)
 *     loaded  read their rows                 the part
 *     react, act  decide, emit events         the part     (pure: state in, state and events out)
 *     save    queue the writes of state       the part     (one flight)
 *     journal, marks, dead letters, commit    the host
 *     committed  start effects outside        the part
 *
 * A unit that fails is rolled back and made again from the reads on: hooks keep nothing in memory
 * between units that the transaction decided. */
#ifndef TRADEWIND_EVENTS_PART_H
#define TRADEWIND_EVENTS_PART_H

#include "events/catalog.h"
#include "events/event.h"
#include "runtime/arena.h"
#include "runtime/err.h"
#include "runtime/http.h"
#include "runtime/pg.h"
#include "runtime/settings.h"
#include "runtime/store.h"

struct host; /* the running part */
struct unit; /* one unit of work */

/* Who asked for something that only operators do, and why. */
struct operation {
    const char *actor;  /* the token's subject */
    const char *reason; /* in their words; may be empty */
};

/* Something to be done in a unit that is not an event. Embedded first in a struct of the part.
 * Making it again must change nothing: after a lost answer to COMMIT it is made again. */
struct command {
    int kind;        /* the part's own */
    struct view key; /* its state is loaded and its shard is locked; VIEW_NONE: neither */
    const struct view *more_keys; /* further keys, for commands about many things */
    size_t more_key_count;
    const struct operation *operation; /* NULL: no operator's action; else act calls unit_record */
    int64_t expires_ms; /* monotonic; 0: never. After it the command is refused with ERR_RETRY */
    /* Called once, on the worker: ERR_OK after the commit, ERR_REJECT when act refused it (nothing
     * of it is stored), ERR_RETRY when it was not or perhaps not done in time. Releases the
     * command. */
    void (*done)(struct command *command, enum err_kind outcome, const struct err *err);
    struct command *next; /* the inbox's */
};

struct part {
    const char *name;         /* "payment": consumer group, database, role, log service */
    const char *ledger;       /* of the ce_source /tradewind/<name>[/<ledger>]; NULL: none */
    enum topic publishes;     /* TOPIC_NONE: nothing */
    const enum topic *inputs; /* topics it consumes */
    size_t input_count;
    /* It may see events this late: the broker then hands it many at a time, which saves it, and the
     * parts that are in a hurry, most of the fetches. 0: at once. */
    int patience_ms;
    const struct setting *settings; /* its own rows */
    size_t setting_count;
    const struct http_route
        *routes; /* its own; the host adds health, metrics and dead letters. Context: struct host */
    size_t route_count;
    size_t state_bytes; /* of one key's state in a unit: unit_state */
    /* Only for a part with a store of its own (inventory): gives *out. NULL: PostgreSQL. */
    enum err_kind (*open_store)(struct host *host, struct store *out, struct err *err);
    /* One instance at a time does the work, the owner of this topic's only partition; it reads all
     * partitions of its inputs and relays all shards. NULL: instances share the partitions. */
    const char *lead_topic;

    /* Before anything flows; the database is migrated. */
    enum err_kind (*start)(struct host *host, struct err *err);
    /* The instance is asked to leave: begin nothing outside any more. true: what was begun is
     * answered, and that is stored. Asked ten times a second, for three seconds at most, while the
     * worker goes on; may be NULL. */
    bool (*leave)(struct host *host);
    /* Nothing flows any more: end threads, free. */
    void (*stop)(struct host *host);
    /* This instance has taken over an input partition: do again what is owed for its shard.
     * pg is idle: run reads on it. */
    enum err_kind (*taken_over)(struct host *host, struct pg *pg, enum topic topic, int32_t shard,
                                struct err *err);
    /* It lost the partition: forget what is owed for the shard. */
    void (*lost)(struct host *host, enum topic topic, int32_t shard);

    void (*load)(struct unit *unit);
    enum err_kind (*loaded)(struct unit *unit, struct err *err);
    /* One event. ERR_REJECT sets it aside as a dead letter: decide that before you emit or change
     * state. */
    enum err_kind (*react)(struct unit *unit, const struct event *event, struct err *err);
    /* One command, likewise. */
    enum err_kind (*act)(struct unit *unit, struct command *command, struct err *err);
    void (*save)(struct unit *unit);
    /* After the commit, before the commands' done. */
    void (*committed)(struct unit *unit);
    /* About ten times a second. */
    void (*tick)(struct host *host, int64_t now_ms);
    /* May a dead letter of this type be dropped? NULL: each may. */
    bool (*may_drop)(enum event_type type);
    /* One line for /health: false and why when the part itself is unwell. Any thread; may be NULL.
     */
    bool (*healthy)(struct host *host, char *why, size_t why_bytes);
};

/* The part's own scripts, the SQL scripts in schemas/postgres/<name>/, compiled into its program.
 */
extern const struct pg_migration part_migrations[];
extern const size_t part_migration_count;

/** What main of a part returns. Reads settings, runs until SIGTERM, returns the exit code. */
int part_main(const struct part *part, int argc, char **argv);

/* --- The host: any thread, unless it says otherwise ----------------------------------------- */

/** The part's own memory, set in start. */
void host_set_context(struct host *host, void *context);
void *host_context(const struct host *host);
const struct part *host_part(const struct host *host);
const char *host_instance(const struct host *host); /* "orders-1" */
int32_t host_partitions(const struct host *host);   /* P */
int32_t host_shard_of(const struct host *host, struct view key);
struct schema_ids *host_schema_ids(const struct host *host);

/** Who asks, and why (?because=), for a command's operation; lives as long as the request. False:
 * the reason is too long, and the request has been answered. HTTP thread. */
bool operation_read(struct http_request *request, struct operation *out);

/** Give a command to the worker. takes it on true; false: the inbox is full (answer 503). */
bool host_submit(struct host *host, struct command *command);

/** Answer a request from the database, on a thread of its own with a session of its own (NULL for a
 * part without PostgreSQL). takes the request. */
void host_query(struct host *host, struct http_request *request,
                void (*answer)(struct host *host, struct http_request *request, struct pg *pg));
/** The host of a handler's request: http handlers get it as their context too. */

/** Shards that this instance relays, for new keys; fills up to P entries, returns how many. */
size_t host_own_shards(struct host *host, int32_t *shards);
/** The highest number of the shard that the broker has acknowledged, with all below it. 0 when not
 * ours. */
uint64_t host_published(struct host *host, int32_t shard);
/** Worker only. True when every input topic's partition `shard` has been read to its end after the
 * moment since_ms (monotonic). Asks the broker when nobody else does, so call it only when
 * something depends on it. */
bool host_read_to_end_since(struct host *host, int32_t shard, int64_t since_ms);
/** Milliseconds since the part `name` last spoke on the control topic; INT64_MAX: never. */
int64_t host_silence_ms(struct host *host, const char *name);
/** Only for a part with a lead topic: this instance does the work now. */
bool host_leads(const struct host *host);

/* --- The unit: worker only ------------------------------------------------------------------ */
struct host *unit_host(struct unit *unit);
struct pg *unit_pg(struct unit *unit);
struct arena *
unit_arena(struct unit *unit); /* good until the unit has ended (after committed and done) */

/** The keys of all events and commands, sorted, each once. */
size_t unit_keys(struct unit *unit, const struct view **keys);
/** The keys as text[] for `where id = any($1)`. */
struct pg_column *unit_keys_column(struct unit *unit);
/** The state of a key of this unit: state_bytes zeroed bytes at first. NULL: not a key of this
 * unit. */
void *unit_state(struct unit *unit, struct view key);
/** The state of unit_keys' i-th key. */
void *unit_state_at(struct unit *unit, size_t i);

size_t unit_events(struct unit *unit, const struct event **events);
size_t unit_commands(struct unit *unit, struct command *const **commands);

/** Time of this unit, UTC us: the same for all that it decides. */
int64_t unit_now_us(const struct unit *unit);

/**
 * Publish an event with the next number of key's shard (which must be the shard of a key of this
 * unit). data is the generated struct; it is encoded at once. cause: the event that led to it, or
 * NULL (then the correlation id is the key). gives back the new event's ce_id (view into the unit's
 * arena).
 */
struct view unit_emit(struct unit *unit, enum event_type type, const void *data, struct view key,
                      const struct event *cause);
/* What an operator had done: the event ops.acted says it. */
struct action {
    const struct operation *operation;
    const char *name; /* "order.cancel" */
    struct view subject;
    struct view before, after; /* JSON documents */
};

/** Publish that an operator's command was carried out, or what came of trying. */
void unit_record(struct unit *unit, const struct action *action);

/** The number that the last unit_emit took. */
uint64_t unit_last_number(const struct unit *unit);
/** The value that the last unit_emit made, as it is sent. View into the unit's arena: for a part
 * that keeps its event as it is (event_decode reads it). */
struct view unit_last_value(const struct unit *unit);

#endif
