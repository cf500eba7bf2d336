/* All that the topics say, as rows that an audit and a summary count on.
 *
 * Fed with every record of every topic, each topic's partitions in their order. It obeys the rule
 * of every reader: in each (source, shard) it applies the next number and drops the others, because
 * what comes behind a hole comes again after it. One row an order, about 300 bytes, so that a
 * million orders fit. Pure: it reads nothing itself.
 *
 * Stores are put beside: what a database says of an order goes into the same row. */
#ifndef TRADEWIND_OPS_WORLD_H
#define TRADEWIND_OPS_WORLD_H

#include "ops/record.h"
#include "runtime/lookup.h"
#include "saga/order_progress.h"
#include "saga/saga.h"

#define WORLD_ID_SIZE 28
#define WORLD_MAILS 3 /* confirmation, cancellation, refund */
/* One for each part, email one for each mail. */
#define WORLD_WORDS (PART_COUNT - 1 + WORLD_MAILS)

/* Units of SKUs without their names: the sum of hash(SKU) x quantity. Equal sets have equal sums,
 * in whatever order their lines come. */
typedef uint64_t world_units;

struct world_currency {
    char code[4]; /* ISO 4217; empty: none */
};

struct world_order {
    char id[WORLD_ID_SIZE];
    int32_t shard;
    int64_t created_us, last_us; /* of the order's first and newest event */
    int64_t deadline_ms;

    /* The orders topic. */
    struct order_progress progress;
    bool created, was_confirmed, was_fulfilled;
    uint8_t reason; /* enum cancel_reason */
    struct world_currency currency;
    int64_t total_minor;
    int64_t lines_minor; /* of its lines, added up here */
    uint32_t line_count;
    world_units ordered; /* goods */

    /* The inventory topic. */
    world_units reserved, committed, released;
    uint8_t reserved_count, committed_count, released_count;

    /* The payments topic. */
    int64_t authorized_minor, captured_minor, refunded_minor, voided_minor;
    uint8_t captured_count, refunded_count;
    bool mixed_currencies;
    uint32_t payment_count;
    uint64_t payment_facts; /* the sum of a hash of each event: compared with the part's database */

    uint8_t fraud;                     /* 0: no verdict, 1: cleared, 2: flagged */
    uint64_t mail_ids[WORLD_MAILS];    /* hash of the Message-ID; 0: no mail yet */
    uint8_t mails_sent, mails_failed;  /* sets of 1 << mail */
    uint8_t mails_kept, mails_waiting; /* the same, in the email part's database */
    bool mail_ids_differ;

    uint16_t words[WORLD_WORDS]; /* saga_word.states */
    uint8_t broken_words;        /* a set of 1 << part: what it said is no word */

    /* Stores. */
    bool is_parked;   /* a part has a dead letter of this order */
    uint8_t standing; /* enum audit_standing */
    struct {
        bool exists;
        int16_t state, reason; /* as they are kept, also when they are none */
        int64_t total_minor;
    } orders_row;
    uint32_t payment_rows;
    uint64_t payment_row_facts;
    int64_t book_captured_minor, book_refunded_minor, book_held_minor;
    uint8_t book_charges; /* authorizations that took money */
    bool has_book;
    uint8_t fraud_row;
    struct {
        bool exists, confirmed, cancelled, closed_fulfilled, closed_cancelled;
        uint8_t reason;
        uint32_t line_count;
        int64_t total_minor, lines_minor, captured_minor, refunded_minor;
    } analytics;
};

struct world_sku {
    struct view code;
    int64_t received, held, sold; /* by the events of the inventory topic */
    struct {
        bool exists;
        int64_t received, on_hand, held, sold;
    } ledger;
};

/* The numbers of one source in one partition. */
struct world_stream {
    enum topic topic;
    int32_t partition;
    struct view source;
    uint64_t *fingerprints; /* of number i + 1; 0: not there */
    size_t capacity;
    uint64_t highest;   /* number in the log */
    uint64_t applied;   /* 1..applied are there without a hole */
    uint64_t repeats;   /* records whose number was there already, with the same bytes */
    uint64_t conflicts; /* the same number with other bytes */
    uint64_t conflict;  /* the first of them */
    uint64_t leaps;     /* records with a number that is no neighbour of any */
    uint64_t leap;      /* the first of them */
};

/* What saga_word_next answered: it searches the table, and the same few words come a million times.
 */
struct world_word_memory {
    uint32_t question; /* part, event, states; 0: nothing remembered */
    uint16_t states;
};

#define WORLD_WORDS_REMEMBERED 1024

struct world {
    struct arena *arena;
    int32_t partitions;
    struct lookup orders, skus, mail_ids;
    struct world_stream *streams;
    size_t stream_count, stream_capacity;
    uint64_t event_count[EVENT_COUNT];
    uint64_t record_count;
    uint64_t not_events;   /* records that are none, outside the sequence */
    const char *not_event; /* the first of them, for people */
    uint64_t misplaced;    /* numbered events in another partition than their key's */
    const char *misplaced_example;
    uint64_t undecodable; /* numbered records that are no event */
    const char *undecodable_example;
    uint64_t double_mail_ids; /* one id for two mails */
    const char *double_mail_example;
    int64_t last_us; /* of the newest event */
    struct world_word_memory word_memory[WORLD_WORDS_REMEMBERED];
};

void world_init(struct world *world, int32_t partitions, struct arena *arena);
void world_clear(struct world *world); /* what is not in the arena */
CLEANUP_IN_PLACE(world_clear, struct world)

/** One record. fingerprint: of its key, headers and value. */
void world_feed(struct world *world, const struct record *record, uint64_t fingerprint);
/** FNV-1a over all that a record carries, never 0. */
uint64_t world_fingerprint(const rd_kafka_message_t *message);

/** The row of an order; NULL: no topic and no store knows it. */
struct world_order *world_find(const struct world *world, struct view id);
/** The same, made when it is not there. NULL: the id is too long to be one. */
struct world_order *world_order(struct world *world, struct view id);
struct world_sku *world_sku(struct world *world, struct view code);

/** What one payment event adds to payment_facts. */
uint64_t world_payment_fact(uint64_t number, int64_t amount_minor);

/** "fulfilled", "closed", ...; of the orders topic. */
const char *world_state(const struct world_order *order);
bool world_is_final(const struct world_order *order);

#endif
