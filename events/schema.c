#include "events/schema_parser.h"

#include <assert.h>

static const struct {
    const char *name;
    bool is_primitive;
    size_t min_bytes;
    size_t size, align; /* of its C value, where that depends on the type alone */
} types[] = {
    [SCHEMA_NULL] = {"null", true, 0, 0, 1},
    [SCHEMA_BOOLEAN] = {"boolean", true, 1, sizeof(bool), _Alignof(bool)},
    [SCHEMA_INT] = {"int", true, 1, sizeof(int32_t), _Alignof(int32_t)},
    [SCHEMA_LONG] = {"long", true, 1, sizeof(int64_t), _Alignof(int64_t)},
    [SCHEMA_FLOAT] = {"float", true, 4, sizeof(float), _Alignof(float)},
    [SCHEMA_DOUBLE] = {"double", true, 8, sizeof(double), _Alignof(double)},
    [SCHEMA_BYTES] = {"bytes", true, 1, sizeof(struct view), _Alignof(struct view)},
    [SCHEMA_STRING] = {"string", true, 1, sizeof(struct view), _Alignof(struct view)},
    [SCHEMA_RECORD] = {"record", false, 0, 0, 1},
    [SCHEMA_ENUM] = {"enum", false, 1, sizeof(int32_t), _Alignof(int32_t)},
    [SCHEMA_ARRAY] = {"array", false, 1, 0, 1},
    [SCHEMA_MAP] = {"map", false, 1, 0, 1},
    [SCHEMA_UNION] = {"union", false, 1, 0, 1},
    [SCHEMA_FIXED] = {"fixed", false, 0, 0, 1},
};

#define TYPE_COUNT (sizeof types / sizeof types[0])

static enum err_kind parse_type(struct schema_parser *parser, const struct json *json,
                                struct view space, const struct schema **out);

const char *schema_type_name(enum schema_type type)
{
    assert(type < TYPE_COUNT);
    return types[type].name;
}

const struct schema *schema_optional(const struct schema *schema)
{
    if (schema->type != SCHEMA_UNION || schema->branch_count != 2)
        return NULL;
    if (schema->branches[0]->type == SCHEMA_NULL)
        return schema->branches[1];
    if (schema->branches[1]->type == SCHEMA_NULL)
        return schema->branches[0];
    return NULL;
}

static struct view short_name(struct view name)
{
    const char *dot = name.size > 0 ? memrchr(name.data, '.', name.size) : NULL;

    if (dot == NULL)
        return name;
    return view_of(dot + 1, name.size - (size_t)(dot + 1 - name.data));
}

struct view schema_short_name(const struct schema *schema)
{
    return short_name(schema->name);
}

/* --- Names ----------------------------------------------------------------------------------- */

static bool is_name(struct view text, bool dots)
{
    bool start = true;

    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (c == '.' && dots && !start)
            start = true;
        else if (letter || (c >= '0' && c <= '9' && !start))
            start = false;
        else
            return false;
    }
    return !start;
}

/* The value of a string member that must be a name; *found stays none when it is missing. */
static enum err_kind read_name(struct schema_parser *parser, const struct json *object,
                               const char *member, bool dots, struct view *found)
{
    const struct json *json = json_member(object, member);

    if (json == NULL)
        return ERR_OK;
    if (json->kind != JSON_STRING || !is_name(json->text, dots))
        return SCHEMA_FAIL(parser, json, "\"%.*s\" is no name", VIEW_PRINT(json->text));
    *found = json->text;
    return ERR_OK;
}

static struct view full_name(struct schema_parser *parser, struct view name, struct view space)
{
    if (space.size == 0 || memchr(name.data, '.', name.size) != NULL)
        return arena_view(parser->arena, name);
    return arena_printf(parser->arena, "%.*s.%.*s", VIEW_PRINT(space), VIEW_PRINT(name));
}

static struct view namespace_of(struct view full)
{
    struct view name = short_name(full);

    return view_of(full.data, full.size > name.size ? full.size - name.size - 1 : 0);
}

static struct schema_named *find_named(struct schema_parser *parser, struct view name)
{
    for (struct schema_named *named = parser->named; named != NULL; named = named->next)
        if (view_equal(named->name, name))
            return named;
    return NULL;
}

