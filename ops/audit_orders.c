#include "ops/audit.h"
#include "ops/out.h"

static const char *waits_for(struct audit *audit, const struct world_order *order)
{
    AUTO(buf_clear) struct buf names = {0};
    unsigned parts = order_progress_waits_for(order->progress);

    for (int part = 0; part < PART_COUNT; part++)
        if ((parts & 1u << part) != 0)
            buf_printf(&names, "%s%s", names.size > 0 ? " and " : "",
                       saga_part_name((enum saga_part)part));
    return names.size > 0 ? arena_strdup(audit->arena, buf_cstr(&names)) : "orders";
}

void audit_orders_end(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next(audit, &place)) != NULL) {
        if (!order->created && !order->orders_row.exists)
            continue; /* orders.kept says what is wrong */
        audit_checked(audit);
        if (order->standing == AUDIT_STUCK)
            audit_violated(audit, "order %s is %s for %s and waits for %s", order->id,
                           order->created ? world_state(order) : "accepted but not in the topic",
                           out_duration_us(audit->arena, audit->now_us - order->created_us),
                           waits_for(audit, order));
    }
}

static void compare_row(struct audit *audit, const struct world_order *order)
{
    if (!order->created && !order->orders_row.exists)
        audit_violated(audit, "order %s: parts speak of it, but nobody created it", order->id);
    else if (!order->created)
        audit_violated(audit, "order %s is in the database, its order.created is not in the topic",
                       order->id);
    else if (!order->orders_row.exists)
        audit_violated(audit, "order %s is in the topic and not in the database", order->id);
    else if (order->orders_row.state != (int)order->progress.state)
        audit_violated(audit, "order %s is %s in the database and %s in the topic", order->id,
                       saga_state_name(PART_ORDERS, order->orders_row.state), world_state(order));
    else if (order->orders_row.reason != order->reason)
        audit_violated(audit, "order %s: cancelled for %s in the database and %s in the topic",
                       order->id, cancel_reason_name((enum cancel_reason)order->orders_row.reason),
                       cancel_reason_name((enum cancel_reason)order->reason));
    else if (order->orders_row.total_minor != order->total_minor)
        audit_violated(audit, "order %s: total %s in the database, %s in the topic", order->id,
                       audit_money(audit, order->orders_row.total_minor, order),
                       audit_money(audit, order->total_minor, order));
}

void audit_orders_kept(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.orders) {
        audit_skip(audit, "the order service's database was not read: %s", audit->why_not[0]);
        return;
    }
    while ((order = audit_next(audit, &place)) != NULL) {
        if (order->standing == AUDIT_MOVING ||
            (!order->created && audit->part_is_down[PART_ORDERS]))
            continue; /* what it has not published yet is not lost */
        audit_checked(audit);
        compare_row(audit, order);
    }
}

void audit_orders_totals(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next(audit, &place)) != NULL) {
        if (!order->created)
            continue;
        audit_checked(audit);
        if (order->total_minor != order->lines_minor)
            audit_violated(audit, "order %s: total %s, its lines make %s", order->id,
                           audit_money(audit, order->total_minor, order),
                           audit_money(audit, order->lines_minor, order));
    }
}
