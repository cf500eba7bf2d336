/* What email does about an event or an answer of the mail server: one machine for each order and
 * kind of mail, as the saga table has it. Pure. */
#ifndef TRADEWIND_EMAIL_DECIDE_H
#define TRADEWIND_EMAIL_DECIDE_H

#include "events/events_generated.h"
#include "events/ids.h"
#include "runtime/arena.h"
#include "runtime/err.h"
#include "saga/saga.h"

/** The kind of mail that tells an event; MAIL_KIND_UNKNOWN: none does. */
enum mail_kind email_kind_of(enum event_type type);

/** "confirmation", "cancellation", "refund". */
const char *email_kind_word(enum mail_kind kind);

/**
 * The row of the table for this order's mail of this kind.
 * Errors  ERR_REJECT: it has none (text gives its reason)
 */
enum err_kind email_decide(const struct saga_step **out, enum saga_email_state state,
                           enum saga_trigger trigger, struct view order_id, enum mail_kind kind,
                           struct err *err);

/** confirmation.ORDER@domain: the same mail has the same one for ever, so that a repeat can be
 * told. */
struct view email_message_id(enum mail_kind kind, struct view order_id, const char *domain,
                             struct arena *arena);

/** The text with every word that has an @ in it replaced: reasons are published, addresses never.
 */
struct view email_without_addresses(const char *text, struct arena *arena);

/** What is kept of an order, as bytes in the arena. Errors  ERR_REJECT: it cannot be written */
enum err_kind email_keep_order(struct view *out, const struct order_created *created,
                               const struct schema_ids *ids, struct arena *arena, struct err *err);

/** How long to wait after so many attempts, at least one, that the mail server did not take. */
int64_t email_pause_us(int64_t attempts);

#endif
