/* A world small enough to be tried a million times: the real rules and decisions, a clock, broker,
 * stores and provider that are a few arrays, and one seed that decides what happens next.
 *
 * A world is moved by steps. A step names an actor (a worker, a relay, the network of a topic, the
 * clock, a fault, ...) and brings its dice: the same list of steps gives the same world, always. So
 * a schedule is a list of steps, a failing one can be replayed, and taking steps out of it gives
 * other schedules: that is how it is shrunk. Behind the list comes the calm: no more faults,
 * everybody in turn, and everything has to end.
 *
 * What is real: runtime/delivery.c, runtime/store.h (marks), saga/, every part's decisions,
 * inventory's stock and ledger, the list of open orders, the provider's idempotency key.
 * What is a model: where bytes go (log.c, store.c, provider.c), and the glue between a unit of work
 * and a decision (worker.c, parts.c, inventory.c), which in the programs waits for servers. */
#ifndef TRADEWIND_TESTS_SIM_H
#define TRADEWIND_TESTS_SIM_H

#include "consumers/inventory/ledger.h"
#include "consumers/payment/payment_decide.h"
#include "events/events_generated.h"
#include "producers/orders/orders_open.h"
#include "runtime/arena.h"
#include "runtime/delivery.h"
#include "runtime/store.h"
#include "saga/order_progress.h"
#include "saga/word.h"

#include <assert.h>

enum {
    SHARDS = 2,
    ORDERS = 3,
    SKUS = 2,
    INSTANCES = 2,
    INPUTS = 3,     /* topics that a part reads, at most */
    TOPICS = 5,     /* enum topic, up to TOPIC_EMAILS */
    NUMBERS = 40,   /* that a part gives out in a shard, at most */
    LOG_MAX = 512,  /* records of a partition */
    UNIT_MAX = 6,   /* items of a unit of work */
    FLIGHT_MAX = 8, /* sent and not reported, of a shard */
    GHOSTS = 8,     /* sent, reported as failed, and still on their way */
    INBOX = 12,
    CHAIN_MAX = 200, /* documents of the ledger */
    CALLS = 12,      /* requests and answers between payment and the provider */
    LETTERS = 16,
    PROBLEM_MAX = 400,
};

/* --- What is published ---------------------------------------------------------------------- */

/* An event. What else it says follows from the order. */
struct fact {
    uint8_t type;   /* enum event_type; 0: none */
    uint8_t order;  /* index */
    uint8_t detail; /* was, outcome, or kind of mail */
    uint32_t stamp; /* of the unit that decided it: a repeat has the same */
};

struct record {
    struct fact fact;
    uint64_t number;
    int64_t time_ms;
    bool broken; /* this copy lost a bit on its way */
};

struct log {
    int64_t count; /* the end's offset */
    struct record records[LOG_MAX];
};

/* --- Instances of parts --------------------------------------------------------------------- */

struct lane {
    bool assigned;
    int64_t epoch;
    int64_t fetch; /* what the client reads next */
    bool ask_end;
    struct receiver receiver;
};

enum item_kind {
    ITEM_RECORD,
    ITEM_PLACE,
    ITEM_CANCEL,
    ITEM_NUDGE,
    ITEM_DEADLINE,
    ITEM_ANSWER,
    ITEM_MAIL,
    ITEM_REDRIVE
};

struct item {
    enum item_kind kind;
    uint8_t order;
    uint8_t what; /* the call that was answered, the kind of mail, the letter */
    bool yes;
    bool undecodable;
    uint8_t input, shard; /* of a record */
    uint64_t number;
    struct fact fact;
    struct mark after;
};

enum phase {
    PHASE_IDLE,    /* nothing taken */
    PHASE_TAKEN,   /* items are to be stored */
    PHASE_DECIDED, /* inventory: the entries are applied in memory, the document is not written */
    PHASE_STORED,  /* the relay and the callers do not know yet */
    PHASE_UNKNOWN, /* no answer, or a no: positions are to be read again */
};

struct unit {
    enum phase phase;
    int count;
    struct item items[UNIT_MAX];
    int said_count;
    struct {
        uint8_t shard;
        uint64_t number;
    } said[UNIT_MAX * 2];
};

