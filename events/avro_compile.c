/* avro-compile: what the build and a developer do with the schemas of our events.
 *
 *     avro-compile structs SCHEMAS HEADER SOURCE DEPENDENCIES
 *         write the C code for the events of events/catalog.def, and which schemas it is made of
 *     avro-compile lock SCHEMAS
 *         make every schema that changed a new version: its text in SCHEMAS/history/ and its id in
 *         SCHEMAS/ids.lock, for ever
 *
 * The structs are the schemas' types one by one (events/codec.h says which C type stands for
 * which). A type that several schemas define, like OrderLine, is written once and must be the same
 * in all. */
#include "events/catalog.h"
#include "events/compat.h"
#include "events/lock_file.h"
#include "events/schema.h"
#include "runtime/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const struct_names[EVENT_COUNT] = {
#define EVENT(symbol, type, topic, structure) [EVENT_##symbol] = #structure,
#include "events/catalog.def"
};

struct compiler {
    struct arena arena;
    const struct schema *done[1000]; /* named types already written */
    size_t done_count;
    struct buf header, source, dependencies;
    struct err err;
};

/* OrderLine to order_line. */
static const char *snake(struct arena *arena, struct view name)
{
    char *out = arena_alloc(arena, name.size * 2 + 1), *at = out;

    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool upper = c >= 'A' && c <= 'Z';

        if (upper && i > 0 && !(name.data[i - 1] >= 'A' && name.data[i - 1] <= 'Z'))
            *at++ = '_';
        if (upper)
            c = (char)(c - 'A' + 'a');
        *at++ = c;
    }
    return out;
}

static const char *upper(struct arena *arena, const char *name)
{
    char *out = arena_strdup(arena, name);

    for (char *at = out; *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    return out;
}

static const char *c_name(struct compiler *compiler, const struct schema *schema)
{
    return snake(&compiler->arena, schema_short_name(schema));
}

/* The text of a comment, without what would end it. */
static struct view comment(struct compiler *compiler, struct view doc)
{
    struct view copy = arena_view(&compiler->arena, doc);
    char *at = (char *)(uintptr_t)copy.data;

    for (size_t i = 0; i + 1 < copy.size; i++)
        if (at[i] == '*' && at[i + 1] == '/')
            at[i] = ' ';
    return copy;
}

/* --- Types ----------------------------------------------------------------------------------- */

/* What stands before the name of a struct member, with the space behind it. */
static const char *c_type(struct compiler *compiler, const struct schema *schema)
{
    const struct schema *value = schema_optional(schema);
    const char *type;

    switch (schema->type) {
    case SCHEMA_BOOLEAN:
        return "bool ";
    case SCHEMA_INT:
        return "int32_t ";
    case SCHEMA_LONG:
        return "int64_t ";
    case SCHEMA_FLOAT:
        return "float ";
    case SCHEMA_DOUBLE:
        return "double ";
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        return "struct view ";
    case SCHEMA_ENUM:
        return arena_printf(&compiler->arena, "enum %s ", c_name(compiler, schema)).data;
    case SCHEMA_RECORD:
        return arena_printf(&compiler->arena, "struct %s ", c_name(compiler, schema)).data;
    case SCHEMA_ARRAY:
        value = schema_item(schema);
        break;
    case SCHEMA_UNION:
        if (value->type == SCHEMA_STRING || value->type == SCHEMA_BYTES)
            return "struct view ";
        break;
    case SCHEMA_NULL:
    case SCHEMA_MAP:
    case SCHEMA_FIXED:
        abort(); /* schema->size was 0 */
    }
    type = c_type(compiler, value);
    if (type[strlen(type) - 1] == '*')
        return arena_printf(&compiler->arena, "%sconst *", type).data;
    return arena_printf(&compiler->arena, "const %s*", type).data;
}

static void write_enum(struct compiler *compiler, const struct schema *schema)
{
    const char *name = c_name(compiler, schema), *prefix = upper(&compiler->arena, name);
    struct buf *header = &compiler->header, *source = &compiler->source;

    if (schema->doc.data != NULL)
        buf_printf(header, "/* %.*s */\n", VIEW_PRINT(comment(compiler, schema->doc)));
    buf_printf(header, "enum %s {\n", name);
    for (size_t i = 0; i < schema->symbol_count; i++)
        buf_printf(header, "    %s_%.*s = %zu,\n", prefix, VIEW_PRINT(schema->symbols[i]), i);
    buf_printf(header,
               "};\n\n"
               "#define %s_COUNT %zu\n"
               "/** The symbol of a value; \"UNKNOWN\" for one out of range. */\n"
               "const char *%s_name(enum %s value);\n"
               "/** The value of a symbol; false: there is none. */\n"
               "bool %s_parse(struct view symbol, enum %s *out);\n\n",
               prefix, schema->symbol_count, name, name, name, name);

    buf_printf(source, "static const char *const %s_names[] = {\n", name);
    for (size_t i = 0; i < schema->symbol_count; i++)
        buf_printf(source, "    \"%.*s\",\n", VIEW_PRINT(schema->symbols[i]));
    buf_printf(
        source,
        "};\n\n"
        "_Static_assert(sizeof(enum %s) == sizeof(int32_t), \"the codec writes 4 bytes\");\n\n"
        "const char *%s_name(enum %s value)\n"
        "{\n"
        "    return (size_t)value < %zu ? %s_names[value] : \"UNKNOWN\";\n"
        "}\n\n"
        "bool %s_parse(struct view symbol, enum %s *out)\n"
        "{\n"
        "    for (int i = 0; i < %zu; i++) {\n"
        "        if (view_equals(symbol, %s_names[i])) {\n"
        "            *out = (enum %s)i;\n"
        "            return true;\n"
        "        }\n"
        "    }\n"
        "    return false;\n"
        "}\n\n",
        name, name, name, schema->symbol_count, name, name, name, schema->symbol_count, name, name);
}

static void write_record(struct compiler *compiler, const struct schema *schema)
{
    const char *name = c_name(compiler, schema);
    struct buf *header = &compiler->header, *source = &compiler->source;

    if (schema->doc.data != NULL)
        buf_printf(header, "/* %.*s */\n", VIEW_PRINT(comment(compiler, schema->doc)));
    buf_printf(header, "struct %s {\n", name);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];

        buf_printf(header, "    %s%.*s;", c_type(compiler, field->type), VIEW_PRINT(field->name));
        if (field->doc.data != NULL)
            buf_printf(header, " /* %.*s */", VIEW_PRINT(comment(compiler, field->doc)));
        buf_append_str(header, "\n");
        if (field->type->type == SCHEMA_ARRAY)
            buf_printf(header, "    size_t %.*s_count;\n", VIEW_PRINT(field->name));
    }
    buf_append_str(header, "};\n\n");

    for (size_t i = 0; i < schema->field_count; i++)
        buf_printf(source,
                   "_Static_assert(offsetof(struct %s, %.*s) == %zu, \"laid out alike\");\n", name,
                   VIEW_PRINT(schema->fields[i].name), schema->fields[i].offset);
    buf_printf(source, "_Static_assert(sizeof(struct %s) == %zu, \"laid out alike\");\n\n", name,
               schema->size);
}

