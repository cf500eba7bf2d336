#include "ops/audit.h"

#include "ops/out.h"
#include "saga/order_progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* clang-format off */
const struct audit_invariant audit_invariants[] = {
    {"orders.end",        "every accepted order reached its end, or there is a reason why not yet",         audit_orders_end},
    {"orders.kept",       "the order service's database says of each order what its topic says",            audit_orders_kept},
    {"orders.totals",     "an order's total is the sum of its lines",                                       audit_orders_totals},
    {"stock.fulfilled",   "a fulfilled order's goods are sold once, all of them, and not put back",         audit_stock_fulfilled},
    {"stock.cancelled",   "of a cancelled order nothing is held or sold any more",                          audit_stock_cancelled},
    {"stock.balance",     "per SKU: received = on hand + held + sold, in the ledger as in the topic",       audit_stock_balance},
    {"stock.entries",     "no entry of the ledger makes a number of units negative, and none is missing",   audit_stock_entries},
    {"money.fulfilled",   "a fulfilled order's money is taken once, all of it, and not given back",         audit_money_fulfilled},
    {"money.cancelled",   "a cancelled order has cost nothing in the end",                                  audit_money_cancelled},
    {"money.balance",     "per currency: captured - refunded = value of fulfilled orders",                  audit_money_balance},
    {"money.book",        "the payment provider's own book says of each order what our events say",         audit_money_book},
    {"money.once",        "the provider took the money of no order twice, and nobody asked for too much",   audit_money_once},
    {"log.numbers",       "per source and shard the numbers in the topic are 1, 2, 3, ... to the last",     audit_log_numbers},
    {"log.bytes",         "a number has one content, however often it was sent",                            audit_log_bytes},
    {"log.events",        "a numbered record is an event, in the partition of its key",                     audit_log_events},
    {"saga.words",        "what each part said of an order is a word of the saga table",                    audit_saga_words},
    {"saga.impossible",   "no part has met an event that the saga table calls impossible",                  audit_saga_impossible},
    {"payment.kept",      "payment's database holds the payment events of each order",                      audit_payment_kept},
    {"fraud.kept",        "fraud's database holds the verdict on each order",                               audit_fraud_kept},
    {"analytics.orders",  "analytics has the facts of each order: lines, amounts, how it ended",            audit_analytics_orders},
    {"analytics.money",   "analytics has the money of each order",                                          audit_analytics_money},
    {"mails.once",        "an order has one mail id for each kind of mail, and no other mail has it",       audit_mails_once},
    {"mails.kept",        "email's database has the mails that its topic says are settled",                 audit_mails_kept},
    {"mails.owed",        "a customer hears of confirmation, cancellation and refund, once the mail is out", audit_mails_owed},
};
/* clang-format on */
const size_t audit_invariant_count = sizeof audit_invariants / sizeof audit_invariants[0];

const char *audit_standing_name(enum audit_standing standing)
{
    static const char *const NAMES[AUDIT_STANDINGS] = {
        [AUDIT_SETTLED] = "settled",
        [AUDIT_MOVING] = "moving",
        [AUDIT_YOUNG] = "younger than its deadline",
        [AUDIT_WAITS] = "waiting for what is down",
        [AUDIT_PARKED] = "behind a dead letter",
        [AUDIT_STUCK] = "stuck",
    };

    return NAMES[standing];
}

/* --- Findings ------------------------------------------------------------------------------------
 */

void audit_checked(struct audit *audit)
{
    audit->current->checked++;
}

void audit_violated(struct audit *audit, const char *format, ...)
{
    struct audit_finding *finding = audit->current;
    char text[400];
    va_list list;

    finding->violations++;
    if (finding->example_count == AUDIT_EXAMPLES)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    finding->examples[finding->example_count++] = arena_strdup(audit->arena, text);
}

void audit_skip(struct audit *audit, const char *format, ...)
{
    char text[400];
    va_list list;

    if (audit->current->not_checked != NULL)
        return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    audit->current->not_checked = arena_strdup(audit->arena, text);
}

struct world_order *audit_next(const struct audit *audit, size_t *place)
{
    return lookup_next(&audit->world->orders, place);
}

struct world_order *audit_next_settled(const struct audit *audit, size_t *place)
{
    struct world_order *order;

    while ((order = audit_next(audit, place)) != NULL && order->standing != AUDIT_SETTLED)
        ;
    return order;
}

