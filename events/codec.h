/* Events to bytes and back: Confluent wire format (a zero byte, the schema id in 4 bytes
 * big-endian, Avro binary).
 *
 * The C struct of each event is generated from its schema (events/events_generated.h):
 *
 *     long, timestamp-micros   int64_t              string, bytes    struct view
 *     int                      int32_t              enum             enum, 0 is UNKNOWN
 *     boolean                  bool                 record           struct
 *     array of T               const T *x; size_t x_count
 *     ["null", string/bytes]   struct view, data NULL is null
 *     ["null", T]              const T *, NULL is null
 *
 * Bytes come from outside and are believed nothing: every length, count, index, range and string is
 * checked, what is allocated is bounded by the bytes that are there, and bytes behind the end are
 * refused. What was written with another version of the schema is resolved to ours by the rules of
 * the specification. */
#ifndef TRADEWIND_EVENTS_CODEC_H
#define TRADEWIND_EVENTS_CODEC_H

#include "events/catalog.h"
#include "events/ids.h"
#include "events/schema.h"
#include "runtime/json.h"

/** Our schema of an event, parsed once. type is not EVENT_NONE. Any thread. */
const struct schema *event_schema(enum event_type type);
/** Its text, as in schemas/events/. */
struct view event_schema_text(enum event_type type);

/**
 * Append the event's value to out.
 *
 * event   the generated struct of type. A string or bytes left zero (data NULL) becomes the field's
 *         default; it is refused when there is none
 *
 * Errors  ERR_REJECT: names the field: bad UTF-8, no value, enum out of range; out is as before
 *         ERR_STOP: ids knows no id to write this type with
 */
enum err_kind event_encode(struct buf *out, enum event_type type, const void *event,
                           const struct schema_ids *ids, struct err *err);

/**
 * Read a record's value. Type says what *event points at. Strings are views into value: the event
 * lives as long as value and arena. Any number of threads may share ids.
 *
 * Errors  ERR_REJECT: names the field; or a schema that is none of our events
 *         ERR_RETRY: nobody here knows the schema id: schema_ids_refresh may bring it
 */
enum err_kind event_decode(enum event_type *type, const void **event, struct view value,
                           const struct schema_ids *ids, struct arena *arena, struct err *err);

/** The schema id in its head; -1: it has none. */
int32_t event_schema_id(struct view value);

/** As event_decode, of a value that a part keeps: one of its instances may be of a later release
 * than this, and have kept it. An id that nobody here knows is looked for first, which may take 3
 * s. */
enum err_kind event_decode_kept(enum event_type *type, const void **event, struct view value,
                                struct schema_ids *ids, struct arena *arena, struct err *err);

/** The event as a JSON object: enums as symbols, times in RFC 3339, bytes in base64. */
void event_print_json(struct json_writer *writer, enum event_type type, const void *event);

/**
 * Any value whose schema ids knows, as its writer wrote it, also when it is none of our events.
 * Errors  as event_decode; the writer may hold half a value then
 */
enum err_kind event_print_any_json(struct json_writer *writer, struct view value,
                                   const struct schema_ids *ids, struct err *err);

#endif
