#include "tests/unit/saga/model.h"

#include "saga/order_progress.h"
#include "saga/word.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 8, KINDS = 3 };

static const enum event_type kinds[KINDS] = {
    EVENT_ORDER_CONFIRMED,
    EVENT_ORDER_CANCELLED,
    EVENT_PAYMENT_REFUNDED,
};

/* What a writer has published and one reader has not read. */
struct queue {
    uint8_t count;
    uint8_t events[QUEUE_MAX];
};

enum letter {
    LETTER_NEVER,
    LETTER_DROPPED,  /* order.created was dropped and can be redriven */
    LETTER_REDRIVEN, /* it was */
    LETTER_GONE,     /* it cannot be any more */
};

/* Compared and hashed as bytes. Should a copy change the padding, a state is found twice: no harm.
 */
struct world {
    struct order_progress order;
    int32_t was; /* what a cancelled order was */
    uint32_t words[PART_COUNT];
    uint8_t state[PART_COUNT]; /* of inventory, payment and fraud; orders has `order` */
    uint8_t mail_state[KINDS];
    uint8_t mails;                   /* a set of kinds that were queued */
    struct queue inbox[PART_COUNT];  /* of the orders topic */
    struct queue outbox[PART_COUNT]; /* to the orders part */
    uint8_t letter[PART_COUNT];
    uint8_t kept_for_letter; /* inventory was closed while its letter could be redriven */
    uint8_t call;            /* the action the provider is asked for */
    uint8_t units_held, units_sold;
    uint8_t money_held, money_taken;
    uint8_t captures, refusals, refunds; /* in the provider's book */
    uint8_t nudged, reminders_due;
    uint8_t hurries_owed; /* 1 while payment is reminded and a call is out */
    uint8_t published[EVENT_COUNT];
};

/* A world that was found, and how. */
struct found {
    struct world world;
    size_t from;
    enum saga_part part;
    const char *verb;
    const char *what;
};

struct search {
    const struct model_freedom *freedom;
    const struct model_mutant *mutant;
    const struct model_drop *drop;
    struct model_report *report;
    struct found *found;
    size_t found_count, found_room;
    uint32_t *slots; /* a hash set of indexes into found, plus 1 */
    size_t slot_count;
    size_t here; /* the world that is being left */
};

/* ---- what went wrong, and the way to it ---- */

__attribute__((format(printf, 2, 3))) static void problem(struct search *search, const char *format,
                                                          ...)
{
    char *text = search->report->problem;
    size_t room = sizeof search->report->problem;
    size_t way[64];
    size_t length = 0;
    va_list arguments;

    if (text[0] != '\0')
        return;
    va_start(arguments, format);
    size_t used = (size_t)vsnprintf(text, room, format, arguments);
    va_end(arguments);
    for (size_t i = search->here; i != 0 && length < 64; i = search->found[i].from)
        way[length++] = i;
    while (length > 0 && used < room) {
        const struct found *step = &search->found[way[--length]];

        used += (size_t)snprintf(text + used, room - used, "\n  after %s %s %s",
                                 saga_part_name(step->part), step->verb, step->what);
    }
}

/* ---- the set of worlds ---- */

static uint64_t hash(const struct world *world)
{
    const unsigned char *bytes = (const unsigned char *)world;
    uint64_t value = 14695981039346656037u;

    for (size_t i = 0; i < sizeof *world; i++)
        value = (value ^ bytes[i]) * 1099511628211u;
    return value ^ value >> 32;
}

static uint32_t *slot_of(struct search *search, const struct world *world)
{
    size_t i = hash(world) & (search->slot_count - 1);

    while (search->slots[i] != 0 &&
           memcmp(&search->found[search->slots[i] - 1].world, world, sizeof *world) != 0)
        i = (i + 1) & (search->slot_count - 1);
    return &search->slots[i];
}

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void grow(struct search *search)
{
    search->found_room = search->found_room == 0 ? 4096 : search->found_room * 2;
    search->found = must(realloc(search->found, search->found_room * sizeof *search->found));
    free(search->slots);
    search->slot_count = search->found_room * 2;
    search->slots = must(calloc(search->slot_count, sizeof *search->slots));
    for (size_t i = 0; i < search->found_count; i++)
        *slot_of(search, &search->found[i].world) = (uint32_t)i + 1;
}