static struct view read_doc(struct schema_parser *parser, const struct json *json)
{
    const struct json *doc = json_member(json, "doc");

    if (doc == NULL || doc->kind != JSON_STRING)
        return VIEW_NONE;
    return arena_view(parser->arena, doc->text);
}

/* Name, namespace and aliases of a record, enum or fixed. *named is completed by the caller. */
static enum err_kind parse_name(struct schema_parser *parser, const struct json *json,
                                struct view space, struct schema *schema,
                                struct schema_named *named)
{
    const struct json *spaces = json_member(json, "namespace");
    struct view name = VIEW_NONE;

    if (read_name(parser, json, "name", true, &name) != ERR_OK)
        return ERR_REJECT;
    if (name.data == NULL)
        return SCHEMA_FAIL(parser, json, "%s without a name", schema_type_name(schema->type));
    if (spaces != NULL) {
        if (spaces->kind != JSON_STRING || (spaces->text.size > 0 && !is_name(spaces->text, true)))
            return SCHEMA_FAIL(parser, spaces, "\"%.*s\" is no namespace",
                               VIEW_PRINT(spaces->text));
        space = spaces->text;
    }
    schema->name = full_name(parser, name, space);
    schema->doc = read_doc(parser, json);
    if (find_named(parser, schema->name) != NULL)
        return SCHEMA_FAIL(parser, json, "%.*s is defined twice", VIEW_PRINT(schema->name));
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].is_primitive && view_equals(schema->name, types[i].name))
            return SCHEMA_FAIL(parser, json, "%s cannot be a name of one's own", types[i].name);
    *named = (struct schema_named){.name = schema->name, .next = parser->named};
    parser->named = named;
    return ERR_OK;
}

/* Aliases of a named type (space: its namespace) or of a field (dots not allowed). */
static enum err_kind parse_aliases(struct schema_parser *parser, const struct json *json,
                                   bool of_type, struct view space, const struct view **out,
                                   size_t *count)
{
    const struct json *aliases = json_member(json, "aliases");
    struct view *names;

    if (aliases == NULL)
        return ERR_OK;
    if (aliases->kind != JSON_ARRAY)
        return SCHEMA_FAIL(parser, aliases, "aliases are %s, want an array of names",
                           json_kind_name(aliases->kind));
    names = arena_array(parser->arena, aliases->count, sizeof *names);
    for (size_t i = 0; i < aliases->count; i++) {
        const struct json *alias = &aliases->items[i];

        if (alias->kind != JSON_STRING || !is_name(alias->text, of_type))
            return SCHEMA_FAIL(parser, alias, "\"%.*s\" is no name", VIEW_PRINT(alias->text));
        names[i] = of_type ? full_name(parser, alias->text, space)
                           : arena_view(parser->arena, alias->text);
    }
    *out = names;
    *count = aliases->count;
    return ERR_OK;
}

/* --- Sizes and bounds ------------------------------------------------------------------------ */

static void lay_out_record(struct schema *schema)
{
    size_t size = 0, align = 1;

    for (size_t i = 0; i < schema->field_count; i++) {
        struct schema_field *field = &schema->fields[i];

        if (field->type->size == 0)
            return; /* one field without a C type: none for the record */
        size = (size + field->type->align - 1) / field->type->align * field->type->align;
        field->offset = size;
        size += field->type->size;
        if (field->type->align > align)
            align = field->type->align;
    }
    schema->size = (size + align - 1) / align * align;
    schema->align = align;
}

/* An array is two members of a struct and a map has no C type: neither can be an item or optional.
 */
static bool is_single_value(const struct schema *schema)
{
    return schema->size > 0 && schema->type != SCHEMA_ARRAY;
}

static void lay_out(struct schema *schema)
{
    const struct schema *value = schema_optional(schema);

    schema->size = types[schema->type].size;
    schema->align = types[schema->type].align;
    if (schema->type == SCHEMA_RECORD) {
        lay_out_record(schema);
    } else if (schema->type == SCHEMA_ARRAY && is_single_value(schema_item(schema))) {
        schema->size = sizeof(void *) + sizeof(size_t);
        schema->align = _Alignof(void *);
    } else if (value != NULL && (value->type == SCHEMA_STRING || value->type == SCHEMA_BYTES)) {
        schema->size = value->size;
        schema->align = value->align;
    } else if (value != NULL && is_single_value(value)) {
        schema->size = sizeof(void *);
        schema->align = _Alignof(void *);
    }
}

