/* The rules of delivery: what to apply, drop, ask for and send next.
 *
 * Each partition of a topic carries the numbers 1, 2, 3, ... of its one writer. The number is the
 * truth, the offset a hint. Nothing here does I/O or reads a clock: the runner and the relay feed
 * these two machines, and so does a simulator.
 *
 * Receiver (one a partition that is read): apply exactly high_water + 1. Lower is a duplicate.
 * Higher is a gap: read on and drop, for a resend arrives at the end of the partition, until the
 * missing one comes. Until then the stored position stays below the first record that was dropped.
 * First look once in the log from there, then ask the writer with a NACK, once a second.
 *
 * Sender (one a shard that is relayed): go-back-N. Send only last_sent + 1. `published` moves over
 * the acknowledged unbroken run. In doubt send nothing until the log was read back, then go on from
 * the first number missing there, through to the end. A NACK moves back, never forward. */
#ifndef TRADEWIND_RUNTIME_DELIVERY_H
#define TRADEWIND_RUNTIME_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#define DELIVERY_NACK_EVERY_MS 1000
/* A partition that is silent this long although a heartbeat claims more is asked for its end. */
#define DELIVERY_QUIET_MS 2000
/* A record whose schema is unknown is shown again this often, and asked for after this long. */
#define DELIVERY_SCHEMA_STEP_MS 1000
#define DELIVERY_SCHEMA_WAIT_MS 30000

/* --- Receiver ------------------------------------------------------------------------------- */

struct receiver {
    uint64_t high_water;    /* highest number applied */
    bool fresh;             /* nothing was ever applied: the first number in the log is the first */
    int64_t next_offset;    /* behind the last record that was read */
    bool gap;               /* a higher number came than the next */
    int64_t gap_offset;     /* where reading stood when the gap opened */
    bool looked_back;       /* the log was read again from there */
    int64_t nack_at_ms;     /* the last NACK */
    uint64_t claimed;       /* highest number a heartbeat said is published */
    int64_t claimed_at_ms;  /* when it was first claimed above the mark */
    int64_t read_to_end_ms; /* last moment at which the end had been read; -1: never */
    uint64_t asked_again;   /* this number did not decode and was asked for once more */
    int64_t asked_offset;   /* where it lay: the resend lies behind */
    int64_t end_asked_ms;   /* what the broker had at this moment has been read; -1: never asked */
    uint64_t waiting;       /* this number is of a schema that is not known yet; 0: none */
    int64_t waiting_since_ms; /* when it was seen first */
    int64_t wait_until_ms;    /* when it is read again; 0: it was waited for long enough */
};

enum receiver_verdict {
    RECEIVER_APPLY,
    RECEIVER_DUPLICATE,
    RECEIVER_GAP, /* drop it; the missing one is asked for */
};

/** Start at what the position row says. */
void receiver_start(struct receiver *receiver, uint64_t high_water, int64_t next_offset,
                    bool fresh);

/** A numbered record was read. On RECEIVER_APPLY the mark has moved. */
enum receiver_verdict receiver_read(struct receiver *receiver, uint64_t number, int64_t offset);
/** A record without a valid number was read: outside the sequence. */
void receiver_read_unnumbered(struct receiver *receiver, int64_t offset);
/** Its position is beyond the log's end: the log is read again from its beginning. */
void receiver_log_is_shorter(struct receiver *receiver);
/** The partition has been read to its end at this moment. */
void receiver_at_end(struct receiver *receiver, int64_t now_ms);
/** The broker was asked at this moment, and the partition ends before this offset. */
void receiver_end_is(struct receiver *receiver, int64_t end_offset, int64_t now_ms);
/** All that the partition held at since_ms has been read. Only an end that was asked for counts: an
 * end-of-partition event may have waited in the queue while records came in behind it. */
bool receiver_is_read_since(const struct receiver *receiver, int64_t since_ms);
/** The writer said that it has published everything up to number. */
void receiver_heartbeat(struct receiver *receiver, uint64_t published, int64_t now_ms);
/** The record high_water (just applied) does not decode: true when it shall be asked for once more.
 *  Then the mark is back where it was and the gap is open. */
bool receiver_undecodable(struct receiver *receiver, int64_t offset);
/** The writer has number no more. When that is the record that did not decode, the copy that lies
 * in the log is all there is: it is read again and counts as the second try. */
