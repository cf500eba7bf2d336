#include "events/plan.h"

#include <stdio.h>

/* --- Making: the rules of schema resolution --------------------------------------------------- */

struct maker {
    enum plan_rule rule;
    struct arena *arena;
    struct path path; /* to what is wrong */
    struct err err;   /* what is wrong */
};

static bool make(struct maker *maker, struct plan *out, const struct schema *reader,
                 const struct schema *writer);

static bool cannot(struct maker *maker, const struct schema *reader, const struct schema *writer)
{
    err_set(&maker->err, ERR_REJECT, "%s%s%.*s cannot be read as %s%s%.*s",
            schema_type_name(writer->type), writer->name.size > 0 ? " " : "",
            VIEW_PRINT(writer->name), schema_type_name(reader->type),
            reader->name.size > 0 ? " " : "", VIEW_PRINT(reader->name));
    return false;
}

/* Named types match by their names without namespaces, or by an alias that the reader states. */
static bool names_match(const struct schema *reader, const struct schema *writer)
{
    if (view_equal(schema_short_name(reader), schema_short_name(writer)))
        return true;
    for (size_t i = 0; i < reader->alias_count; i++)
        if (view_equal(reader->aliases[i], writer->name))
            return true;
    return false;
}

/* The one written field that a reader's field takes: of its name, else of one of its aliases. */
static const struct schema_field *find_written(const struct schema *writer,
                                               const struct schema_field *field)
{
    for (size_t i = 0; i < writer->field_count; i++)
        if (view_equal(writer->fields[i].name, field->name))
            return &writer->fields[i];
    for (size_t i = 0; i < writer->field_count; i++)
        for (size_t j = 0; j < field->alias_count; j++)
            if (view_equal(writer->fields[i].name, field->aliases[j]))
                return &writer->fields[i];
    return NULL;
}

/* A default is read once, by the plan of what the schema itself would have written. */
static bool make_default(struct maker *maker, struct plan *out, const struct schema_field *field)
{
    struct cursor cursor = cursor_over(field->default_bytes);
    void *value = arena_alloc(maker->arena, field->type->size);
    struct plan plan = {0};

    *out = (struct plan){.kind = PLAN_DEFAULT,
                         .offset = field->offset,
                         .name = field->name,
                         .size = field->type->size,
                         .value = value};
    if (!make(maker, &plan, field->type, field->type))
        return false;
    if (plan_run(&plan, &cursor, value, maker->arena, &maker->path))
        return true;
    err_set(&maker->err, ERR_REJECT, "default: %s", cursor.why);
    return false;
}

static bool make_record(struct maker *maker, struct plan *out, const struct schema *reader,
                        const struct schema *writer)
{
    struct plan *steps =
        arena_array(maker->arena, writer->field_count + reader->field_count, sizeof *steps);

    out->kind = PLAN_RECORD;
    out->steps = steps;
    out->step_count = writer->field_count;
    for (size_t i = 0; i < writer->field_count; i++)
        steps[i] = (struct plan){
            .kind = PLAN_SKIP, .name = writer->fields[i].name, .writer = writer->fields[i].type};
    for (size_t i = 0; i < reader->field_count; i++) {
        const struct schema_field *field = &reader->fields[i];
        const struct schema_field *written = find_written(writer, field);
        bool good = true;

        if (written != NULL) {
            struct plan *step = &steps[written - writer->fields];

            if (step->kind != PLAN_SKIP) { /* two of our fields claim it, one by an alias */
                err_set(&maker->err, ERR_REJECT, "%.*s is read as two fields",
                        VIEW_PRINT(written->name));
                good = false;
            } else {
                *step = (struct plan){.offset = field->offset, .name = written->name};
                good = make(maker, step, field->type, written->type);
            }
        } else if (field->has_default) {
            good = make_default(maker, &steps[out->step_count++], field);
        } else {
            err_set(&maker->err, ERR_REJECT, "is not in what was written and has no default");
            good = false;
        }
        if (!good) {
            path_in_field(&maker->path, field->name);
            return false;
        }
    }
    return true;
}