static void arrive(struct search *search, const struct world *world, enum saga_part part,
                   const char *verb, const char *what)
{
    if (search->report->problem[0] != '\0')
        return;
    if (search->found_count == search->found_room)
        grow(search);

    uint32_t *slot = slot_of(search, world);

    if (*slot != 0)
        return;
    struct found *found = &search->found[search->found_count++];

    memcpy(&found->world, world, sizeof *world);
    found->from = search->here;
    found->part = part;
    found->verb = verb;
    found->what = what;
    *slot = (uint32_t)search->found_count;
}

/* ---- topics ---- */

static void push(struct search *search, struct queue *queue, enum event_type type)
{
    if (queue->count == QUEUE_MAX)
        problem(search, "there is no end of %s", event_type_name(type));
    else
        queue->events[queue->count++] = (uint8_t)type;
}

static enum event_type pull(struct queue *queue)
{
    enum event_type type = (enum event_type)queue->events[0];

    queue->count--;
    memmove(queue->events, queue->events + 1, queue->count);
    queue->events[queue->count] = 0; /* equal queues are equal bytes */
    return type;
}

/* ---- a step of the table ---- */

/* The row as the mutant has it; NULL is a problem. */
static const struct saga_step *checked(struct search *search, const struct saga_step *step,
                                       enum saga_part part, int state, enum saga_trigger trigger)
{
    if (step != NULL && step == search->mutant->row)
        step = search->mutant->instead;
    else if (step != NULL)
        search->report->taken[step - saga_steps] = true;
    if (step == NULL) {
        const struct saga_impossible *impossible = saga_impossible(part, state, trigger);

        problem(search, "%s %s sees %s: %s", saga_part_name(part), saga_state_name(part, state),
                saga_trigger_name(trigger),
                impossible != NULL ? impossible->because : "the table does not know the pair");
    }
    return step;
}

static void change(struct search *search, const char *what, uint8_t *from, uint8_t *to)
{
    if (from != NULL && *from == 0)
        problem(search, "%s: there is nothing to move", what);
    else if (to != NULL && *to != 0)
        problem(search, "%s: twice", what);
    if (from != NULL)
        *from = 0;
    if (to != NULL)
        *to = 1;
}

static void call(struct search *search, struct world *world, enum saga_action action)
{
    if (world->call != ACTION_NOTHING)
        problem(search, "two calls to the provider at once");
    world->call = (uint8_t)action;
}

static void act(struct search *search, struct world *world, enum saga_action action)
{
    switch (action) {
    case ACTION_HOLD:
        change(search, "hold", NULL, &world->units_held);
        break;
    case ACTION_SELL:
        change(search, "sell", &world->units_held, &world->units_sold);
        break;
    case ACTION_UNHOLD:
        change(search, "unhold", &world->units_held, NULL);
        break;
    case ACTION_TAKE_BACK:
        change(search, "take back", &world->units_sold, NULL);
        break;
    case ACTION_ASK:
    case ACTION_CAPTURE:
    case ACTION_VOID:
    case ACTION_REFUND:
        call(search, world, action);
        break;
    case ACTION_HURRY:
        world->hurries_owed--;
        break;
    case ACTION_NOTHING:
    case ACTION_REMEMBER:
    case ACTION_FORGET:
    case ACTION_MAIL:
    case ACTION_COUNT:
        break;
    }
}

/* A mail is written when its reason is published: no part waits for it, so when it is read makes no
 * difference to anybody. Both ways to be rid of it have to be there. */
static void write_mail(struct search *search, struct world *world, enum event_type reason)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (kinds[kind] != reason)
            continue;
        enum saga_trigger trigger = saga_trigger_of(reason);
        int state = world->mail_state[kind];
        const struct saga_step *step =
            checked(search, saga_step(PART_EMAIL, state, trigger, GUARD_ALWAYS), PART_EMAIL, state,
                    trigger);

        if (step == NULL)
            return;
        world->mail_state[kind] = (uint8_t)step->next;
        if (step->action == ACTION_MAIL)
            world->mails |= (uint8_t)(1u << kind);
    }
}

static void publish(struct search *search, struct world *world, enum saga_part part,
                    enum event_type type)
{
    struct saga_word word = {.part = part, .states = world->words[part]};

    if (type == EVENT_NONE)
        return;
    if (!saga_word_next(&word, type))
        problem(search, "%s publishes %s: no word of the table", saga_part_name(part),
                event_type_name(type));
    world->words[part] = word.states;
    world->published[type]++;
    for (enum saga_part reader = 0; reader < PART_COUNT; reader++) {
        if (reader == PART_EMAIL || !saga_reads(reader, event_topic(type)))
            continue;
        push(search, reader == PART_ORDERS ? &world->outbox[part] : &world->inbox[reader], type);
    }
    write_mail(search, world, type);
}