enum flight_state { FLIGHT_SENT, FLIGHT_WRITTEN, FLIGHT_FAILED };

struct flight {
    uint64_t number, generation;
    int64_t offset;
    enum flight_state state;
};

struct relay_shard {
    bool owned;
    struct sender sender;
    uint64_t journal_last;
    uint64_t nack_heard;  /* the control record that was heard last */
    uint64_t seen_in_log; /* in the calm: the log holds 1..this */
    bool reading;         /* the log is being read back */
    int64_t reading_end;
    int flight_first, flight_count;
    struct flight flights[FLIGHT_MAX];
};

struct instance {
    bool alive, stopped;
    uint32_t run;                          /* counts restarts */
    uint32_t assignment, relay_assignment; /* of the group, as far as it has heard */
    struct lane lanes[INPUTS][SHARDS];
    struct unit unit;
    int inbox_count;
    struct item inbox[INBOX];
    struct relay_shard shards[SHARDS];
    /* orders */
    struct open_shard open[SHARDS];
    /* payment: calls in memory */
    struct {
        enum payment_call call;
        bool under_way;
    } calls[ORDERS];
    int64_t look_at_ms;
    /* inventory */
    struct ledger *ledger;
    uint64_t ledger_epoch;
    struct chain_document *draft;
    uint64_t attempts;
};

/* --- Stores --------------------------------------------------------------------------------- */

struct letter_row {
    bool there, parked;
    uint8_t input, shard;
    uint64_t number;
    struct fact fact;
};

/* What a part has committed. */
struct database {
    struct mark marks[INPUTS][SHARDS];
    struct mark seen[INPUTS][SHARDS]; /* before a commit that is not finished: what readers see */
    bool unfinished;
    uint64_t last_numbers[SHARDS];
    uint64_t published[SHARDS];
    struct fact journal[SHARDS][NUMBERS + 1];
    struct letter_row letters[LETTERS];
};

/* A document of inventory's ledger, with all that it points to. */
struct chain_document {
    struct batch batch;
    char writer[24];
    uint64_t last_numbers[SHARDS], published[SHARDS], numbers[SHARDS];
    int64_t published_offsets[SHARDS], offsets[SHARDS];
    struct positions positions;
    struct entry entries[UNIT_MAX];
    struct stock_item items[UNIT_MAX][SKUS];
    struct letter letters[UNIT_MAX];
    struct fact letter_facts[UNIT_MAX];
    int64_t removed[UNIT_MAX];
    int fact_count, item_count;
    struct fact facts[UNIT_MAX];
    uint8_t item_shards[UNIT_MAX]; /* the records that were applied */
    uint64_t item_numbers[UNIT_MAX];
};

/* --- Outside -------------------------------------------------------------------------------- */

struct call {
    bool there, done, yes, twice;
    uint8_t order, instance;
    uint32_t run;
    enum payment_call call;
};

struct book {                  /* the provider's, of one order */
    uint64_t keys[CALL_COUNT]; /* hash of the idempotency key; 0: not done */
    bool yes[CALL_COUNT];
    int held, taken; /* 1: the money */
    int authorizations, captures, voids, refunds;
};

/* --- The oracle's own memory: what nobody's code computed ------------------------------------ */

struct oracle {
    uint64_t applied[PART_COUNT][INPUTS][SHARDS];
    struct saga_word words[PART_COUNT][ORDERS]; /* but email's */
    struct saga_word mails[ORDERS][MAIL_KIND_COUNT];
    int64_t on_hand[SKUS], held[ORDERS], sold[ORDERS]; /* held, sold: 1 when the order's */
    uint8_t said[ORDERS][EVENT_COUNT];
};

struct control {
    uint64_t number;
    uint32_t said; /* counts records */
};

struct world {
    /* The plan. */
    bool calm, tracing;
    int faults_left;
    uint64_t ready; /* a bit an actor that may have something to do */
    int64_t now_ms;
    uint64_t steps;
    char problem[PROBLEM_MAX];

