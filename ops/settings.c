/* The settings of the command line: those of a part, and where the others are. */
#include "runtime/settings.h"

#include "ops/commands.h"
#include "runtime/log.h"

#include <assert.h>
#include <string.h>

/* clang-format off */
static const struct setting SETTINGS[] = {
    /* name, fallback, check, min, max, choices, help */
    {"TRADEWIND_DOOR",        "http://127.0.0.1:17000", SETTING_URL,  0, 0, NULL, "the public door"},
    {"TRADEWIND_SIGNING_KEY", "",                       SETTING_FILE, 0, 0, NULL, "private JWK that tokens are signed with"},
    {"TRADEWIND_MONGODB",     "",                       SETTING_URL,  0, 0, NULL, "where the ledger of the stock is"},
    {"TRADEWIND_MAILS",       "",                       SETTING_URL,  0, 0, NULL, "the mail sink's list of mails"},
};
/* clang-format on */

int ops_settings_with(const struct command *command, const struct setting *more, size_t more_count)
{
    size_t own_count = sizeof SETTINGS / sizeof SETTINGS[0];
    /* The settings point into it for as long as the program runs. */
    static struct setting rows[32];
    struct err err = {0};

    assert(own_count + more_count <= sizeof rows / sizeof rows[0]);
    memcpy(rows, SETTINGS, sizeof SETTINGS);
    if (more_count > 0)
        memcpy(rows + own_count, more, more_count * sizeof *more);
    if (settings_load("tradewind", rows, own_count + more_count, &err) == ERR_OK) {
        log_start("tradewind", "cli", LOG_LEVEL_ERROR); /* a command says itself what went wrong */
        return OPS_OK;
    }
    fprintf(stderr, "tradewind %s: %s\n", command->name, err.text);
    fprintf(stderr,
            "In a checkout, ./tradewind runs this command with the settings of its local stack.\n");
    return OPS_USAGE;
}

int ops_settings(const struct command *command)
{
    return ops_settings_with(command, NULL, 0);
}

int ops_failed(const struct command *command, const struct err *err)
{
    fprintf(stderr, "tradewind %s: %s\n", command->name, err->text);
    switch (err->kind) {
    case ERR_RETRY:
        return OPS_UNREACHABLE;
    case ERR_OK:
    case ERR_REJECT:
    case ERR_STOP:
        return OPS_USAGE;
    }
    return OPS_USAGE;
}
