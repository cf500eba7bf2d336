#include "runtime/token.h"

#include "runtime/base64.h"
#include "runtime/clock.h"
#include "runtime/file.h"
#include "runtime/json.h"

#include <cjose/cjose.h>
#include <openssl/evp.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_ISSUER "tradewind"
#define TOKEN_AUDIENCE "tradewind"
#define TOKEN_MAX_BYTES 4096
#define TOKEN_REMEMBERED 4096
#define TOKEN_RELOAD_MS 1000
#define JWKS_MAX_BYTES (64u * 1024u)
#define SHA256_BYTES 32

struct token_key {
    char *kid;
    cjose_jwk_t *jwk;
};

/* One slot a hash value; who comes later displaces. Only verified tokens get in, so a stranger
 * cannot empty it. */
struct remembered {
    unsigned char hash[SHA256_BYTES];
    struct token_claims claims; /* expires_at_s 0: empty */
};

struct token_verifier {
    char *path;
    pthread_mutex_t lock; /* over all below: cjose counts its references without atomics */
    struct token_key *keys;
    size_t key_count;
    int64_t loaded_at_ms; /* monotonic */
    struct remembered *remembered;
};

/* --- Memory ---------------------------------------------------------------------------------- */

/* Without memory cjose calls a good signature wrong, or crashes: somebody would be turned away who
 * has a right to come in. With memory from us the process ends instead, as it does elsewhere. */

static void *crypto_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_alloc(size);
}

static void *crypto_grow(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size > 0)
        return mem_grow(old, size, 1);
    free(old);
    return NULL;
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* cjose hands them on to jansson and libcrypto, which takes no other memory once it has some: so
 * before main. */
__attribute__((constructor)) static void bring_memory(void)
{
    cjose_set_alloc_ex_funcs(crypto_alloc, crypto_grow, crypto_free);
}

/* --- Keys ------------------------------------------------------------------------------------ */

static void keys_free(struct token_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(keys[i].kid);
        cjose_jwk_release(keys[i].jwk);
    }
    free(keys);
}

/* cjose aborts the process on some text that is no base64url ("A===" is one): it is given none that
 * was not decoded here before. */
static bool is_base64url(struct view text)
{
    AUTO(buf_clear) struct buf bytes = {0};
    bool good = base64url_decode(&bytes, text);

    OPENSSL_cleanse(bytes.data, bytes.size);
    return good;
}

/* A coordinate or the private number: 32 bytes in 43 characters. */
static struct view read_number(struct json_reader *reader, const struct json *jwk, const char *name)
{
    struct view text = json_read_text(reader, jwk, name, 43, 43);

    if (!reader->failed && !is_base64url(text))
        json_fail(reader, json_member(jwk, name), "want base64url");
    return text;
}

/* The public members only: what else stands in a set is not for us. */
static cjose_jwk_t *import_public(struct view kid, struct view x, struct view y)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer writer = {.out = &text};

    json_object_start(&writer);
    json_member_str(&writer, "kty", "EC");
    json_member_str(&writer, "crv", "P-256");
    json_member_text(&writer, "kid", kid);
    json_member_text(&writer, "x", x);
    json_member_text(&writer, "y", y);
    json_object_end(&writer);
    return cjose_jwk_import(text.data, text.size, NULL);
}

static enum err_kind read_key(struct token_key *out, const struct json *node, const char *path,
                              struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json_reader reader = {.arena = &arena};
    struct view kid = json_read_text(&reader, node, "kid", 1, 200);
    struct view x = read_number(&reader, node, "x");
    struct view y = read_number(&reader, node, "y");

    if (reader.failed)
        return err_set(err, ERR_STOP, "JWK set %s: %.*s: %s", path, VIEW_PRINT(reader.pointer),
                       reader.err.text);
    out->jwk = import_public(kid, x, y);
    if (out->jwk == NULL)
        return err_set(err, ERR_STOP, "JWK set %s: key %.*s is no point of P-256", path,
                       VIEW_PRINT(kid));
    out->kid = mem_strdup_view(kid);
    return ERR_OK;
}

static bool is_p256(const struct json *node)
{
    const struct json *kty = json_member(node, "kty"), *crv = json_member(node, "crv");

    return kty != NULL && view_equals(kty->text, "EC") && crv != NULL &&
           view_equals(crv->text, "P-256");
}

