/* What the files of the schema parser share; no business of others. */
#ifndef TRADEWIND_EVENTS_SCHEMA_PARSER_H
#define TRADEWIND_EVENTS_SCHEMA_PARSER_H

#include "events/schema.h"
#include "runtime/json.h"

/* A name that was defined, or is being defined: then schema is NULL, and to use it is recursion. */
struct schema_named {
    struct view name;
    const struct schema *schema;
    struct schema_named *next;
};

struct schema_parser {
    struct arena *arena;
    struct schema_named *named;
    struct err *err;
};

/* Says what is wrong with a node of the text, by its JSON pointer. */
#define SCHEMA_FAIL(parser, node, format, ...)                                                     \
    err_set((parser)->err, ERR_REJECT, "schema%s%.*s: " format,                                    \
            (node)->parent != NULL ? " at " : "",                                                  \
            VIEW_PRINT(json_pointer(node, NULL, (parser)->arena)), __VA_ARGS__)

/** Append the Avro binary of a default of schema. Errors  ERR_REJECT: it does not fit. */
enum err_kind schema_encode_default(struct schema_parser *parser, const struct json *json,
                                    const struct schema *schema, struct buf *out);

#endif