/* Inventory, payment or fraud. */
static void step_part(struct search *search, struct world world, enum saga_part part,
                      enum saga_trigger trigger, enum saga_guard guard, const char *verb)
{
    int state = world.state[part];
    const struct saga_step *step =
        checked(search, saga_step(part, state, trigger, guard), part, state, trigger);

    if (step == NULL)
        return;
    world.state[part] = (uint8_t)step->next;
    act(search, &world, step->action);
    publish(search, &world, part, step->publishes);
    if (trigger == TRIGGER_ORDER_REMINDED && state == SAGA_STATE_NONE &&
        step->publishes == EVENT_NONE && world.call == ACTION_NOTHING)
        problem(search, "%s is asked again and says nothing", saga_part_name(part));
    if (world.hurries_owed != 0)
        problem(search, "the provider is not asked again once where its answer is owed");
    arrive(search, &world, part, verb, saga_trigger_name(trigger));
}

static void step_order(struct search *search, struct world world, enum saga_trigger trigger,
                       const char *verb)
{
    struct order_move outcome = order_progress_step(world.order, trigger);
    const struct saga_step *step =
        checked(search, outcome.step, PART_ORDERS, (int)world.order.state, trigger);

    if (step == NULL)
        return;
    if (step->publishes == EVENT_ORDER_CANCELLED)
        world.was = step->state;
    world.order = outcome.after;
    world.order.state = (enum saga_orders_state)step->next;
    publish(search, &world, PART_ORDERS, step->publishes);
    if (world.published[EVENT_ORDER_REMINDED] != world.reminders_due)
        problem(search, "order.reminded %d times, want %d", world.published[EVENT_ORDER_REMINDED],
                world.reminders_due);
    arrive(search, &world, PART_ORDERS, verb, saga_trigger_name(trigger));
}

/* ---- what can happen next ---- */

/* The state is what the part remembers; where it remembers nothing, the event has to say the rest.
 */
static void check_memory(struct search *search, const struct world *world, enum event_type type)
{
    int state = world->state[PART_INVENTORY];

    if (type != EVENT_ORDER_CANCELLED ||
        (state != INVENTORY_NONE && state != INVENTORY_SETTLED && state != INVENTORY_FORGOTTEN))
        return;
    if (state != (world->was == ORDERS_FULFILLED ? INVENTORY_SETTLED : INVENTORY_NONE))
        problem(search, "inventory cannot tell %s from what the event says",
                saga_state_name(PART_INVENTORY, state));
}

static void see(struct search *search, struct world world, enum saga_part part,
                enum event_type type, const char *verb)
{
    enum saga_trigger trigger = saga_trigger_of(type);

    if (part == PART_INVENTORY) {
        bool letter_left = world.letter[part] == LETTER_DROPPED;

        check_memory(search, &world, type);
        if (type == EVENT_ORDER_CREATED || type == EVENT_ORDER_REMINDED) {
            step_part(search, world, part, trigger, GUARD_IN_STOCK, verb);
            step_part(search, world, part, trigger, GUARD_SHORT, verb);
        } else {
            if (type == EVENT_ORDER_CLOSED && letter_left)
                world.kept_for_letter = 1;
            step_part(search, world, part, trigger,
                      letter_left ? GUARD_LETTER_LEFT : GUARD_NO_LETTER, verb);
        }
    } else if (part == PART_FRAUD &&
               (type == EVENT_ORDER_CREATED || type == EVENT_ORDER_REMINDED)) {
        step_part(search, world, part, trigger, GUARD_SCORE_BELOW, verb);
        step_part(search, world, part, trigger, GUARD_SCORE_REACHED, verb);
    } else {
        if (part == PART_PAYMENT && type == EVENT_ORDER_REMINDED)
            world.hurries_owed = world.call != ACTION_NOTHING;
        step_part(search, world, part, trigger, GUARD_ALWAYS, verb);
    }
}

static bool may_drop(const struct search *search, enum saga_part part, enum event_type type)
{
    return (search->freedom->letters && saga_drop(part, type) != NULL) ||
           (type == search->drop->type && part == search->drop->part);
}

/* Returns whether there was anything to read. */
static bool read_inbox(struct search *search, const struct world *now, enum saga_part part)
{
    struct world world;

    memcpy(&world, now, sizeof world);
    if (world.inbox[part].count == 0)
        return false;
    enum event_type type = pull(&world.inbox[part]);

    /* It is parked behind the letter, and is read when that is gone for good. */
    if (type == EVENT_ORDER_REMINDED && world.letter[part] == LETTER_DROPPED)
        world.letter[part] = LETTER_GONE;
    see(search, world, part, type, "reads");
    if (may_drop(search, part, type)) {
        if (type == EVENT_ORDER_CREATED)
            world.letter[part] = LETTER_DROPPED;
        arrive(search, &world, part, "drops", event_type_name(type));
    }
    return true;
}

