/* Reads partitions of event topics from where a shadow stands to where it shall stand, with the
 * rules of delivery: exactly the next number is handed on, repeats are dropped, a gap is read over
 * until the missing one comes. No group: nothing that the live part sees is touched. */
#ifndef TRADEWIND_REPLAY_LOG_READER_H
#define TRADEWIND_REPLAY_LOG_READER_H

#include "ops/record.h"
#include "ops/replay/abreast.h"
#include "ops/replay/fetch_waker.h"
#include "runtime/delivery.h"
#include "runtime/lines.h"

struct log_place {
    enum topic topic;
    int32_t partition;
    struct receiver receiver; /* how far it is read */
    int64_t next_offset;      /* to be stored: reading from it misses nothing */
    uint64_t high_water;
    bool fresh;
    bool may_begin_late; /* the first number need not be 1 */

    /* Where this run ends: at an offset, or with a number. */
    int64_t until_offset;  /* exclusive; -1: not by offset */
    uint64_t until_number; /* inclusive, used when until_offset is -1 */
    bool done;
    bool at_end;      /* the broker has nothing behind what this run has read, or had */
    uint64_t highest; /* number seen in this run, for what is said of a gap */
};

struct log_reader {
    const char *brokers;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;  /* the client's: what it has fetched */
    struct log_place *places; /* each of topics, each of partitions */
    size_t place_count;
    int32_t partitions;
    struct abreast abreast; /* of places; empty: they are read as they come */
    int64_t rate;           /* records a second; 0: as fast as it goes */
    struct fetch_waker waker;
    size_t unasked_bytes; /* read since it was last woken */
    int64_t pace_us;      /* monotonic: when the next record may come */
    uint64_t records;     /* read since the reader was opened */
    uint64_t ignored;     /* records without a number: outside the sequence */
    /* Gets those; may be NULL. */
    void (*on_stranger)(void *context, const struct log_place *place,
                        const rd_kafka_message_t *message);
    void *stranger_context;
};

enum err_kind log_reader_open(struct log_reader *reader, const char *brokers,
                              const enum topic *topics, size_t topic_count, int32_t partitions,
                              struct err *err);
/** The same, and no place is read more than some thousands of records ahead of the others, by the
 * records' times: for who remembers what is begun in one and ended in another. It fetches less at
 * once, and so reads half as fast where nothing is done with the records. */
enum err_kind log_reader_open_abreast(struct log_reader *reader, const char *brokers,
                                      const enum topic *topics, size_t topic_count,
                                      int32_t partitions, struct err *err);
/** One topic, from the first record at or after since_ms up to where `position` stands in it. */
enum err_kind log_reader_open_since(struct log_reader *reader, const struct log_reader *position,
                                    enum topic topic, int64_t since_ms, struct err *err);
void log_reader_close(struct log_reader *reader);

/** NULL: it is not read here. */
struct log_place *log_reader_place(const struct log_reader *reader, enum topic topic,
                                   int32_t partition);
/** Start over from what is stored. */
void log_place_start(struct log_place *place, int64_t next_offset, uint64_t high_water, bool fresh);

/** Where a place stands, as fields of a line. */
void log_place_put(struct buf *line, const struct log_place *place);
/** Take them from the front of a line and start that place there.
 *  NULL: they do not say where one of the reader's places stands */
struct log_place *log_place_take(struct log_reader *reader, struct view *line);

/** Set each place's end to the end of its partition now.
 *  Errors  ERR_RETRY: the broker does not answer; ERR_REJECT: a topic is not there */
enum err_kind log_reader_aim_at_ends(struct log_reader *reader, struct err *err);
/** The same to the first record at or after time_ms, where that is before the end. */
enum err_kind log_reader_aim_at_time(struct log_reader *reader, int64_t time_ms, struct err *err);

/** The same to where another reader stands; the first number may be any. */
void log_reader_aim_at(struct log_reader *reader, const struct log_reader *position);

/** Records that are still to be read: those between positions and ends. */
int64_t log_reader_left(const struct log_reader *reader);
bool log_reader_is_there(const struct log_reader *reader);

/**
 * Read until every place is done. each gets the records that are next in their sequence; it is
 * called with NULL about ten times a second, and whenever nothing came, to do what takes time.
 * Errors  those of each; ERR_RETRY: the broker is silent
 *         ERR_REJECT: a number is not in the log (a hole, or it begins too late)
 */
enum err_kind log_reader_run(struct log_reader *reader,
                             enum err_kind (*each)(void *context, struct log_place *place,
                                                   const rd_kafka_message_t *message,
                                                   struct err *err),
                             void *context, struct err *err);

#endif
