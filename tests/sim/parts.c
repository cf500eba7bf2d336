/* What each part does with one item of a unit: the real decisions, on rows that are a few arrays.
 * Inventory's are in inventory.c. */
#include "consumers/email/email_decide.h"
#include "consumers/fraud/fraud_decide.h"
#include "events/reminder.h"
#include "producers/orders/orders_decide.h"
#include "tests/sim/sim.h"

#include <stdio.h>

static void impossible(struct world *world, enum saga_part part, const struct err *err)
{
    problem(world, "%s: %s", saga_part_name(part), err->text);
}

void part_say(struct world *world, enum saga_part part, struct unit *unit, enum event_type type,
              int order, uint8_t detail)
{
    struct database *store = &world->stores[part];
    int shard = world->order_shard[order];
    uint64_t number = ++store->last_numbers[shard];
    const struct fact fact = {(uint8_t)type, (uint8_t)order, detail, world->stamp};

    if (number > NUMBERS) {
        problem(world, "%s: there is no end of events", saga_part_name(part));
        store->last_numbers[shard]--;
        return;
    }
    store->journal[shard][number] = fact;
    unit->said[unit->said_count].shard = (uint8_t)shard;
    unit->said[unit->said_count++].number = number;
    TRACE(world, "%s says %s of order %d, number %d of shard %d", saga_part_name(part),
          event_type_name(type), order, (int)number, shard);
    oracle_said(world, part, &fact);
}

/* --- Events as their consumers see them ------------------------------------------------------- */

/* Good until the next call. What inventory.c and orders read beyond the order's id. */
const void *event_of(struct world *world, const struct fact *fact)
{
    static const struct shortage shortages[] = {{.wanted = 2, .available = 1}};
    static const struct inventory_rejected rejected = {.shortages = shortages,
                                                       .shortages_count = 1};
    static const struct payment_declined declined = {.decline_code = VIEW_INIT("no")};
    static const struct payment_failed failed = {.failure_code = VIEW_INIT("no")};
    static const struct fraud_flagged flagged = {.score = 100, .threshold = 100};
    static struct order_confirmed confirmed;
    static struct order_cancelled cancelled;
    static struct order_closed closed;
    static struct order_reminded reminded;
    const struct order_created *created = &world->created[fact->order];

    switch ((int)fact->type) {
    case EVENT_ORDER_CREATED:
        return created;
    case EVENT_ORDER_CONFIRMED:
        confirmed = (struct order_confirmed){.order_id = created->order_id};
        return &confirmed;
    case EVENT_ORDER_CANCELLED:
        cancelled = (struct order_cancelled){
            .order_id = created->order_id,
            .was = (enum order_stage)fact->detail,
            .lines = created->lines,
            .lines_count = created->lines_count,
        };
        return &cancelled;
    case EVENT_ORDER_CLOSED:
        closed = (struct order_closed){.order_id = created->order_id,
                                       .outcome = (enum order_outcome)fact->detail};
        return &closed;
    case EVENT_ORDER_REMINDED:
        reminded = (struct order_reminded){.order_id = created->order_id, .order = *created};
        return &reminded;
    case EVENT_INVENTORY_REJECTED:
        return &rejected;
    case EVENT_PAYMENT_DECLINED:
        return &declined;
    case EVENT_PAYMENT_FAILED:
        return &failed;
    case EVENT_FRAUD_FLAGGED:
        return &flagged;
    default:
        return NULL;
    }
}

/* --- Orders --------------------------------------------------------------------------------- */

static void step_order(struct world *world, struct unit *unit, int o, enum saga_trigger trigger,
                       const void *event)
{
    const struct order_created *created = &world->created[o];
    const struct order order = {
        .id = created->order_id,
        .progress = world->progress[o],
        .customer_id = created->customer_id,
        .total_minor = created->total_minor,
        .currency = created->currency,
        .created = created,
    };
    const struct order_trigger what = {.trigger = trigger, .event = event, .caller = "customer"};
    struct order_decision decision;
    struct err err;

    if (order_decide(&decision, &order, &what, &world->arena, &err) != ERR_OK) {
        impossible(world, PART_ORDERS, &err);
        return;
    }
    world->was_fulfilled[o] |= world->progress[o].state == ORDERS_FULFILLED;
    world->progress[o] = decision.after;
    world->open[o] = decision.after.state == ORDERS_PLACED;
    if (decision.publishes == EVENT_ORDER_CANCELLED)
        part_say(world, PART_ORDERS, unit, decision.publishes, o, (uint8_t)decision.cancelled.was);
    else if (decision.publishes == EVENT_ORDER_CLOSED)
        part_say(world, PART_ORDERS, unit, decision.publishes, o, (uint8_t)decision.closed.outcome);
    else if (decision.publishes != EVENT_NONE)
        part_say(world, PART_ORDERS, unit, decision.publishes, o, 0);
}