static enum err_kind load_keys(struct token_verifier *verifier, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *root = NULL;
    const struct json *nodes;
    struct view text;
    struct token_key *keys;
    size_t count = 0;
    enum err_kind kind;

    if ((kind = file_read(&text, verifier->path, JWKS_MAX_BYTES, &arena, err)) != ERR_OK)
        return kind;
    if (json_parse(&root, text, &arena, err) != ERR_OK ||
        (nodes = json_member(root, "keys")) == NULL || nodes->kind != JSON_ARRAY)
        return err_set(err, ERR_STOP, "JWK set %s: want an object with an array \"keys\"",
                       verifier->path);
    keys = mem_alloc(nodes->count * sizeof *keys);
    for (size_t i = 0; i < nodes->count && kind == ERR_OK; i++)
        if (is_p256(&nodes->items[i])) {
            kind = read_key(&keys[count], &nodes->items[i], verifier->path, err);
            count += kind == ERR_OK;
        }
    if (kind == ERR_OK && count == 0)
        kind = err_set(err, ERR_STOP, "JWK set %s: no EC key of P-256 in it", verifier->path);
    if (kind != ERR_OK) {
        keys_free(keys, count);
        return kind;
    }
    keys_free(verifier->keys, verifier->key_count);
    verifier->keys = keys;
    verifier->key_count = count;
    memset(verifier->remembered, 0, TOKEN_REMEMBERED * sizeof *verifier->remembered);
    return ERR_OK;
}

static const cjose_jwk_t *find_key(const struct token_verifier *verifier, struct view kid)
{
    for (size_t i = 0; i < verifier->key_count; i++)
        if (view_equals(kid, verifier->keys[i].kid))
            return verifier->keys[i].jwk;
    return NULL;
}

/* A key that we do not know may have been added since. A file that is bad now changes nothing. */
static const cjose_jwk_t *find_or_load_key(struct token_verifier *verifier, struct view kid)
{
    const cjose_jwk_t *key = find_key(verifier, kid);
    int64_t now_ms = clock_monotonic_ms();

    if (key != NULL || now_ms - verifier->loaded_at_ms < TOKEN_RELOAD_MS)
        return key;
    verifier->loaded_at_ms = now_ms;
    return load_keys(verifier, NULL) == ERR_OK ? find_key(verifier, kid) : NULL;
}

enum err_kind token_verifier_new(struct token_verifier **out, const char *jwks_path,
                                 struct err *err)
{
    AUTO(token_verifier_free) struct token_verifier *verifier = mem_alloc(sizeof *verifier);
    enum err_kind kind;

    pthread_mutex_init(&verifier->lock, NULL);
    verifier->path = mem_strdup(jwks_path);
    verifier->remembered = mem_alloc(TOKEN_REMEMBERED * sizeof *verifier->remembered);
    if ((kind = load_keys(verifier, err)) != ERR_OK)
        return kind;
    verifier->loaded_at_ms = clock_monotonic_ms();
    *out = token_verifier_free_keep(&verifier);
    return ERR_OK;
}

void token_verifier_free(struct token_verifier *verifier)
{
    if (verifier == NULL)
        return;
    keys_free(verifier->keys, verifier->key_count);
    pthread_mutex_destroy(&verifier->lock);
    free(verifier->remembered);
    free(verifier->path);
    free(verifier);
}

/* --- Verifying ------------------------------------------------------------------------------- */

/* The part before the next dot, or all that is left. */
static struct view take_part(struct view *token)
{
    const char *dot = memchr(token->data, '.', token->size);
    size_t size = dot != NULL ? (size_t)(dot - token->data) : token->size;
    struct view part = view_of(token->data, size);

    size += dot != NULL;
    *token = view_of(token->data + size, token->size - size);
    return part;
}

/* Looks at all three parts, and gives the first, decoded and parsed. */
static enum err_kind read_header(struct json **out, struct view token, struct arena *arena,
                                 struct err *err)
{
    AUTO(buf_clear) struct buf text = {0};
    struct view header = take_part(&token), claims = take_part(&token);

    if (!base64url_decode(&text, header) || token.size == 0 || !is_base64url(claims) ||
        !is_base64url(token))
        return err_set(err, ERR_REJECT, "token: not three parts of base64url");
    if (json_parse(out, arena_view(arena, buf_view(&text)), arena, err) != ERR_OK)
        return err_set(err, ERR_REJECT, "token: its header is no JSON");
    return ERR_OK;
}

