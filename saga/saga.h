/* The saga table, looked up. All of it is constant: no start, no memory, no clock, any thread.
 *
 * A part asks three questions of it, in this order:
 *   does this trigger concern me?          saga_reacts
 *   what do I do with it in this state?    saga_step
 *   and if there is no such step?          a dead letter and an alarm; saga_impossible has a reason
 *
 * The orders part asks saga/order_progress.h instead, which knows how the verdicts are joined.
 *
 * docs/saga.md explains the table to people; saga/table.def is the table. */
#ifndef TRADEWIND_SAGA_SAGA_H
#define TRADEWIND_SAGA_SAGA_H

#include "events/catalog.h"

#include <stdbool.h>
#include <stddef.h>

enum saga_part {
#define PART(symbol, name, meaning) PART_##symbol,
#include "saga/table.def"
    PART_COUNT,
    PART_NONE = PART_COUNT,
};

/* The numbers of states are stored in databases: they are given in the table and never change. */
enum saga_inventory_state {
#define INVENTORY_STATE(symbol, number, name, rests, meaning) INVENTORY_##symbol = number,
#include "saga/table.def"
};

enum saga_payment_state {
#define PAYMENT_STATE(symbol, number, name, rests, meaning) PAYMENT_##symbol = number,
#include "saga/table.def"
};

enum saga_fraud_state {
#define FRAUD_STATE(symbol, number, name, rests, meaning) FRAUD_##symbol = number,
#include "saga/table.def"
};

enum saga_orders_state {
#define ORDERS_STATE(symbol, number, name, rests, meaning) ORDERS_##symbol = number,
#include "saga/table.def"
};

enum saga_email_state {
#define EMAIL_STATE(symbol, number, name, rests, meaning) EMAIL_##symbol = number,
#include "saga/table.def"
};

/* Every part begins at number 0, and no part has more states than this. */
enum { SAGA_STATE_NONE = 0, SAGA_STATE_MAX = 16 };

/* What moves a part: an event, or something from outside. Events have the numbers of enum
 * event_type. */
enum saga_trigger {
    TRIGGER_NONE = EVENT_NONE,
#define EVENT(symbol, type, topic, structure) TRIGGER_##symbol = EVENT_##symbol,
#include "events/catalog.def"
#define TRIGGER(symbol, source, name, meaning) TRIGGER_##symbol,
#include "saga/table.def"
    TRIGGER_COUNT
};

/* What the part's memory says where a state and a trigger are not enough. */
enum saga_guard {
#define GUARD(symbol, question, name, meaning) GUARD_##symbol,
#include "saga/table.def"
    GUARD_COUNT
};

enum saga_action {
#define ACTION(symbol, undo, name, meaning) ACTION_##symbol,
#include "saga/table.def"
    ACTION_COUNT
};

/** A row of the table: in `state`, seeing `trigger`, while `guard` holds, ... */
struct saga_step {
    enum saga_part part;
    int state;
    enum saga_trigger trigger;
    enum saga_guard guard;
    int next;
    enum saga_action action;
    enum event_type publishes; /* EVENT_NONE: nothing */
    const char *because;       /* what logs print and drawings show */
};

/** A pair that cannot turn up, and why not. */
struct saga_impossible {
    enum saga_part part;
    int state;
    enum saga_trigger trigger;
    const char *because;
};

/** The trigger that an event of another part is. */
static inline enum saga_trigger saga_trigger_of(enum event_type type)
{
    return (enum saga_trigger)type;
}

/** The event that a trigger is; EVENT_NONE when it comes from outside. */
static inline enum event_type saga_event_of(enum saga_trigger trigger)
{
    return trigger < (enum saga_trigger)EVENT_COUNT ? (enum event_type)trigger : EVENT_NONE;
}

/** Whether the part subscribes to the topic. */
bool saga_reads(enum saga_part part, enum topic topic);

/** Whether the trigger concerns the part; an event that does not is passed over in every state. */
bool saga_reacts(enum saga_part part, enum saga_trigger trigger);

/**
 * What the part does: the row of the guard, else the row that holds whatever the guard is. So a
 * part may always say what it knows (GUARD_ALWAYS: nothing), whether its state asks for it or not.
 *
 * NULL: the table has no such step. That is an alarm, and saga_impossible may know more.
 */
const struct saga_step *saga_step(enum saga_part part, int state, enum saga_trigger trigger,
                                  enum saga_guard guard);

/** Why the table says that this pair cannot turn up. NULL: it does not say so. */
const struct saga_impossible *saga_impossible(enum saga_part part, int state,
                                              enum saga_trigger trigger);

/**
 * Why an operator may drop this event when it is a dead letter of the part: the order ends well
 * without it, and also when it is redriven after all. NULL: it may only be redriven.
 */
const char *saga_drop(enum saga_part part, enum event_type type);

/** Whether nobody owes the order anything in this state, so that it may stay there for ever. */
bool saga_state_is_final(enum saga_part part, int state);

/** Whether the table knows this number. */
bool saga_state_exists(enum saga_part part, int state);

/** Where a trigger comes from: the part that publishes the event, else `customer`, `clock`, ... */
const char *saga_trigger_source(enum saga_trigger trigger);

/** The question a guard answers; guards of one question are each other's alternatives. */
const char *saga_guard_question(enum saga_guard guard);

/** The action that takes this one back; ACTION_NOTHING when there is nothing to take back. */
enum saga_action saga_action_undo(enum saga_action action);

/* Names are snake_case, stable, and safe to store; events keep their own (`order.created`). The
 * guard `always` and the action `nothing` have empty names: there is nothing to say. A number that
 * is no state's is `unknown`: rows hold numbers, and a row may be wrong. */
const char *saga_part_name(enum saga_part part);
const char *saga_state_name(enum saga_part part, int state);
const char *saga_trigger_name(enum saga_trigger trigger);
const char *saga_guard_name(enum saga_guard guard);
const char *saga_action_name(enum saga_action action);

/* What the name stands for, a phrase for people. Events have none here: their schemas explain them.
 */
const char *saga_part_meaning(enum saga_part part);
const char *saga_state_meaning(enum saga_part part, int state);
const char *saga_trigger_meaning(enum saga_trigger trigger);
const char *saga_guard_meaning(enum saga_guard guard);
const char *saga_action_meaning(enum saga_action action);

/** PART_NONE: there is no such part. */
enum saga_part saga_part_from_name(const char *name);

/** -1: the part has no such state. */
int saga_state_from_name(enum saga_part part, const char *name);

/* The whole table in the order of the file, for those who print, draw, model or check it. */
extern const struct saga_step saga_steps[];
extern const size_t saga_step_count;
extern const struct saga_impossible saga_impossibles[];
extern const size_t saga_impossible_count;

#endif
