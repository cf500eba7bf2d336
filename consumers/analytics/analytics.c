/* Analytics as a part: hears what happens to orders, money and products, and keeps it for SQL. It
 * decides nothing and publishes nothing. */
#include "consumers/analytics/analytics_rows.h"
#include "events/part.h"

#include <stdlib.h>

static const enum topic inputs[] = {TOPIC_ORDERS, TOPIC_PAYMENTS, TOPIC_PRODUCTS};

/* What a unit of work knows of one SKU: the newest event of each kind. Of an order: nothing. */
struct record {
    const struct event *upserted, *withdrawn;
};

static struct pg_batch *rows_of(struct unit *unit)
{
    return host_context(unit_host(unit));
}

static enum err_kind start(struct host *host, struct err *err)
{
    (void)err;
    host_set_context(host, mem_alloc(ROWS_COUNT * sizeof(struct pg_batch)));
    return ERR_OK;
}

static void stop(struct host *host)
{
    struct pg_batch *rows = host_context(host);

    rows_clear(rows);
    host_set_context(host, NULL);
    free(rows);
}

static void load(struct unit *unit)
{
    rows_start(rows_of(unit));
}

static enum err_kind react(struct unit *unit, const struct event *event, struct err *err)
{
    struct record *record = unit_state(unit, event->envelope->subject);

    (void)err;
    if (event->type == EVENT_PRODUCT_UPSERTED)
        record->upserted = event;
    else if (event->type == EVENT_PRODUCT_WITHDRAWN)
        record->withdrawn = event;
    else
        rows_add_fact(rows_of(unit), event, unit_arena(unit));
    return ERR_OK;
}

static void save(struct unit *unit)
{
    struct pg_batch *rows = rows_of(unit);
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    for (size_t i = 0; i < count; i++) {
        const struct record *record = unit_state_at(unit, i);

        if (record->upserted != NULL)
            rows_add_product(rows, record->upserted, unit_arena(unit));
        if (record->withdrawn != NULL)
            rows_add_product(rows, record->withdrawn, unit_arena(unit));
    }
    rows_queue(rows, unit_pg(unit));
}

/* Without these an order's figures would be wrong for ever, and nothing would show it. */
static bool may_drop(enum event_type type)
{
    return type != EVENT_ORDER_CONFIRMED && type != EVENT_ORDER_CANCELLED;
}

const struct part part = {
    .name = "analytics",
    .publishes = TOPIC_NONE,
    .inputs = inputs,
    .input_count = sizeof inputs / sizeof inputs[0],
    .patience_ms = 250,
    .state_bytes = sizeof(struct record),
    .start = start,
    .stop = stop,
    .load = load,
    .react = react,
    .save = save,
    .may_drop = may_drop,
};