static void count_child(struct schema *schema, const struct schema *child)
{
    schema->nodes += child->nodes;
    if (schema->height <= child->height)
        schema->height = child->height + 1;
}

/* Everything that follows from the parts: called once they are complete. */
static enum err_kind complete(struct schema_parser *parser, const struct json *json,
                              struct schema *schema)
{
    size_t least = SIZE_MAX;

    schema->nodes = 1;
    schema->height = 1;
    schema->min_bytes = types[schema->type].min_bytes + schema->fixed_bytes;
    for (size_t i = 0; i < schema->field_count; i++) {
        count_child(schema, schema->fields[i].type);
        schema->min_bytes += schema->fields[i].type->min_bytes;
    }
    for (size_t i = 0; i < schema->branch_count; i++) {
        count_child(schema, schema->branches[i]);
        if (schema->branches[i]->min_bytes < least)
            least = schema->branches[i]->min_bytes;
    }
    if (schema->type == SCHEMA_UNION)
        schema->min_bytes += least;
    if (schema->nodes > SCHEMA_NODES_MAX)
        return SCHEMA_FAIL(parser, json, "%zu types within one another, want at most %d",
                           schema->nodes, SCHEMA_NODES_MAX);
    if (schema->height > SCHEMA_DEPTH_MAX)
        return SCHEMA_FAIL(parser, json, "nested %zu deep, want at most %d", schema->height,
                           SCHEMA_DEPTH_MAX);
    lay_out(schema);
    return ERR_OK;
}

/* --- Types ----------------------------------------------------------------------------------- */

static enum err_kind parse_field(struct schema_parser *parser, const struct json *json,
                                 struct view space, struct schema_field *field)
{
    const struct json *type = json_member(json, "type");
    const struct json *fallback = json_member(json, "default");
    AUTO(buf_clear) struct buf bytes = {0};

    if (read_name(parser, json, "name", false, &field->name) != ERR_OK)
        return ERR_REJECT;
    if (field->name.data == NULL || type == NULL)
        return SCHEMA_FAIL(parser, json, "a field needs a %s", type == NULL ? "type" : "name");
    field->name = arena_view(parser->arena, field->name);
    field->doc = read_doc(parser, json);
    if (parse_aliases(parser, json, false, VIEW_NONE, &field->aliases, &field->alias_count) !=
            ERR_OK ||
        parse_type(parser, type, space, &field->type) != ERR_OK)
        return ERR_REJECT;
    if (fallback == NULL)
        return ERR_OK;
    if (schema_encode_default(parser, fallback, field->type, &bytes) != ERR_OK)
        return ERR_REJECT;
    field->has_default = true;
    field->default_bytes = arena_view(parser->arena, buf_view(&bytes));
    return ERR_OK;
}

static enum err_kind parse_record(struct schema_parser *parser, const struct json *json,
                                  struct schema *schema)
{
    const struct json *fields = json_member(json, "fields");

    if (fields == NULL || fields->kind != JSON_ARRAY)
        return SCHEMA_FAIL(parser, json, "record %.*s without an array of fields",
                           VIEW_PRINT(schema->name));
    schema->fields = arena_array(parser->arena, fields->count, sizeof *schema->fields);
    for (size_t i = 0; i < fields->count; i++) {
        struct schema_field *field = &schema->fields[i];

        if (parse_field(parser, &fields->items[i], namespace_of(schema->name), field) != ERR_OK)
            return ERR_REJECT;
        for (size_t j = 0; j < i; j++)
            if (view_equal(schema->fields[j].name, field->name))
                return SCHEMA_FAIL(parser, &fields->items[i], "field %.*s is there twice",
                                   VIEW_PRINT(field->name));
    }
    schema->field_count = fields->count;
    return ERR_OK;
}

static enum err_kind parse_enum(struct schema_parser *parser, const struct json *json,
                                struct schema *schema)
{
    const struct json *symbols = json_member(json, "symbols");
    const struct json *fallback = json_member(json, "default");
    struct view *names;

