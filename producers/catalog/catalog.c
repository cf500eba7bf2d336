/* The catalog as a part: its routes, and what it does in a unit of work. It hears of nobody; it is
 * told what is sold and says so. */
#include "producers/catalog/catalog.h"

#include "runtime/log.h"
#include "runtime/metrics.h"

#include <stdlib.h>

static const struct http_route routes[] = {
    {HTTP_POST, "/products", ROLE_SERVICE, CATALOG_BODY_MAX, catalog_http_upsert},
    {HTTP_GET, "/products", ROLE_ANY, 0, catalog_http_list},
    {HTTP_GET, "/products/{sku}", ROLE_ANY, 0, catalog_http_get},
    {HTTP_DELETE, "/products/{sku}", ROLE_SERVICE, 0, catalog_http_withdraw},
};

static struct metric changed_total =
    METRIC(METRIC_COUNTER, "tradewind_catalog_changed_total", "Products changed or withdrawn.");

static enum err_kind start(struct host *host, struct err *err)
{
    (void)err;
    host_set_context(host, mem_alloc(sizeof(struct catalog)));
    metric_register(&changed_total);
    return ERR_OK;
}

static void stop(struct host *host)
{
    struct catalog *catalog = catalog_of(host);

    pg_batch_clear(&catalog->batch);
    host_set_context(host, NULL);
    free(catalog);
}

/* Publish what was decided, and let the product be what the event says. */
static void carry_out(struct unit *unit, struct record *record, enum event_type type,
                      const void *event, struct view sku)
{
    catalog_apply(&record->product, type, event, unit_emit(unit, type, event, sku, NULL));
    record->changed = true;
}

static enum err_kind act_upsert(struct unit *unit, struct upsert *upsert)
{
    upsert->changed = 0;
    for (size_t i = 0; i < upsert->count; i++) {
        const struct product *wanted = &upsert->wanted[i];
        struct record *record = unit_state(unit, wanted->sku);
        struct product_upserted event;

        if (catalog_decide_upsert(&event, &record->product, wanted, unit_now_us(unit))) {
            carry_out(unit, record, EVENT_PRODUCT_UPSERTED, &event, wanted->sku);
            upsert->changed++;
        }
        upsert->events[i] = record->product.event;
    }
    return ERR_OK;
}

static enum err_kind act_withdraw(struct unit *unit, struct withdraw *withdraw, struct err *err)
{
    struct record *record = unit_state(unit, withdraw->command.key);
    struct product_withdrawn event;

    withdraw->not_found = record->product.event.data == NULL;
    if (withdraw->not_found)
        return err_set(err, ERR_REJECT, "no product %.*s", VIEW_PRINT(withdraw->command.key));
    if (catalog_decide_withdraw(&event, &record->product, unit_now_us(unit)))
        carry_out(unit, record, EVENT_PRODUCT_WITHDRAWN, &event, withdraw->command.key);
    withdraw->event = record->product.event;
    return ERR_OK;
}

static enum err_kind act(struct unit *unit, struct command *command, struct err *err)
{
    if (command->kind == COMMAND_UPSERT)
        return act_upsert(unit, (struct upsert *)command);
    return act_withdraw(unit, (struct withdraw *)command, err);
}

static void committed(struct unit *unit)
{
    const struct view *keys;
    size_t count = unit_keys(unit, &keys);

    for (size_t i = 0; i < count; i++)
        metric_add(&changed_total, ((const struct record *)unit_state_at(unit, i))->changed);
}

const struct part part = {
    .name = "catalog",
    .publishes = TOPIC_PRODUCTS,
    .routes = routes,
    .route_count = sizeof routes / sizeof routes[0],
    .state_bytes = sizeof(struct record),
    .start = start,
    .stop = stop,
    .load = catalog_load,
    .loaded = catalog_loaded,
    .act = act,
    .save = catalog_save,
    .committed = committed,
};