/* alg is decided here, before there is a key that could be used with another one. */
static enum err_kind choose_key(struct token_verifier *verifier, const cjose_jwk_t **out,
                                struct view token, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json *header = NULL;
    const struct json *alg, *kid;
    enum err_kind kind;

    if ((kind = read_header(&header, token, &arena, err)) != ERR_OK)
        return kind;
    alg = json_member(header, "alg");
    kid = json_member(header, "kid");
    if (alg == NULL || alg->kind != JSON_STRING || !view_equals(alg->text, "ES256"))
        return err_set(err, ERR_REJECT, "token: alg is not ES256");
    if (json_member(header, "crit") != NULL)
        return err_set(err, ERR_REJECT, "token: crit asks for what is not understood here");
    if (kid == NULL || kid->kind != JSON_STRING ||
        (*out = find_or_load_key(verifier, kid->text)) == NULL)
        return err_set(err, ERR_REJECT, "token: kid names no key that is known here");
    return ERR_OK;
}

/* gives the payload of a token whose signature is good. */
static enum err_kind check_signature(struct buf *payload, const cjose_jwk_t *key, struct view token,
                                     struct err *err)
{
    cjose_jws_t *jws = cjose_jws_import(token.data, token.size, NULL);
    uint8_t *text = NULL;
    size_t size = 0;
    bool good = jws != NULL && cjose_jws_verify(jws, key, NULL) &&
                cjose_jws_get_plaintext(jws, &text, &size, NULL);

    if (good)
        buf_append(payload, text, size);
    if (jws != NULL)
        cjose_jws_release(jws);
    return good ? ERR_OK : err_set(err, ERR_REJECT, "token: the signature is wrong");
}

static bool is_for_us(const struct json *audience)
{
    if (audience == NULL)
        return false;
    if (audience->kind == JSON_STRING)
        return view_equals(audience->text, TOKEN_AUDIENCE);
    for (size_t i = 0; i < audience->count; i++)
        if (audience->items[i].kind == JSON_STRING &&
            view_equals(audience->items[i].text, TOKEN_AUDIENCE))
            return true;
    return false;
}

static enum err_kind check_times(int64_t not_before_s, int64_t expires_at_s, int64_t now_s,
                                 struct err *err)
{
    if (now_s >= expires_at_s)
        return err_set(err, ERR_REJECT, "token: expired %" PRId64 " s ago", now_s - expires_at_s);
    if (now_s < not_before_s)
        return err_set(err, ERR_REJECT, "token: not valid before %" PRId64 " s from now",
                       not_before_s - now_s);
    return ERR_OK;
}

static enum err_kind read_claims(struct token_claims *out, struct view payload, int64_t now_s,
                                 struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json_reader reader = {.arena = &arena};
    struct token_claims claims = {0};
    struct view subject, role, issuer;
    struct json *root = NULL;
    int64_t not_before_s;
    enum err_kind kind;

    if (json_parse(&root, payload, &arena, err) != ERR_OK)
        return err_set(err, ERR_REJECT, "token: its claims are no JSON");
    issuer = json_read_text(&reader, root, "iss", 1, 200);
    subject = json_read_text(&reader, root, "sub", 1, sizeof claims.subject - 1);
    role = json_read_text(&reader, root, "role", 1, sizeof claims.role - 1);
    claims.expires_at_s = json_read_int64(&reader, root, "exp", 1, INT64_MAX);
    not_before_s = json_read_int64_optional(&reader, root, "nbf", 0, INT64_MAX, 0);
    if (reader.failed)
        return err_set(err, ERR_REJECT, "token: claim %.*s: %s", VIEW_PRINT(reader.pointer),
                       reader.err.text);
    if (!view_equals(issuer, TOKEN_ISSUER))
        return err_set(err, ERR_REJECT, "token: iss is not " TOKEN_ISSUER);
    if (!is_for_us(json_member(root, "aud")))
        return err_set(err, ERR_REJECT, "token: aud is not " TOKEN_AUDIENCE);
    if ((kind = check_times(not_before_s, claims.expires_at_s, now_s, err)) != ERR_OK)
        return kind;
    memcpy(claims.subject, subject.data, subject.size);
    memcpy(claims.role, role.data, role.size);
    *out = claims;
    return ERR_OK;
}

