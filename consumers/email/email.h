/* Email: tells customers what became of their order. What its files share.
 *
 *     email.c          the part: its settings, routes and hooks
 *     email_decide.c   the machine of a mail (pure)
 *     email_letter.c   the words of a mail (pure)
 *     email_store.c    the reads and writes of a unit
 *     email_rows.c     the rows that it keeps, also for its fold
 *     email_mailer.c   the thread that hands mails to the mail server
 *     email_http.c     what an operator may ask
 *
 * A unit of work queues a mail: a row in owed_mails, the intent. The mailer hands it to the mail
 * server and brings the answer back as a command, which publishes email.sent or email.failed and
 * deletes the row. If this process dies between the two, the mail is sent again with the same
 * Message-ID: mail is at least once. No order waits for any of this. */
#ifndef TRADEWIND_EMAIL_H
#define TRADEWIND_EMAIL_H

#include "consumers/email/email_decide.h"
#include "consumers/email/email_mailer.h"
#include "events/part.h"
#include "runtime/pg_batch.h"

/* One mail of an order, in a unit. */
struct mail_state {
    enum saga_email_state state;
    struct view cause; /* ce_id of the event that it tells */
    bool is_queued;    /* by this unit: the rest of the row */
    int64_t queued_us;
    enum cancel_reason reason;
    enum order_stage was;
    int64_t amount_minor;
    struct view currency;
    bool is_settled; /* by this unit */
    struct view message_id, why;
};

/* What a unit of work knows and changes of one order. */
struct record {
    struct view created; /* of an order that this unit heard of: the row's bytes */
    struct mail_state mails[MAIL_KIND_COUNT];
};

/* The mail server's answer, or why it was not asked. */
struct outcome {
    struct command command;
    enum mail_kind kind;
    bool is_taken;
    const char *message_id;
    const char *why; /* not taken */
    struct mailer *mailer;
    enum { OUTCOME_WAITS, OUTCOME_STORED, OUTCOME_AGAIN } answer; /* under the mailer's lock */
};

enum { COMMAND_OUTCOME = 1 };

struct email {
    struct mailer *mailer;
    struct pg_batch batch;
    int64_t *owed; /* rows of owed_mails in each shard of this instance */
};

static inline struct email *email_of(const struct host *host)
{
    return host_context(host);
}

/* --- email_store.c -------------------------------------------------------------------------- */
void email_load(struct unit *unit);
enum err_kind email_loaded(struct unit *unit, struct err *err);
void email_save(struct unit *unit);
/** Rows of owed_mails in the shard. */
enum err_kind email_count_owed(int64_t *out, struct pg *pg, int32_t shard, struct err *err);

/* --- email_http.c --------------------------------------------------------------------------- */
void email_http_get(struct http_request *request, void *context);

#endif