/* Is this named type written already? The same C name for two different types is refused. */
static enum err_kind find_done(struct compiler *compiler, const struct schema *schema, bool *found)
{
    const char *name = c_name(compiler, schema);

    *found = false;
    for (size_t i = 0; i < compiler->done_count; i++) {
        if (strcmp(c_name(compiler, compiler->done[i]), name) != 0)
            continue;
        if (!schema_same(compiler->done[i], schema))
            return err_set(&compiler->err, ERR_REJECT,
                           "%.*s differs from another type of the same C name, %s",
                           VIEW_PRINT(schema->name), name);
        *found = true;
    }
    return ERR_OK;
}

/* A type's parts come before it. */
static enum err_kind write_type(struct compiler *compiler, const struct schema *schema)
{
    bool found;

    if (schema->size == 0 && schema->type != SCHEMA_RECORD)
        return err_set(&compiler->err, ERR_REJECT, "a %s%s has no C type here",
                       schema_type_name(schema->type),
                       schema->type == SCHEMA_UNION   ? " of other than null and a value"
                       : schema->type == SCHEMA_ARRAY ? " of arrays"
                                                      : "");
    for (size_t i = 0; i < schema->branch_count; i++)
        if (schema->branches[i]->type != SCHEMA_NULL &&
            write_type(compiler, schema->branches[i]) != ERR_OK)
            return ERR_REJECT;
    if (schema->name.data == NULL)
        return ERR_OK;
    if (find_done(compiler, schema, &found) != ERR_OK)
        return ERR_REJECT;
    if (found)
        return ERR_OK;
    for (size_t i = 0; i < schema->field_count; i++) {
        struct err *err = &compiler->err;

        if (write_type(compiler, schema->fields[i].type) == ERR_OK)
            continue;
        return err_set(err, ERR_REJECT, "%.*s: %s", VIEW_PRINT(schema->fields[i].name),
                       arena_strdup(&compiler->arena, err->text));
    }
    if (schema->size == 0 || compiler->done_count == sizeof compiler->done / sizeof(void *))
        return err_set(&compiler->err, ERR_REJECT, "%.*s: %s", VIEW_PRINT(schema->name),
                       schema->size == 0 ? "a record without fields" : "too many types");
    compiler->done[compiler->done_count++] = schema;
    if (schema->type == SCHEMA_ENUM)
        write_enum(compiler, schema);
    else
        write_record(compiler, schema);
    return ERR_OK;
}