static enum err_kind verify_anew(struct token_verifier *verifier, struct view token, int64_t now_s,
                                 struct token_claims *out, struct err *err)
{
    AUTO(buf_clear) struct buf payload = {0};
    const cjose_jwk_t *key = NULL;
    enum err_kind kind;

    if ((kind = choose_key(verifier, &key, token, err)) != ERR_OK ||
        (kind = check_signature(&payload, key, token, err)) != ERR_OK)
        return kind;
    return read_claims(out, buf_view(&payload), now_s, err);
}

enum err_kind token_verify(struct token_verifier *verifier, struct view token, int64_t now_s,
                           struct token_claims *out, struct err *err)
{
    unsigned char hash[SHA256_BYTES];
    struct remembered *slot;
    enum err_kind kind;

    if (token.size == 0 || token.size > TOKEN_MAX_BYTES)
        return err_set(err, ERR_REJECT, "token: %zu bytes, want 1 to %d", token.size,
                       TOKEN_MAX_BYTES);
    if (EVP_Digest(token.data, token.size, hash, NULL, EVP_sha256(), NULL) != 1)
        return err_set(err, ERR_RETRY, "token: no SHA-256");
    pthread_mutex_lock(&verifier->lock);
    slot = &verifier->remembered[(hash[0] << 8 | hash[1]) % TOKEN_REMEMBERED];
    if (slot->claims.expires_at_s != 0 && memcmp(slot->hash, hash, sizeof hash) == 0) {
        kind = check_times(0, slot->claims.expires_at_s, now_s, err);
        if (kind == ERR_OK)
            *out = slot->claims;
    } else {
        kind = verify_anew(verifier, token, now_s, out, err);
        if (kind == ERR_OK) {
            slot->claims = *out;
            memcpy(slot->hash, hash, sizeof hash);
        }
    }
    pthread_mutex_unlock(&verifier->lock);
    return kind;
}

/* --- Signing --------------------------------------------------------------------------------- */

static bool is_private(struct view text)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct json_reader reader = {.arena = &arena};
    struct json *jwk = NULL;

    if (json_parse(&jwk, text, &arena, NULL) != ERR_OK || !is_p256(jwk))
        return false;
    read_number(&reader, jwk, "x");
    read_number(&reader, jwk, "y");
    read_number(&reader, jwk, "d");
    return !reader.failed;
}

static enum err_kind load_private_key(cjose_jwk_t **out, const char *path, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    struct view text;
    enum err_kind kind = file_read(&text, path, JWKS_MAX_BYTES, &arena, err);

    if (kind != ERR_OK)
        return kind;
    *out = is_private(text) ? cjose_jwk_import(text.data, text.size, NULL) : NULL;
    if (*out != NULL && cjose_jwk_get_kty(*out, NULL) == CJOSE_JWK_KTY_EC &&
        cjose_jwk_EC_get_curve(*out, NULL) == CJOSE_JWK_EC_P_256 &&
        cjose_jwk_get_kid(*out, NULL) != NULL)
        return ERR_OK;
    cjose_jwk_release(*out);
    return err_set(err, ERR_STOP, "key %s: want a private JWK of P-256 with a kid", path);
}

static void write_claims(struct buf *out, const struct token_claims *claims, int64_t now_s)
{
    struct json_writer writer = {.out = out};

    json_object_start(&writer);
    json_member_str(&writer, "iss", TOKEN_ISSUER);
    json_member_str(&writer, "aud", TOKEN_AUDIENCE);
    json_member_str(&writer, "sub", claims->subject);
    json_member_str(&writer, "role", claims->role);
    json_member_int64(&writer, "iat", now_s);
    json_member_int64(&writer, "exp", claims->expires_at_s);
    json_object_end(&writer);
}

/* cjose calls; NULL when one of them fails. */
static char *sign_text(cjose_jwk_t *key, struct view text)
{
    cjose_header_t *header = cjose_header_new(NULL);
    cjose_jws_t *jws = NULL;
    const char *compact = NULL;
    char *copy = NULL;

    if (header != NULL && cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_ES256, NULL) &&
        cjose_header_set(header, CJOSE_HDR_KID, cjose_jwk_get_kid(key, NULL), NULL) &&
        cjose_header_set(header, "typ", "JWT", NULL))
        jws = cjose_jws_sign(key, header, (const uint8_t *)text.data, text.size, NULL);
    if (jws != NULL && cjose_jws_export(jws, &compact, NULL))
        copy = mem_strdup(compact);
    if (jws != NULL)
        cjose_jws_release(jws);
    if (header != NULL)
        cjose_header_release(header);
    return copy;
}

