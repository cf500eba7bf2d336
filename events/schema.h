/* Avro schemas: text in, a tree out.
 *
 * The same code reads schemas/events/ when the program is built (events/avro_compile.c makes C
 * structs from them) and writer schemas when it runs. A tree also says where each field lies in its
 * C struct, by the C compiler's own rules, and the generated code asserts that both agree. So one
 * tree serves to encode, to decode and to print, and there are no further tables.
 *
 * Source: the Avro specification 1.11. Left out on purpose: recursive types (a message could nest
 * without end) and sizes beyond the bounds below. */
#ifndef TRADEWIND_EVENTS_SCHEMA_H
#define TRADEWIND_EVENTS_SCHEMA_H

#include "runtime/arena.h"
#include "runtime/err.h"

#include <stdbool.h>

enum schema_type {
    SCHEMA_NULL,
    SCHEMA_BOOLEAN,
    SCHEMA_INT,
    SCHEMA_LONG,
    SCHEMA_FLOAT,
    SCHEMA_DOUBLE,
    SCHEMA_BYTES,
    SCHEMA_STRING,
    SCHEMA_RECORD,
    SCHEMA_ENUM,
    SCHEMA_ARRAY,
    SCHEMA_MAP,
    SCHEMA_UNION,
    SCHEMA_FIXED,
};

#define SCHEMA_DEPTH_MAX 32        /* types within types */
#define SCHEMA_NODES_MAX 10000     /* types in all, a named type counted wherever it is used */
#define SCHEMA_TEXT_MAX (1 << 20)  /* bytes of JSON */
#define SCHEMA_FIXED_MAX (1 << 20) /* bytes of a fixed */

struct schema_field {
    struct view name;
    struct view doc; /* for people; none: none */
    const struct view *aliases;
    size_t alias_count;
    const struct schema *type;
    bool has_default;
    struct view default_bytes; /* the default value in Avro binary */
    size_t offset;             /* in the C struct; an array's count lies behind its pointer */
};

struct schema {
    enum schema_type type;
    bool is_timestamp_micros;   /* long with that logicalType; others mean nothing to us */
    struct view name;           /* record, enum, fixed: full name; else none */
    struct view doc;            /* the same, for people */
    const struct view *aliases; /* full names */
    size_t alias_count;
    struct schema_field *fields; /* record */
    size_t field_count;
    const struct view *symbols; /* enum */
    size_t symbol_count;
    int32_t default_symbol;               /* enum: index; -1: none */
    const struct schema *const *branches; /* union; array and map: branches[0] is their item */
    size_t branch_count;
    size_t fixed_bytes;
    size_t min_bytes;   /* the fewest bytes a value takes: bounds the items that bytes can hold */
    size_t nodes;       /* types in this tree */
    size_t height;      /* types within types */
    size_t size, align; /* of its C value; size 0: it has no C type */
};

/**
 * Parse the text of a schema. The tree lives in arena, which may be reset only with it.
 * Errors  ERR_REJECT: not JSON, not a schema, recursive, too large; names the place
 */
enum err_kind schema_parse(const struct schema **out, struct view text, struct arena *arena,
                           struct err *err);

/** "long", "record", ... as in a schema's text. */
const char *schema_type_name(enum schema_type type);

/** The item type of an array or map. */
static inline const struct schema *schema_item(const struct schema *schema)
{
    return schema->branches[0];
}

/** T of a union ["null", T] or [T, "null"]; NULL when it is no such union. */
const struct schema *schema_optional(const struct schema *schema);

/** The name without its namespace: OrderCreated. */
struct view schema_short_name(const struct schema *schema);

/** Parsing Canonical Form of the specification. */
void schema_print_canonical(struct buf *out, const struct schema *schema);

/** Are they the same in all that changes how bytes are read: also aliases, defaults, logical types?
 */
bool schema_same(const struct schema *one, const struct schema *other);

/** SHA-256 of the Parsing Canonical Form, in lower-case hex. */
#define SCHEMA_FINGERPRINT_SIZE 65
void schema_fingerprint(char out[SCHEMA_FINGERPRINT_SIZE], const struct schema *schema);

#endif
