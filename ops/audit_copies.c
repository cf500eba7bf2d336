/* What parts keep of what was published: it says the same as the topics. */
#include "ops/audit.h"

#include <inttypes.h>

void audit_payment_kept(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.payment) {
        audit_skip(audit, "payment's database was not read: %s", audit->why_not[1]);
        return;
    }
    while ((order = audit_next_settled(audit, &place)) != NULL) {
        audit_checked(audit);
        if (order->payment_rows != order->payment_count)
            audit_violated(audit, "order %s: %u payment events in the topic, %u in the database",
                           order->id, order->payment_count, order->payment_rows);
        else if (order->payment_row_facts != order->payment_facts)
            audit_violated(audit,
                           "order %s: numbers or amounts of its payment events differ between "
                           "topic and database",
                           order->id);
    }
}

void audit_fraud_kept(struct audit *audit)
{
    static const char *const VERDICTS[] = {"no verdict", "cleared", "flagged"};
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.fraud) {
        audit_skip(audit, "fraud's database was not read: %s", audit->why_not[3]);
        return;
    }
    while ((order = audit_next_settled(audit, &place)) != NULL) {
        audit_checked(audit);
        if (order->fraud != order->fraud_row)
            audit_violated(audit, "order %s: %s in the topic, %s in the database", order->id,
                           VERDICTS[order->fraud], VERDICTS[order->fraud_row]);
    }
}

/* False, and said why, when analytics cannot be compared. */
static bool analytics_is_there(struct audit *audit)
{
    uint64_t behind = audit_behind(audit, "analytics");

    if (!audit->stores.analytics)
        audit_skip(audit, "the analytics database was not read: %s", audit->why_not[4]);
    else if (behind > 0)
        audit_skip(audit, "analytics is %" PRIu64 " events behind (--wait helps when it runs)",
                   behind);
    else
        return true;
    return false;
}

static const char *compare_facts(const struct world_order *order)
{
    bool cancelled = order->progress.state == ORDERS_CLOSED;
    bool fulfilled_once = order->progress.state == ORDERS_FULFILLED || order->was_fulfilled;

    if (!order->analytics.exists)
        return "analytics does not know it";
    if (order->analytics.total_minor != order->total_minor)
        return "its total differs";
    if (order->analytics.line_count != order->line_count)
        return "its lines differ";
    if (order->analytics.lines_minor != order->lines_minor)
        return "the amounts of its lines differ";
    if (order->analytics.cancelled != cancelled || order->analytics.closed_cancelled != cancelled)
        return "whether it was cancelled differs";
    if (cancelled && order->analytics.reason != order->reason)
        return "the reason of its cancellation differs";
    return order->analytics.closed_fulfilled != fulfilled_once ? "whether it was fulfilled differs"
                                                               : NULL;
}

void audit_analytics_orders(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!analytics_is_there(audit))
        return;
    while ((order = audit_next_settled(audit, &place)) != NULL) {
        const char *differs = compare_facts(order);

        audit_checked(audit);
        if (differs != NULL)
            audit_violated(audit, "order %s: %s", order->id, differs);
    }
}

void audit_analytics_money(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!analytics_is_there(audit))
        return;
    while ((order = audit_next_settled(audit, &place)) != NULL) {
        audit_checked(audit);
        if (order->analytics.captured_minor != order->captured_minor ||
            order->analytics.refunded_minor != order->refunded_minor)
            audit_violated(audit, "order %s: captured %s and refunded %s; analytics has %s and %s",
                           order->id, audit_money(audit, order->captured_minor, order),
                           audit_money(audit, order->refunded_minor, order),
                           audit_money(audit, order->analytics.captured_minor, order),
                           audit_money(audit, order->analytics.refunded_minor, order));
    }
}

/* --- Mails
 * ---------------------------------------------------------------------------------------- */

void audit_mails_once(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    while ((order = audit_next(audit, &place)) != NULL) {
        if ((order->mails_sent | order->mails_failed) == 0)
            continue;
        audit_checked(audit);
        if (order->mail_ids_differ)
            audit_violated(audit, "order %s: one mail went out under two ids", order->id);
    }
    if (audit->world->double_mail_ids > 0)
        audit_violated(audit, "%" PRIu64 " mails have another mail's id: %s",
                       audit->world->double_mail_ids, audit->world->double_mail_example);
}

void audit_mails_kept(struct audit *audit)
{
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.email) {
        audit_skip(audit, "email's database was not read: %s", audit->why_not[5]);
        return;
    }
    while ((order = audit_next(audit, &place)) != NULL) {
        uint8_t published = order->mails_sent | order->mails_failed;

        if (order->standing == AUDIT_MOVING || (published | order->mails_kept) == 0)
            continue;
        audit_checked(audit);
        if ((published & ~order->mails_kept) != 0)
            audit_violated(audit, "order %s: a mail is settled in the topic, not in the database",
                           order->id);
        else if ((order->mails_kept & ~published) != 0 && !audit->part_is_down[PART_EMAIL])
            audit_violated(audit, "order %s: a mail is settled in the database, not in the topic",
                           order->id);
    }
}

void audit_mails_owed(struct audit *audit)
{
    uint64_t behind = audit_behind(audit, "email");
    static const char *const MAILS[WORLD_MAILS] = {"confirmation", "cancellation", "refund"};
    struct world_order *order;
    size_t place = 0;

    if (!audit->stores.email) {
        audit_skip(audit, "email's database was not read: %s", audit->why_not[5]);
        return;
    }
    if (behind > 0) {
        audit_skip(audit, "email is %" PRIu64 " events behind (--wait helps when it runs)", behind);
        return;
    }
    while ((order = audit_next_settled(audit, &place)) != NULL) {
        bool owed[WORLD_MAILS] = {order->was_confirmed, order->progress.state == ORDERS_CLOSED,
                                  order->refunded_count > 0};
        uint8_t done = order->mails_sent | order->mails_failed | order->mails_waiting;

        for (int mail = 0; mail < WORLD_MAILS; mail++) {
            audit->current->checked += owed[mail];
            if (owed[mail] && (done & 1 << mail) == 0)
                audit_violated(audit, "order %s: its %s is neither sent nor given up nor waiting",
                               order->id, MAILS[mail]);
            else if (!owed[mail] && (done & 1 << mail) != 0)
                audit_violated(audit, "order %s: a %s that nobody asked for", order->id,
                               MAILS[mail]);
        }
    }
}
