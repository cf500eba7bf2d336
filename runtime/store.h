/* Where a part's commit point is: the one interface between delivery and a database.
 *
 * PostgreSQL (runtime/pg_store.c) serves most parts; inventory's ledger is its own store.
 * One commit holds the part's new state, its new records with their numbers, the positions and
 * marks of what was read, and dead letters: all or nothing (docs/decisions, design "delivery").
 *
 * Threads: begin .. commit, take_over: the worker. read, last_numbers, note_published, dead letter
 * copies: the relay, on a session of its own. */
#ifndef TRADEWIND_RUNTIME_STORE_H
#define TRADEWIND_RUNTIME_STORE_H

#include "runtime/arena.h"
#include "runtime/err.h"

struct pg;

/* How far one input partition is applied. */
struct mark {
    const char *topic;
    int32_t partition;
    int64_t epoch;       /* who may write; raised by each take-over */
    int64_t next_offset; /* read from here; -1: from the beginning */
    uint64_t high_water; /* highest number applied */
    bool fresh;          /* nothing was ever applied: start at the first number in the log */
    uint64_t first;      /* of a unit only: the lowest number it applies; 0: none */
};

/** Somebody else has taken the partition over since unit was begun. */
bool mark_is_fenced(const struct mark *stored, const struct mark *unit);
/** How many numbers the store has moved on since unit was begun: its last commit, of which no
 * answer came, was still under way when the positions were read again. Below 0: the store has gone
 * back. */
int64_t mark_moved_by(const struct mark *stored, const struct mark *unit);
/** Whether a record (number 0: outside the sequence), whose commit was to leave the mark at after,
 * is not applied yet. */
bool mark_still_owes(const struct mark *stored, const struct mark *after, uint64_t number);

/* A record of the part's own topic, as it is sent: a number has one content for ever. */
struct journal_record {
    int32_t shard;
    uint64_t number;
    struct view key;
    struct view headers; /* header block, see events/envelope.h */
    struct view value;
};

/* Numbers of a shard that a journal is about to forget. */
struct journal_range {
    int32_t shard;
    uint64_t first, last;
    uint64_t seen; /* out: the log was seen to hold them up to this one; below first: none */
};

/** What the log was seen to hold of ranges, one a shard at most. At once: what it was not looked
 * for yet is looked for next, and known when it is asked for again in a minute or two.
 *
 * since_ms  UTC; no record of them was sent before */
typedef void journal_prove_fn(void *context, struct journal_range *ranges, size_t count,
                              int64_t since_ms);

/* Why a record was set aside. Stored by name. */
enum dead_reason {
    DEAD_NO_NUMBER,      /* headers missing or malformed: outside the sequence */
    DEAD_UNDECODABLE,    /* numbered, but the value is no event */
    DEAD_UNKNOWN_SCHEMA, /* numbered, schema id not known to registry or lock file */
    DEAD_IMPOSSIBLE,     /* no row of the saga table knows it: alarm */
    DEAD_REFUSED,        /* the part could not apply it */
    DEAD_PARKED,         /* behind a dead letter of its key */
    DEAD_UNDECIDED,      /* a loss took its outcome, and a replay left it to be decided again */
};

struct dead_letter {
    enum dead_reason reason;
    const char *error;
    const char *topic;
    int32_t partition;
    int64_t offset;
    uint64_t number;  /* 0: none */
    int64_t time_ms;  /* the record's */
    int32_t attempts; /* how often it was tried; parking is no attempt */
    struct view key;
    struct view headers; /* header block */
    struct view value;
    /* Of the row in its store: */
    int64_t id; /* 0: it is new. One that is tried and fails keeps its id */
    int64_t set_aside_us;
    bool copied; /* into <topic>.<group>.dlq */
};

const char *dead_reason_name(enum dead_reason reason); /* "no_number", ... */
/** False: there is no such reason. */
bool dead_reason_from_name(struct view name, enum dead_reason *out);
/** With its texts and bytes in arena. */
struct dead_letter dead_letter_copy(const struct dead_letter *dead, struct arena *arena);

/* How a part reads its inputs, as an operator wants it. Kept in the part's own store, so that it
 * holds for every instance and outlives each. */
struct flow {
    bool paused;
    int64_t rate_per_s; /* records that an instance takes in a second; 0: as many as come */
    int64_t changed_us; /* UTC; 0: never */
};

