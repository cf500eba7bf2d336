/* The thread that hands owed mails to the mail server, a few at a time and not faster than allowed.
 *
 * It walks through the rows of owed_mails of the shards this instance holds, a few of each shard at
 * a time, begins again when there is something new, and keeps nothing in memory that is not in the
 * table. When the mail server does not answer it pauses, longer each time; a mail that is not taken
 * is tried again later, so that it does not hold up the others. */
#ifndef TRADEWIND_EMAIL_MAILER_H
#define TRADEWIND_EMAIL_MAILER_H

#include "runtime/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct mailer;

/** Reads its settings and starts the thread; gives *out (mailer_stop). */
enum err_kind mailer_start(struct mailer **out, struct host *host, struct err *err);
/** Begin no mail any more. true: those that were begun are answered, and that is stored. */
bool mailer_leave(struct mailer *mailer);
/** Ends the thread. The worker has ended: nobody answers commands any more. */
void mailer_stop(struct mailer *mailer);

/** This instance holds the shard from now on, or no longer. Any thread. */
void mailer_hold(struct mailer *mailer, int32_t shard, bool held);
/** There is something new to send. Any thread. */
void mailer_wake(struct mailer *mailer);

/** Whether the mail server answers; if not, why says since when. Any thread, at any time. */
bool mailer_is_well(char *why, size_t why_bytes);

#endif