    /* What is ordered. */
    int order_count, cancels_left, nudges_left;
    /* Logs are read once more before journals forget. Only then they are cut while two relays write
     * to them, or something of a former owner or given up is on its way. */
    bool looks_for_holes;
    int64_t deadline_ms;
    int64_t stock[SKUS];
    uint8_t order_shard[ORDERS], created_number[ORDERS];
    bool was_fulfilled[ORDERS];
    struct view skus[SKUS];
    struct saga_word first_words[PART_COUNT];
    bool capture_fails[ORDERS], declines[ORDERS];
    struct order_created created[ORDERS];
    struct order_line lines[ORDERS][SKUS];
    size_t line_counts[ORDERS];

    /* What the parts have stored of each order. */
    struct order_progress progress[ORDERS];
    bool open[ORDERS];
    struct payment_memory payments[ORDERS];
    enum saga_fraud_state frauds[ORDERS];
    enum saga_email_state mails[ORDERS][MAIL_KIND_COUNT];
    int chain_count;
    uint32_t stamp;

    /* Who owns what, as the groups have decided. */
    uint8_t owner[PART_COUNT][SHARDS], relayer[PART_COUNT][SHARDS];
    uint32_t assignment[PART_COUNT], relay_assignment[PART_COUNT];

    struct database stores[PART_COUNT];
    struct instance instances[PART_COUNT][INSTANCES];
    struct control claims[TOPICS][SHARDS], nacks[TOPICS][SHARDS];
    struct call calls[CALLS];
    struct book books[ORDERS];
    int ghost_count;
    struct {
        uint8_t topic, shard;
        uint64_t number;
    } ghosts[GHOSTS];
    struct oracle oracle;
    /* A consumer that cannot read some event until it is mended: dead letters. */
    struct {
        uint8_t part, type, order;
        bool set, is_schema;
    } poison;

    /* Not cleared between worlds: only what is below count is looked at. */
    struct arena arena;
    struct log logs[TOPICS][SHARDS];
    struct chain_document chain[CHAIN_MAX + 1]; /* from 1 */
    struct chain_document drafts[INSTANCES];
};

/* --- Dice ----------------------------------------------------------------------------------- */

/** 0..n-1; moves the dice on. */
static inline uint32_t pick(uint64_t *dice, uint32_t n)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*dice >> 32) * n >> 32);
}

/** A fault, once in n: never in the calm, and never more than the plan allows. */
static inline bool fault(struct world *world, uint64_t *dice, uint32_t n)
{
    if (pick(dice, n) != 0 || world->calm || world->faults_left == 0)
        return false;
    world->faults_left--;
    return true;
}

/* --- Actors --------------------------------------------------------------------------------- */

enum actor {
    ACTOR_WORK,                                            /* a worker: takes, stores, tells */
    ACTOR_RELAY = ACTOR_WORK + PART_COUNT * INSTANCES,     /* sends, reads back */
    ACTOR_TICK = ACTOR_RELAY + PART_COUNT * INSTANCES,     /* ten times a second */
    ACTOR_SECOND = ACTOR_TICK + PART_COUNT * INSTANCES,    /* a relay's, once a second */
    ACTOR_NETWORK = ACTOR_SECOND + PART_COUNT * INSTANCES, /* of a topic */
    ACTOR_PROVIDER = ACTOR_NETWORK + TOPICS,
    ACTOR_CUSTOMER,
    ACTOR_OPERATOR,
    ACTOR_CLOCK,
    ACTOR_CRASH, /* from here on faults: never in the calm */
    ACTOR_STOP,
    ACTOR_MOVE,
    ACTOR_CUT,
    ACTOR_OFFSET,
    ACTOR_COUNT,
};

static_assert(ACTOR_COUNT <= 64, "an actor is a bit");

static inline uint64_t bit_of(unsigned base, enum saga_part part, int instance)
{
    return UINT64_C(1) << (base + (unsigned)part * INSTANCES + (unsigned)instance);
}

struct step {
    uint8_t actor;
    uint64_t dice;
};

/* --- What the files do for each other ------------------------------------------------------- */

/* Which part writes a topic, and what a part reads: from the saga table. */
extern enum saga_part topic_part[TOPICS];
extern enum topic part_topic[PART_COUNT];
extern enum topic part_inputs[PART_COUNT][INPUTS];
extern int part_input_count[PART_COUNT];
void world_tables(void);

