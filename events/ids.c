#include "events/ids.h"

#include "events/codec.h"
#include "events/lock_file.h"
#include "events/plan.h"
#include "events/registry.h"
#include "runtime/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What a lookup sees: never changed once it is in use. A refresh that finds new ids makes a larger
 * one; the ones before stay until the end, since a reader may still be in them. */
struct table {
    struct table *older;
    int32_t for_type[EVENT_COUNT]; /* ids to write with; -1: none */
    size_t count, slot_count;      /* slots: a power of two, less than half full */
    const struct schema_id **slots;
};

struct schema_ids {
    char *folder;
    char *registry;  /* NULL: none */
    bool registered; /* it has all of the lock file */
    pthread_mutex_t refreshing;
    struct arena arena; /* of everything that is found; under the mutex */
    _Atomic(struct table *) table;
};

/* --- Looking up ------------------------------------------------------------------------------ */

static size_t slot_of(const struct table *table, int32_t id)
{
    size_t slot = (uint32_t)id * 2654435769u & (table->slot_count - 1);

    while (table->slots[slot] != NULL && table->slots[slot]->id != id)
        slot = (slot + 1) & (table->slot_count - 1);
    return slot;
}

const struct schema_id *schema_ids_find(const struct schema_ids *ids, int32_t id)
{
    const struct table *table = atomic_load_explicit(&ids->table, memory_order_acquire);

    return table->slots[slot_of(table, id)];
}

int32_t schema_ids_for(const struct schema_ids *ids, enum event_type type)
{
    return atomic_load_explicit(&ids->table, memory_order_acquire)->for_type[type];
}

/* --- Adding ---------------------------------------------------------------------------------- */

/* The event whose schema has this name, now or by an alias. */
static enum event_type type_of(const struct schema *writer)
{
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_COUNT; type++) {
        const struct schema *ours = event_schema(type);

        if (view_equal(ours->name, writer->name))
            return type;
        for (size_t i = 0; i < ours->alias_count; i++)
            if (view_equal(ours->aliases[i], writer->name))
                return type;
    }
    return EVENT_NONE;
}

static const struct schema_id *make_entry(struct schema_ids *ids, int32_t id,
                                          const struct schema *schema)
{
    struct schema_id *entry = arena_alloc(&ids->arena, sizeof *entry);
    struct err err = {0};

    *entry = (struct schema_id){.id = id, .type = type_of(schema), .schema = schema};
    schema_fingerprint(entry->fingerprint, schema);
    if (entry->type == EVENT_NONE)
        entry->why = "is no event that this program knows";
    else if (plan_make(&entry->plan, event_schema(entry->type), schema, PLAN_LENIENT, &ids->arena,
                       &err) != ERR_OK)
        entry->why = arena_strdup(&ids->arena, err.text);
    return entry;
}

static struct table *copy_table(struct table *older, size_t more)
{
    struct table *table = mem_alloc(sizeof *table);

    table->older = older;
    table->slot_count = 64;
    while (table->slot_count < 2 * ((older != NULL ? older->count : 0) + more + 1))
        table->slot_count *= 2;
    table->slots = mem_alloc(table->slot_count * sizeof *table->slots);
    for (enum event_type type = 0; type < EVENT_COUNT; type++)
        table->for_type[type] = older != NULL ? older->for_type[type] : -1;
    for (size_t i = 0; older != NULL && i < older->slot_count; i++) {
        if (older->slots[i] != NULL) {
            table->slots[slot_of(table, older->slots[i]->id)] = older->slots[i];
            table->count++;
        }
    }
    return table;
}

static void free_table(struct table *table)
{
    free(table->slots);
    free(table);
}

/* A schema for an id that the table may know already, but never as another one. */
static enum err_kind add(struct schema_ids *ids, struct table *table, int32_t id,
                         const struct schema *schema, struct err *err)
{
    size_t slot = slot_of(table, id);
    const struct schema_id *entry = table->slots[slot];

    if (entry != NULL && !schema_same(entry->schema, schema))
        return err_set(err, ERR_STOP, "schema id %d is %.*s, and was another schema before", id,
                       VIEW_PRINT(schema->name));
    if (entry != NULL)
        return ERR_OK;
    entry = make_entry(ids, id, schema);
    table->slots[slot] = entry;
    table->count++;
    if (entry->type != EVENT_NONE && schema_same(schema, event_schema(entry->type)))
        table->for_type[entry->type] = id;
    return ERR_OK;
}

/* --- The lock file --------------------------------------------------------------------------- */

/* A table with the lock file's rows beside what is known. A row that is known is not read again. */
static enum err_kind read_lock(struct schema_ids *ids, struct table **out, struct err *err)
{
    AUTO(arena_clear) struct arena scratch = {0};
    const struct schema *schema;
    struct lock_file lock;
    struct table *table;