const char *audit_money(struct audit *audit, int64_t minor, const struct world_order *order)
{
    return arena_printf(audit->arena, "%s %s", out_money(audit->arena, minor, order->currency.code),
                        order->currency.code)
        .data;
}

/* --- What the stores say of themselves
 * ------------------------------------------------------------- */

void audit_note_numbers(struct audit *audit, const struct audit_numbers *numbers)
{
    if (audit->number_count < AUDIT_PARTS_MAX)
        audit->numbers[audit->number_count++] = *numbers;
}

void audit_note_position(struct audit *audit, const char *part, const char *topic,
                         int32_t partition, uint64_t number)
{
    if (topic_from_name(topic) == TOPIC_NONE)
        return;
    audit->positions = mem_room(audit->positions, audit->position_count, &audit->position_capacity,
                                sizeof *audit->positions);
    audit->positions[audit->position_count++] = (struct audit_position){
        arena_strdup(audit->arena, part), topic_from_name(topic), partition, number};
}

static struct audit_dead_letters *dead_letters_of(struct audit *audit, const char *part)
{
    for (size_t i = 0; i < audit->dead_letter_count; i++)
        if (strcmp(audit->dead_letters[i].part, part) == 0)
            return &audit->dead_letters[i];
    if (audit->dead_letter_count == AUDIT_PARTS_MAX)
        return NULL;
    audit->dead_letters[audit->dead_letter_count].part = arena_strdup(audit->arena, part);
    return &audit->dead_letters[audit->dead_letter_count++];
}

void audit_note_dead_letter(struct audit *audit, const char *part, struct view key,
                            const char *reason, bool has_number, const char *error)
{
    struct audit_dead_letters *dead = dead_letters_of(audit, part);
    struct world_order *order = has_number ? world_find(audit->world, key) : NULL;

    if (order != NULL)
        order->is_parked = true;
    if (dead == NULL)
        return;
    dead->count++;
    if (strcmp(reason, "impossible") == 0 && dead->impossible++ == 0)
        dead->impossible_example = arena_strdup(audit->arena, error);
}

uint64_t audit_behind(const struct audit *audit, const char *part)
{
    uint64_t behind = 0;

    for (size_t p = 0; p < audit->position_count; p++) {
        const struct audit_position *position = &audit->positions[p];

        for (size_t s = 0; strcmp(position->part, part) == 0 && s < audit->world->stream_count;
             s++) {
            const struct world_stream *stream = &audit->world->streams[s];

            if (stream->topic == position->topic && stream->partition == position->partition &&
                stream->applied > position->number)
                behind += stream->applied - position->number;
        }
    }
    return behind;
}

void audit_clear(struct audit *audit)
{
    free(audit->positions);
}

/* --- Where each order stands
 * ---------------------------------------------------------------------- */

static bool waits_for_what_is_down(const struct audit *audit, const struct world_order *order)
{
    unsigned waits_for = order_progress_waits_for(order->progress);

    if (audit->part_is_down[PART_ORDERS])
        return true; /* whatever is answered, it does not hear */
    for (int part = 0; part < PART_COUNT; part++)
        if ((waits_for & 1u << part) != 0 && audit->part_is_down[part])
            return true;
    return (waits_for & 1u << PART_PAYMENT) != 0 && audit->provider_is_down;
}

static enum audit_standing stand(const struct audit *audit, const struct world_order *order)
{
    if (order->last_us >= audit->started_us)
        return AUDIT_MOVING;
    if (order->created && world_is_final(order))
        return AUDIT_SETTLED;
    if (order->is_parked)
        return AUDIT_PARKED;
    if (waits_for_what_is_down(audit, order))
        return AUDIT_WAITS;
    if (order->created && audit->now_us - order->created_us < order->deadline_ms * 1000)
        return AUDIT_YOUNG;
    return AUDIT_STUCK;
}

uint64_t audit_run(struct audit *audit)
{
    uint64_t violations = 0;
    struct world_order *order;
    size_t place = 0;

    audit->findings = arena_array(audit->arena, audit_invariant_count, sizeof *audit->findings);
    while ((order = audit_next(audit, &place)) != NULL) {
        order->standing = (uint8_t)stand(audit, order);
        audit->standings[order->standing]++;
    }
    for (size_t i = 0; i < audit_invariant_count; i++) {
        audit->current = &audit->findings[i];
        audit_invariants[i].check(audit);
        violations += audit->findings[i].violations;
    }
    return violations;
}
