/* A record of a topic as an archive keeps it: Avro, exactly as it lies in the file.
 *
 * One record has one form and no other, so that equal records are equal bytes: the hash chain goes
 * over these bytes, and what a broker holds is compared by them. Nothing of the record is
 * interpreted; a null key and an empty one are two things. */
#ifndef TRADEWIND_OPS_ARCHIVE_ARCHIVED_H
#define TRADEWIND_OPS_ARCHIVE_ARCHIVED_H

#include "events/wire.h"
#include "runtime/err.h"
#include "runtime/headers.h"

#include <librdkafka/rdkafka.h>

/* The schema that stands in each file. */
extern const char ARCHIVED_SCHEMA[];

struct archived {
    int64_t offset, time_ms;
    struct view key, value; /* VIEW_NONE: null */
    struct view headers;    /* for archived_headers */
    struct view bytes;      /* all of it, as it lies in the file */
};

/* The client library takes a time stamp of 0 for none and sets the present time: such a record
 * comes back with the next one. */
#define ARCHIVED_ZERO_COMES_BACK_AS_MS 1

struct archived_at {
    int64_t offset, time_ms;
};

/**
 * Append a message's archived form, as if it lay there and then.
 * Errors  ERR_REJECT: the name of a header is not UTF-8, which no Kafka client may write
 */
enum err_kind archived_write(struct buf *out, const rd_kafka_message_t *message,
                             struct archived_at at, struct err *err);

/** The next record under the cursor, as views. False: it is none; the cursor says why. */
bool archived_read(struct archived *out, struct cursor *cursor);

/* The headers of a record that archived_read has read, one after the other. */
struct archived_headers {
    struct cursor cursor;
    int64_t left;
};

void archived_headers(struct archived_headers *walk, const struct archived *record);
/** context is a struct archived_headers: fits envelope_read. */
bool archived_next_header(void *context, struct header *out);

#endif
