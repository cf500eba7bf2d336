/* Mail out: libcurl over SMTP, several mails at the same time over connections that are kept open.
 * One thread. */
#ifndef TRADEWIND_RUNTIME_SMTP_H
#define TRADEWIND_RUNTIME_SMTP_H

#include "runtime/bytes.h"
#include "runtime/err.h"

struct smtp;

struct mail {
    const char *message_id;     /* without <>; the same mail sent again has the same */
    const char *from;           /* addr-spec */
    const char *to;             /* addr-spec */
    const char *to_name;        /* UTF-8, may be NULL */
    const char *subject;        /* UTF-8 */
    const char *text;           /* UTF-8 plain text */
    const char *html;           /* UTF-8 HTML, may be NULL */
    const char *const *headers; /* "X-Order-Id: ...", NULL-terminated; may be NULL */
    int64_t date_us;
};

/**
 * Nothing is connected yet: that comes with the first mail.
 *
 * url  smtp://host:port or smtps://host:port
 * tls  STARTTLS: "never", "may" (when the server offers it; its certificate is not looked at) or
 *      "must" (with a certificate that can be trusted)
 * timeout_ms   for one mail
 * connections  mails that can be under way at the same time, at least 1
 *
 * Errors  ERR_STOP: a url or tls of another form
 */
enum err_kind smtp_open(struct smtp **out, const char *url, const char *tls, int64_t timeout_ms,
                        int connections, struct err *err);
/** What is under way is given up: the server may have it all the same. */
void smtp_close(struct smtp *smtp);
CLEANUP(smtp_close, struct smtp *)

/** Mails that were begun and have no answer yet. */
int smtp_under_way(const struct smtp *smtp);

/**
 * Begin to hand a mail to the server, when there are fewer than connections under way. The mail is
 * copied; context comes back with its answer.
 * Errors  ERR_REJECT: a field that cannot be sent; nothing was begun
 */
enum err_kind smtp_begin(struct smtp *smtp, const struct mail *mail, void *context,
                         struct err *err);

struct smtp_answer {
    void *context; /* of the mail */
    /* ERR_OK: the server has it. ERR_RETRY: no connection, time-out, 4xx, or a server that takes no
     * mail from us at all; it may have it all the same. ERR_REJECT: 5xx for this mail. */
    enum err_kind kind;
    struct err err;
};

/** The next answer. false: none came within wait_ms, or nothing is under way. */
bool smtp_answered(struct smtp *smtp, struct smtp_answer *out, int wait_ms);

/**
 * The mail as it goes over the wire (CRLF; dots are left to curl): multipart/alternative when there
 * is HTML, quoted-printable, RFC 2047 in headers. The same mail gives the same bytes.
 * Errors  ERR_REJECT: a line break or other control character in a header, an address that is none,
 *         text that is no UTF-8
 */
enum err_kind mail_write(struct buf *out, const struct mail *mail, struct err *err);

#endif
