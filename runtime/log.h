/* Logs are for the person on call: one JSON object a line on standard error.
 *
 * `what` is a stable snake_case id, listed in docs/runbook.md. The service and instance are bound
 * once by log_start; a call says only what is new:
 *
 *     LOG_WARN("relay_doubt", "the broker answered an older offset: reading the log back",
 *              log_str("topic", name), log_int("partition", partition));
 *
 * Never card data, addresses or message bodies. Any thread; a line is written by one write(2). */
#ifndef TRADEWIND_RUNTIME_LOG_H
#define TRADEWIND_RUNTIME_LOG_H

#include "runtime/bytes.h"
#include "runtime/err.h"

enum log_level {
    LOG_LEVEL_DEBUG, /* the rest */
    LOG_LEVEL_INFO,  /* one line per business fact */
    LOG_LEVEL_WARN,  /* it healed, and a counter went up */
    LOG_LEVEL_ERROR, /* a person must look */
};

struct log_field {
    const char *name;
    struct view text; /* data NULL: number is the value */
    int64_t number;
};

static inline struct log_field log_str(const char *name, const char *value)
{
    return (struct log_field){.name = name, .text = view_str(value != NULL ? value : "")};
}

static inline struct log_field log_view(const char *name, struct view value)
{
    return (struct log_field){.name = name, .text = value.data != NULL ? value : view_str("")};
}

static inline struct log_field log_int(const char *name, int64_t value)
{
    return (struct log_field){.name = name, .number = value};
}

/** The field "err" with the text of err. */
static inline struct log_field log_err(const struct err *err)
{
    return log_str("err", err->text);
}

/** Bind who speaks; lines below level are not written. The strings are copied. */
void log_start(const char *service, const char *instance, enum log_level level);
/** "debug", "info", "warn" or "error"; false when it is none of them. */
bool log_level_parse(const char *name, enum log_level *out);

void log_line(enum log_level level, const char *what, const char *msg,
              const struct log_field *fields, size_t field_count);

#define LOG_AT(level, what, msg, ...)                                                              \
    log_line(level, what, msg, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}},          \
             sizeof((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}}) /                   \
                     sizeof(struct log_field) -                                                    \
                 1)
#define LOG_DEBUG(what, msg, ...) LOG_AT(LOG_LEVEL_DEBUG, what, msg, __VA_ARGS__)
#define LOG_INFO(what, msg, ...) LOG_AT(LOG_LEVEL_INFO, what, msg, __VA_ARGS__)
#define LOG_WARN(what, msg, ...) LOG_AT(LOG_LEVEL_WARN, what, msg, __VA_ARGS__)
#define LOG_ERROR(what, msg, ...) LOG_AT(LOG_LEVEL_ERROR, what, msg, __VA_ARGS__)

#endif