static void react_orders(struct world *world, struct unit *unit, const struct fact *fact)
{
    enum saga_trigger trigger = saga_trigger_of((enum event_type)fact->type);

    if (saga_reacts(PART_ORDERS, trigger))
        step_order(world, unit, fact->order, trigger, event_of(world, fact));
}

static void act_orders(struct world *world, struct unit *unit, const struct item *item)
{
    int o = item->order;

    switch ((int)item->kind) {
    case ITEM_PLACE:
        if (world->progress[o].state != ORDERS_NONE)
            return; /* made again: the answer to the commit was lost */
        world->progress[o].state = ORDERS_PLACED;
        world->open[o] = true;
        part_say(world, PART_ORDERS, unit, EVENT_ORDER_CREATED, o, 0);
        world->created_number[o] =
            (uint8_t)world->stores[PART_ORDERS].last_numbers[world->order_shard[o]];
        return;
    case ITEM_CANCEL:
        if (world->progress[o].state != ORDERS_NONE)
            step_order(world, unit, o, TRIGGER_CUSTOMER_CANCEL, NULL);
        return;
    case ITEM_NUDGE:
        if (world->progress[o].state != ORDERS_NONE)
            step_order(world, unit, o, TRIGGER_OPERATOR_NUDGE, NULL);
        return;
    case ITEM_DEADLINE:
        step_order(world, unit, o, TRIGGER_DEADLINE, NULL);
        return;
    default:
        return;
    }
}

/* --- Payment -------------------------------------------------------------------------------- */

static void step_payment(struct world *world, struct unit *unit, int order,
                         enum saga_trigger trigger)
{
    struct payment_decision decision;
    struct err err;

    if (payment_decide(&decision, &world->payments[order], trigger, world->created[order].order_id,
                       &err) != ERR_OK) {
        impossible(world, PART_PAYMENT, &err);
        return;
    }
    world->payments[order] = decision.next;
    if (decision.step->publishes != EVENT_NONE)
        part_say(world, PART_PAYMENT, unit, decision.step->publishes, order, 0);
}

static void react_payment(struct world *world, struct unit *unit, const struct fact *fact)
{
    enum saga_trigger trigger = saga_trigger_of((enum event_type)fact->type);

    if (saga_reacts(PART_PAYMENT, trigger))
        step_payment(world, unit, fact->order, trigger);
}

static void act_payment(struct world *world, struct unit *unit, const struct item *item)
{
    enum payment_call call = (enum payment_call)item->what;

    if (item->kind == ITEM_ANSWER && world->payments[item->order].owed == call)
        step_payment(world, unit, item->order, payment_trigger_of_answer(call, item->yes));
}

/* --- Fraud and email ------------------------------------------------------------------------ */

static void react_fraud(struct world *world, struct unit *unit, const struct fact *fact)
{
    static const struct fraud_limits limits = {
        .threshold = 60,
        .amounts = "*=500000",
        .quantity = 500,
        .orders = 5,
        .countries = "Watched",
    };
    const struct fraud_question question = {
        .state = world->frauds[fact->order],
        .type = (enum event_type)fact->type,
        .order_id = world->created[fact->order].order_id,
        .created = order_told_by((enum event_type)fact->type, event_of(world, fact)),
    };
    struct fraud_decision decision;
    struct err err;

    if (!saga_reacts(PART_FRAUD, saga_trigger_of(question.type)))
        return;
    if (fraud_decide(&decision, &question, &limits, &world->arena, &err) != ERR_OK) {
        impossible(world, PART_FRAUD, &err);
        return;
    }
    world->frauds[fact->order] = decision.next;
    if (decision.publishes != EVENT_NONE)
        part_say(world, PART_FRAUD, unit, decision.publishes, fact->order, 0);
}

static void step_mail(struct world *world, struct unit *unit, int order, enum mail_kind kind,
                      enum saga_trigger trigger)
{
    enum saga_email_state *state = &world->mails[order][kind];
    const struct saga_step *step;
    struct err err;

