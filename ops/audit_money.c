#include "ops/audit.h"
#include "ops/out.h"

#include <inttypes.h>

void audit_money_fulfilled(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next_settled(audit, &place)) != NULL) {
        if (order->progress.state != ORDERS_FULFILLED)
            continue;
        audit_checked(audit);
        if (order->captured_count != 1)
            audit_violated(audit, "order %s is fulfilled, its money was captured %u times",
                           order->id, order->captured_count);
        else if (order->captured_minor != order->total_minor)
            audit_violated(audit, "order %s is worth %s, captured were %s", order->id,
                           audit_money(audit, order->total_minor, order),
                           audit_money(audit, order->captured_minor, order));
        else if (order->refunded_count > 0)
            audit_violated(audit, "order %s is fulfilled, but its money was refunded", order->id);
        else if (order->mixed_currencies)
            audit_violated(audit, "order %s: not all of its payments are in %s", order->id,
                           order->currency.code);
    }
}

void audit_money_cancelled(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next_settled(audit, &place)) != NULL) {
        if (order->progress.state != ORDERS_CLOSED)
            continue;
        audit_checked(audit);
        if (order->captured_minor != order->refunded_minor)
            audit_violated(audit, "order %s is cancelled: captured %s, refunded %s", order->id,
                           audit_money(audit, order->captured_minor, order),
                           audit_money(audit, order->refunded_minor, order));
    }
}

#define CURRENCIES_MAX 200

struct sum {
    struct world_currency currency;
    int64_t captured_minor, refunded_minor, value_minor;
    int64_t book_captured_minor, book_refunded_minor;
};

static struct sum *sum_of(struct sum *sums, size_t *count, const struct world_order *order)
{
    for (size_t i = 0; i < *count; i++)
        if (memcmp(&sums[i].currency, &order->currency, sizeof order->currency) == 0)
            return &sums[i];
    if (*count == CURRENCIES_MAX)
        return NULL;
    sums[*count].currency = order->currency;
    return &sums[(*count)++];
}

static void compare_sum(struct audit *audit, const struct sum *sum)
{
    const char *currency = sum->currency.code;
    int64_t net = sum->captured_minor - sum->refunded_minor;

    audit_checked(audit);
    if (net != sum->value_minor)
        audit_violated(audit, "%s: captured %s - refunded %s = %s, fulfilled orders are worth %s",
                       currency, out_money(audit->arena, sum->captured_minor, currency),
                       out_money(audit->arena, sum->refunded_minor, currency),
                       out_money(audit->arena, net, currency),
                       out_money(audit->arena, sum->value_minor, currency));
    if (audit->stores.provider &&
        sum->book_captured_minor - sum->book_refunded_minor != sum->value_minor)
        audit_violated(audit, "%s: the provider's book has %s - %s, fulfilled orders are worth %s",
                       currency, out_money(audit->arena, sum->book_captured_minor, currency),
                       out_money(audit->arena, sum->book_refunded_minor, currency),
                       out_money(audit->arena, sum->value_minor, currency));
}

void audit_money_balance(struct audit *audit)
{
    struct sum *sums = arena_array(audit->arena, CURRENCIES_MAX, sizeof *sums);
    struct world_order *order;
    size_t place = 0, count = 0;

    while ((order = audit_next_settled(audit, &place)) != NULL) {
        struct sum *sum = sum_of(sums, &count, order);

        if (sum == NULL)
            continue;
        sum->captured_minor += order->captured_minor;
        sum->refunded_minor += order->refunded_minor;
        sum->book_captured_minor += order->book_captured_minor;
        sum->book_refunded_minor += order->book_refunded_minor;
        sum->value_minor += order->progress.state == ORDERS_FULFILLED ? order->total_minor : 0;
    }
    for (size_t i = 0; i < count; i++)
        compare_sum(audit, &sums[i]);
}

void audit_money_book(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.provider) {
        audit_skip(audit, "the provider's book was not read: %s", audit->why_not[2]);
        return;
    }
    while ((order = audit_next_settled(audit, &place)) != NULL) {
        audit_checked(audit);
        if (order->book_captured_minor != order->captured_minor ||
            order->book_refunded_minor != order->refunded_minor)
            audit_violated(
                audit,
                "order %s: the book has %s captured and %s refunded, our events say %s and %s",
                order->id, audit_money(audit, order->book_captured_minor, order),
                audit_money(audit, order->book_refunded_minor, order),
                audit_money(audit, order->captured_minor, order),
                audit_money(audit, order->refunded_minor, order));
        else if (order->book_held_minor != 0)
            audit_violated(audit, "order %s is %s, but the provider still holds %s", order->id,
                           world_state(order), audit_money(audit, order->book_held_minor, order));
    }
}

void audit_money_once(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.provider) {
        audit_skip(audit, "the provider's book was not read: %s", audit->why_not[2]);
        return;
    }
    while ((order = audit_next(audit, &place)) != NULL) {
        if (!order->has_book)
            continue;
        audit_checked(audit);
        if (order->book_charges > 1)
            audit_violated(audit, "order %s was charged %u times", order->id, order->book_charges);
    }
    if (audit->book_violations > 0)
        audit_violated(audit,
                       "the provider refused %" PRIu64
                       " requests to take or give back more than there was",
                       audit->book_violations);
}
