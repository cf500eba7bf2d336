#include "runtime/base64.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void append(struct buf *out, struct view bytes, const char *alphabet, bool pad)
{
    const unsigned char *in = (const unsigned char *)bytes.data;
    char *to = buf_reserve(out, bytes.size / 3 * 4 + 4);
    size_t left = bytes.size;

    for (; left >= 3; left -= 3, in += 3) {
        *to++ = alphabet[in[0] >> 2];
        *to++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
        *to++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
        *to++ = alphabet[in[2] & 63];
    }
    if (left > 0) {
        unsigned char second = left > 1 ? in[1] : 0;

        *to++ = alphabet[in[0] >> 2];
        *to++ = alphabet[(in[0] & 3) << 4 | second >> 4];
        if (left > 1)
            *to++ = alphabet[(second & 15) << 2];
        else if (pad)
            *to++ = '=';
        if (pad)
            *to++ = '=';
    }
    out->size = (size_t)(to - out->data);
}

void base64_append(struct buf *out, struct view bytes)
{
    append(out, bytes, standard, true);
}

void base64url_append(struct buf *out, struct view bytes)
{
    append(out, bytes, url, false);
}

static int digit_of(char c, bool is_url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == (is_url ? '-' : '+') ? 62 : c == (is_url ? '_' : '/') ? 63 : -1;
}

static bool decode(struct buf *out, struct view text, bool is_url)
{
    size_t start = out->size;
    unsigned bits = 0, held = 0;

    if (text.size % 4 == 1)
        return false;
    buf_reserve(out, text.size / 4 * 3 + 3);
    for (size_t i = 0; i < text.size; i++) {
        int digit = digit_of(text.data[i], is_url);

        if (digit < 0) {
            out->size = start;
            return false;
        }
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buf_append_byte(out, (uint8_t)(bits >> held));
            bits &= (1u << held) - 1;
        }
    }
    /* Bits that stand for nothing must be zero, or one token could be written in several ways. */
    if (bits != 0) {
        out->size = start;
        return false;
    }
    return true;
}

bool base64url_decode(struct buf *out, struct view text)
{
    return decode(out, text, true);
}

bool base64_decode(struct buf *out, struct view text)
{
    size_t padding = 0;

    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    return text.size % 4 == 0 && decode(out, view_of(text.data, text.size - padding), false);
}
