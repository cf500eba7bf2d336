/* How a part's state follows from the topics: what a replay needs to know of a part, and nothing
 * else of it (docs/decisions/replay.md).
 *
 * Each table is a fold of the part's own topic or of its inputs, so events of different topics may
 * come in any order; those of one key and topic come in the order of their numbers. A fold takes
 * events in, many at a time, and makes rows of them:
 *
 *     apply   one event: change the key's state in this batch, or add rows at once
 *     save    the rows of one key, after the last event of the batch
 *
 * The state of a key begins as zero bytes in each batch: it holds what the batch changes, and the
 * statements merge it with the row that is there. No effects, no clock, no settings but the fold's
 * own. */
#ifndef TRADEWIND_EVENTS_FOLD_H
#define TRADEWIND_EVENTS_FOLD_H

#include "events/event.h"
#include "events/ids.h"
#include "runtime/lookup.h"
#include "runtime/pg_batch.h"
#include "runtime/settings.h"

enum fold_source { FOLD_OWN, FOLD_INPUTS };

/* A table that is rebuilt, compared and swapped. */
struct fold_table {
    const char *name;
    const char *id;    /* its primary key's columns, separated by ", " */
    const char *range; /* the text column by which it is compared range by range */
    const char *key;   /* the column that holds the record's key */
    enum fold_source of;
    /* A column that may be written in several ways that mean the same, and the expression that
     * makes one of them; NULL: none. */
    const char *loose_column, *loose_same;
};

/* One statement that writes rows: its columns as arrays $1, $2, ... */
struct fold_write {
    struct pg_statement statement;
    enum pg_element elements[PG_BATCH_COLUMNS];
    int column_count;
};

/** Begin with no rows for the statement. */
static inline void fold_write_start(struct pg_batch *batch, const struct fold_write *write)
{
    pg_batch_start(batch, write->elements, write->column_count);
}

struct fold_batch;

struct fold {
    const char *part;
    enum topic publishes; /* TOPIC_NONE: nothing */
    const enum topic *inputs;
    size_t input_count;
    const struct pg_migration *scripts; /* that make the part's tables */
    const size_t *script_count;
    const struct fold_table *tables;
    size_t table_count;
    /* Tables of the part that are neither: they stay as they are at a swap, and begin empty in a
     * database that was lost. NULL-terminated. */
    const char *const *beside;
    /* After a loss, in the transaction that puts the shadow in place: what is taken over from the
     * shadow's tables for those beside. NULL: nothing. */
    const char *make_beside;
    /* What a stored number stands for, for people; NULL, or NULL for a column: it is a number. */
    const char *(*name_of)(const char *column, int value);
    const struct fold_write *writes; /* run in this order */
    size_t write_count;
    const struct setting *settings; /* of the part, that the fold depends on */
    size_t setting_count;
    size_t state_bytes; /* 0: apply gets no state */
    enum err_kind (*apply)(struct fold_batch *batch, void *state, const struct event *event,
                           struct err *err);
    void (*save)(struct fold_batch *batch, struct view key, const void *state); /* may be NULL */

    /* After a loss: inputs that the part has seen and whose outcome the loss took. The statement
     * gives each key that waits for something and the state it is in, in the order of keys; is_open
     * tells which of its inputs are decided again. NULL: there are none such. */
    const struct pg_statement *open_keys;
    bool (*is_open)(int64_t state, enum event_type type);

    /* What is decided and not done yet, in tables beside: its keys, and how it is forgotten ($1:
     * keys). A key that waits for something has it there. NULL: what is decided is done. */
    const struct pg_statement *owed_keys, *forget_owed;
};

/* Events on their way to rows. */
struct fold_batch {
    const struct fold *fold;
    const struct schema_ids *ids;
    int32_t partitions;
    struct view value; /* of the event that is being applied, as it lies in the topic */
    int64_t young_us;  /* what is older than that need not be kept in tables beside; UTC */
    /* Has something of this key been set aside? NULL: nothing is. */
    bool (*is_set_aside)(const void *context, struct view key);
    const void *context;
    struct arena *arena;     /* lives until the batch is begun again */
    struct pg_batch *writes; /* one each of fold->writes */
    struct pg_batch waits;
    struct lookup keys;
    struct fold_key *first, **last;
    size_t event_count;
};

void fold_batch_init(struct fold_batch *batch, const struct fold *fold,
                     const struct schema_ids *ids, int32_t partitions, struct arena *arena);
void fold_batch_clear(struct fold_batch *batch);
/** Begin with nothing; the arena is reset. */
void fold_batch_start(struct fold_batch *batch);

/** Take an event in. Its texts need not outlive the call.
 *  Errors  ERR_REJECT: this event can never be folded; the batch is as before */
enum err_kind fold_batch_add(struct fold_batch *batch, const struct event *event, struct view value,
                             struct err *err);

/** Queue the statements for all that was taken in, once, inside a transaction. */
void fold_batch_queue(struct fold_batch *batch, struct pg *pg);

/**
 * What a part owes an answer to, for those whose own tables do not tell: a balance for each key and
 * `what` (0..15), up by inputs that ask, down by own events that answer, in whatever order they
 * come. It lies in replay_waiting, of the shadow only: FOLD_WAITING_TABLE makes it.
 */
void fold_wait(struct fold_batch *batch, struct view key, int16_t what, int change);

#define FOLD_WAITING_TABLE                                                                         \
    "create table replay_waiting (key text collate \"C\" not null, what smallint not null,"        \
    "  balance int not null, primary key (key, what)) with (fillfactor = 50);"

/** The columns of the i-th of fold->writes. */
struct pg_column *fold_columns(struct fold_batch *batch, size_t write);
/** A text for a column that must not be null: none becomes empty. */
struct view fold_text(struct view text);
/** A copy that lives as long as the batch. */
struct view fold_keep(struct fold_batch *batch, struct view text);
int32_t fold_shard_of(const struct fold_batch *batch, struct view key);

#endif
