/* The settings of the command line: those of a part, and where the others are. */
#include "runtime/settings.h"

#include "ops/commands.h"
#include "runtime/log.h"

/* clang-format off */
static const struct setting SETTINGS[] = {
    /* name, fallback, check, min, max, choices, help */
    {"TRADEWIND_DOOR",        "http://127.0.0.1:17000", SETTING_URL,  0, 0, NULL, "the public door"},
    {"TRADEWIND_SIGNING_KEY", "",                       SETTING_FILE, 0, 0, NULL, "private JWK that tokens are signed with"},
    {"TRADEWIND_MONGODB",     "",                       SETTING_URL,  0, 0, NULL, "where the ledger of the stock is"},
    {"TRADEWIND_MAILS",       "",                       SETTING_URL,  0, 0, NULL, "the mail sink's list of mails"},
};
/* clang-format on */

int ops_settings(const struct command *command)
{
    struct err err = {0};

    if (settings_load("tradewind", SETTINGS, sizeof SETTINGS / sizeof SETTINGS[0], &err) ==
        ERR_OK) {
        log_start("tradewind", "cli", LOG_LEVEL_ERROR); /* a command says itself what went wrong */
        return OPS_OK;
    }
    fprintf(stderr, "tradewind %s: %s\n", command->name, err.text);
    fprintf(stderr,
            "In a checkout, ./tradewind runs this command with the settings of its local stack.\n");
    return OPS_USAGE;
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