void world_begin(struct world *world, uint64_t seed); /* frees what the one before left */
void world_clear(struct world *world);
/** False: the actor had nothing to do. */
bool world_step(struct world *world, const struct step *step);
/** No more faults: everything has to end, within bounds. */
void world_calm(struct world *world);
struct step world_choose(struct world *world, uint64_t *seed);

__attribute__((format(printf, 2, 3))) void problem(struct world *world, const char *format, ...);
__attribute__((format(printf, 2, 3))) void trace(struct world *world, const char *format, ...);
#define TRACE(world, ...)                                                                          \
    do {                                                                                           \
        if (__builtin_expect((world)->tracing, 0))                                                 \
            trace(world, __VA_ARGS__);                                                             \
    } while (0)

/* faults.c */
/** The instance may have something to do, in each of its roles. */
void wake(struct world *world, enum saga_part part, int i);
void instance_start(struct world *world, enum saga_part part, int i);
void instance_forget(struct instance *instance); /* frees what its memory points to */
/** The groups of inputs, of the relay, or both give a shard to an instance. */
void group_give(struct world *world, enum saga_part part, int shard, int i, bool inputs,
                bool relay);
bool fault_step(struct world *world, enum actor actor, uint64_t *dice);

/* worker.c */
bool worker_step(struct world *world, enum saga_part part, int i, uint64_t *dice);
void worker_submit(struct world *world, enum saga_part part, int i, struct item item);
void worker_leave(struct world *world, enum saga_part part, int i);

/* tick.c */
bool tick_step(struct world *world, enum saga_part part, int i, uint64_t *dice);

/* log.c */
void log_append(struct world *world, enum topic topic, int shard, uint64_t number, bool broken);
/** It was given up, and will be written all the same. */
void network_haunt(struct world *world, enum topic topic, int shard, uint64_t number);
bool network_step(struct world *world, enum topic topic, uint64_t *dice);
bool cut_step(struct world *world, uint64_t *dice);

/* relay.c */
bool relay_step(struct world *world, enum saga_part part, int i, uint64_t *dice);
bool relay_second(struct world *world, enum saga_part part, int i, uint64_t *dice);
void relay_send(struct world *world, enum saga_part part, int i, int shard, uint64_t number);
void relay_take(struct world *world, enum saga_part part, int i, int shard, bool owned);

/* store.c */
bool store_is_fenced(struct world *world, enum saga_part part, const struct unit *unit);
void store_moves_marks(struct world *world, enum saga_part part, const struct unit *unit);

/* parts.c: decide on an item and change the part's state */
void part_do(struct world *world, enum saga_part part, struct unit *unit, const struct item *item);
bool part_has_letter(const struct database *store, int order);
void part_say(struct world *world, enum saga_part part, struct unit *unit, enum event_type type,
              int order, uint8_t detail);
const void *event_of(struct world *world, const struct fact *fact);

/* inventory.c */
bool inventory_load(struct world *world, struct instance *instance);
bool inventory_take_over(struct world *world, int i);
void inventory_begin(struct world *world, int i, uint64_t *dice);
void inventory_insert(struct world *world, int i, uint64_t *dice);
void inventory_read_marks(const struct world *world, const struct instance *instance,
                          struct mark marks[SHARDS]);
void inventory_forget(struct instance *instance);
/** The order of a dead letter, as the newest ledger in memory has it. */
bool inventory_next_letter(const struct world *world, uint8_t *order);

/* provider.c */
bool provider_step(struct world *world, uint64_t *dice);
void provider_ask(struct world *world, int i, int order, enum payment_call call);

/* oracle.c */
void oracle_begin(struct world *world);
void oracle_applies(struct world *world, enum saga_part part, int input, int shard,
                    uint64_t number);
void oracle_said(struct world *world, enum saga_part part, const struct fact *fact);
void oracle_money(struct world *world, int order);
/** What is still to be done, in a phrase; NULL: nothing. */
const char *oracle_unrest(const struct world *world);
void oracle_end(struct world *world);

#endif