/* --- Files ----------------------------------------------------------------------------------- */

/* C wants string literals below 4,096 bytes, so the text is an array of numbers. */
static void write_text(struct compiler *compiler, enum event_type type, struct view text)
{
    struct buf *source = &compiler->source;

    buf_printf(source, "static const char %s_schema[] = {", struct_names[type]);
    for (size_t i = 0; i < text.size; i++)
        buf_printf(source, "%s%d,", i % 24 == 0 ? "\n    " : "", text.data[i]);
    buf_append_str(source, "\n};\n\n");
}

static enum err_kind read_event(struct compiler *compiler, const char *folder, enum event_type type,
                                struct view *text, const struct schema **schema)
{
    struct arena *arena = &compiler->arena;
    const char *path = arena_printf(arena, "%s/events/%s.avsc", folder, event_type_name(type)).data;
    struct err why;

    buf_printf(&compiler->dependencies, " %s", path);
    if (file_read(text, path, SCHEMA_TEXT_MAX, arena, &compiler->err) != ERR_OK)
        return ERR_STOP;
    if (schema_parse(schema, *text, arena, &why) != ERR_OK)
        return err_set(&compiler->err, ERR_STOP, "%s: %s", path, why.text);
    return ERR_OK;
}

static enum err_kind write_event(struct compiler *compiler, enum event_type type,
                                 const struct schema *schema, struct view text)
{
    struct err *err = &compiler->err;

    if (schema->type != SCHEMA_RECORD || strcmp(c_name(compiler, schema), struct_names[type]) != 0)
        return err_set(err, ERR_STOP, "%s.avsc: want a record named like the catalogue's struct %s",
                       event_type_name(type), struct_names[type]);
    if (write_type(compiler, schema) != ERR_OK)
        return err_set(err, ERR_STOP, "%s.avsc: %s", event_type_name(type),
                       arena_strdup(&compiler->arena, err->text));
    write_text(compiler, type, text);
    return ERR_OK;
}

static enum err_kind compile_all(struct compiler *compiler, const char *folder)
{
    static const char made[] = "/* Made from schemas/events/ by avro-compile. Do not edit. */\n";
    const struct schema *schema;
    struct view text;

    buf_printf(&compiler->header,
               "%s#ifndef TRADEWIND_EVENTS_EVENTS_GENERATED_H\n"
               "#define TRADEWIND_EVENTS_EVENTS_GENERATED_H\n\n"
               "#include \"events/catalog.h\"\n"
               "#include \"runtime/bytes.h\"\n\n",
               made);
    buf_printf(&compiler->source,
               "%s#include \"events/events_generated.h\"\n\n"
               "#include <stddef.h>\n\n",
               made);
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++)
        if (read_event(compiler, folder, type, &text, &schema) != ERR_OK ||
            write_event(compiler, type, schema, text) != ERR_OK)
            return ERR_STOP;
    buf_append_str(&compiler->header,
                   "/* The schemas' texts, for the codec: see event_schema_text. */\n"
                   "extern const struct view event_schema_texts[EVENT_COUNT];\n\n"
                   "#endif\n");
    buf_append_str(&compiler->source, "const struct view event_schema_texts[EVENT_COUNT] = {\n");
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++)
        buf_printf(&compiler->source, "    [%d] = {%s_schema, sizeof %s_schema},\n", (int)type,
                   struct_names[type], struct_names[type]);
    buf_append_str(&compiler->source, "};\n");
    return ERR_OK;
}

static enum err_kind run_structs(struct compiler *compiler, char **argv)
{
    struct err *err = &compiler->err;

    buf_printf(&compiler->dependencies, "%s %s:", argv[1], argv[2]);
    if (compile_all(compiler, argv[0]) != ERR_OK)
        return ERR_STOP;
    buf_append_str(&compiler->dependencies, "\n");
    if (file_write(argv[1], buf_view(&compiler->header), err) != ERR_OK ||
        file_write(argv[2], buf_view(&compiler->source), err) != ERR_OK)
        return ERR_STOP;
    return file_write(argv[3], buf_view(&compiler->dependencies), err);
}

/* --- Versions -------------------------------------------------------------------------------- */

