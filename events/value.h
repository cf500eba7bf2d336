/* C values laid out by a schema: written as Avro binary and as JSON. To read one is events/plan.h.
 */
#ifndef TRADEWIND_EVENTS_VALUE_H
#define TRADEWIND_EVENTS_VALUE_H

#include "events/path.h"
#include "events/schema.h"
#include "runtime/json.h"

/**
 * Append the Avro binary of the value at from. In a record a string or bytes without data becomes
 * its field's default. False: *why says what is wrong and path where; out holds a part then.
 */
bool value_encode(struct buf *out, const struct schema *schema, const void *from, struct path *path,
                  const char **why);

/** Enums as symbols, timestamps in RFC 3339, bytes in base64. */
void value_print_json(struct json_writer *writer, const struct schema *schema, const void *from);

#endif
