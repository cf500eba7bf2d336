#include "runtime/base64.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/token.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_S INT64_C(1700000000)

static char folder[] = "/tmp/tradewind-token-XXXXXX";
static char key_path[128], jwks_path[128];

static void make_key(void)
{
    struct err err = {0};

    cr_assert_not_null(mkdtemp(folder));
    snprintf(key_path, sizeof key_path, "%s/key.json", folder);
    snprintf(jwks_path, sizeof jwks_path, "%s/jwks.json", folder);
    cr_assert_eq(token_make_key(key_path, jwks_path, &err), ERR_OK, "%s", err.text);
}

static void remove_key(void)
{
    unlink(key_path);
    unlink(jwks_path);
    rmdir(folder);
}

TestSuite(token, .init = make_key, .fini = remove_key);

static struct token_verifier *new_verifier(void)
{
    struct token_verifier *verifier = NULL;
    struct err err = {0};

    cr_assert_eq(token_verifier_new(&verifier, jwks_path, &err), ERR_OK, "%s", err.text);
    return verifier;
}

static char *sign(const char *role, int64_t expires_at_s)
{
    struct token_claims claims = {.subject = "customer-17850", .expires_at_s = expires_at_s};
    struct err err = {0};
    char *token = NULL;

    snprintf(claims.role, sizeof claims.role, "%s", role);
    cr_assert_eq(token_sign(&token, key_path, &claims, NOW_S, &err), ERR_OK, "%s", err.text);
    return token;
}

Test(token, a_signed_token_says_who_and_which_role_until_it_expires)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    char *token = sign("customer", NOW_S + 60);
    struct token_claims claims = {0};
    struct err err = {0};

    for (int again = 0; again < 2; again++) { /* the second time it is remembered */
        cr_assert_eq(token_verify(verifier, view_str(token), NOW_S, &claims, &err), ERR_OK, "%s",
                     err.text);
        cr_expect_str_eq(claims.subject, "customer-17850");
        cr_expect_str_eq(claims.role, "customer");
        cr_expect_eq(claims.expires_at_s, NOW_S + 60);
    }
    cr_expect_eq(token_verify(verifier, view_str(token), NOW_S + 59, &claims, &err), ERR_OK);
    cr_expect_eq(token_verify(verifier, view_str(token), NOW_S + 60, &claims, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "token: expired 0 s ago");
    free(token);
}

Test(token, an_expired_token_is_refused_the_first_time_too)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    char *token = sign("customer", NOW_S - 1);
    struct token_claims claims = {0};
    struct err err = {0};

    cr_expect_eq(token_verify(verifier, view_str(token), NOW_S, &claims, &err), ERR_REJECT);
    cr_expect_str_eq(err.text, "token: expired 1 s ago");
    free(token);
}

/* A token whose header or payload is replaced; the signature stays. */
static void swap_part(struct buf *out, const char *token, int part, const char *json)
{
    const char *first = strchr(token, '.'), *second = strchr(first + 1, '.');

    buf_reset(out);
    if (part == 0)
        base64url_append(out, view_str(json));
    else
        buf_append(out, token, (size_t)(first - token));
    buf_append_byte(out, '.');
    if (part == 1)
        base64url_append(out, view_str(json));
    else
        buf_append(out, first + 1, (size_t)(second - first - 1));
    buf_append_str(out, second);
}

Test(token, what_was_changed_after_signing_is_refused)
{
    static const struct {
        int part;
        const char *json, *reason;
    } cases[] = {
        {0, "{\"alg\":\"none\",\"kid\":\"k\"}", "alg is not ES256"},
        {0, "{\"alg\":\"HS256\",\"kid\":\"k\"}", "alg is not ES256"},
        {0, "{\"alg\":\"ES384\",\"kid\":\"k\"}", "alg is not ES256"},
        {0, "{\"alg\":\"es256\",\"kid\":\"k\"}", "alg is not ES256"},
        {0, "{\"alg\":[\"ES256\"],\"kid\":\"k\"}", "alg is not ES256"},
        {0, "{\"kid\":\"k\"}", "alg is not ES256"},
        {0, "{\"alg\":\"ES256\"}", "kid names no key"},
        {0, "{\"alg\":\"ES256\",\"kid\":\"other\"}", "kid names no key"},
        {0, "{\"alg\":\"ES256\",\"kid\":7}", "kid names no key"},
        {0, "{\"alg\":\"ES256\",\"kid\":\"k\",\"crit\":[\"b64\"]}", "crit"},
        {0, "{\"alg\":\"ES256\",\"alg\":\"none\"}", "header is no JSON"},
        {0, "ES256", "header is no JSON"},
        {1,
         "{\"iss\":\"tradewind\",\"aud\":\"tradewind\",\"sub\":\"x\",\"role\":\"operator\","
         "\"exp\":9999999999}",
         "signature is wrong"},
    };
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    char *token = sign("customer", NOW_S + 60);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO(buf_clear) struct buf changed = {0};
        struct token_claims claims = {.role = "untouched"};
        struct err err = {0};

        swap_part(&changed, token, cases[i].part, cases[i].json);
        cr_expect_eq(token_verify(verifier, buf_view(&changed), NOW_S, &claims, &err), ERR_REJECT,
                     "%s", cases[i].json);
        cr_expect(strstr(err.text, cases[i].reason) != NULL, "%s: %s", cases[i].json, err.text);
        cr_expect_str_eq(claims.role, "untouched");
    }
    free(token);
}