/* May schema follow every version of its type? *newest is the last of them, if any. */
static enum err_kind compare_versions(struct compiler *compiler, const struct lock_file *lock,
                                      const char *folder, enum event_type type,
                                      const struct schema *schema, const struct lock_row **newest,
                                      bool *changed)
{
    struct err why;

    *changed = true;
    *newest = NULL;
    for (size_t i = 0; i < lock->count; i++) {
        const struct lock_row *row = &lock->rows[i];
        const struct schema *old;

        if (!view_equals(row->type, event_type_name(type)))
            continue;
        if (lock_file_schema(&old, row, folder, &compiler->arena, &compiler->err) != ERR_OK)
            return ERR_STOP;
        if (compat_full(schema, old, &why) != ERR_OK)
            return err_set(&compiler->err, ERR_STOP, "%s against its version %d: %s",
                           event_type_name(type), row->version, why.text);
        *newest = row;
        *changed = !schema_same(schema, old);
    }
    return ERR_OK;
}

static enum err_kind make_folder(struct compiler *compiler, const char *path)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return ERR_OK;
    return err_set(&compiler->err, ERR_STOP, "%s: %s", path, strerror(errno));
}

/* The text goes to history/ and a row with the next id behind the others. */
static enum err_kind add_version(struct compiler *compiler, struct lock_file *lock,
                                 const char *folder, enum event_type type,
                                 const struct schema *schema, struct view text,
                                 const struct lock_row *newest)
{
    struct arena *arena = &compiler->arena;
    char *fingerprint = arena_alloc(arena, SCHEMA_FINGERPRINT_SIZE);
    const char *name = event_type_name(type);
    const char *history = arena_printf(arena, "%s/history", folder).data;
    struct lock_row row = {
        .id = 1,
        .type = view_str(name),
        .version = newest != NULL ? newest->version + 1 : 1,
        .subject =
            arena_printf(arena, "%s-%.*s", topic_name(event_topic(type)), VIEW_PRINT(schema->name)),
    };

    for (size_t i = 0; i < lock->count; i++)
        if (lock->rows[i].id >= row.id)
            row.id = lock->rows[i].id + 1;
    schema_fingerprint(fingerprint, schema);
    row.fingerprint = view_str(fingerprint);
    row.file = arena_printf(arena, "history/%s/%d.avsc", name, row.version);
    if (make_folder(compiler, history) != ERR_OK ||
        make_folder(compiler, arena_printf(arena, "%s/%s", history, name).data) != ERR_OK ||
        file_write(arena_printf(arena, "%s/%.*s", folder, VIEW_PRINT(row.file)).data, text,
                   &compiler->err) != ERR_OK)
        return ERR_STOP;
    lock->rows[lock->count++] = row;
    printf("%s: version %d, id %d\n", name, row.version, row.id);
    return ERR_OK;
}

static enum err_kind run_lock(struct compiler *compiler, char **argv)
{
    struct lock_file old = {0}, lock;
    const char *folder = argv[0];
    struct stat about;

    if (stat(arena_printf(&compiler->arena, "%s/ids.lock", folder).data, &about) == 0 &&
        lock_file_read(&old, folder, &compiler->arena, &compiler->err) != ERR_OK)
        return ERR_STOP;
    lock.count = old.count;
    lock.rows = arena_array(&compiler->arena, old.count + EVENT_COUNT, sizeof *lock.rows);
    if (old.count > 0)
        memcpy(lock.rows, old.rows, old.count * sizeof *old.rows);
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        const struct lock_row *newest;
        const struct schema *schema;
        struct view text;
        bool changed;

        if (read_event(compiler, folder, type, &text, &schema) != ERR_OK ||
            compare_versions(compiler, &old, folder, type, schema, &newest, &changed) != ERR_OK)
            return ERR_STOP;
        if (changed && add_version(compiler, &lock, folder, type, schema, text, newest) != ERR_OK)
            return ERR_STOP;
    }
    if (lock.count == old.count) {
        printf("nothing changed\n");
        return ERR_OK;
    }
    return lock_file_write(&lock, folder, &compiler->err);
}

int main(int argc, char **argv)
{
    struct compiler compiler = {0};
    enum err_kind kind = ERR_OK;
    int exit_code = 0;

    if (argc == 6 && strcmp(argv[1], "structs") == 0)
        kind = run_structs(&compiler, argv + 2);
    else if (argc == 3 && strcmp(argv[1], "lock") == 0)
        kind = run_lock(&compiler, argv + 2);
    else
        exit_code = 2;
    if (exit_code == 2)
        fprintf(stderr, "usage: avro-compile structs SCHEMAS HEADER SOURCE DEPENDENCIES\n"
                        "       avro-compile lock SCHEMAS\n");
    if (kind != ERR_OK) {
        fprintf(stderr, "avro-compile: %s\n", compiler.err.text);
        exit_code = 1;
    }
    buf_clear(&compiler.header);
    buf_clear(&compiler.source);
    buf_clear(&compiler.dependencies);
    arena_clear(&compiler.arena);
    return exit_code;
}
