/* tradewind keys, tradewind token: the local keys of a stack, and tokens signed with one of them.
 */
#include "events/contact.h"
#include "ops/commands.h"
#include "runtime/clock.h"
#include "runtime/settings.h"
#include "runtime/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A key that is there is kept: what was signed or sealed with it must stay readable. */
static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum err_kind make_signing_key(const char *key, const char *jwks, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (is_there(key) && is_there(jwks))
        printf("kept %s and %s\n", key, jwks);
    else if ((kind = token_make_key(key, jwks, err)) == ERR_OK)
        printf("made %s (private) and %s (public)\n", key, jwks);
    return kind;
}

static enum err_kind make_contact_key(const char *path, struct err *err)
{
    enum err_kind kind = ERR_OK;

    if (is_there(path))
        printf("kept %s\n", path);
    else if ((kind = contact_key_make(path, err)) == ERR_OK)
        printf("made %s (private)\n", path);
    return kind;
}

int command_keys(const struct command *command, int argc, char **argv)
{
    const char *signing_key = NULL, *jwks = NULL, *contact_key = NULL;
    const struct arg args[] = {
        {"signing-key", ARG_TEXT, &signing_key, "FILE",
         "private JWK that tokens are signed with (ES256)"},
        {"jwks", ARG_TEXT, &jwks, "FILE", "the public key, as parts and door read it"},
        {"contact-key", ARG_TEXT, &contact_key, "FILE", "what customers' contacts are sealed with"},
    };
    struct err err = {0};
    int code = args_parse(command, args, sizeof args / sizeof args[0], 0, 0, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if ((signing_key == NULL) != (jwks == NULL))
        return args_refuse(command, "--signing-key and --jwks are made together: want both");
    if (signing_key == NULL && contact_key == NULL)
        return args_refuse(command,
                           "want --signing-key and --jwks, or --contact-key, or all three");
    if ((signing_key != NULL && make_signing_key(signing_key, jwks, &err) != ERR_OK) ||
        (contact_key != NULL && make_contact_key(contact_key, &err) != ERR_OK))
        return ops_failed(command, &err);
    return OPS_OK;
}

int command_token(const struct command *command, int argc, char **argv)
{
    const char *role = NULL, *subject = NULL;
    int64_t ttl_s = 3600;
    const struct arg args[] = {
        {"role", ARG_CHOICE, &role, "ROLE", "customer, service, operator or analyst",
         .choices = "customer|service|operator|analyst"},
        {"subject", ARG_TEXT, &subject, "NAME",
         "who: a customer's id, or a name for the others (default: the role)"},
        {"ttl", ARG_INTEGER, &ttl_s, "SECONDS", "how long it is good", .min = 1, .max = 86400},
    };
    struct token_claims claims = {0};
    struct err err = {0};
    int64_t now_s = clock_utc_us() / 1000000;
    char *token;
    int code = args_parse(command, args, sizeof args / sizeof args[0], 0, 0, &argc, &argv);

    if (code != ARGS_MORE)
        return code;
    if (role == NULL)
        return args_refuse(command, "want --role customer, service, operator or analyst");
    if ((code = ops_settings(command)) != OPS_OK)
        return code;
    if (setting_text("TRADEWIND_SIGNING_KEY")[0] == '\0')
        return args_refuse(command,
                           "TRADEWIND_SIGNING_KEY is not set: the private key to sign with");
    snprintf(claims.role, sizeof claims.role, "%s", role);
    snprintf(claims.subject, sizeof claims.subject, "%s", subject != NULL ? subject : role);
    claims.expires_at_s = now_s + ttl_s;
    if (token_sign(&token, setting_text("TRADEWIND_SIGNING_KEY"), &claims, now_s, &err) != ERR_OK)
        return ops_failed(command, &err);
    printf("%s\n", token);
    free(token);
    return OPS_OK;
}
