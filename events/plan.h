/* How to read what one schema wrote into the C struct of another: made once per schema id, by the
 * specification's rules of schema resolution, then run for each record.
 *
 * A plan is a tree in the order of the written bytes. Reader and writer alike give the plainest
 * plan; every difference is a step of its own kind, so that nothing is compared while reading. */
#ifndef TRADEWIND_EVENTS_PLAN_H
#define TRADEWIND_EVENTS_PLAN_H

#include "events/path.h"
#include "events/schema.h"
#include "events/wire.h"

enum plan_kind {
    PLAN_BOOLEAN, /* of the same type on both sides */
    PLAN_INT,
    PLAN_LONG,
    PLAN_FLOAT,
    PLAN_DOUBLE,
    PLAN_BYTES,
    PLAN_STRING, /* also string read as bytes and bytes as string: UTF-8 either way */
    PLAN_INT_AS_LONG,
    PLAN_INT_AS_FLOAT,
    PLAN_INT_AS_DOUBLE,
    PLAN_LONG_AS_FLOAT,
    PLAN_LONG_AS_DOUBLE,
    PLAN_FLOAT_AS_DOUBLE,
    PLAN_ENUM,
    PLAN_RECORD,  /* steps: the written fields in their order, then the defaults */
    PLAN_ARRAY,   /* steps[0]: an item */
    PLAN_POINTER, /* steps[0]: a value of its own memory */
    PLAN_UNION,   /* steps: one for each branch that can have been written */
    PLAN_NONE,    /* nothing was written and nothing is set: null */
    PLAN_DEFAULT, /* nothing was written: copy the default */
    PLAN_SKIP,    /* the reader does not know it */
    PLAN_REFUSE,  /* a branch that was written but that we cannot read */
};

struct plan {
    enum plan_kind kind;
    size_t offset;    /* in the struct that holds it */
    struct view name; /* of the written field, for messages */
    const struct plan *steps;
    size_t step_count;
    size_t size;            /* array, pointer: of steps[0]'s value; default: of the copy */
    const int32_t *symbols; /* enum: by what was written; -1: unknown to us */
    size_t symbol_count;
    const struct schema *writer; /* array, skip */
    const void *value;           /* default */
    const char *why;             /* refuse */
};

enum plan_rule {
    PLAN_LENIENT, /* what some values cannot be read as is refused when such a value comes */
    PLAN_STRICT,  /* refuse it now: is every value readable? */
};

/**
 * Plan to read writer's bytes as reader, whose C layout is used. Lives in arena, with views into
 * both. Errors  ERR_REJECT: names the field and the rule that forbids it
 */
enum err_kind plan_make(const struct plan **out, const struct schema *reader,
                        const struct schema *writer, enum plan_rule rule, struct arena *arena,
                        struct err *err);

/**
 * Read one value at the cursor into `to`, reader->size zeroed bytes. False: cursor->why says what
 * is wrong, path where.
 */
bool plan_run(const struct plan *plan, struct cursor *cursor, void *to, struct arena *arena,
              struct path *path);

/** Go past one value of schema. */
bool plan_skip(const struct schema *schema, struct cursor *cursor, size_t *empty_items);

#endif