    if (symbols == NULL || symbols->kind != JSON_ARRAY || symbols->count == 0)
        return SCHEMA_FAIL(parser, json, "enum %.*s without an array of symbols",
                           VIEW_PRINT(schema->name));
    names = arena_array(parser->arena, symbols->count, sizeof *names);
    schema->default_symbol = -1;
    for (size_t i = 0; i < symbols->count; i++) {
        const struct json *symbol = &symbols->items[i];

        if (symbol->kind != JSON_STRING || !is_name(symbol->text, false))
            return SCHEMA_FAIL(parser, symbol, "\"%.*s\" is no name", VIEW_PRINT(symbol->text));
        for (size_t j = 0; j < i; j++)
            if (view_equal(names[j], symbol->text))
                return SCHEMA_FAIL(parser, symbol, "symbol %.*s is there twice",
                                   VIEW_PRINT(symbol->text));
        names[i] = arena_view(parser->arena, symbol->text);
        if (fallback != NULL && fallback->kind == JSON_STRING &&
            view_equal(fallback->text, symbol->text))
            schema->default_symbol = (int32_t)i;
    }
    if (fallback != NULL && schema->default_symbol < 0)
        return SCHEMA_FAIL(parser, fallback, "the default \"%.*s\" is none of the symbols",
                           VIEW_PRINT(fallback->text));
    schema->symbols = names;
    schema->symbol_count = symbols->count;
    return ERR_OK;
}

static enum err_kind parse_fixed(struct schema_parser *parser, const struct json *json,
                                 struct schema *schema)
{
    const struct json *size = json_member(json, "size");
    int64_t bytes;

    if (size == NULL || !json_to_int64(size, &bytes) || bytes < 0 || bytes > SCHEMA_FIXED_MAX)
        return SCHEMA_FAIL(parser, json, "fixed %.*s: want a size of 0 to %d",
                           VIEW_PRINT(schema->name), SCHEMA_FIXED_MAX);
    schema->fixed_bytes = (size_t)bytes;
    return ERR_OK;
}

static enum err_kind parse_named(struct schema_parser *parser, const struct json *json,
                                 struct view space, struct schema *schema)
{
    struct schema_named *named = arena_alloc(parser->arena, sizeof *named);
    enum err_kind kind;

    if (parse_name(parser, json, space, schema, named) != ERR_OK ||
        parse_aliases(parser, json, true, namespace_of(schema->name), &schema->aliases,
                      &schema->alias_count) != ERR_OK)
        return ERR_REJECT;
    if (schema->type == SCHEMA_RECORD)
        kind = parse_record(parser, json, schema);
    else if (schema->type == SCHEMA_ENUM)
        kind = parse_enum(parser, json, schema);
    else
        kind = parse_fixed(parser, json, schema);
    named->schema = schema;
    return kind;
}

static enum err_kind parse_collection(struct schema_parser *parser, const struct json *json,
                                      struct view space, struct schema *schema)
{
    const char *member = schema->type == SCHEMA_ARRAY ? "items" : "values";
    const struct json *item = json_member(json, member);
    const struct schema **branches = arena_alloc(parser->arena, sizeof *branches);

    if (item == NULL)
        return SCHEMA_FAIL(parser, json, "%s without %s", schema_type_name(schema->type), member);
    schema->branches = branches;
    schema->branch_count = 1;
    return parse_type(parser, item, space, &branches[0]);
}

static enum err_kind parse_union(struct schema_parser *parser, const struct json *json,
                                 struct view space, struct schema *schema)
{
    const struct schema **branches = arena_array(parser->arena, json->count, sizeof *branches);

    if (json->count == 0)
        return SCHEMA_FAIL(parser, json, "a union of %s", "nothing");
    for (size_t i = 0; i < json->count; i++) {
        if (parse_type(parser, &json->items[i], space, &branches[i]) != ERR_OK)
            return ERR_REJECT;
        if (branches[i]->type == SCHEMA_UNION)
            return SCHEMA_FAIL(parser, &json->items[i], "a union within a %s", "union");
        for (size_t j = 0; j < i; j++)
            if (branches[i]->type == branches[j]->type &&
                view_equal(branches[i]->name, branches[j]->name))
                return SCHEMA_FAIL(parser, &json->items[i], "%s is in the union twice",
                                   schema_type_name(branches[i]->type));
    }
    schema->branches = branches;
    schema->branch_count = json->count;
    return ERR_OK;
}

