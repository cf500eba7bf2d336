/* What the catalog decides: whether a product that is sent changes anything. Pure.
 *
 * A product is only ever changed by applying one of our own events to it, live and in a replay. */
#ifndef TRADEWIND_CATALOG_DECIDE_H
#define TRADEWIND_CATALOG_DECIDE_H

#include "events/events_generated.h"

struct product {
    struct view sku;
    struct view name;
    enum product_kind kind;
    int64_t unit_price_minor;
    struct view currency;
    struct view category; /* VIEW_NONE: none */
    bool sold;            /* false: withdrawn, the rest is what it was */
    struct view event;    /* ce_id of the event that made it so; VIEW_NONE: never heard of */
    int64_t changed_us;   /* that event's occurred_at */
};

/** What to publish so that known becomes wanted (sold, at that price); false: it is so already. */
bool catalog_decide_upsert(struct product_upserted *out, const struct product *known,
                           const struct product *wanted, int64_t now_us);

/** What to publish so that known is no longer sold; false: it is so already. known has an event. */
bool catalog_decide_withdraw(struct product_withdrawn *out, const struct product *known,
                             int64_t now_us);

/** The product after our own event; id is its ce_id. Views of the event are kept. */
void catalog_apply(struct product *product, enum event_type type, const void *event,
                   struct view id);

#endif
