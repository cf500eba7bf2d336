/* A mail as bytes. Every field is checked before the first byte is written: a line break in one of
 * them would be a header, or a recipient, that nobody asked for. */
#include "runtime/base64.h"
#include "runtime/smtp.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

/* RFC 5322: 78 characters a line are good manners, 998 the law. */
#define PLAIN_HEADER_MAX 60
#define EXTRA_HEADER_MAX 900
#define ADDRESS_MAX 254
/* RFC 2047: a line with an encoded word has at most 76 characters. "Subject: " takes 9 of them and
 * =?utf-8?B??= takes 12; 39 bytes of text make 52 of base64. */
#define WORD_BYTES 39
#define QUOTED_PRINTABLE_LINE 76

/* --- Checks ---------------------------------------------------------------------------------- */

static bool is_printable_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

static enum err_kind check_header_text(const char *name, const char *text, struct err *err)
{
    if (!view_is_utf8(view_str(text)))
        return err_set(err, ERR_REJECT, "mail: %s is no UTF-8", name);
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return err_set(err, ERR_REJECT, "mail: %s has control character U+%04X, want none",
                           name, (unsigned)*c);
    return ERR_OK;
}

static enum err_kind check_body(const char *name, const char *text, struct err *err)
{
    return view_is_utf8(view_str(text)) ? ERR_OK
                                        : err_set(err, ERR_REJECT, "mail: %s is no UTF-8", name);
}

/* local@domain of plain characters: no quoted local parts, no comments, no literals. The text of an
 * address is not repeated in the error, because errors are logged. */
static enum err_kind check_address(const char *name, const char *address, struct err *err)
{
    const char *at = strchr(address, '@');
    bool good = at != NULL && at != address && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
                strlen(address) <= ADDRESS_MAX && is_printable_ascii(address) &&
                strpbrk(address, " \"(),:;<>[\\]") == NULL;

    return good ? ERR_OK : err_set(err, ERR_REJECT, "mail: %s is no address local@domain", name);
}

static bool is_ours(struct view name)
{
    static const char *const ours[] = {"from",         "to",           "cc",
                                       "bcc",          "sender",       "date",
                                       "subject",      "message-id",   "return-path",
                                       "mime-version", "content-type", "content-transfer-encoding"};

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == name.size && strncasecmp(name.data, ours[i], name.size) == 0)
            return true;
    return false;
}

static enum err_kind check_extra(const char *line, struct err *err)
{
    const char *colon = strchr(line, ':');
    struct view name = view_of(line, colon != NULL ? (size_t)(colon - line) : 0);

    if (name.size == 0 || colon[1] != ' ' || !is_printable_ascii(line) ||
        memchr(name.data, ' ', name.size) != NULL || strlen(line) > EXTRA_HEADER_MAX)
        return err_set(err, ERR_REJECT, "mail: extra header %.*s, want Name: printable ASCII",
                       name.size < 40 ? (int)name.size : 40, name.data);
    if (is_ours(name))
        return err_set(err, ERR_REJECT, "mail: extra header %.*s is written by us",
                       VIEW_PRINT(name));
    return ERR_OK;
}

static enum err_kind check_mail(const struct mail *mail, struct err *err)
{
    enum err_kind kind;

    if ((kind = check_address("message id", mail->message_id, err)) != ERR_OK ||
        (kind = check_address("from", mail->from, err)) != ERR_OK ||
        (kind = check_address("to", mail->to, err)) != ERR_OK ||
        (kind = check_header_text("subject", mail->subject, err)) != ERR_OK ||
        (kind = check_body("text", mail->text, err)) != ERR_OK)
        return kind;
    if (mail->to_name != NULL && (kind = check_header_text("name", mail->to_name, err)) != ERR_OK)
        return kind;
    if (mail->html != NULL && (kind = check_body("html", mail->html, err)) != ERR_OK)
        return kind;
    for (const char *const *line = mail->headers; line != NULL && *line != NULL; line++)
        if ((kind = check_extra(*line, err)) != ERR_OK)
            return kind;
    return ERR_OK;
}

/* --- Headers --------------------------------------------------------------------------------- */

/* RFC 2047: words of base64, cut between characters, each on a line of its own. */
static void append_words(struct buf *out, const char *text)
{
    struct view left = view_str(text);

    while (left.size > 0) {
        size_t size = 0, next;

        while (size < left.size &&
               (next = view_utf8_sequence(view_of(left.data + size, left.size - size))) + size <=
                   WORD_BYTES)
            size += next;
        buf_append_str(out, "=?utf-8?B?");
        base64_append(out, view_of(left.data, size));
        buf_append_str(out, "?=");
        left = view_of(left.data + size, left.size - size);
        if (left.size > 0)
            buf_append_str(out, "\r\n ");
    }
}

