#include "runtime/smtp.h"

#include "runtime/clock.h"
#include "runtime/curl_once.h"

#include <assert.h>
#include <stdlib.h>

/* Servers close an idle connection after minutes; ours is given up before. */
#define CONNECTION_MAX_IDLE_S 60L

/* A mail on its way. Its curl handle stays; connections are the multi handle's, kept and reused. */
struct slot {
    CURL *easy;
    struct buf mail;
    size_t sent;     /* bytes of mail that curl has taken */
    bool mail_begun; /* the server has heard MAIL FROM: what it refuses now is this mail */
    struct curl_slist *recipients;
    void *context;
    bool is_taken;
    char why[CURL_ERROR_SIZE];
};

struct smtp {
    CURLM *multi;
    char *url;
    struct slot *slots;
    int slot_count, under_way;
};

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
    struct slot *slot = context;
    size_t left = slot->mail.size - slot->sent;
    size_t take = size * count < left ? size * count : left;

    memcpy(to, slot->mail.data + slot->sent, take);
    slot->sent += take;
    return take;
}

/* curl tells nowhere else which command was refused. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
    struct slot *slot = context;

    (void)easy;
    if (type == CURLINFO_HEADER_OUT && size >= 5 && memcmp(data, "MAIL ", 5) == 0)
        slot->mail_begun = true;
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

static enum err_kind open_slot(struct slot *slot, const struct smtp *smtp, const char *tls,
                               int64_t timeout_ms, struct err *err)
{
    bool is_smtps = strncmp(smtp->url, "smtps://", 8) == 0;
    CURL *easy = curl_easy_init();

    slot->easy = easy;
    if (easy == NULL)
        return err_set(err, ERR_STOP, "smtp: curl gives no handle");
    if (!choose_tls(easy, tls))
        return err_set(err, ERR_STOP, "smtp tls %s: want never, may or must", tls);
    if (strcmp(tls, "may") == 0 && !is_smtps) {
        /* Who would send it in the clear gains from encryption alone. */
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (strcmp(tls, "must") == 0 || is_smtps)
        curl_trust(easy);
    curl_easy_setopt(easy, CURLOPT_URL, smtp->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_MAX_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->why);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, slot);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, slot);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    return ERR_OK;
}

enum err_kind smtp_open(struct smtp **out, const char *url, const char *tls, int64_t timeout_ms,
                        int connections, struct err *err)
{
    AUTO(smtp_close) struct smtp *smtp = mem_alloc(sizeof *smtp);

    curl_once();
    if (strncmp(url, "smtps://", 8) != 0 && strncmp(url, "smtp://", 7) != 0)
        return err_set(err, ERR_STOP, "smtp url %s: want smtp://host:port or smtps://", url);
    smtp->url = mem_strdup(url);
    smtp->multi = curl_multi_init();
    if (smtp->multi == NULL)
        return err_set(err, ERR_STOP, "smtp: curl gives no multi handle");
    curl_multi_setopt(smtp->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    smtp->slots = mem_alloc((size_t)connections * sizeof *smtp->slots);
    smtp->slot_count = connections;
    for (int i = 0; i < connections; i++)
        if (open_slot(&smtp->slots[i], smtp, tls, timeout_ms, err) != ERR_OK)
            return err->kind;
    *out = smtp_close_keep(&smtp);
    return ERR_OK;
}

/* It may be used again. */
static void leave_slot(struct smtp *smtp, struct slot *slot)
{
    curl_multi_remove_handle(smtp->multi, slot->easy);
    curl_easy_setopt(slot->easy, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(slot->recipients);
    slot->recipients = NULL;
    slot->is_taken = false;
    smtp->under_way--;
}

void smtp_close(struct smtp *smtp)
{
    if (smtp == NULL)
        return;
    for (int i = 0; i < smtp->slot_count; i++) {
        if (smtp->slots[i].is_taken)
            leave_slot(smtp, &smtp->slots[i]);
        curl_easy_cleanup(smtp->slots[i].easy);
        buf_clear(&smtp->slots[i].mail);
    }
    if (smtp->multi != NULL)
        curl_multi_cleanup(smtp->multi);
    free(smtp->slots);
    free(smtp->url);
    free(smtp);
}

/* A 5xx is about this mail, unless it says that we may not send at all (530 to 538: authentication
 * or encryption first). */
static bool is_mail_refused(const struct slot *slot, CURLcode code, long reply)
{
    bool refused =
        code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_WEIRD_SERVER_REPLY;

    return refused && slot->mail_begun && reply >= 500 && reply <= 599 &&
           (reply < 530 || reply > 538);
}

static enum err_kind outcome(const struct smtp *smtp, const struct slot *slot, CURLcode code,
                             struct err *err)
{
    const char *why = slot->why[0] != '\0' ? slot->why : curl_easy_strerror(code);
    long reply = 0;

    if (code == CURLE_OK)
        return ERR_OK;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &reply);
    return err_set(err, is_mail_refused(slot, code, reply) ? ERR_REJECT : ERR_RETRY,
                   "smtp %s: %s (last reply %ld)%s", smtp->url, why, reply, curl_trust_hint(code));
}

int smtp_under_way(const struct smtp *smtp)
{
    return smtp->under_way;
}

static struct slot *free_slot(struct smtp *smtp)
{
    struct slot *slot = smtp->slots;

    assert(smtp->under_way < smtp->slot_count);
    while (slot->is_taken)
        slot++;
    return slot;
}

enum err_kind smtp_begin(struct smtp *smtp, const struct mail *mail, void *context, struct err *err)
{
    struct slot *slot = free_slot(smtp);
    enum err_kind kind;
    int running;

    buf_reset(&slot->mail);
    if ((kind = mail_write(&slot->mail, mail, err)) != ERR_OK)
        return kind;
    slot->recipients = curl_slist_append(NULL, mail->to);
    if (slot->recipients == NULL)
        abort();
    slot->context = context;
    slot->is_taken = true;
    slot->sent = 0;
    slot->mail_begun = false;
    slot->why[0] = '\0';
    smtp->under_way++;
    curl_easy_setopt(slot->easy, CURLOPT_MAIL_FROM, mail->from); /* a copy */
    curl_easy_setopt(slot->easy, CURLOPT_MAIL_RCPT, slot->recipients);
    curl_easy_setopt(slot->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)slot->mail.size);
    curl_multi_add_handle(smtp->multi, slot->easy);
    curl_multi_perform(smtp->multi, &running);
    return ERR_OK;
}

bool smtp_answered(struct smtp *smtp, struct smtp_answer *out, int wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;

    while (smtp->under_way > 0) {
        int64_t left_ms = until_ms - clock_monotonic_ms();
        CURLMsg *message;
        int left;

        curl_multi_perform(smtp->multi, &left);
        message = curl_multi_info_read(smtp->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            struct slot *slot = NULL;

            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
            out->context = slot->context;
            out->kind = outcome(smtp, slot, message->data.result, &out->err);
            leave_slot(smtp, slot);
            return true;
        }
        if (left_ms <= 0)
            return false;
        curl_multi_poll(smtp->multi, NULL, 0, (int)left_ms, NULL);
    }
    return false;
}
