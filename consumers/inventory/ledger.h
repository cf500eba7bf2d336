/* The ledger in memory: all that its documents say, folded in their order.
 *
 * A batch is decided against this, written, and then settled into it; when the ledger is read back
 * the same batches are folded by the same functions. No I/O in here, no clock, no locks. */
#ifndef TRADEWIND_INVENTORY_LEDGER_H
#define TRADEWIND_INVENTORY_LEDGER_H

#include "consumers/inventory/snapshot_format.h"

struct ledger {
    char *warehouse;
    int32_t partitions;
    uint64_t number;                    /* of the last document; 0: none yet */
    bool asks_to_wait;                  /* the last document is a replay's that does */
    uint64_t epoch;                     /* of the last document with which somebody took over */
    int64_t time_us;                    /* its time */
    char writer[LEDGER_WRITER_MAX + 1]; /* who wrote it */
    struct stock stock;
    uint64_t *last_numbers; /* arrays of one element a shard */
    uint64_t *published;
    int64_t *published_offsets;
    struct ledger_positions {
        char *topic;
        int64_t *offsets; /* arrays of one element a partition */
        uint64_t *numbers;
    } * positions;
    size_t position_count;
    struct letter **letters; /* ascending by id, each with its bytes in one allocation */
    size_t letter_count, letter_capacity;
    int64_t last_letter;
    struct flow flow;
};

/** An empty ledger. gives: ledger_free */
struct ledger *ledger_new(struct view warehouse, int32_t partitions);
void ledger_free(struct ledger *ledger);
CLEANUP(ledger_free, struct ledger *)

/**
 * The next document of the chain, as it was read.
 * Errors  ERR_STOP: it is not the next one, is of another warehouse or number of partitions, or an
 *         entry in it does not fit (text names document and entry)
 */
enum err_kind ledger_fold(struct ledger *ledger, const struct batch *batch, struct err *err);

/** The document whose entries are applied already is written: take in the rest of it. */
void ledger_settle(struct ledger *ledger, const struct batch *batch);

/** Forget stock and dead letters: others take their place. */
void ledger_forget(struct ledger *ledger);

/** Puts what a snapshot's parts hold into the ledger. */
struct snapshot_visitor ledger_visitor(struct ledger *ledger);

/** Take in what the valid document of a snapshot says; its parts have been read into stock and
 * letters. */
enum err_kind ledger_restore(struct ledger *ledger, const struct standing *standing,
                             struct err *err);

/** What a document written now says of the ledger as it is. Views into the ledger and arena. */
struct standing ledger_standing(const struct ledger *ledger, struct arena *arena);

/** Where an input partition stands; an untouched one is put in at its beginning. */
void ledger_read_mark(const struct ledger *ledger, struct mark *mark);

/* --- Dead letters --------------------------------------------------------------------------- */

/** Copies. One with its id makes room for it: it was tried, and set aside again. */
void ledger_add_letter(struct ledger *ledger, const struct letter *letter);
/** NULL: it is applied, dropped, or never was. */
struct letter *ledger_find_letter(const struct ledger *ledger, int64_t id);
/** Whether a numbered letter of the key is left, other than those in except. */
bool ledger_has_letter(const struct ledger *ledger, struct view key, const int64_t *except,
                       size_t except_count);

#endif