/* May stand in a header as it is; "=?" would be taken for an encoded word. */
static bool is_plain(const char *text)
{
    return is_printable_ascii(text) && strlen(text) <= PLAIN_HEADER_MAX &&
           strstr(text, "=?") == NULL;
}

static void append_subject(struct buf *out, const char *text)
{
    buf_append_str(out, "Subject: ");
    if (is_plain(text))
        buf_append_str(out, text);
    else
        append_words(out, text);
    buf_append_str(out, "\r\n");
}

static void append_to(struct buf *out, const char *name, const char *address)
{
    buf_append_str(out, "To: ");
    if (name == NULL || name[0] == '\0') {
        buf_printf(out, "%s\r\n", address);
        return;
    }
    if (is_plain(name)) {
        buf_append_byte(out, '"');
        for (; *name != '\0'; name++) {
            if (*name == '"' || *name == '\\')
                buf_append_byte(out, '\\');
            buf_append_byte(out, (uint8_t)*name);
        }
        buf_append_byte(out, '"');
    } else {
        append_words(out, name);
    }
    buf_printf(out, "\r\n <%s>\r\n", address);
}

/* By hand: strftime would speak the language of the environment. */
static void append_date(struct buf *out, int64_t utc_us)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t when = (time_t)(utc_us / 1000000);
    struct tm parts = {0};

    gmtime_r(&when, &parts);
    buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[parts.tm_wday],
               parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
               parts.tm_min, parts.tm_sec);
}

/* --- Bodies ---------------------------------------------------------------------------------- */

/* How many bytes a line break takes at text: 0 when there is none. */
static size_t line_break(const char *text)
{
    return text[0] == '\n' ? 1 : text[0] == '\r' && text[1] == '\n' ? 2 : 0;
}

/* RFC 2045, 6.7. Lines keep their ends, space before an end is spelled out. */
static void append_quoted_printable(struct buf *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t ends = line_break(text);
        unsigned char c = (unsigned char)*text;
        bool literal = (c >= 0x21 && c <= 0x7e && c != '=') ||
                       ((c == ' ' || c == '\t') && text[1] != '\0' && line_break(text + 1) == 0);

        if (ends > 0) {
            buf_append_str(out, "\r\n");
            column = 0;
            text += ends;
            continue;
        }
        if (column + (literal ? 1 : 3) >= QUOTED_PRINTABLE_LINE) {
            buf_append_str(out, "=\r\n");
            column = 0;
        }
        if (literal)
            buf_append_byte(out, c);
        else
            buf_printf(out, "=%02X", c);
        column += literal ? 1 : 3;
        text++;
    }
    if (column > 0)
        buf_append_str(out, "\r\n");
}

static void append_part(struct buf *out, const char *type, const char *text)
{
    buf_printf(out, "Content-Type: %s; charset=utf-8\r\n", type);
    buf_append_str(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    append_quoted_printable(out, text);
}

/* "=_" cannot stand in quoted-printable, so no boundary can stand in a part. */
static void append_parts(struct buf *out, const struct mail *mail)
{
    char boundary[32];

    snprintf(boundary, sizeof boundary, "=_%016llx",
             (unsigned long long)view_hash(view_str(mail->message_id)));
    buf_printf(out, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", boundary);
    buf_printf(out, "--%s\r\n", boundary);
    append_part(out, "text/plain", mail->text);
    buf_printf(out, "--%s\r\n", boundary);
    append_part(out, "text/html", mail->html);
    buf_printf(out, "--%s--\r\n", boundary);
}

enum err_kind mail_write(struct buf *out, const struct mail *mail, struct err *err)
{
    enum err_kind kind = check_mail(mail, err);

    if (kind != ERR_OK)
        return kind;
    append_date(out, mail->date_us);
    buf_printf(out, "From: %s\r\n", mail->from);
    append_to(out, mail->to_name, mail->to);
    buf_printf(out, "Message-ID: <%s>\r\n", mail->message_id);
    append_subject(out, mail->subject);
    for (const char *const *line = mail->headers; line != NULL && *line != NULL; line++)
        buf_printf(out, "%s\r\n", *line);
    buf_append_str(out, "MIME-Version: 1.0\r\n");
    if (mail->html != NULL)
        append_parts(out, mail);
    else
        append_part(out, "text/plain", mail->text);
    return ERR_OK;
}