static bool make_enum(struct maker *maker, struct plan *out, const struct schema *reader,
                      const struct schema *writer)
{
    int32_t *symbols = arena_array(maker->arena, writer->symbol_count, sizeof *symbols);

    out->kind = PLAN_ENUM;
    out->symbols = symbols;
    out->symbol_count = writer->symbol_count;
    for (size_t i = 0; i < writer->symbol_count; i++) {
        symbols[i] = reader->default_symbol;
        for (size_t j = 0; j < reader->symbol_count; j++)
            if (view_equal(reader->symbols[j], writer->symbols[i]))
                symbols[i] = (int32_t)j;
        if (symbols[i] < 0 && maker->rule == PLAN_STRICT) {
            err_set(&maker->err, ERR_REJECT,
                    "symbol %.*s is unknown to the reader, whose enum has no default",
                    VIEW_PRINT(writer->symbols[i]));
            return false;
        }
    }
    return true;
}

static bool make_array(struct maker *maker, struct plan *out, const struct schema *reader,
                       const struct schema *writer)
{
    struct plan *item = arena_alloc(maker->arena, sizeof *item);

    out->kind = PLAN_ARRAY;
    out->steps = item;
    out->step_count = 1;
    out->size = schema_item(reader)->size;
    out->writer = writer;
    if (make(maker, item, schema_item(reader), schema_item(writer)))
        return true;
    path_in_item(&maker->path, 0);
    return false;
}

/* What was written is a union: a plan for each of its branches. */
static bool make_from_union(struct maker *maker, struct plan *out, const struct schema *reader,
                            const struct schema *writer)
{
    struct plan *steps = arena_array(maker->arena, writer->branch_count, sizeof *steps);
    size_t good = 0;

    out->kind = PLAN_UNION;
    out->steps = steps;
    out->step_count = writer->branch_count;
    for (size_t i = 0; i < writer->branch_count; i++) {
        if (make(maker, &steps[i], reader, writer->branches[i])) {
            good++;
            continue;
        }
        if (maker->rule == PLAN_STRICT)
            return false;
        steps[i] =
            (struct plan){.kind = PLAN_REFUSE, .why = arena_strdup(maker->arena, maker->err.text)};
        maker->path.length = 0;
    }
    return good > 0;
}

/* The reader takes null or a value; the writer wrote something that is no union. */
static bool make_optional(struct maker *maker, struct plan *out, const struct schema *reader,
                          const struct schema *writer)
{
    const struct schema *value = schema_optional(reader);
    struct plan *step;

    if (writer->type == SCHEMA_NULL) {
        out->kind = PLAN_NONE;
        return true;
    }
    if (value->type == SCHEMA_STRING || value->type == SCHEMA_BYTES)
        return make(maker, out, value, writer);
    step = arena_alloc(maker->arena, sizeof *step);
    out->kind = PLAN_POINTER;
    out->steps = step;
    out->step_count = 1;
    out->size = value->size;
    return make(maker, step, value, writer);
}

/* Types that are neither composed nor named: the same, or promoted. */
static bool make_primitive(struct maker *maker, struct plan *out, const struct schema *reader,
                           const struct schema *writer)
{
    static const struct {
        enum schema_type writer, reader;
        enum plan_kind kind;
    } rules[] = {
        {SCHEMA_BOOLEAN, SCHEMA_BOOLEAN, PLAN_BOOLEAN},
        {SCHEMA_INT, SCHEMA_INT, PLAN_INT},
        {SCHEMA_INT, SCHEMA_LONG, PLAN_INT_AS_LONG},
        {SCHEMA_INT, SCHEMA_FLOAT, PLAN_INT_AS_FLOAT},
        {SCHEMA_INT, SCHEMA_DOUBLE, PLAN_INT_AS_DOUBLE},
        {SCHEMA_LONG, SCHEMA_LONG, PLAN_LONG},
        {SCHEMA_LONG, SCHEMA_FLOAT, PLAN_LONG_AS_FLOAT},
        {SCHEMA_LONG, SCHEMA_DOUBLE, PLAN_LONG_AS_DOUBLE},
        {SCHEMA_FLOAT, SCHEMA_FLOAT, PLAN_FLOAT},
        {SCHEMA_FLOAT, SCHEMA_DOUBLE, PLAN_FLOAT_AS_DOUBLE},
        {SCHEMA_DOUBLE, SCHEMA_DOUBLE, PLAN_DOUBLE},
        {SCHEMA_BYTES, SCHEMA_BYTES, PLAN_BYTES},
        {SCHEMA_STRING, SCHEMA_STRING, PLAN_STRING},
        {SCHEMA_STRING, SCHEMA_BYTES, PLAN_STRING},
        {SCHEMA_BYTES, SCHEMA_STRING, PLAN_STRING},
    };

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].writer == writer->type && rules[i].reader == reader->type) {
            out->kind = rules[i].kind;
            return true;
        }
    }
    return cannot(maker, reader, writer);
}