/* A type's name alone: a primitive, or what was defined before. */
static enum err_kind parse_reference(struct schema_parser *parser, const struct json *json,
                                     struct view space, const struct schema **out)
{
    struct schema_named *named;
    struct schema *schema;

    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (types[i].is_primitive && view_equals(json->text, types[i].name)) {
            schema = arena_alloc(parser->arena, sizeof *schema);
            schema->type = (enum schema_type)i;
            *out = schema;
            return complete(parser, json, schema);
        }
    }
    if (!is_name(json->text, true))
        return SCHEMA_FAIL(parser, json, "\"%.*s\" is no type", VIEW_PRINT(json->text));
    named = find_named(parser, full_name(parser, json->text, space));
    if (named == NULL)
        return SCHEMA_FAIL(parser, json, "no type \"%.*s\" is defined before this place",
                           VIEW_PRINT(json->text));
    if (named->schema == NULL)
        return SCHEMA_FAIL(parser, json, "%.*s holds itself; a recursive type is not allowed",
                           VIEW_PRINT(named->name));
    *out = named->schema;
    return ERR_OK;
}

static bool is_timestamp_micros(const struct json *json, const struct schema *schema)
{
    const struct json *logical = json_member(json, "logicalType");

    return schema->type == SCHEMA_LONG && logical != NULL && logical->kind == JSON_STRING &&
           view_equals(logical->text, "timestamp-micros");
}

static enum err_kind parse_object(struct schema_parser *parser, const struct json *json,
                                  struct view space, const struct schema **out)
{
    const struct json *type = json_member(json, "type");
    struct schema *schema = arena_alloc(parser->arena, sizeof *schema);
    enum schema_type kind = SCHEMA_RECORD;
    enum err_kind result;

    if (type == NULL)
        return SCHEMA_FAIL(parser, json, "an object without a %s", "type");
    while (kind < TYPE_COUNT && !(type->kind == JSON_STRING && kind != SCHEMA_UNION &&
                                  view_equals(type->text, types[kind].name)))
        kind++;
    if (kind == TYPE_COUNT) { /* {"type": "long", ...} or {"type": {...}} */
        if (parse_type(parser, type, space, out) != ERR_OK)
            return ERR_REJECT;
        *schema = **out;
        schema->is_timestamp_micros |= is_timestamp_micros(json, schema);
        *out = schema;
        return ERR_OK;
    }
    schema->type = kind;
    if (kind == SCHEMA_ARRAY || kind == SCHEMA_MAP)
        result = parse_collection(parser, json, space, schema);
    else
        result = parse_named(parser, json, space, schema);
    if (result != ERR_OK)
        return result;
    *out = schema;
    return complete(parser, json, schema);
}

static enum err_kind parse_type(struct schema_parser *parser, const struct json *json,
                                struct view space, const struct schema **out)
{
    struct schema *schema;

    if (json->kind == JSON_STRING)
        return parse_reference(parser, json, space, out);
    if (json->kind == JSON_OBJECT)
        return parse_object(parser, json, space, out);
    if (json->kind != JSON_ARRAY)
        return SCHEMA_FAIL(parser, json, "a type is %s, want a string, an object or an array",
                           json_kind_name(json->kind));
    schema = arena_alloc(parser->arena, sizeof *schema);
    schema->type = SCHEMA_UNION;
    *out = schema;
    if (parse_union(parser, json, space, schema) != ERR_OK)
        return ERR_REJECT;
    return complete(parser, json, schema);
}

enum err_kind schema_parse(const struct schema **out, struct view text, struct arena *arena,
                           struct err *err)
{
    struct schema_parser parser = {.arena = arena, .err = err};
    const struct schema *schema = NULL;
    struct json *json;

    if (text.size > SCHEMA_TEXT_MAX)
        return err_set(err, ERR_REJECT, "schema: %zu bytes, want at most %d", text.size,
                       SCHEMA_TEXT_MAX);
    if (json_parse_deep(&json, text, arena, err) != ERR_OK)
        return ERR_REJECT;
    if (parse_type(&parser, json, VIEW_NONE, &schema) != ERR_OK)
        return ERR_REJECT;
    *out = schema;
    return ERR_OK;
}
