#include "consumers/fraud/fraud_rules.h"

#include "events/money.h"

#include <inttypes.h>

/* What the rules look at. */
struct facts {
    const struct order_created *order;
    const struct fraud_limits *limits;
    int64_t amount_limit;
    int64_t earlier_orders;
    struct arena *arena;
};

/* --- The list of amounts ---------------------------------------------------------------------- */

struct amount {
    struct view currency; /* "*": any other */
    int64_t minor;
};

/* Reads the entry at *at and moves on; false: it is none (or the list is at its end). */
static bool next_amount(const char **at, struct amount *out)
{
    const char *start = *at + strspn(*at, " "), *end = start + strcspn(start, " ");
    const char *equals = memchr(start, '=', (size_t)(end - start));

    *at = end;
    if (equals == NULL)
        return false;
    out->currency = view_of(start, (size_t)(equals - start));
    return (money_is_currency(out->currency) || view_equals(out->currency, "*")) &&
           view_to_int64(view_of(equals + 1, (size_t)(end - equals - 1)), &out->minor) &&
           out->minor >= 0;
}

static bool is_at_end(const char *at)
{
    return at[strspn(at, " ")] == '\0';
}

enum err_kind fraud_amounts_check(const char *amounts, struct err *err)
{
    struct amount amount;

    for (const char *at = amounts; !is_at_end(at);) {
        const char *entry = at + strspn(at, " ");

        if (!next_amount(&at, &amount))
            return err_set(
                err, ERR_STOP,
                "TRADEWIND_FRAUD_AMOUNTS: \"%.*s\", want a currency (or *), =, and minor "
                "units, as in GBP=500000",
                (int)strcspn(entry, " "), entry);
    }
    return ERR_OK;
}

int64_t fraud_amount_limit(const char *amounts, struct view currency)
{
    int64_t any_other = INT64_MAX;
    struct amount amount;

    for (const char *at = amounts; !is_at_end(at) && next_amount(&at, &amount);) {
        if (view_equal(amount.currency, currency))
            return amount.minor;
        if (view_equals(amount.currency, "*"))
            any_other = amount.minor;
    }
    return any_other;
}

/* --- The rules: each says in its detail what it saw, and answers whether it meets --------------
 */

static bool is_amount(const struct facts *facts, int64_t times, struct view *detail)
{
    int64_t limit;

    if (__builtin_mul_overflow(facts->amount_limit, times, &limit) ||
        facts->order->total_minor < limit)
        return false;
    *detail = arena_printf(
        facts->arena, "%s, large from %s",
        money_format(facts->order->total_minor, facts->order->currency, facts->arena).data,
        money_format(limit, facts->order->currency, facts->arena).data);
    return true;
}

static bool meets_amount(const struct facts *facts, struct view *detail)
{
    return is_amount(facts, 1, detail);
}

static bool meets_amount_extreme(const struct facts *facts, struct view *detail)
{
    return is_amount(facts, 5, detail);
}

static bool is_quantity(const struct facts *facts, int64_t times, struct view *detail)
{
    const struct order_line *most = &facts->order->lines[0];

    for (size_t i = 1; i < facts->order->lines_count; i++)
        if (facts->order->lines[i].quantity > most->quantity)
            most = &facts->order->lines[i];
    if (facts->order->lines_count == 0 || most->quantity < facts->limits->quantity * times)
        return false;
    *detail = arena_printf(facts->arena, "%" PRId64 " of %.*s, many from %" PRId64, most->quantity,
                           VIEW_PRINT(most->sku), facts->limits->quantity * times);
    return true;
}

static bool meets_quantity(const struct facts *facts, struct view *detail)
{
    return is_quantity(facts, 1, detail);
}

static bool meets_quantity_extreme(const struct facts *facts, struct view *detail)
{
    return is_quantity(facts, 2, detail);
}

static bool is_often(const struct facts *facts, int64_t times, struct view *detail)
{
    int64_t limit = facts->limits->orders * times;

    if (facts->earlier_orders < limit)
        return false;
    *detail =
        arena_printf(facts->arena, "%" PRId64 " earlier orders or more within %" PRId64 " minutes",
                     limit, facts->limits->window_us / 60000000);
    return true;
}

static bool meets_orders(const struct facts *facts, struct view *detail)
{
    return is_often(facts, 1, detail);
}

static bool meets_orders_extreme(const struct facts *facts, struct view *detail)
{
    return is_often(facts, FRAUD_ORDERS_EXTREME, detail);
}

bool fraud_is_guest(struct view customer_id)
{
    return customer_id.size >= 6 && memcmp(customer_id.data, "guest:", 6) == 0;
}

static bool meets_guest(const struct facts *facts, struct view *detail)
{
    *detail = facts->order->customer_id;
    return fraud_is_guest(facts->order->customer_id);
}

static bool meets_country(const struct facts *facts, struct view *detail)
{
    struct view country = facts->order->country;

    *detail = country;
    for (const char *at = facts->limits->countries; *at != '\0';) {
        size_t size = strcspn(at, ",");

        if (size > 0 && view_equal(country, view_of(at, size)))
            return true;
        at += size + (at[size] == ',');
    }
    return false;
}

static const struct {
    const char *name;
    int32_t points;
    bool (*meets)(const struct facts *facts, struct view *detail);
} rules[] = {
#define RULE(name, points, meaning) {#name, points, meets_##name},
    FRAUD_RULES
#undef RULE
};

void fraud_score_order(struct fraud_score *out, const struct order_created *order,
                       int64_t earlier_orders, const struct fraud_limits *limits,
                       struct arena *arena)
{
    struct facts facts = {
        .order = order,
        .limits = limits,
        .amount_limit = fraud_amount_limit(limits->amounts, order->currency),
        .earlier_orders = earlier_orders,
        .arena = arena,
    };

    out->score = 0;
    out->reason_count = 0;
    for (size_t i = 0; i < FRAUD_RULE_COUNT; i++) {
        struct view detail = VIEW_LITERAL("");

        if (!rules[i].meets(&facts, &detail))
            continue;
        out->score += rules[i].points;
        out->reasons[out->reason_count++] = (struct fraud_reason){
            .rule = view_str(rules[i].name),
            .points = rules[i].points,
            .detail = detail,
        };
    }
}