    if (email_decide(&step, *state, trigger, world->created[order].order_id, kind, &err) !=
        ERR_OK) {
        impossible(world, PART_EMAIL, &err);
        return;
    }
    *state = (enum saga_email_state)step->next;
    if (step->publishes != EVENT_NONE)
        part_say(world, PART_EMAIL, unit, step->publishes, order, (uint8_t)kind);
}

static void react_email(struct world *world, struct unit *unit, const struct fact *fact)
{
    enum mail_kind kind = email_kind_of((enum event_type)fact->type);

    if (kind != MAIL_KIND_UNKNOWN)
        step_mail(world, unit, fact->order, kind, saga_trigger_of((enum event_type)fact->type));
}

static void act_email(struct world *world, struct unit *unit, const struct item *item)
{
    if (item->kind == ITEM_MAIL && world->mails[item->order][item->what] == EMAIL_QUEUED)
        step_mail(world, unit, item->order, (enum mail_kind)item->what,
                  item->yes ? TRIGGER_MAIL_TAKEN : TRIGGER_MAIL_GIVEN_UP);
}

/* --- Dead letters, as events/worker.c keeps them ---------------------------------------------- */

bool part_has_letter(const struct database *store, int order)
{
    for (int i = 0; i < LETTERS; i++)
        if (store->letters[i].there && store->letters[i].fact.order == order)
            return true;
    return false;
}

static void set_aside(struct world *world, enum saga_part part, const struct item *item,
                      bool parked)
{
    struct database *store = &world->stores[part];

    for (int i = 0; i < LETTERS; i++)
        if (!store->letters[i].there) {
            store->letters[i] = (struct letter_row){
                true, parked, item->input, item->shard, item->number, item->fact,
            };
            TRACE(world, "%s sets %s of order %d aside%s", saga_part_name(part),
                  event_type_name(item->fact.type), item->fact.order, parked ? ", parked" : "");
            return;
        }
    problem(world, "%s: there is no end of dead letters", saga_part_name(part));
}

static void react(struct world *world, enum saga_part part, struct unit *unit,
                  const struct fact *fact)
{
    switch (part) {
    case PART_ORDERS:
        react_orders(world, unit, fact);
        return;
    case PART_PAYMENT:
        react_payment(world, unit, fact);
        return;
    case PART_FRAUD:
        react_fraud(world, unit, fact);
        return;
    case PART_EMAIL:
        react_email(world, unit, fact);
        return;
    case PART_INVENTORY: /* inventory.c */
    case PART_COUNT:
        return;
    }
}

/* The oldest letter of the order that is left; by then the ones before it are gone. */
static struct letter_row *next_letter(struct database *store, int order)
{
    struct letter_row *first = NULL;

    for (int i = 0; i < LETTERS; i++) {
        struct letter_row *letter = &store->letters[i];

        if (!letter->there || letter->fact.order != order)
            continue;
        if (first == NULL || letter->input < first->input ||
            (letter->input == first->input && letter->number < first->number))
            first = letter;
    }
    return first;
}

/* The letter, and what is parked behind it, in the order in which they came. */
static void bring_back(struct world *world, enum saga_part part, struct unit *unit,
                       const struct item *item)
{
    struct database *store = &world->stores[part];
    struct letter_row *letter = &store->letters[item->what];

    if (!letter->there || letter->parked || letter->fact.order != item->order)
        return; /* it was brought back already */
    letter->there = false;
    if (item->yes && saga_drop(part, (enum event_type)letter->fact.type) != NULL)
        TRACE(world, "%s drops %s of order %d", saga_part_name(part),
              event_type_name(letter->fact.type), item->order);
    else
        react(world, part, unit, &letter->fact);
    while ((letter = next_letter(store, item->order)) != NULL) {
        letter->there = false;
        react(world, part, unit, &letter->fact);
    }
}

void part_do(struct world *world, enum saga_part part, struct unit *unit, const struct item *item)
{
    if (item->kind == ITEM_RECORD) {
        bool behind = part_has_letter(&world->stores[part], item->fact.order);

        if (item->undecodable || behind)
            set_aside(world, part, item, behind && !item->undecodable);
        else
            react(world, part, unit, &item->fact);
    } else if (item->kind == ITEM_REDRIVE) {
        bring_back(world, part, unit, item);
    } else if (part == PART_ORDERS) {
        act_orders(world, unit, item);
    } else if (part == PART_PAYMENT) {
        act_payment(world, unit, item);
    } else if (part == PART_EMAIL) {
        act_email(world, unit, item);
    }
}
