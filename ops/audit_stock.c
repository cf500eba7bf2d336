#include "ops/audit.h"

#include <inttypes.h>

void audit_stock_fulfilled(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next_settled(audit, &place)) != NULL) {
        if (order->progress.state != ORDERS_FULFILLED)
            continue;
        audit_checked(audit);
        if (order->committed_count != 1)
            audit_violated(audit, "order %s is fulfilled, its stock was committed %u times",
                           order->id, order->committed_count);
        else if (order->committed != order->ordered || order->reserved != order->ordered)
            audit_violated(audit,
                           "order %s is fulfilled, but what was committed is not what was ordered",
                           order->id);
        else if (order->released_count > 0)
            audit_violated(audit, "order %s is fulfilled, but its stock was put back", order->id);
    }
}

void audit_stock_cancelled(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next_settled(audit, &place)) != NULL) {
        if (order->progress.state != ORDERS_CLOSED)
            continue;
        audit_checked(audit);
        if (order->released != order->reserved)
            audit_violated(audit,
                           "order %s is cancelled, but what was put back is not what was held",
                           order->id);
    }
}

static void compare_with_ledger(struct audit *audit, const struct world_sku *sku)
{
    if (!sku->ledger.exists)
        audit_violated(audit, "%.*s is in the topic and not in the ledger", VIEW_PRINT(sku->code));
    else if (sku->ledger.received != sku->received || sku->ledger.held != sku->held ||
             sku->ledger.sold != sku->sold)
        audit_violated(audit,
                       "%.*s: received %" PRId64 ", held %" PRId64 ", sold %" PRId64
                       " by the topic; %" PRId64 ", %" PRId64 ", %" PRId64 " in the ledger",
                       VIEW_PRINT(sku->code), sku->received, sku->held, sku->sold,
                       sku->ledger.received, sku->ledger.held, sku->ledger.sold);
}

void audit_stock_balance(struct audit *audit)
{
    const struct world_sku *sku;
    size_t place = 0;

    if (!audit->stores.ledger) {
        audit_skip(audit, "the ledger was not read: %s", audit->why_not[6]);
        return;
    }
    if (audit->stock_is_moving)
        audit_skip(
            audit,
            "stock moved while the audit read; compared was the ledger with itself (--wait helps)");
    while ((sku = lookup_next(&audit->world->skus, &place)) != NULL) {
        audit_checked(audit);
        if (sku->ledger.received != sku->ledger.on_hand + sku->ledger.held + sku->ledger.sold)
            audit_violated(audit,
                           "%.*s: received %" PRId64 ", but %" PRId64 " on hand, %" PRId64
                           " held and %" PRId64 " sold",
                           VIEW_PRINT(sku->code), sku->ledger.received, sku->ledger.on_hand,
                           sku->ledger.held, sku->ledger.sold);
        else if (!audit->stock_is_moving)
            compare_with_ledger(audit, sku);
    }
}

void audit_stock_entries(struct audit *audit)
{
    if (!audit->stores.ledger) {
        audit_skip(audit, "the ledger was not read: %s", audit->why_not[6]);
        return;
    }
    audit->current->checked = audit->ledger_entries;
    if (audit->ledger_negative > 0)
        audit_violated(audit, "%" PRIu64 " entries: %s", audit->ledger_negative,
                       audit->ledger_negative_example);
    if (audit->ledger_holes > 0)
        audit_violated(audit, "the chain of batches has a hole: %s", audit->ledger_hole_example);
}
