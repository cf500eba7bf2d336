#include "events/contact.h"

#include "runtime/base64.h"
#include "runtime/file.h"
#include "runtime/json.h"

#include <sodium.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define CONTACT_BYTES_MAX 8192 /* of the JSON: no address is longer */

_Static_assert(CONTACT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
               "the cipher's key");

/* --- Keys ------------------------------------------------------------------------------------ */

enum err_kind contact_key_make(const char *path, struct err *err)
{
    unsigned char bytes[CONTACT_KEY_BYTES], id[8];
    char id_text[2 * sizeof id + 1];
    AUTO(buf_clear) struct buf text = {0}, key = {0};
    struct json_writer writer = {.out = &text};
    enum err_kind kind;

    if (sodium_init() < 0)
        return err_set(err, ERR_STOP, "libsodium does not start");
    randombytes_buf(bytes, sizeof bytes);
    randombytes_buf(id, sizeof id);
    base64url_append(&key, view_of(bytes, sizeof bytes));
    json_object_start(&writer);
    json_member_str(&writer, "id", sodium_bin2hex(id_text, sizeof id_text, id, sizeof id));
    json_member_text(&writer, "key", buf_view(&key));
    json_object_end(&writer);
    buf_append_str(&text, "\n");
    kind = file_create(path, 0600, buf_view(&text), err);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(key.data, key.size);
    sodium_memzero(text.data, text.size);
    return kind;
}

enum err_kind contact_key_load(struct contact_key *out, const char *path, struct err *err)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf bytes = {0};
    struct json_reader reader = {.arena = &arena};
    struct view text, id, key;
    struct json *json;
    struct err why;

    if (sodium_init() < 0)
        return err_set(err, ERR_STOP, "libsodium does not start");
    if (file_read(&text, path, 4096, &arena, err) != ERR_OK)
        return ERR_STOP;
    if (json_parse(&json, text, &arena, &why) != ERR_OK)
        return err_set(err, ERR_STOP, "%s: %s", path, why.text);
    id = json_read_text(&reader, json, "id", 1, CONTACT_KEY_ID_SIZE - 1);
    key = json_read_text(&reader, json, "key", 1, 100);
    if (reader.failed)
        return err_set(err, ERR_STOP, "%s: %.*s: %s", path, VIEW_PRINT(reader.pointer),
                       reader.err.text);
    if (!base64url_decode(&bytes, key) || bytes.size != CONTACT_KEY_BYTES)
        return err_set(err, ERR_STOP, "%s: /key: want %d bytes in base64url", path,
                       CONTACT_KEY_BYTES);
    *out = (struct contact_key){0};
    memcpy(out->id, id.data, id.size);
    memcpy(out->bytes, bytes.data, bytes.size);
    sodium_memzero(bytes.data, bytes.size);
    return ERR_OK;
}

void contact_key_clear(struct contact_key *key)
{
    sodium_memzero(key, sizeof *key);
}

/* --- Sealing --------------------------------------------------------------------------------- */

static enum err_kind print_contact(struct buf *out, const struct contact *contact, struct err *err)
{
    struct json_writer writer = {.out = out};

    if (!view_is_utf8(contact->name) || !view_is_utf8(contact->email) ||
        !view_is_utf8(contact->address))
        return err_set(err, ERR_REJECT, "contact: not UTF-8");
    json_object_start(&writer);
    json_member_text(&writer, "name", contact->name);
    json_member_text(&writer, "email", contact->email);
    json_member_text(&writer, "address", contact->address);
    json_object_end(&writer);
    if (out->size > CONTACT_BYTES_MAX)
        return err_set(err, ERR_REJECT, "contact: %zu bytes, want at most %d", out->size,
                       CONTACT_BYTES_MAX);
    return ERR_OK;
}

enum err_kind contact_seal(struct sealed *out, const struct contact *contact, struct view order_id,
                           const struct contact_key *key, struct arena *arena, struct err *err)
{
    AUTO(buf_clear) struct buf plain = {0};
    unsigned char *nonce = arena_alloc(arena, NONCE_BYTES), *sealed;
    unsigned long long size;

    if (print_contact(&plain, contact, err) != ERR_OK)
        return ERR_REJECT;
    sealed = arena_alloc(arena, plain.size + TAG_BYTES);
    randombytes_buf(nonce, NONCE_BYTES); /* 24 random bytes never repeat */
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, &size, (const unsigned char *)plain.data,
                                               plain.size, (const unsigned char *)order_id.data,
                                               order_id.size, NULL, nonce, key->bytes);
    sodium_memzero(plain.data, plain.size);
    *out = (struct sealed){
        .key_id = arena_view(arena, view_str(key->id)),
        .nonce = view_of(nonce, NONCE_BYTES),
        .ciphertext = view_of(sealed, size),
    };
    return ERR_OK;
}

/* A member that is a text, or none. */
static struct view read_member(const struct json *json, const char *name)
{
    const struct json *member = json_member(json, name);

    return member != NULL && member->kind == JSON_STRING ? member->text : VIEW_NONE;
}

enum err_kind contact_open(struct contact *out, const struct sealed *sealed, struct view order_id,
                           const struct contact_key *key, struct arena *arena, struct err *err)
{
    unsigned long long size;
    struct json *json;
    unsigned char *plain;

    if (!view_equals(sealed->key_id, key->id))
        return err_set(err, ERR_REJECT, "contact: sealed with key %.*s, we have %s",
                       VIEW_PRINT(sealed->key_id), key->id);
    if (sealed->nonce.size != NONCE_BYTES || sealed->ciphertext.size < TAG_BYTES ||
        sealed->ciphertext.size > CONTACT_BYTES_MAX + TAG_BYTES)
        return err_set(err, ERR_REJECT,
                       "contact: nonce of %zu and ciphertext of %zu bytes: "
                       "not sealed by us",
                       sealed->nonce.size, sealed->ciphertext.size);
    plain = arena_alloc(arena, sealed->ciphertext.size);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            plain, &size, NULL, (const unsigned char *)sealed->ciphertext.data,
            sealed->ciphertext.size, (const unsigned char *)order_id.data, order_id.size,
            (const unsigned char *)sealed->nonce.data, key->bytes) != 0)
        return err_set(err, ERR_REJECT, "contact: changed, or sealed for another order than %.*s",
                       VIEW_PRINT(order_id));
    if (json_parse(&json, view_of(plain, size), arena, err) != ERR_OK)
        return ERR_REJECT;
    *out = (struct contact){
        .name = read_member(json, "name"),
        .email = read_member(json, "email"),
        .address = read_member(json, "address"),
    };
    return ERR_OK;
}
