/* Fuzz: a customer's words in a mail: address, name, subject, text and HTML, a NUL between them.
 * No word becomes a header, a recipient or a line that a mail server may break. */
#include "runtime/arena.h"
#include "runtime/smtp.h"
#include "tests/fuzz/fuzz.h"

#define LINE_MAX_BYTES 998 /* RFC 5322 */

static const char *const EXTRA[] = {"X-Order-Id: 01ARYZ6S410000000000000000", NULL};
/* Each once, in the mail's own header. */
static const char *const HEADERS[] = {
    "Date: ",    "From: ",       "To: ",           "Message-ID: ",
    "Subject: ", "X-Order-Id: ", "MIME-Version: ", "Content-Type: "};
#define HEADER_COUNT (sizeof HEADERS / sizeof HEADERS[0])

static void look_at_header(const char *line, size_t seen[HEADER_COUNT])
{
    if (line[0] == ' ' || strncmp(line, "Content-Transfer-Encoding: ", 27) == 0)
        return;
    for (size_t i = 0; i < HEADER_COUNT; i++)
        if (strncmp(line, HEADERS[i], strlen(HEADERS[i])) == 0) {
            seen[i]++;
            return;
        }
    HOLDS(false, line);
}

static void look_at_mail(const char *text)
{
    size_t seen[HEADER_COUNT] = {0};
    bool in_header = true;

    while (*text != '\0') {
        size_t length = strcspn(text, "\r\n");

        HOLDS(text[length] == '\r' && text[length + 1] == '\n', "a line end of another kind");
        HOLDS(length <= LINE_MAX_BYTES, "a long line");
        for (size_t i = 0; i < length; i++)
            HOLDS((text[i] >= 0x20 && text[i] <= 0x7e) || text[i] == '\t', "no printable ASCII");
        in_header = in_header && length > 0;
        if (in_header)
            look_at_header(text, seen);
        text += length + 2;
    }
    for (size_t i = 0; i < HEADER_COUNT; i++)
        HOLDS(seen[i] == 1, HEADERS[i]);
}

static const char *take(struct view *input, struct arena *arena)
{
    return arena_view(arena, fuzz_until_nul(input)).data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena_clear) struct arena arena = {0};
    AUTO(buf_clear) struct buf out = {0}, again = {0};
    struct view input = view_of(size > 0 ? (const char *)data : "", size);
    /* In this order: the initializer's own is not defined. */
    const char *to = take(&input, &arena), *to_name = take(&input, &arena);
    const char *subject = take(&input, &arena), *text = take(&input, &arena);
    const struct mail mail = {.message_id = "01ARYZ6S410000000000000000.confirmed@shop.example",
                              .from = "shop@shop.example",
                              .to = to,
                              .to_name = to_name,
                              .subject = subject,
                              .text = text,
                              .html = input.size > 0 ? take(&input, &arena) : NULL,
                              .headers = EXTRA,
                              .date_us = 1290000000000000};
    struct err err = {0};
    enum err_kind kind = mail_write(&out, &mail, &err);

    if (kind != ERR_OK) {
        fuzz_refused(kind, &err);
        return 0;
    }
    HOLDS(memchr(out.data, 0, out.size) == NULL, "a NUL");
    look_at_mail(buf_cstr(&out));
    HOLDS(mail_write(&again, &mail, &err) == ERR_OK, err.text);
    HOLDS(view_equal(buf_view(&out), buf_view(&again)), "other bytes of the same mail");
    return 0;
}
