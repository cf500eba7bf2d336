#include "consumers/email/email_decide.h"

#include "events/codec.h"

#define PAUSE_FIRST_US INT64_C(1000000)
#define PAUSE_MAX_US (300 * INT64_C(1000000))

enum mail_kind email_kind_of(enum event_type type)
{
    if (type == EVENT_ORDER_CONFIRMED)
        return MAIL_KIND_CONFIRMATION;
    if (type == EVENT_ORDER_CANCELLED)
        return MAIL_KIND_CANCELLATION;
    if (type == EVENT_PAYMENT_REFUNDED)
        return MAIL_KIND_REFUND;
    return MAIL_KIND_UNKNOWN;
}

const char *email_kind_word(enum mail_kind kind)
{
    switch (kind) {
    case MAIL_KIND_CONFIRMATION:
        return "confirmation";
    case MAIL_KIND_CANCELLATION:
        return "cancellation";
    case MAIL_KIND_REFUND:
        return "refund";
    case MAIL_KIND_UNKNOWN:
        break;
    }
    return "unknown";
}

enum err_kind email_decide(const struct saga_step **out, enum saga_email_state state,
                           enum saga_trigger trigger, struct view order_id, enum mail_kind kind,
                           struct err *err)
{
    const struct saga_step *step = saga_step(PART_EMAIL, (int)state, trigger, GUARD_ALWAYS);
    const struct saga_impossible *why = saga_impossible(PART_EMAIL, (int)state, trigger);

    if (step == NULL)
        return err_set(err, ERR_REJECT, "the %s of order %.*s is %s: %s is impossible (%s)",
                       email_kind_word(kind), VIEW_PRINT(order_id),
                       saga_state_name(PART_EMAIL, (int)state), saga_trigger_name(trigger),
                       why != NULL ? why->because : "the saga table does not know the pair");
    *out = step;
    return ERR_OK;
}

struct view email_message_id(enum mail_kind kind, struct view order_id, const char *domain,
                             struct arena *arena)
{
    return arena_printf(arena, "%s.%.*s@%s", email_kind_word(kind), VIEW_PRINT(order_id), domain);
}

struct view email_without_addresses(const char *text, struct arena *arena)
{
    char *out = arena_alloc(arena, strlen(text) + 1), *end = out;

    while (*text != '\0') {
        size_t gap = strspn(text, " "), word = strcspn(text + gap, " ");

        memcpy(end, text, gap);
        end += gap;
        if (memchr(text + gap, '@', word) == NULL) {
            memcpy(end, text + gap, word);
            end += word;
        } else {
            *end++ = '@';
        }
        text += gap + word;
    }
    return view_of(out, (size_t)(end - out));
}

int64_t email_pause_us(int64_t attempts)
{
    int64_t pause_us = PAUSE_FIRST_US;

    for (int64_t i = 1; i < attempts && pause_us < PAUSE_MAX_US; i++)
        pause_us *= 2;
    return pause_us < PAUSE_MAX_US ? pause_us : PAUSE_MAX_US;
}

enum err_kind email_keep_order(struct view *out, const struct order_created *created,
                               const struct schema_ids *ids, struct arena *arena, struct err *err)
{
    struct order_created kept = *created;
    AUTO(buf_clear) struct buf bytes = {0};

    kept.payment_token = VIEW_LITERAL("");
    kept.idempotency_key = VIEW_NONE;
    kept.request_hash = VIEW_LITERAL("");
    if (event_encode(&bytes, EVENT_ORDER_CREATED, &kept, ids, err) != ERR_OK)
        return err->kind;
    *out = arena_view(arena, buf_view(&bytes));
    return ERR_OK;
}
