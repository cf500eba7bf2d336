/* Schema ids: which schema a record was written with.
 *
 * schemas/ids.lock pins the id of every version there ever was; its text lies in schemas/history/.
 * A registry is a second place for the same ids: every version of the lock file is registered there
 * in the order of ids, which gives an empty registry the same ones, and ids of newer writers are
 * fetched from it. One that gives other ids is refused: a record would then mean two things. So the
 * lock file alone is always enough to run, and a registry that cannot be reached is logged and
 * asked again at the next refresh.
 *
 * Lookups take no lock and any thread may make them; refresh may run beside them. */
#ifndef TRADEWIND_EVENTS_IDS_H
#define TRADEWIND_EVENTS_IDS_H

#include "events/catalog.h"
#include "events/schema.h"

struct schema_ids;
struct plan;

struct schema_id {
    int32_t id;
    enum event_type type;        /* by the schema's full name; EVENT_NONE: no event of ours */
    const struct schema *schema; /* the writer's */
    const struct plan *plan;     /* how to read it as our version; NULL: not readable, see why */
    const char *why;
    char fingerprint[SCHEMA_FINGERPRINT_SIZE];
};

/**
 * Read the lock file in folder (TRADEWIND_SCHEMAS). With a registry URL (TRADEWIND_REGISTRY; NULL
 * or empty: none) register every version of the lock file there.
 *
 * out     gives: schema_ids_free
 * Errors  ERR_STOP: the lock file is missing or wrong; the registry gives other ids than it
 */
enum err_kind schema_ids_open(struct schema_ids **out, const char *folder, const char *registry,
                              struct err *err);
void schema_ids_free(struct schema_ids *ids);
CLEANUP(schema_ids_free, struct schema_ids *)

/** The schema of an id, or NULL: not known here. Stays valid until schema_ids_free. */
const struct schema_id *schema_ids_find(const struct schema_ids *ids, int32_t id);

/** The id to write events of this type with; -1: none. */
int32_t schema_ids_for(const struct schema_ids *ids, enum event_type type);

/**
 * Read the lock file again and, when id is none of its ids, ask the registry for it.
 * ERR_OK: id is known now. Waits for the registry up to 3 s.
 * Errors  ERR_RETRY: id is still unknown, or the registry is not reachable
 *         ERR_REJECT: the registry has it and it is no schema for us
 *         ERR_STOP: the lock file became wrong; what was known stays known
 */
enum err_kind schema_ids_refresh(struct schema_ids *ids, int32_t id, struct err *err);

#endif
