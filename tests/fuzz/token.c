/* Fuzz: tokens and key sets. The first byte says what the rest is:
 *
 *     t  a token as a stranger sends it
 *     h  the header of a token whose other parts are good
 *     c  changes to a good token: position, byte, position, byte
 *     s  subject and role to sign: what we sign we verify
 *     j  a JWK set
 *
 * Key and good token are made anew in each run, so that none has to be kept. */
#include "runtime/token.h"

#include "runtime/arena.h"
#include "runtime/base64.h"
#include "runtime/file.h"
#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#define NOW_S 1000000

static const char *folder;
static char key_path[256], jwks_path[256], set_path[256];
static struct token_verifier *verifier;
static char *good;
static const struct token_claims CLAIMS = {"c-1", "customer", NOW_S + 60};

static void remove_folder(void)
{
    unlink(key_path);
    unlink(jwks_path);
    unlink(set_path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct err err;

    (void)argc;
    (void)argv;
    folder = fuzz_folder();
    atexit(remove_folder);
    snprintf(key_path, sizeof key_path, "%s/key.json", folder);
    snprintf(jwks_path, sizeof jwks_path, "%s/jwks.json", folder);
    snprintf(set_path, sizeof set_path, "%s/set.json", folder);
    HOLDS(token_make_key(key_path, jwks_path, &err) == ERR_OK, err.text);
    HOLDS(token_verifier_new(&verifier, jwks_path, &err) == ERR_OK, err.text);
    HOLDS(token_sign(&good, key_path, &CLAIMS, NOW_S, &err) == ERR_OK, err.text);
    return 0;
}

/* Nothing but the claims that were signed can come out. */
static void verify_strange(struct view token)
{
    struct token_claims claims;
    struct err err = {0};
    enum err_kind kind = token_verify(verifier, token, NOW_S, &claims, &err);

    if (kind != ERR_OK)
        fuzz_refused(kind, &err);
    else
        HOLDS(strcmp(claims.subject, CLAIMS.subject) == 0 &&
                  strcmp(claims.role, CLAIMS.role) == 0 &&
                  claims.expires_at_s == CLAIMS.expires_at_s,
              "claims that nobody has signed");
}

static void fuzz_header(struct view header)
{
    AUTO(buf_clear) struct buf token = {0};

    base64url_append(&token, header);
    buf_append_str(&token, strchr(good, '.'));
    verify_strange(buf_view(&token));
}

static void fuzz_changes(struct view changes)
{
    AUTO(buf_clear) struct buf token = {0};

    buf_append_str(&token, good);
    for (size_t i = 0; i + 2 < changes.size; i += 3) {
        size_t at = (unsigned char)changes.data[i] << 8 | (unsigned char)changes.data[i + 1];

        token.data[at % token.size] = changes.data[i + 2];
    }
    verify_strange(buf_view(&token));
}

static void fuzz_signing(struct view input)
{
    struct token_claims claims = {.expires_at_s = NOW_S + 1}, read;
    struct view subject = fuzz_until_nul(&input), role = fuzz_until_nul(&input);
    struct err err = {0};
    enum err_kind kind;
    char *token = NULL;

    snprintf(claims.subject, sizeof claims.subject, "%.*s", VIEW_PRINT(subject));
    snprintf(claims.role, sizeof claims.role, "%.*s", VIEW_PRINT(role));
    kind = token_sign(&token, key_path, &claims, NOW_S, &err);
    if (kind == ERR_OK)
        kind = token_verify(verifier, view_str(token), NOW_S, &read, &err);
    if (kind != ERR_OK)
        fuzz_refused(kind, &err);
    else if (view_is_utf8(view_str(claims.subject)) && view_is_utf8(view_str(claims.role)))
        HOLDS(strcmp(read.subject, claims.subject) == 0 && strcmp(read.role, claims.role) == 0,
              "other claims than were signed");
    free(token);
}

static void fuzz_keys(struct view text)
{
    AUTO(token_verifier_free) struct token_verifier *other = NULL;
    FILE *file = fopen(set_path, "w");
    struct token_claims claims;
    struct err err = {0};
    enum err_kind kind;

    HOLDS(file != NULL && fwrite(text.data, 1, text.size, file) == text.size, set_path);
    fclose(file);
    kind = token_verifier_new(&other, set_path, &err);
    if (kind == ERR_OK)
        kind = token_verify(other, view_str(good), NOW_S, &claims, &err);
    HOLDS(kind != ERR_OK, "a key that is none of ours");
    fuzz_refused(kind, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view input;

    if (size == 0)
        return 0;
    input = view_of(data + 1, size - 1);
    switch (data[0]) {
    case 'h':
        fuzz_header(input);
        break;
    case 'c':
        fuzz_changes(input);
        break;
    case 's':
        fuzz_signing(input);
        break;
    case 'j':
        fuzz_keys(input);
        break;
    default:
        verify_strange(input);
        break;
    }
    return 0;
}
