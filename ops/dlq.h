/* Asking parts for their dead letters, through the door: whichever instance can answer does. */
#ifndef TRADEWIND_OPS_DLQ_H
#define TRADEWIND_OPS_DLQ_H

#include "ops/part_client.h"

/* Which letters are meant. NULL and 0: any. */
struct dlq_filter {
    const char *type, *key, *reason;
    int64_t from_us, to_us; /* when they were set aside */
};

/* Letters as parts give them: JSON objects, events/dead_letters.c. */
struct dlq_list {
    const struct json **letters;
    size_t count, capacity;
};

/**
 * Add the part's dead letters that the filter lets through, by their ids.
 * Errors  ERR_RETRY: the part does not answer; ERR_REJECT: it refuses, and why
 */
enum err_kind dlq_read(struct dlq_list *out, const char *part, const struct dlq_filter *filter,
                       const char *token, struct arena *arena, struct err *err);

/** One of them, whole. Errors  ERR_REJECT: there is none with this id */
enum err_kind dlq_read_one(const struct json **out, const char *part, const char *id,
                           const char *token, struct arena *arena, struct err *err);

/* What is to be done with a letter. */
struct dlq_action {
    const char *verb; /* "redrive", "drop" */
    bool dry_run, beyond_limit;
    const char *because; /* for the log of what operators did; NULL: not said */
};

/** Do it; gives the part's report in *out. Errors as dlq_read: ERR_REJECT also when the letter was
 * set aside again */
enum err_kind dlq_act(const struct json **out, const char *part, const char *id,
                      const struct dlq_action *action, const char *token, struct arena *arena,
                      struct err *err);

#endif
