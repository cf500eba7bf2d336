/* Mail out: libcurl over SMTP, one connection kept open, one mail at a time (the caller's thread
 * waits). */
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
 *
 * Errors  ERR_STOP: a url or tls of another form
 */
enum err_kind smtp_open(struct smtp **out, const char *url, const char *tls, int64_t timeout_ms,
                        struct err *err);
void smtp_close(struct smtp *smtp);
CLEANUP(smtp_close, struct smtp *)

/**
 * Hand one mail to the server. After ERR_RETRY the server may have it all the same.
 * Errors  ERR_RETRY: no connection, time-out, 4xx, or a server that takes no mail from us at all
 *         ERR_REJECT: 5xx for this mail, or a field that cannot be sent
 */
enum err_kind smtp_send(struct smtp *smtp, const struct mail *mail, struct err *err);

/**
 * The mail as it goes over the wire (CRLF; dots are left to curl): multipart/alternative when there
 * is HTML, quoted-printable, RFC 2047 in headers. The same mail gives the same bytes.
 * Errors  ERR_REJECT: a line break or other control character in a header, an address that is none,
 *         text that is no UTF-8
 */
enum err_kind mail_write(struct buf *out, const struct mail *mail, struct err *err);

#endif