/* What one commit writes besides the part's state. */
struct commit {
    struct mark *marks; /* of the input partitions in this unit, sorted by topic, partition */
    size_t mark_count;
    int32_t *shards;        /* to be locked, ascending */
    uint64_t *last_numbers; /* per shard: filled by begin, moved on by appends */
    size_t shard_count;
    struct journal_record *records; /* in the order they were decided */
    size_t record_count, record_capacity;
    struct dead_letter *dead_letters;
    size_t dead_letter_count, dead_letter_capacity;
    /* Dead letters that this unit tries. All must still be there, and no others of their keys than
     * key_letters in all. Those that are not among dead_letters again are deleted with it. */
    const int64_t *redriven;
    size_t redriven_count, key_letters;
    int64_t *removed; /* of redriven, after the decisions */
    size_t removed_count;
    const struct flow *flow; /* NULL: it stays as it is */
    const struct view *keys; /* sorted: begin fills key_is_parked for them */
    bool *key_is_parked;     /* the key has a numbered dead letter */
    size_t key_count;
    struct arena *arena;
};

#define STORE_PING_MS 1000

struct store {
    void *self;

    /* Raise the epoch of the partitions in marks (topic, partition set) and read where they are. */
    enum err_kind (*take_over)(void *self, struct mark *marks, size_t count, struct err *err);
    /* Read them again after a commit of unknown outcome; epochs are not raised. */
    enum err_kind (*reload)(void *self, struct mark *marks, size_t count, struct err *err);
    /* Queue the locks: positions, then shards. For a store with a session, the part queues its
     * reads behind. */
    enum err_kind (*begin)(void *self, struct commit *commit, struct err *err);
    /* Send them, read epochs and numbers. ERR_RETRY with *fenced: an epoch moved, drop those
     * partitions. */
    enum err_kind (*began)(void *self, struct commit *commit, bool *fenced, struct err *err);
    /* Write it all. ERR_OK: stored. ERR_REJECT: this data can never be. ERR_RETRY: not stored, or
     * nobody knows. */
    enum err_kind (*commit)(void *self, struct commit *commit, struct err *err);
    /* Give up what began; forget memory that an unknown outcome made doubtful. */
    void (*abandon)(void *self);
    struct pg *(*session)(void *self); /* of the worker; NULL: no PostgreSQL */
    /* How inputs are to be read, in a unit too. Worker. */
    enum err_kind (*read_flow)(void *self, struct flow *out, struct err *err);

    /* The relay's side. `partitions` counts the shards. */
    enum err_kind (*last_numbers)(void *self, uint64_t *numbers, int32_t partitions,
                                  struct err *err);
    /* Records of shard from number on, in order, up to max_bytes; each is a view for the call of
     * each(). */
    enum err_kind (*read)(void *self, int32_t shard, uint64_t from, size_t max_bytes,
                          void (*each)(void *context, const struct journal_record *record),
                          void *context, struct err *err);
    enum err_kind (*published)(void *self, uint64_t *numbers, int32_t partitions, struct err *err);
    enum err_kind (*note_published)(void *self, const uint64_t *numbers, const int64_t *offsets,
                                    int32_t partitions, struct err *err);
    /* The shard's numbers go on behind this one. NULL: the store cannot. */
    enum err_kind (*raise_last_number)(void *self, int32_t shard, uint64_t number, struct err *err);
    /* About once a minute: make journal partitions, and drop those that are old enough, published
     * and, as prove says, in the log. */
    enum err_kind (*maintain)(void *self, journal_prove_fn *prove, void *context, struct err *err);
    /* Dead letters that have no copy in their topic yet: each() returns true when it was sent. */
    enum err_kind (*copy_dead_letters)(void *self,
                                       bool (*each)(void *context, const struct dead_letter *dead),
                                       void *context, struct err *err);
    /* For redrive: the dead letter id and, when it has a number, all others of its key, in order of
     * id, in arena. Worker. */
    enum err_kind (*load_dead_letters)(void *self, int64_t id, struct dead_letter **out,
                                       size_t *count, struct arena *arena, struct err *err);
    /* Up to limit of them whose id is above after, in order of id, without their values; each is a
     * view for the call of each(). Any thread. */
    enum err_kind (*list_dead_letters)(void *self, int64_t after, int32_t limit,
                                       void (*each)(void *context, const struct dead_letter *dead),
                                       void *context, struct err *err);
    /* One of them, whole, in arena; *out NULL: there is none. Any thread. */
    enum err_kind (*find_dead_letter)(void *self, int64_t id, const struct dead_letter **out,
                                      struct arena *arena, struct err *err);
    /* All dead letters that have a number, of up to max keys of these partitions whose first one is
     * undecided; each key's in order of id, in arena. Worker. May be NULL. */
    enum err_kind (*undecided)(void *self, const int32_t *partitions, size_t partition_count,
                               size_t max, struct dead_letter **out, size_t *count,
                               struct arena *arena, struct err *err);
    /* Does the server answer, soon (STORE_PING_MS)? On a session of its own; one thread. */
    enum err_kind (*ping)(void *self, struct err *err);
    void (*close)(void *self);
};

#endif
