/* Errors say what to do next.
 *
 * A function that can fail returns the kind and fills `struct err` once, where it happened.
 * Callers pass it up untouched; the one who decides logs it. A business "no" is not an error. */
#ifndef TRADEWIND_RUNTIME_ERR_H
#define TRADEWIND_RUNTIME_ERR_H

enum err_kind {
    ERR_OK = 0,
    ERR_RETRY,  /* the world may change: back off, then try the same thing again */
    ERR_REJECT, /* this input can never succeed: set it aside, go on with the next */
    ERR_STOP,   /* this process cannot go on: report, leave, be restarted */
};

struct err {
    enum err_kind kind;
    char text[400]; /* lower case: the thing, the value, what was wanted */
};

void err_write(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline enum err_kind err_is(enum err_kind kind)
{
    return kind;
}

/**
 * Fill err (may be NULL) and return kind, so that `return err_set(...)` is one line.
 * A macro, so that the compiler sees which kind comes back.
 */
#define err_set(err, kind, ...) (err_write((err), (kind), __VA_ARGS__), err_is(kind))

/** "ok", "retry", "reject" or "stop". */
const char *err_kind_name(enum err_kind kind);

#endif
