#include "runtime/err.h"

#include <stdarg.h>
#include <stdio.h>

void err_write(struct err *err, enum err_kind kind, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return;
    err->kind = kind;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) {
    case ERR_OK:
        return "ok";
    case ERR_RETRY:
        return "retry";
    case ERR_REJECT:
        return "reject";
    case ERR_STOP:
        return "stop";
    }
    return "unknown";
}