Test(token, what_is_no_token_is_refused)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    AUTO(buf_clear) struct buf large = {0};
    const struct view cases[] = {
        VIEW_LITERAL(""),      VIEW_LITERAL("."),          VIEW_LITERAL(".."),
        VIEW_LITERAL("a.b.c"), VIEW_LITERAL("a.b.c.d"),    VIEW_LITERAL("\0\0\0"),
        VIEW_LITERAL("e30.."), VIEW_LITERAL("e30.e30."),   VIEW_LITERAL("e30=.e30.e30"),
        VIEW_LITERAL("===="),  VIEW_LITERAL("\xff.\xff."),
    };
    struct token_claims claims;
    struct err err = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(token_verify(verifier, cases[i], NOW_S, &claims, &err), ERR_REJECT, "%zu", i);
    for (int i = 0; i < 10000; i++)
        buf_append_str(&large, "e30.");
    cr_expect_eq(token_verify(verifier, buf_view(&large), NOW_S, &claims, &err), ERR_REJECT);
}

/* libcjose aborts on a part with a single character before its first "=". */
Test(token, padding_in_any_part_is_refused)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    char *token = sign("customer", NOW_S + 60);
    struct token_claims claims;

    for (size_t at = 0; token[at] != '\0'; at++) {
        struct err err = {0};
        char was = token[at];

        if (was == '.')
            continue;
        token[at] = '=';
        cr_expect_eq(token_verify(verifier, view_str(token), NOW_S, &claims, &err), ERR_REJECT);
        cr_expect(strstr(err.text, "not three parts of base64url") != NULL, "%zu: %s", at,
                  err.text);
        token[at] = was;
    }
    free(token);
}

Test(token, a_byte_more_or_less_in_the_signature_is_refused)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    char *token = sign("customer", NOW_S + 60);
    size_t size = strlen(token);
    struct token_claims claims;
    struct err err = {0};

    cr_expect_eq(token_verify(verifier, view_of(token, size - 1), NOW_S, &claims, &err),
                 ERR_REJECT);
    token[size - 10] = token[size - 10] == 'A' ? 'B' : 'A';
    cr_expect_eq(token_verify(verifier, view_of(token, size), NOW_S, &claims, &err), ERR_REJECT);
    free(token);
}

Test(token, a_new_key_is_found_when_its_first_token_comes)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = new_verifier();
    char *old = sign("customer", NOW_S + 60), *new;
    struct token_claims claims;
    struct err err = {0};
    int64_t deadline_ms = clock_monotonic_ms() + 3000;

    cr_assert_eq(token_verify(verifier, view_str(old), NOW_S, &claims, &err), ERR_OK);
    unlink(key_path);
    unlink(jwks_path);
    cr_assert_eq(token_make_key(key_path, jwks_path, &err), ERR_OK, "%s", err.text);
    new = sign("operator", NOW_S + 60);
    while (token_verify(verifier, view_str(new), NOW_S, &claims, &err) != ERR_OK) {
        cr_assert_lt(clock_monotonic_ms(), deadline_ms, "%s", err.text);
        usleep(50000);
    }

    cr_expect_str_eq(claims.role, "operator");
    cr_expect_eq(token_verify(verifier, view_str(old), NOW_S, &claims, &err), ERR_REJECT,
                 "its key is gone");
    free(old);
    free(new);
}

Test(token, a_key_is_private_and_never_overwritten)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view before, after, set;
    struct stat info;
    struct err err = {0};

    cr_assert_eq(file_read(&before, key_path, 10000, &arena, &err), ERR_OK, "%s", err.text);
    cr_assert_eq(file_read(&set, jwks_path, 10000, &arena, &err), ERR_OK, "%s", err.text);
    cr_expect_eq(stat(key_path, &info), 0);
    cr_expect_eq(info.st_mode & 0777, 0600);
    cr_expect(strstr(before.data, "\"d\":") != NULL);
    cr_expect(strstr(set.data, "\"d\":") == NULL);
    cr_expect_eq(token_make_key(key_path, jwks_path, &err), ERR_STOP);
    cr_assert_eq(file_read(&after, key_path, 10000, &arena, &err), ERR_OK, "%s", err.text);
    cr_expect(view_equal(before, after));
}

Test(token, a_bad_set_of_keys_is_named)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "want an object with an array \"keys\""},
        {"[]", "want an object with an array \"keys\""},
        {"{\"keys\":{}}", "want an object with an array \"keys\""},
        {"{\"keys\":[]}", "no EC key of P-256"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "no EC key of P-256"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"}]}", "/keys/0/kid: missing"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
         "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
         "key k is no point of P-256"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
         "\"x\":\"A==AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
         "/keys/0/x: want base64url"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct token_verifier *verifier = NULL;
        struct err err = {0};

        unlink(jwks_path);
        cr_assert_eq(file_create(jwks_path, 0600, view_str(cases[i].text), &err), ERR_OK);
        cr_expect_eq(token_verifier_new(&verifier, jwks_path, &err), ERR_STOP, "%s", cases[i].text);
        cr_expect(strstr(err.text, cases[i].reason) != NULL, "%s: %s", cases[i].text, err.text);
        cr_expect_null(verifier);
    }
}