static bool make(struct maker *maker, struct plan *out, const struct schema *reader,
                 const struct schema *writer)
{
    if (reader->size == 0) {
        err_set(&maker->err, ERR_REJECT, "%s has no C type", schema_type_name(reader->type));
        return false;
    }
    if (writer->type == SCHEMA_UNION)
        return make_from_union(maker, out, reader, writer);
    if (reader->type == SCHEMA_UNION)
        return make_optional(maker, out, reader, writer);
    if (reader->type == SCHEMA_RECORD || reader->type == SCHEMA_ENUM) {
        if (reader->type != writer->type || !names_match(reader, writer))
            return cannot(maker, reader, writer);
        if (reader->type == SCHEMA_RECORD)
            return make_record(maker, out, reader, writer);
        return make_enum(maker, out, reader, writer);
    }
    if (reader->type == SCHEMA_ARRAY && writer->type == SCHEMA_ARRAY)
        return make_array(maker, out, reader, writer);
    return make_primitive(maker, out, reader, writer);
}

enum err_kind plan_make(const struct plan **out, const struct schema *reader,
                        const struct schema *writer, enum plan_rule rule, struct arena *arena,
                        struct err *err)
{
    struct maker maker = {.rule = rule, .arena = arena};
    struct plan *plan = arena_alloc(arena, sizeof *plan);
    const char *path;

    if (make(&maker, plan, reader, writer)) {
        *out = plan;
        return ERR_OK;
    }
    path = path_text(&maker.path);
    return err_set(err, ERR_REJECT, "%s%s%s", path, path[0] != '\0' ? ": " : "", maker.err.text);
}

/* --- Running --------------------------------------------------------------------------------- */

struct run {
    struct cursor *cursor;
    struct arena *arena;
    struct path *path;
    size_t empty_items; /* that may still come */
};

static bool run_step(struct run *run, const struct plan *plan, char *to);

static bool run_record(struct run *run, const struct plan *plan, char *to)
{
    const struct plan *step = plan->steps, *end = step + plan->step_count;

    for (; step < end; step++) {
        char *at = to + step->offset;
        bool good;

        /* What most fields are does without the call. */
        if (step->kind == PLAN_STRING)
            good = wire_get_string(run->cursor, (struct view *)(void *)at);
        else if (step->kind == PLAN_LONG)
            good = wire_get_long(run->cursor, (int64_t *)(void *)at);
        else
            good = run_step(run, step, at);
        if (!good) {
            path_in_field(run->path, step->name);
            return false;
        }
    }
    return true;
}

/* Room for more items behind those there are. Doubled, so that many small blocks cost no more than
 * one large; what a block promises is no more than its bytes can hold. */
