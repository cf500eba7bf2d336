/* A record's headers as one block of bytes, the way the journal keeps them.
 *
 * All integers are big-endian: u16 count, then for each header u16 length of the name, the name,
 * u32 length of the value, the value. Names may repeat (Kafka allows it) and keep their order. */
#ifndef TRADEWIND_RUNTIME_HEADERS_H
#define TRADEWIND_RUNTIME_HEADERS_H

#include "runtime/bytes.h"
#include "runtime/err.h"

struct header {
    struct view name;
    struct view value; /* VIEW_NONE: a null value, only when read from Kafka; a block has none */
};

/* Writing: start, any number of appends. */
void headers_start(struct buf *block);
void headers_append(struct buf *block, const char *name, struct view value);

/* Reading: headers_read, then headers_next until it gives false. Names and values are views. */
struct headers {
    struct view rest;
    unsigned left;
};

/**
 * Check the whole block and begin at its first header.
 * Errors  ERR_REJECT: a length beyond the block's end, bytes behind the last header
 */
enum err_kind headers_read(struct headers *out, struct view block, struct err *err);
/** The next header, or false after the last. */
bool headers_next(struct headers *headers, struct header *out);

#endif
