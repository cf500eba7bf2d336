/* Settings come from the environment and nowhere else; each is a row of a table.
 *
 * The rows that every part has are settings_common; a part adds its own. `<PART>` in a name stands
 * for the part's name in capitals: TRADEWIND_<PART>_HTTP is TRADEWIND_ORDERS_HTTP in orders.
 * settings_load checks all of them before anything starts, and names every bad one at once. */
#ifndef TRADEWIND_RUNTIME_SETTINGS_H
#define TRADEWIND_RUNTIME_SETTINGS_H

#include "runtime/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum setting_check {
    SETTING_TEXT,      /* anything; min/max bound the length when max > 0 */
    SETTING_INTEGER,   /* decimal, min..max */
    SETTING_CHOICE,    /* one of choices, separated by '|' */
    SETTING_ADDRESS,   /* host:port or unix:/path */
    SETTING_ADDRESSES, /* host:port, several separated by commas; SETTING_TLS before all or none */
    SETTING_URL,       /* scheme://... */
    SETTING_FILE,      /* a file or folder that can be read */
};

#define SETTING_TLS "ssl://"

struct setting {
    const char *name;
    const char *fallback; /* NULL: must be set; "": may be empty; <part> is replaced here too */
    enum setting_check check;
    int64_t min, max;
    const char *choices;
    const char *help; /* one line, with the unit */
};

extern const struct setting settings_common[];
extern const size_t settings_common_count;

/**
 * Read and check common and own rows for one part ("orders"). Call once, before threads. part NULL:
 * a program that is no part and has its own rows only, none with <PART>.
 * Errors  ERR_STOP: text names each bad setting, its value and what was wanted
 */
enum err_kind settings_load(const char *part, const struct setting *own, size_t own_count,
                            struct err *err);

/** Value of a loaded setting by its full row name (with <PART>). An unknown name is our mistake and
 * ends the process. */
const char *setting_text(const char *name);
int64_t setting_integer(const char *name);

/** The setting TRADEWIND_<PART>_<suffix> of another part, for programs that speak to several; NULL
 * when not set. */
const char *setting_of_part(const char *part, const char *suffix);

/** Names, defaults and help of all rows, for --help. */
void settings_print(FILE *out, const char *part, const struct setting *own, size_t own_count);

#endif
