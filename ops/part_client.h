/* Requests to parts: past the door to one instance (health, metrics), or through the door to
 * whichever instance can answer (what an operator does). */
#ifndef TRADEWIND_OPS_PART_CLIENT_H
#define TRADEWIND_OPS_PART_CLIENT_H

#include "runtime/arena.h"
#include "runtime/err.h"
#include "runtime/json.h"

struct part_call {
    const char *part;
    const char *method; /* NULL: GET */
    const char *path;   /* "/health" */
    const char *token;  /* NULL: none */
    struct view body;   /* JSON; VIEW_NONE: none */
    bool through_door;
    int64_t timeout_ms; /* 0: 2 s */
    /* the answer */
    int status;         /* 0: none came */
    struct view answer; /* in the arena; when none came, why */
};

/** Make all calls at once and wait for their answers. Settings are loaded. */
enum err_kind part_call_all(struct part_call *calls, size_t count, struct arena *arena,
                            struct err *err);

/**
 * Make one call through the door and read its answer as JSON. One that is slowed down (429) or
 * finds the part busy (503) is made again for some seconds. Errors  ERR_RETRY: no answer, or busy
 * for that long; ERR_REJECT: the part refuses, and why
 */
enum err_kind part_ask(const struct json **out, struct part_call *call, struct arena *arena,
                       struct err *err);

/** The same without waiting for a part that is busy: for looking at parts that may be down. */
enum err_kind part_ask_soon(const struct json **out, struct part_call *call, struct arena *arena,
                            struct err *err);

/** Append ?name=value to a path, or &name=value, percent-encoded. */
void part_add_parameter(struct buf *path, const char *name, const char *value);

/** The text of a member of an answer, "-" when there is none or it is null. In the arena. */
const char *part_text(const struct json *object, const char *name, struct arena *arena);

/** Where the part listens (TRADEWIND_<PART>_HTTP), or NULL when that is not set. */
const char *part_address(const char *part);

/** A token for role and the user who runs this, signed with TRADEWIND_SIGNING_KEY. gives *out
 * (free). Errors  ERR_STOP: the key is not set or cannot be used */
enum err_kind part_token(char **out, const char *role, struct err *err);

#endif
