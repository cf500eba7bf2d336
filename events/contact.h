/* A customer's contact travels sealed: XChaCha20-Poly1305 over JSON {"name", "email", "address"},
 * bound to its order by the associated data. One local key for now; a key per customer fits the
 * same schema (struct sealed names its key). */
#ifndef TRADEWIND_EVENTS_CONTACT_H
#define TRADEWIND_EVENTS_CONTACT_H

#include "events/events_generated.h"
#include "runtime/arena.h"
#include "runtime/err.h"

struct contact {
    struct view name;
    struct view email;
    struct view address; /* each may be VIEW_NONE */
};

#define CONTACT_KEY_BYTES 32
#define CONTACT_KEY_ID_SIZE 64

struct contact_key {
    char id[CONTACT_KEY_ID_SIZE];
    uint8_t bytes[CONTACT_KEY_BYTES];
};

/**
 * Make a new key file (mode 0600), which must not exist yet: JSON {"id", "key"}.
 * Errors  ERR_STOP: the file exists or cannot be written
 */
enum err_kind contact_key_make(const char *path, struct err *err);

/** Read a key file. Errors  ERR_STOP: missing or malformed. */
enum err_kind contact_key_load(struct contact_key *out, const char *path, struct err *err);

/** Wipes it. */
void contact_key_clear(struct contact_key *key);
CLEANUP_IN_PLACE(contact_key_clear, struct contact_key)

/** Seal a contact for this order. *out lives in the arena. Errors  ERR_REJECT: bad UTF-8, too long.
 */
enum err_kind contact_seal(struct sealed *out, const struct contact *contact, struct view order_id,
                           const struct contact_key *key, struct arena *arena, struct err *err);

/** Open it. Errors  ERR_REJECT: another key, another order, or changed bytes. */
enum err_kind contact_open(struct contact *out, const struct sealed *sealed, struct view order_id,
                           const struct contact_key *key, struct arena *arena, struct err *err);

#endif
