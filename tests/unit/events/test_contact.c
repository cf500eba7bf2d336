#include "events/contact.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORDER VIEW_LITERAL("01ARYZ6S410000000000000000")

/* A key in a folder of its own, which is gone afterwards. */
static void make_key(struct contact_key *key)
{
    char folder[] = "/tmp/contact-XXXXXX", path[64];
    struct stat about;
    struct err err;

    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key.json", folder);
    cr_assert_eq(contact_key_make(path, &err), ERR_OK);
    cr_assert_eq(stat(path, &about), 0);
    cr_expect_eq(about.st_mode & 0777, 0600);
    cr_expect_eq(contact_key_make(path, &err), ERR_STOP, "an existing key is never written over");
    cr_assert_eq(contact_key_load(key, path, &err), ERR_OK);
    unlink(path);
    rmdir(folder);
}

static const struct contact ann = {
    .name = VIEW_INIT("Ann Ölander"),
    .email = VIEW_INIT("ann@example.org"),
    .address = VIEW_INIT("1 High Street\nYork"),
};

Test(contact, who_has_the_key_reads_what_was_sealed)
{
    AUTO(contact_key_clear) struct contact_key key;
    AUTO(arena_clear) struct arena arena = {0};
    struct contact opened;
    struct sealed sealed;
    struct err err;

    make_key(&key);
    cr_assert_eq(contact_seal(&sealed, &ann, ORDER, &key, &arena, &err), ERR_OK);
    cr_expect_null(memmem(sealed.ciphertext.data, sealed.ciphertext.size, "ann", 3));
    cr_assert_eq(contact_open(&opened, &sealed, ORDER, &key, &arena, &err), ERR_OK);

    cr_expect(view_equal(opened.name, ann.name));
    cr_expect(view_equal(opened.email, ann.email));
    cr_expect(view_equal(opened.address, ann.address));
}

Test(contact, another_order_another_key_and_a_changed_bit_are_refused)
{
    AUTO(contact_key_clear) struct contact_key key, other;
    AUTO(arena_clear) struct arena arena = {0};
    struct contact opened;
    struct sealed sealed, changed;
    struct err err;
    char *bytes;

    make_key(&key);
    make_key(&other);
    cr_assert_eq(contact_seal(&sealed, &ann, ORDER, &key, &arena, &err), ERR_OK);

    cr_expect_eq(contact_open(&opened, &sealed, VIEW_LITERAL("other"), &key, &arena, &err),
                 ERR_REJECT);
    cr_expect_eq(contact_open(&opened, &sealed, ORDER, &other, &arena, &err), ERR_REJECT);
    memcpy(other.id, key.id, sizeof key.id);
    cr_expect_eq(contact_open(&opened, &sealed, ORDER, &other, &arena, &err), ERR_REJECT);
    changed = sealed;
    bytes = mem_strdup_view(sealed.ciphertext);
    bytes[3] ^= 1;
    changed.ciphertext.data = bytes;
    cr_expect_eq(contact_open(&opened, &changed, ORDER, &key, &arena, &err), ERR_REJECT);
    changed = sealed;
    changed.ciphertext.size = 3;
    cr_expect_eq(contact_open(&opened, &changed, ORDER, &key, &arena, &err), ERR_REJECT);
    changed = sealed;
    changed.nonce.size--;
    cr_expect_eq(contact_open(&opened, &changed, ORDER, &key, &arena, &err), ERR_REJECT);
    free(bytes);
}

Test(contact, what_is_missing_stays_missing)
{
    AUTO(contact_key_clear) struct contact_key key;
    AUTO(arena_clear) struct arena arena = {0};
    struct contact some = {.email = ann.email}, opened;
    struct sealed sealed;
    struct err err;

    make_key(&key);
    cr_assert_eq(contact_seal(&sealed, &some, ORDER, &key, &arena, &err), ERR_OK);
    cr_assert_eq(contact_open(&opened, &sealed, ORDER, &key, &arena, &err), ERR_OK);

    cr_expect_null(opened.name.data);
    cr_expect_null(opened.address.data);
    cr_expect(view_equal(opened.email, ann.email));
}
