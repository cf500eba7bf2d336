#include "runtime/smtp.h"

#include "runtime/curl_once.h"

#include <stdlib.h>

/* Servers close an idle connection after minutes; ours is given up before. */
#define CONNECTION_MAX_IDLE_S 60L

struct smtp {
    CURL *easy;
    char *url;
    struct buf mail;
    size_t sent;     /* bytes of mail that curl has taken */
    bool mail_begun; /* the server has heard MAIL FROM: what it refuses now is this mail */
    char why[CURL_ERROR_SIZE];
};

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
    struct smtp *smtp = context;
    size_t left = smtp->mail.size - smtp->sent;
    size_t take = size * count < left ? size * count : left;

    memcpy(to, smtp->mail.data + smtp->sent, take);
    smtp->sent += take;
    return take;
}

/* curl tells nowhere else which command was refused. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
    struct smtp *smtp = context;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT && size >= 5 && memcmp(data, "MAIL ", 5) == 0)
        smtp->mail_begun = true;
    return 0;
}

static bool choose_tls(CURL *easy, const char *tls)
{
    static const struct {
        const char *name;
        long level;
    } levels[] = {
        {"never", CURLUSESSL_NONE},
        {"may", CURLUSESSL_TRY},
        {"must", CURLUSESSL_ALL},
    };

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(levels[i].name, tls) == 0) {
            curl_easy_setopt(easy, CURLOPT_USE_SSL, levels[i].level);
            return true;
        }
    return false;
}

enum err_kind smtp_open(struct smtp **out, const char *url, const char *tls, int64_t timeout_ms,
                        struct err *err)
{
    AUTO(smtp_close) struct smtp *smtp = mem_alloc(sizeof *smtp);
    bool is_smtps = strncmp(url, "smtps://", 8) == 0;

    curl_once();
    if (!is_smtps && strncmp(url, "smtp://", 7) != 0)
        return err_set(err, ERR_STOP, "smtp url %s: want smtp://host:port or smtps://", url);
    smtp->url = mem_strdup(url);
    smtp->easy = curl_easy_init();
    if (smtp->easy == NULL)
        return err_set(err, ERR_STOP, "smtp: curl gives no handle");
    if (!choose_tls(smtp->easy, tls))
        return err_set(err, ERR_STOP, "smtp tls %s: want never, may or must", tls);
    if (strcmp(tls, "may") == 0 && !is_smtps) {
        /* Who would send it in the clear gains from encryption alone. */
        curl_easy_setopt(smtp->easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(smtp->easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (strcmp(tls, "must") == 0 || is_smtps)
        curl_trust(smtp->easy);
    curl_easy_setopt(smtp->easy, CURLOPT_URL, smtp->url);
    curl_easy_setopt(smtp->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(smtp->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(smtp->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(smtp->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(smtp->easy, CURLOPT_MAXAGE_CONN, CONNECTION_MAX_IDLE_S);
    curl_easy_setopt(smtp->easy, CURLOPT_ERRORBUFFER, smtp->why);
    curl_easy_setopt(smtp->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(smtp->easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(smtp->easy, CURLOPT_READDATA, smtp);
    curl_easy_setopt(smtp->easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(smtp->easy, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(smtp->easy, CURLOPT_DEBUGDATA, smtp);
    *out = smtp_close_keep(&smtp);
    return ERR_OK;
}

void smtp_close(struct smtp *smtp)
{
    if (smtp == NULL)
        return;
    curl_easy_cleanup(smtp->easy);
    buf_clear(&smtp->mail);
    free(smtp->url);
    free(smtp);
}

/* A 5xx is about this mail, unless it says that we may not send at all (530 to 538: authentication
 * or encryption first). */
static bool is_mail_refused(const struct smtp *smtp, CURLcode code, long reply)
{
    bool refused =
        code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_WEIRD_SERVER_REPLY;

    return refused && smtp->mail_begun && reply >= 500 && reply <= 599 &&
           (reply < 530 || reply > 538);
}

static enum err_kind failure(const struct smtp *smtp, CURLcode code, struct err *err)
{
    const char *why = smtp->why[0] != '\0' ? smtp->why : curl_easy_strerror(code);
    long reply = 0;

    curl_easy_getinfo(smtp->easy, CURLINFO_RESPONSE_CODE, &reply);
    return err_set(err, is_mail_refused(smtp, code, reply) ? ERR_REJECT : ERR_RETRY,
                   "smtp %s: %s (last reply %ld)%s", smtp->url, why, reply, curl_trust_hint(code));
}

enum err_kind smtp_send(struct smtp *smtp, const struct mail *mail, struct err *err)
{
    struct curl_slist *recipients;
    enum err_kind kind;
    CURLcode code;

    buf_reset(&smtp->mail);
    if ((kind = mail_write(&smtp->mail, mail, err)) != ERR_OK)
        return kind;
    recipients = curl_slist_append(NULL, mail->to);
    if (recipients == NULL)
        abort();
    smtp->sent = 0;
    smtp->mail_begun = false;
    smtp->why[0] = '\0';
    curl_easy_setopt(smtp->easy, CURLOPT_MAIL_FROM, mail->from);
    curl_easy_setopt(smtp->easy, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(smtp->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)smtp->mail.size);
    code = curl_easy_perform(smtp->easy);
    curl_easy_setopt(smtp->easy, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(recipients);
    return code == CURLE_OK ? ERR_OK : failure(smtp, code, err);
}
