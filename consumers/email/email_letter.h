/* The words of a mail: subject, plain text and HTML. Pure; everything that comes from outside is
 * escaped. */
#ifndef TRADEWIND_EMAIL_LETTER_H
#define TRADEWIND_EMAIL_LETTER_H

#include "events/events_generated.h"
#include "runtime/arena.h"

#define LETTER_LINES_MAX 200 /* of the order; how many more there are is said */

struct letter_facts {
    enum mail_kind kind;
    const char *shop;
    struct view name; /* VIEW_NONE: not known */
    const struct order_created *created;
    enum cancel_reason reason; /* cancellation */
    enum order_stage was;      /* cancellation */
    int64_t amount_minor;      /* refund */
    struct view currency;
};

/* UTF-8, in the arena, ending in NUL. */
struct letter {
    const char *subject;
    const char *text;
    const char *html;
};

void letter_write(struct letter *out, const struct letter_facts *facts, struct arena *arena);

#endif