    if (lock_file_read(&lock, ids->folder, &scratch, err) != ERR_OK)
        return ERR_STOP;
    table = copy_table(atomic_load(&ids->table), lock.count);
    for (size_t i = 0; i < lock.count; i++) {
        const struct lock_row *row = &lock.rows[i];
        const struct schema_id *known = table->slots[slot_of(table, row->id)];

        if (known != NULL && view_equals(row->fingerprint, known->fingerprint))
            continue;
        if (lock_file_schema(&schema, row, ids->folder, &ids->arena, err) != ERR_OK ||
            add(ids, table, row->id, schema, err) != ERR_OK) {
            free_table(table);
            return ERR_STOP;
        }
    }
    *out = table;
    return ERR_OK;
}

/* Take table into use when it knows more than the one before. */
static void use_table(struct schema_ids *ids, struct table *table)
{
    const struct table *before = atomic_load(&ids->table);

    if (before != NULL && before->count == table->count)
        free_table(table);
    else
        atomic_store_explicit(&ids->table, table, memory_order_release);
}

/* --- The registry ---------------------------------------------------------------------------- */

/* Register the lock file's versions in the order of their ids. */
static enum err_kind register_all(struct schema_ids *ids, struct err *err)
{
    AUTO(arena_clear) struct arena scratch = {0};
    struct lock_file lock;

    if (lock_file_read(&lock, ids->folder, &scratch, err) != ERR_OK)
        return ERR_STOP;
    for (size_t i = 0; i < lock.count; i++) {
        const struct lock_row *row = &lock.rows[i];
        enum err_kind kind;
        struct view text;
        int32_t id;

        if (lock_file_text(&text, row, ids->folder, &scratch, err) != ERR_OK)
            return ERR_STOP;
        kind = registry_register(&id, ids->registry, row->subject, text, err);
        if (kind == ERR_RETRY)
            return ERR_RETRY;
        if (kind != ERR_OK)
            return ERR_STOP;
        if (id != row->id)
            return err_set(err, ERR_STOP,
                           "schema registry: %.*s version %d has id %d there, and "
                           "id %d in ids.lock: one of them has to be made anew",
                           VIEW_PRINT(row->subject), row->version, id, row->id);
    }
    ids->registered = true;
    return ERR_OK;
}

static enum err_kind fetch(struct schema_ids *ids, int32_t id, struct err *err)
{
    AUTO(arena_clear) struct arena scratch = {0};
    const struct schema *schema;
    struct table *table;
    enum err_kind kind;
    struct view text;
    struct err why;

    kind = registry_fetch(&text, ids->registry, id, &scratch, err);
    if (kind != ERR_OK)
        return kind;
    if (schema_parse(&schema, text, &ids->arena, &why) != ERR_OK)
        return err_set(err, ERR_REJECT, "schema registry: id %d: %s", id, why.text);
    table = copy_table(atomic_load(&ids->table), 1);
    kind = add(ids, table, id, schema, err);
    if (kind == ERR_OK)
        use_table(ids, table);
    else
        free_table(table);
    return kind;
}

/* --- Opening and refreshing ------------------------------------------------------------------ */

enum err_kind schema_ids_open(struct schema_ids **out, const char *folder, const char *registry,
                              struct err *err)
{
    AUTO(schema_ids_free) struct schema_ids *ids = mem_alloc(sizeof *ids);
    struct table *table;
    struct err why;

    pthread_mutex_init(&ids->refreshing, NULL);
    ids->folder = mem_strdup(folder);
    if (registry != NULL && registry[0] != '\0')
        ids->registry = mem_strdup(registry);
    if (read_lock(ids, &table, err) != ERR_OK)
        return ERR_STOP;
    use_table(ids, table);
    if (ids->registry != NULL) {
        switch (register_all(ids, &why)) {
        case ERR_OK:
            break;
        case ERR_RETRY:
            LOG_WARN("registry_unreachable", "going on with the ids of the lock file",
                     log_err(&why));
            break;
        case ERR_REJECT:
        case ERR_STOP:
            return err_set(err, ERR_STOP, "%s", why.text);
        }
    }
    *out = schema_ids_free_keep(&ids);
    return ERR_OK;
}

void schema_ids_free(struct schema_ids *ids)
{
    struct table *table;

    if (ids == NULL)
        return;
    while ((table = atomic_load(&ids->table)) != NULL) {
        atomic_store(&ids->table, table->older);
        free_table(table);
    }
    pthread_mutex_destroy(&ids->refreshing);
    arena_clear(&ids->arena);
    free(ids->registry);
    free(ids->folder);
    free(ids);
}

/* Under the mutex. */
static enum err_kind refresh(struct schema_ids *ids, int32_t id, struct err *err)
{
    struct table *table;

    if (read_lock(ids, &table, err) != ERR_OK)
        return ERR_STOP;
    use_table(ids, table);
    if (ids->registry != NULL && !ids->registered && register_all(ids, err) == ERR_STOP)
        return ERR_STOP;
    if (schema_ids_find(ids, id) != NULL)
        return ERR_OK;
    if (ids->registry == NULL)
        return err_set(err, ERR_RETRY, "schema id %d: not in the lock file", id);
    return fetch(ids, id, err);
}

enum err_kind schema_ids_refresh(struct schema_ids *ids, int32_t id, struct err *err)
{
    enum err_kind kind;

    pthread_mutex_lock(&ids->refreshing);
    kind = refresh(ids, id, err);
    pthread_mutex_unlock(&ids->refreshing);
    return kind;
}
