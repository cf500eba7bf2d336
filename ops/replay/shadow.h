/* A part's folded tables in a schema of their own beside the live ones, and how far they are
 * folded. Rows and positions are written in one transaction, so that a replay that was killed goes
 * on where it stood.
 *
 * What a shadow holds is the fold of all records up to its position but those it has set aside:
 * those that the live part has set aside, and those that cannot be read. */
#ifndef TRADEWIND_REPLAY_SHADOW_H
#define TRADEWIND_REPLAY_SHADOW_H

#include "events/fold.h"
#include "ops/replay/log_reader.h"

#define SHADOW_NEW "replay_shadow" /* what is being rebuilt */
#define SHADOW_OLD "replay_old"    /* what a swap has put away */

#define SHADOW_UNDECIDED "undecided"
/* SQL: a row of the schema's replay_aside (as a) is what a sweep has set aside, or came for its key
 * since. schema: "" or with a dot behind it. */
#define SHADOW_SWEPT(schema)                                                                       \
    "not a.by_live and exists (select from " schema                                                \
    "replay_aside u where u.key = a.key and u.reason = '" SHADOW_UNDECIDED "')"

/* A record that is not folded. */
struct aside {
    enum topic topic;
    int32_t partition;
    uint64_t number;
    struct view key;
    bool by_live;   /* the live part has it among its dead letters */
    struct view id; /* "orders/7/42": topic's writer, partition, number */
};

struct asides {
    struct lookup by_id;  /* struct aside */
    struct lookup by_key; /* one of each key */
    struct lookup parked; /* struct aside by key: inputs of a key behind one that cannot be read */
    struct arena arena;
};

struct shadow {
    const struct fold *fold;
    const char *schema;
    struct pg *pg;
    const struct schema_ids *ids;
    struct log_reader reader; /* its places are the shadow's position */
    struct fold_batch batch;
    struct arena arena, batch_arena, record_arena;
    struct asides asides;
    struct pg_batch aside_rows;
    struct pg_statement *forget;   /* one a table: the rows of keys */
    struct pg_statement *key_sums; /* one a table: what tells the rows of keys from others */
    const struct view *forgotten;  /* keys whose rows go in the next flush */
    size_t forgotten_count;
    size_t batch_bytes;
    bool is_begun;       /* a transaction is open, which the next flush ends */
    bool is_sent;        /* a batch is on its way into the database */
    bool is_broken;      /* one was not stored: nothing more is */
    uint64_t folded;     /* events since it was opened */
    uint64_t unreadable; /* numbered records that are no event, since it was opened */
    char unreadable_example[300];
    struct pg_column scratch[5];
    /* Told about ten times a second while it is moved; may be NULL. */
    void (*progress)(void *context, const struct shadow *shadow);
    void *context;
};

struct shadow_options {
    const struct fold *fold;
    const char *schema;
    const char *database;
    const char *brokers;
    const struct schema_ids *ids;
    int32_t partitions;
    int64_t rate;
};

/** Open a session for one operator at a time; ERR_REJECT: somebody else replays this part. */
enum err_kind shadow_open(struct shadow *shadow, const struct shadow_options *options,
                          struct err *err);
void shadow_close(struct shadow *shadow);

/** The topics that a part's state follows from; returns how many. */
size_t shadow_topics(const struct fold *fold, enum topic topics[TOPIC_COUNT]);

/** Is the schema there? */
enum err_kind shadow_exists(struct shadow *shadow, const char *schema, bool *exists,
                            struct err *err);
/** Make it, empty. ERR_RETRY, ERR_STOP. */
enum err_kind shadow_make(struct shadow *shadow, struct err *err);
/** The same in the place of one that is there, in a transaction that is left open. */
enum err_kind shadow_begin(struct shadow *shadow, struct err *err);
/** What tells the tables of this version of the part from those of others. */
#define SHADOW_MADE_BY_SIZE 65
void shadow_made_by(const struct shadow *shadow, char out[SHADOW_MADE_BY_SIZE]);
/** Drop a schema with all that is in it. */
enum err_kind shadow_drop(struct shadow *shadow, const char *schema, struct err *err);
/** Read position and what is set aside, but for what a sweep did: sweep_take_back is next.
 * ERR_REJECT: it was made by other scripts or for another number of partitions. */
enum err_kind shadow_load(struct shadow *shadow, struct err *err);

/** Move it to where its reader's places shall end. */
enum err_kind shadow_move(struct shadow *shadow, struct err *err);

/** Store what was taken in. move: with the position. */
enum err_kind shadow_flush(struct shadow *shadow, bool move, struct err *err);
/** The next flush begins with dropping all that the shadow has of these keys, but what cannot be
 * read. Borrows them till then. */
void shadow_forget_keys(struct shadow *shadow, const struct view *keys, size_t count);
/** What was taken in since the last flush is not stored. */
void shadow_drop_batch(struct shadow *shadow);

/* A record that is set aside, whole: it may become a dead letter of a part whose database was lost.
 */
struct aside_record {
    enum topic topic;
    int32_t partition;
    int64_t offset, time_ms;
    uint64_t number;
    struct view key, headers, value;
    const char *reason, *error;
    bool by_live;
};

/* The rows of what is set aside begin anew: with each flush. */
void shadow_start_asides(struct shadow *shadow);
/** From now on, and with the next flush, this record is set aside; unless the live part did it,
 * later inputs of its key are too. */
void shadow_keep_aside(struct shadow *shadow, const struct aside_record *record);

/** Fold one event, outside a move. ERR_REJECT: it can never be folded. */
enum err_kind shadow_fold(struct shadow *shadow, const struct event *event, struct view value,
                          struct err *err);

/* --- What is set aside ------------------------------------------------------------------------ */

void asides_init(struct asides *asides);
void asides_clear(struct asides *asides);
/** Texts are copied. One that is there already stays as it is. */
struct aside *asides_add(struct asides *asides, enum topic topic, int32_t partition,
                         uint64_t number, struct view key, bool by_live);
struct aside *asides_find(const struct asides *asides, enum topic topic, int32_t partition,
                          uint64_t number);
/** Is anything of this key set aside? For fold_batch. */
bool asides_have_key(const void *asides, struct view key);
/** Later inputs of the aside's key are set aside too. */
void asides_park(struct asides *asides, struct aside *aside);

#endif
