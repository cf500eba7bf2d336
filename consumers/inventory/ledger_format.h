/* The ledger's documents: what they hold, and how they are written and read as BSON.
 *
 * schemas/mongo/ describes them for readers from outside, who check the stock entry by entry. The
 * server pays for every field ([m] FerretDB: a batch of 50 entries of 3 SKUs as documents of named
 * fields reads in 7.1 ms, as texts in 0.9 ms, as one text of lines in 0.3 ms), so what there is
 * much of is lines of fields separated by tabs: entries, and the SKUs, orders and receipts of a
 * snapshot. The records of the part's own topic, which are a copy of it, are one packed binary.
 *
 * What comes out of a store is believed nothing: types, lengths, ranges and UTF-8 are checked. */
#ifndef TRADEWIND_INVENTORY_LEDGER_FORMAT_H
#define TRADEWIND_INVENTORY_LEDGER_FORMAT_H

#include "consumers/inventory/stock.h"
#include "runtime/arena.h"
#include "runtime/store.h"

#include <bson/bson.h>

/* Largest document that is written. The servers take 16 MiB; their replies of many break at 48 MB,
 * and a unit of work that makes more than this is cut in two. One event makes at most two copies of
 * a Kafka record of 1 MiB. */
#define LEDGER_DOCUMENT_MAX (4u << 20)
#define LEDGER_LINES_MAX (16u << 20) /* bytes of a text of lines */
#define LEDGER_COLLECTION_DOCUMENTS 256
#define LEDGER_ID_SIZE 21
#define LEDGER_NAME_SIZE 64
#define LEDGER_WRITER_MAX 128
#define LEDGER_PARTITIONS_MAX 1024

/* How far one input topic is read: arrays of one element a partition. */
struct positions {
    struct view topic;
    const int64_t *offsets;  /* read from here; -1: from the beginning */
    const uint64_t *numbers; /* highest applied; 0: none ever */
};

/* What a document says of the whole ledger: everything before it is in here. */
struct standing {
    uint64_t number;    /* of the document in the chain: 1, 2, 3, ... */
    uint64_t epoch;     /* of the document with which its writer took over: no older writer writes
                           behind it */
    int64_t time_us;    /* UTC, by its writer's clock */
    struct view writer; /* who wrote it, and in which attempt: never the same twice */
    struct view warehouse;
    int32_t partitions;           /* of the part's own topic, and one for what operators do: P. The
                                     arrays have room for one more, zero when it was read */
    const uint64_t *last_numbers; /* P: the last number given in each shard */
    const uint64_t *published;    /* P: what the broker has acknowledged, as far as was known */
    const int64_t *published_offsets;
    const struct positions *positions;
    size_t position_count;
    int64_t last_letter; /* id of the newest dead letter there ever was */
    struct flow flow;    /* how inputs are read */
};

struct letter {
    int64_t id;
    int64_t time_us; /* when it was set aside */
    bool copied;     /* into the DLQ topic, as far as was known */
    struct dead_letter dead;
};

/* One document of the chain: one commit. */
struct batch {
    struct standing standing;
    const struct entry *entries;
    size_t entry_count;
    const struct journal_record *records;
    size_t record_count;
    const struct letter *letters; /* set aside in this batch, some of them again */
    size_t letter_count;
    const int64_t *removed; /* letters that are applied or dropped with it */
    size_t removed_count;
    const int64_t *copied; /* letters whose copy in the DLQ topic the broker has */
    size_t copied_count;
    /* What an operator's replay writes, and the part does not (docs/decisions/replay.md). */
    bool is_aside;     /* it takes a number and may hold records; nothing else of it counts */
    bool asks_to_wait; /* is_aside, and the writer waits for the document behind it */
    struct view state; /* stock and letters are what lies in this collection; empty: go on */
};

/* --- Names ---------------------------------------------------------------------------------- */

/** "00000000000000000042": as wide as any, so that text order is number order. */
void ledger_id(char out[LEDGER_ID_SIZE], uint64_t number);
/** "ledger_0000000000": the collection of a document. */
void ledger_collection(char out[LEDGER_NAME_SIZE], uint64_t number);
/** First number in the collection of this name; false: it is none of the ledger. */
bool ledger_collection_first(const char *name, uint64_t *first);

/* --- Batches -------------------------------------------------------------------------------- */

/** gives a document: bson_destroy. */
bson_t *batch_write(const struct batch *batch);

/**
 * Read a document of the chain. Views in out point into document and arena.
 * Errors  ERR_STOP: it is none (text names the document and the field): somebody else writes here
 */
enum err_kind batch_read(struct batch *out, const bson_t *document, struct arena *arena,
                         struct err *err);

/* --- What batches and snapshots have in common: for snapshot_format.c ----------------------------
 */

struct bson_reader;

void standing_write(bson_t *document, const struct standing *standing);
void letters_write(bson_t *document, const struct letter *const *letters, size_t count);
void standing_read(struct standing *out, struct bson_reader *reader, const bson_t *document,
                   struct arena *arena);
/** The next field of a line as a number. */
int64_t number_read(struct bson_reader *reader, struct view *line);
/** SKU and quantity in turn to the line's end, as they are written. */
const struct stock_item *items_read(struct bson_reader *reader, struct view *line, size_t *count,
                                    struct arena *arena);
const struct letter *letters_read(struct bson_reader *reader, const bson_t *document, size_t *count,
                                  struct arena *arena);

#endif
