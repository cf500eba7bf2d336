/* Avro binary as JSON, by the schema that wrote it. */
#ifndef TRADEWIND_EVENTS_WIRE_JSON_H
#define TRADEWIND_EVENTS_WIRE_JSON_H

#include "events/path.h"
#include "events/schema.h"
#include "events/wire.h"
#include "runtime/json.h"

/**
 * One value at the cursor: enums as symbols, timestamps in RFC 3339, bytes and fixed in base64, a
 * union's value as it is. False: cursor->why says what is wrong and path where; the writer holds
 * half a value then.
 */
bool wire_print_json(struct json_writer *writer, const struct schema *schema, struct cursor *cursor,
                     struct path *path);

#endif