static bool read_outbox(struct search *search, const struct world *now, enum saga_part part)
{
    struct world world;

    memcpy(&world, now, sizeof world);
    if (world.outbox[part].count == 0)
        return false;
    step_order(search, world, saga_trigger_of(pull(&world.outbox[part])), "reads");
    return true;
}

static void redrive(struct search *search, const struct world *now, enum saga_part part)
{
    struct world world;

    memcpy(&world, now, sizeof world);
    if (world.letter[part] != LETTER_DROPPED)
        return;
    world.letter[part] = LETTER_REDRIVEN;
    see(search, world, part, EVENT_ORDER_CREATED, "redrives");
}

static void nudge(struct search *search, const struct world *now)
{
    struct world world;

    memcpy(&world, now, sizeof world);
    world.nudged = 1;
    world.reminders_due = order_progress_waits_for(now->order) != 0;
    step_order(search, world, TRIGGER_OPERATOR_NUDGE, "hears");
}

/* The provider does what it is asked for, or not, and answers; its book is written first. */
static bool provider_answers(struct search *search, const struct world *now)
{
    enum saga_action asked = (enum saga_action)now->call;
    struct world world;

    memcpy(&world, now, sizeof world);
    world.call = ACTION_NOTHING;
    if (asked == ACTION_NOTHING) {
        for (enum saga_trigger answer = TRIGGER_PROVIDER_YES; answer <= TRIGGER_PROVIDER_DONE;
             answer++) {
            if (saga_step(PART_PAYMENT, world.state[PART_PAYMENT], answer, GUARD_ALWAYS) != NULL)
                problem(search, "payment is %s, but the provider is not asked",
                        saga_state_name(PART_PAYMENT, world.state[PART_PAYMENT]));
        }
        return false;
    }
    if (asked == ACTION_ASK || asked == ACTION_CAPTURE) {
        struct world refused;

        memcpy(&refused, &world, sizeof refused);
        if (asked == ACTION_CAPTURE)
            refused.refusals++;
        step_part(search, refused, PART_PAYMENT, TRIGGER_PROVIDER_NO, GUARD_ALWAYS, "hears");
    }
    if (asked == ACTION_ASK) {
        change(search, "ask", NULL, &world.money_held);
    } else if (asked == ACTION_CAPTURE) {
        change(search, "capture", &world.money_held, &world.money_taken);
        world.captures++;
    } else if (asked == ACTION_VOID) {
        change(search, "void", &world.money_held, NULL);
    } else {
        change(search, "refund", &world.money_taken, NULL);
        world.refunds++;
    }
    step_part(search, world, PART_PAYMENT,
              asked == ACTION_ASK || asked == ACTION_CAPTURE ? TRIGGER_PROVIDER_YES
                                                             : TRIGGER_PROVIDER_DONE,
              GUARD_ALWAYS, "hears");
    return true;
}

/* ---- how it may end ---- */

static void check_mail(struct search *search, const struct world *world, int kind)
{
    static const enum saga_trigger answers[] = {TRIGGER_MAIL_TAKEN, TRIGGER_MAIL_GIVEN_UP};
    int state = world->mail_state[kind];
    bool reason = world->published[kinds[kind]] != 0;

    if (reason != (state == EMAIL_QUEUED) || reason != ((world->mails & 1u << kind) != 0))
        problem(search, "%s was published %d times: its mail is %s", event_type_name(kinds[kind]),
                world->published[kinds[kind]], saga_state_name(PART_EMAIL, state));
    if (!reason)
        return;
    for (size_t i = 0; i < 2; i++) {
        struct saga_word word = saga_word_begin(PART_EMAIL);
        const struct saga_step *step =
            checked(search, saga_step(PART_EMAIL, state, answers[i], GUARD_ALWAYS), PART_EMAIL,
                    state, answers[i]);

        if (step != NULL &&
            (step->publishes == EVENT_NONE || !saga_word_next(&word, step->publishes) ||
             !saga_word_can_end(&word) || !saga_state_is_final(PART_EMAIL, step->next)))
            problem(search, "a mail does not end");
    }
}

