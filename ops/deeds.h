/* What a command changes past the parts, told before it is done and again after it.
 *
 * `<action>.begun` says what is about to be done; when that cannot be said, it is not done. Then
 * `<action>` says that it was, or `<action>.failed` why it was not. A command that dies between
 * leaves a deed that was begun and did not end: who reads the log knows where to look. */
#ifndef TRADEWIND_OPS_DEEDS_H
#define TRADEWIND_OPS_DEEDS_H

#include "ops/tell.h"

struct deed {
    const char *subject;
    const char *before, *after; /* JSON documents: how it is, and how it shall be */
    const char *error;          /* NULL: it was done */
};

struct deeds {
    const char *action;  /* "offsets.reset" */
    const char *because; /* NULL: not said */
    struct deed *list;
    size_t count;
    const char *run; /* of deeds_begin */
};

/** Say what is about to be done. Errors  ERR_RETRY: nobody hears it: do nothing */
enum err_kind deeds_begin(struct deeds *deeds, struct arena *arena, struct err *err);
/** The deeds from this one on were not done. */
void deeds_fail(struct deeds *deeds, size_t from, const struct err *why, struct arena *arena);
/** Say what became of them. Errors  ERR_RETRY: that they were begun is all that is told */
enum err_kind deeds_end(const struct deeds *deeds, struct arena *arena, struct err *err);

#endif
