/* Tokens: JWT signed with ES256 (libcjose). The algorithm is fixed before a key is used.
 *
 * A verifier reads a JWK set from a file, remembers tokens it has verified (by SHA-256, bounded)
 * and looks only at exp again: 1 us instead of 90. A kid it does not know makes it read the file
 * again, at most once a second; then it forgets what it remembered, for a key may be gone. */
#ifndef TRADEWIND_RUNTIME_TOKEN_H
#define TRADEWIND_RUNTIME_TOKEN_H

#include "runtime/bytes.h"
#include "runtime/err.h"

struct token_claims {
    char subject[128];
    char role[16];
    int64_t expires_at_s; /* UTC seconds */
};

struct token_verifier;

/** Errors  ERR_STOP: the file cannot be read or is no JWK set with an EC P-256 key */
enum err_kind token_verifier_new(struct token_verifier **out, const char *jwks_path,
                                 struct err *err);
void token_verifier_free(struct token_verifier *verifier);
CLEANUP(token_verifier_free, struct token_verifier *)

/**
 * Verify signature, alg, exp, nbf, iss ("tradewind") and aud ("tradewind"). Any thread.
 * Errors  ERR_REJECT: why this token is not good (never the token itself)
 */
enum err_kind token_verify(struct token_verifier *verifier, struct view token, int64_t now_s,
                           struct token_claims *out, struct err *err);

/** Sign a token with a private JWK file. gives *out (free). */
enum err_kind token_sign(char **out, const char *key_path, const struct token_claims *claims,
                         int64_t now_s, struct err *err);
/** Make a new ES256 key: the private JWK (mode 0600) and the public JWK set. Never overwrites. */
enum err_kind token_make_key(const char *key_path, const char *jwks_path, struct err *err);

#endif