static void check_parts(struct search *search, const struct world *world)
{
    for (enum saga_part part = 0; part < PART_EMAIL; part++) {
        struct saga_word word = {.part = part, .states = world->words[part]};
        int state = part == PART_ORDERS ? (int)world->order.state : world->state[part];

        if (!saga_state_is_final(part, state))
            problem(search, "%s stays %s", saga_part_name(part), saga_state_name(part, state));
        else if (!saga_word_can_end(&word))
            problem(search, "what %s published is no whole word", saga_part_name(part));
        else if ((word.states & 1u << state) == 0)
            problem(search, "%s is %s, but not by what it published", saga_part_name(part),
                    saga_state_name(part, state));
    }
    int inventory = world->state[PART_INVENTORY];

    if (inventory != INVENTORY_SETTLED && inventory != INVENTORY_FORGOTTEN &&
        !(inventory == INVENTORY_TOMBSTONE && world->kept_for_letter))
        problem(search, "inventory still remembers the order: %s",
                saga_state_name(PART_INVENTORY, inventory));
}

static void check_book(struct search *search, const struct world *world)
{
    const struct {
        const char *what;
        int booked;
        enum event_type type;
    } entries[] = {
        {"taken", world->captures, EVENT_PAYMENT_CAPTURED},
        {"not to be taken", world->refusals, EVENT_PAYMENT_FAILED},
        {"given back", world->refunds, EVENT_PAYMENT_REFUNDED},
    };

    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (entries[i].booked > 1 || entries[i].booked != world->published[entries[i].type])
            problem(search, "%s %d times in the provider's book, %s %d times", entries[i].what,
                    entries[i].booked, event_type_name(entries[i].type),
                    world->published[entries[i].type]);
    }
}

static void check_end(struct search *search, const struct world *world)
{
    bool fulfilled = world->order.state == ORDERS_FULFILLED;
    int closings = fulfilled || world->was != ORDERS_FULFILLED ? 1 : 2;

    search->report->ends++;
    check_parts(search, world);
    for (int kind = 0; kind < KINDS; kind++)
        check_mail(search, world, kind);
    if (world->units_held != 0 || world->units_sold != (fulfilled ? 1 : 0))
        problem(search, "%d held and %d sold for an order that is %s", world->units_held,
                world->units_sold, saga_state_name(PART_ORDERS, (int)world->order.state));
    if (world->money_held != 0 || world->money_taken != (fulfilled ? 1 : 0))
        problem(search, "%d held and %d taken for an order that is %s", world->money_held,
                world->money_taken, saga_state_name(PART_ORDERS, (int)world->order.state));
    check_book(search, world);
    if (world->published[EVENT_ORDER_CLOSED] != closings)
        problem(search, "order.closed %d times, want %d", world->published[EVENT_ORDER_CLOSED],
                closings);
}

/* All that can come after one world. What must happen some time keeps it from being an end. */
static void leave(struct search *search, const struct world *now)
{
    bool moves = provider_answers(search, now);

    for (enum saga_part part = 0; part < PART_COUNT; part++) {
        moves |= read_inbox(search, now, part);
        moves |= read_outbox(search, now, part);
        redrive(search, now, part);
    }
    if (now->order.state == ORDERS_NONE) {
        step_order(search, *now, TRIGGER_CUSTOMER_ORDER, "hears");
        return;
    }
    if (search->freedom->customer_cancels)
        step_order(search, *now, TRIGGER_CUSTOMER_CANCEL, "hears");
    if (search->freedom->nudge && !now->nudged)
        nudge(search, now);
    if (search->freedom->deadline) {
        moves |= now->order.state == ORDERS_PLACED;
        step_order(search, *now, TRIGGER_DEADLINE, "hears");
    }
    if (!moves)
        check_end(search, now);
}

void model_explore(const struct model_freedom *freedom, const struct model_mutant *mutant,
                   const struct model_drop *drop, struct model_report *report)
{
    static const struct model_mutant no_mutant;
    static const struct model_drop no_drop;
    struct world world;
    struct search search = {
        .freedom = freedom,
        .mutant = mutant != NULL ? mutant : &no_mutant,
        .drop = drop != NULL ? drop : &no_drop,
        .report = report,
    };

    memset(report, 0, sizeof *report);
    memset(&world, 0, sizeof world);
    for (enum saga_part part = 0; part < PART_COUNT; part++)
        world.words[part] = saga_word_begin(part).states;
    arrive(&search, &world, PART_ORDERS, "", "");
    for (; search.here < search.found_count && report->problem[0] == '\0'; search.here++) {
        memcpy(&world, &search.found[search.here].world, sizeof world);
        leave(&search, &world);
    }
    report->states = search.found_count;
    free(search.found);
    free(search.slots);
}