enum err_kind token_sign(char **out, const char *key_path, const struct token_claims *claims,
                         int64_t now_s, struct err *err)
{
    AUTO(buf_clear) struct buf text = {0};
    cjose_jwk_t *key = NULL;
    enum err_kind kind = load_private_key(&key, key_path, err);
    char *token;

    if (kind != ERR_OK)
        return kind;
    write_claims(&text, claims, now_s);
    token = sign_text(key, buf_view(&text));
    cjose_jwk_release(key);
    if (token == NULL)
        return err_set(err, ERR_STOP, "key %s: signing failed", key_path);
    *out = token;
    return ERR_OK;
}

/* --- Making a key ---------------------------------------------------------------------------- */

/* RFC 7638: the hash of the public members in this order is a name that anyone can compute. */
static enum err_kind append_thumbprint(struct buf *out, const struct json *jwk)
{
    AUTO(buf_clear) struct buf text = {0};
    struct json_writer writer = {.out = &text};
    unsigned char hash[SHA256_BYTES];

    json_object_start(&writer);
    json_member_str(&writer, "crv", "P-256");
    json_member_str(&writer, "kty", "EC");
    json_member_text(&writer, "x", json_member(jwk, "x")->text);
    json_member_text(&writer, "y", json_member(jwk, "y")->text);
    json_object_end(&writer);
    if (EVP_Digest(text.data, text.size, hash, NULL, EVP_sha256(), NULL) != 1)
        return ERR_STOP;
    base64url_append(out, view_of(hash, sizeof hash));
    return ERR_OK;
}

static void put_key(struct json_writer *writer, const struct json *jwk, struct view kid,
                    bool private)
{
    json_object_start(writer);
    json_member_str(writer, "kty", "EC");
    json_member_str(writer, "crv", "P-256");
    json_member_str(writer, "use", "sig");
    json_member_str(writer, "alg", "ES256");
    json_member_text(writer, "kid", kid);
    json_member_text(writer, "x", json_member(jwk, "x")->text);
    json_member_text(writer, "y", json_member(jwk, "y")->text);
    if (private)
        json_member_text(writer, "d", json_member(jwk, "d")->text);
    json_object_end(writer);
}

static enum err_kind write_key_files(const struct json *jwk, const char *key_path,
                                     const char *jwks_path, struct err *err)
{
    AUTO(buf_clear) struct buf kid = {0};
    AUTO(buf_clear) struct buf key = {0};
    AUTO(buf_clear) struct buf set = {0};
    struct json_writer key_writer = {.out = &key}, set_writer = {.out = &set};
    enum err_kind kind;

    if (append_thumbprint(&kid, jwk) != ERR_OK)
        return err_set(err, ERR_STOP, "key %s: no SHA-256", key_path);
    put_key(&key_writer, jwk, buf_view(&kid), true);
    json_object_start(&set_writer);
    json_key(&set_writer, "keys");
    json_array_start(&set_writer);
    put_key(&set_writer, jwk, buf_view(&kid), false);
    json_array_end(&set_writer);
    json_object_end(&set_writer);
    kind = file_create(key_path, 0600, buf_view(&key), err);
    if (kind == ERR_OK && (kind = file_create(jwks_path, 0644, buf_view(&set), err)) != ERR_OK)
        unlink(key_path); /* a key without its set would stand in the way of the next try */
    OPENSSL_cleanse(key.data, key.size);
    return kind;
}

enum err_kind token_make_key(const char *key_path, const char *jwks_path, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    cjose_jwk_t *key = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL);
    char *text = key != NULL ? cjose_jwk_to_json(key, true, NULL) : NULL;
    struct json *jwk = NULL;
    enum err_kind kind;

    if (text == NULL || json_parse(&jwk, view_str(text), &arena, err) != ERR_OK)
        kind = err_set(err, ERR_STOP, "key %s: making it failed", key_path);
    else
        kind = write_key_files(jwk, key_path, jwks_path, err);
    if (text != NULL) {
        OPENSSL_cleanse(text, strlen(text));
        free(text);
    }
    cjose_jwk_release(key);
    return kind;
}
