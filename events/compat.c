#include "events/compat.h"

#include "events/catalog.h"
#include "events/lock_file.h"
#include "events/plan.h"
#include "runtime/file.h"

#include <stdarg.h>
#include <stdio.h>

enum err_kind compat_can_read(const struct schema *reader, const struct schema *writer,
                              struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    const struct plan *plan;

    return plan_make(&plan, reader, writer, PLAN_STRICT, &arena, err);
}

enum err_kind compat_full(const struct schema *newer, const struct schema *older, struct err *err)
{
    struct err why;

    if (compat_can_read(newer, older, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "the new version cannot read the old one: %s", why.text);
    if (compat_can_read(older, newer, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "the old version cannot read the new one: %s", why.text);
    return ERR_OK;
}

/* --- A whole folder -------------------------------------------------------------------------- */

struct check {
    const char *folder;
    struct lock_file lock;
    struct arena arena;
    struct buf *report;
    size_t mistakes;
};

__attribute__((format(printf, 2, 3))) static void report(struct check *check, const char *format,
                                                         ...)
{
    char line[600];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    buf_printf(check->report, "%s\n", line);
    check->mistakes++;
}

static const struct schema *read_current(struct check *check, enum event_type type)
{
    const char *path =
        arena_printf(&check->arena, "%s/events/%s.avsc", check->folder, event_type_name(type)).data;
    const struct schema *schema = NULL;
    struct view text;
    struct err err;

    if (file_read(&text, path, SCHEMA_TEXT_MAX, &check->arena, &err) != ERR_OK)
        report(check, "%s", err.text);
    else if (schema_parse(&schema, text, &check->arena, &err) != ERR_OK)
        report(check, "%s: %s", path, err.text);
    return schema;
}

/* One schema against every version before it. */
static void check_event(struct check *check, enum event_type type)
{
    const struct schema *current = read_current(check, type), *newest = NULL;
    const char *name = event_type_name(type);

    for (size_t i = 0; current != NULL && i < check->lock.count; i++) {
        const struct lock_row *row = &check->lock.rows[i];
        struct view subject = arena_printf(&check->arena, "%s-%.*s", topic_name(event_topic(type)),
                                           VIEW_PRINT(current->name));
        const struct schema *old;
        struct err err;

        if (!view_equals(row->type, name))
            continue;
        if (!view_equal(row->subject, subject))
            report(check, "ids.lock: id %d: subject %.*s, want %.*s", row->id,
                   VIEW_PRINT(row->subject), VIEW_PRINT(subject));
        if (lock_file_schema(&old, row, check->folder, &check->arena, &err) != ERR_OK)
            report(check, "%s", err.text);
        else if (newest = old, compat_full(current, old, &err) != ERR_OK)
            report(check, "%s against its version %d: %s", name, row->version, err.text);
    }
    if (current != NULL && (newest == NULL || !schema_same(current, newest)))
        report(check, "%s: the schema is not the newest version in history/: run avro-compile lock",
               name);
}

size_t compat_check_folder(const char *folder, struct buf *text)
{
    struct check check = {.folder = folder, .report = text};
    struct err err;

    if (lock_file_read(&check.lock, folder, &check.arena, &err) != ERR_OK)
        report(&check, "%s", err.text);
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++)
        check_event(&check, type);
    for (size_t i = 0; i < check.lock.count; i++) {
        const struct lock_row *row = &check.lock.rows[i];

        if (event_type_from_name(row->type.data, row->type.size) == EVENT_NONE)
            report(&check, "ids.lock: id %d: %.*s is no event of the catalogue", row->id,
                   VIEW_PRINT(row->type));
    }
    arena_clear(&check.arena);
    return check.mistakes;
}