static char *grow(struct run *run, char *items, size_t size, size_t count, size_t *capacity,
                  size_t more)
{
    char *grown;

    if (*capacity - count >= more)
        return items;
    *capacity = count + (more > count ? more : count);
    grown = arena_array(run->arena, *capacity, size);
    if (count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

static bool run_array(struct run *run, const struct plan *plan, char *to)
{
    size_t min_bytes = schema_item(plan->writer)->min_bytes;
    const struct plan *item = plan->steps;
    size_t count = 0, capacity = 0;
    struct wire_block block;
    char *items = NULL;

    for (;;) {
        if (!wire_get_block(run->cursor, min_bytes, &run->empty_items, &block))
            return false;
        if (block.count == 0)
            break;
        items = grow(run, items, plan->size, count, &capacity, block.count);
        for (size_t end = count + block.count; count < end; count++) {
            if (!run_step(run, item, items + count * plan->size)) {
                path_in_item(run->path, count);
                return false;
            }
        }
        if (!wire_end_block(run->cursor, &block))
            return false;
    }
    memcpy(to, &items, sizeof items);
    memcpy(to + sizeof items, &count, sizeof count);
    return true;
}

static bool run_pointer(struct run *run, const struct plan *plan, char *to)
{
    char *value = arena_alloc(run->arena, plan->size);

    memcpy(to, &value, sizeof value);
    return run_step(run, plan->steps, value);
}

static bool run_union(struct run *run, const struct plan *plan, char *to)
{
    int64_t branch;

    if (!wire_get_long(run->cursor, &branch))
        return false;
    if (branch < 0 || (uint64_t)branch >= plan->step_count)
        return cursor_fail(run->cursor, "has a branch that its union does not have");
    return run_step(run, &plan->steps[branch], to);
}

static bool run_enum(struct run *run, const struct plan *plan, char *to)
{
    int32_t symbol;

    if (!wire_get_int(run->cursor, &symbol))
        return false;
    if (symbol < 0 || (size_t)symbol >= plan->symbol_count)
        return cursor_fail(run->cursor, "has a symbol that its enum does not have");
    symbol = plan->symbols[symbol];
    if (symbol < 0)
        return cursor_fail(run->cursor, "has a symbol unknown to us, and no default");
    memcpy(to, &symbol, sizeof symbol);
    return true;
}

/* Promotions: read the written type, store ours. */
static bool run_promotion(struct run *run, const struct plan *plan, char *to)
{
    bool from_int = plan->kind == PLAN_INT_AS_LONG || plan->kind == PLAN_INT_AS_FLOAT ||
                    plan->kind == PLAN_INT_AS_DOUBLE;
    int32_t narrow;
    int64_t whole = 0;
    float single = 0;
    double real;

    if (from_int) {
        if (!wire_get_int(run->cursor, &narrow))
            return false;
        whole = narrow;
    } else if (plan->kind == PLAN_FLOAT_AS_DOUBLE) {
        if (!wire_get_float(run->cursor, &single))
            return false;
    } else if (!wire_get_long(run->cursor, &whole)) {
        return false;
    }
    if (plan->kind == PLAN_INT_AS_LONG) {
        memcpy(to, &whole, sizeof whole);
    } else if (plan->kind == PLAN_INT_AS_FLOAT || plan->kind == PLAN_LONG_AS_FLOAT) {
        single = (float)whole;
        memcpy(to, &single, sizeof single);
    } else {
        real = plan->kind == PLAN_FLOAT_AS_DOUBLE ? (double)single : (double)whole;
        memcpy(to, &real, sizeof real);
    }
    return true;
}

static bool run_step(struct run *run, const struct plan *plan, char *to)
{
    /* `to` is aligned for what the plan stores there: schema.c laid it out so. */
    switch (plan->kind) {
    case PLAN_BOOLEAN:
        return wire_get_boolean(run->cursor, (bool *)to);
    case PLAN_INT:
        return wire_get_int(run->cursor, (int32_t *)(void *)to);
    case PLAN_LONG:
        return wire_get_long(run->cursor, (int64_t *)(void *)to);
    case PLAN_FLOAT:
        return wire_get_float(run->cursor, (float *)(void *)to);
    case PLAN_DOUBLE:
        return wire_get_double(run->cursor, (double *)(void *)to);
    case PLAN_BYTES:
        return wire_get_bytes(run->cursor, (struct view *)(void *)to);
    case PLAN_STRING:
        return wire_get_string(run->cursor, (struct view *)(void *)to);
    case PLAN_INT_AS_LONG:
    case PLAN_INT_AS_FLOAT:
    case PLAN_INT_AS_DOUBLE:
    case PLAN_LONG_AS_FLOAT:
    case PLAN_LONG_AS_DOUBLE:
    case PLAN_FLOAT_AS_DOUBLE:
        return run_promotion(run, plan, to);
    case PLAN_ENUM:
        return run_enum(run, plan, to);
    case PLAN_RECORD:
        return run_record(run, plan, to);
    case PLAN_ARRAY:
        return run_array(run, plan, to);
    case PLAN_POINTER:
        return run_pointer(run, plan, to);
    case PLAN_UNION:
        return run_union(run, plan, to);
    case PLAN_NONE:
        return true;
    case PLAN_DEFAULT:
        memcpy(to, plan->value, plan->size);
        return true;
    case PLAN_SKIP:
        return plan_skip(plan->writer, run->cursor, &run->empty_items);
    case PLAN_REFUSE:
        return cursor_fail(run->cursor, plan->why);
    }
    return cursor_fail(run->cursor, "has no plan");
}

bool plan_run(const struct plan *plan, struct cursor *cursor, void *to, struct arena *arena,
              struct path *path)
{
    struct run run = {
        .cursor = cursor, .arena = arena, .path = path, .empty_items = WIRE_EMPTY_ITEMS_MAX};

    return run_step(&run, plan, to);
}

/* --- Skipping -------------------------------------------------------------------------------- */

static bool skip_items(const struct schema *schema, struct cursor *cursor, size_t *empty_items)
{
    const struct schema *item = schema_item(schema);
    size_t key_bytes = schema->type == SCHEMA_MAP ? 1 : 0;
    struct wire_block block;
    struct view key;

    do {
        if (!wire_get_block(cursor, item->min_bytes + key_bytes, empty_items, &block))
            return false;
        for (size_t i = 0; i < block.count; i++)
            if ((key_bytes > 0 && !wire_get_string(cursor, &key)) ||
                !plan_skip(item, cursor, empty_items))
                return false;
        if (!wire_end_block(cursor, &block))
            return false;
    } while (block.count > 0);
    return true;
}

bool plan_skip(const struct schema *schema, struct cursor *cursor, size_t *empty_items)
{
    bool boolean;
    int32_t narrow;
    int64_t whole;
    struct view bytes;

    switch (schema->type) {
    case SCHEMA_NULL:
        return true;
    case SCHEMA_BOOLEAN:
        return wire_get_boolean(cursor, &boolean);
    case SCHEMA_INT:
        return wire_get_int(cursor, &narrow);
    case SCHEMA_LONG:
        return wire_get_long(cursor, &whole);
    case SCHEMA_FLOAT:
        return wire_get_fixed(cursor, 4, &bytes);
    case SCHEMA_DOUBLE:
        return wire_get_fixed(cursor, 8, &bytes);
    case SCHEMA_FIXED:
        return wire_get_fixed(cursor, schema->fixed_bytes, &bytes);
    case SCHEMA_BYTES:
        return wire_get_bytes(cursor, &bytes);
    case SCHEMA_STRING:
        return wire_get_string(cursor, &bytes);
    case SCHEMA_RECORD:
        for (size_t i = 0; i < schema->field_count; i++)
            if (!plan_skip(schema->fields[i].type, cursor, empty_items))
                return false;
        return true;
    case SCHEMA_ENUM:
        if (!wire_get_int(cursor, &narrow))
            return false;
        if (narrow < 0 || (size_t)narrow >= schema->symbol_count)
            return cursor_fail(cursor, "has a symbol that its enum does not have");
        return true;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        return skip_items(schema, cursor, empty_items);
    case SCHEMA_UNION:
        if (!wire_get_long(cursor, &whole))
            return false;
        if (whole < 0 || (uint64_t)whole >= schema->branch_count)
            return cursor_fail(cursor, "has a branch that its union does not have");
        return plan_skip(schema->branches[whole], cursor, empty_items);
    }
    return false;
}