void receiver_gone(struct receiver *receiver, uint64_t number);
/** The record high_water (just applied) is in the batch. */
void receiver_taken(struct receiver *receiver);
/** The record high_water (just applied) is of an unknown schema: the mark is back where it was, and
 * what follows is dropped until it has been read again (RECEIVER_LOOK_BACK, in a second). Nothing
 * is missing. */
void receiver_hold(struct receiver *receiver, int64_t offset, int64_t now_ms);
/** The record high_water (just applied) has been held long enough. */
bool receiver_has_waited(const struct receiver *receiver, int64_t now_ms);

enum receiver_wish {
    RECEIVER_NOTHING,
    RECEIVER_LOOK_BACK, /* read again from receiver_position */
    RECEIVER_ASK_END,   /* look up the partition's end, for receiver_end_is */
    RECEIVER_NACK,      /* ask the writer for high_water + 1 */
};

/** What it wants now; call about ten times a second. The wish counts as carried out. */
enum receiver_wish receiver_tick(struct receiver *receiver, int64_t now_ms);

/** The offset to store with the mark: reading from it misses nothing. */
int64_t receiver_position(const struct receiver *receiver);

/* --- Sender --------------------------------------------------------------------------------- */

struct sender {
    bool doubt; /* send nothing: the log must be read back */
    uint64_t last_sent;
    uint64_t published;       /* acknowledged with all below it */
    int64_t published_offset; /* highest offset that was acknowledged; -1: none */
    uint64_t in_flight;       /* sent and neither acknowledged nor failed */
    int64_t nack_at_ms;       /* the last NACK that was obeyed */
    uint64_t generation;      /* of sends: a report of an older one is only counted */
};

/** A shard is taken over: in doubt until its log was read. */
void sender_start(struct sender *sender);
/** May number be sent now? Then it counts as sent. */
bool sender_send(struct sender *sender, uint64_t number);
/** The number to read from the journal for sending; 0: nothing may be sent. */
uint64_t sender_wants(const struct sender *sender, uint64_t journal_last);
/** The broker took number of this generation at offset. Starts a doubt when the log did not grow.
 */
void sender_acknowledged(struct sender *sender, uint64_t generation, uint64_t number,
                         int64_t offset);
/** It did not, or nobody knows. */
void sender_failed(struct sender *sender, uint64_t generation);
/** The partition's end is below what was acknowledged: the log lost its tail. True when so. */
bool sender_end_is(struct sender *sender, int64_t end_offset);
void sender_doubt(struct sender *sender);
/** In doubt and nothing under way: the log may be read back now. */
bool sender_may_read_back(const struct sender *sender);
/** The log was read back: it holds the unbroken run up to run, the last record of it below
 * end_offset. */
void sender_read_back(struct sender *sender, uint64_t run, int64_t end_offset);
/** The numbers from number up to before next are in neither the log nor the journal: go on behind
 * them. */
void sender_skip(struct sender *sender, uint64_t number, uint64_t next);
/** A consumer misses number. True when the sender went back for it. */
bool sender_nack(struct sender *sender, uint64_t number, int64_t now_ms);

/* Sent and not yet acknowledged, over all shards of a relay: what is more waits in the journal. */
#define DELIVERY_IN_FLIGHT_MAX 10000

/**
 * Where to begin to read back a log that ends before end_offset: early enough to see a record from
 * before anything that went wrong.
 *
 * minute_before  the first offset of the minute before the log's last record: what was given up as
 *                lost may have been written within it
 */
int64_t read_back_start(int64_t minute_before, int64_t end_offset);

/* --- The run of numbers in a log, for reading back (and for anybody who checks a log) -------- */

struct number_run {
    bool whole;     /* it is read from offset 0: then it has to begin with number 1 */
    uint64_t first; /* 0: no numbered record yet */
    uint64_t run;   /* highest number that an unbroken reader has reached */
    uint64_t highest;
    int64_t end; /* behind the last record */
};

/** For a reader that has applied all below first and begins anywhere. */
struct number_run number_run_from(uint64_t first);
void number_run_read(struct number_run *run, uint64_t number, int64_t offset);
/** Where the log ended that was read, when its end had been asked for before: a record that another
 * relay wrote meanwhile is in the run and counts. */
int64_t number_run_end(const struct number_run *run, int64_t asked_end);
/** The run that a log holds whose offsets go from low to below end. An empty log was never written,
 * or its records were taken by retention: then what was known to be published stands. */
uint64_t number_run_of_log(const struct number_run *run, int64_t low, int64_t end,
                           uint64_t published);

#endif
