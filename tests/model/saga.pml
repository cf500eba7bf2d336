/* One order through the saga, in every interleaving: what each part does is saga/table.def itself, the
 * file that the parts' code includes. A pair that the table does not know, a second call to the provider
 * while one is out, stock or money that moves twice, and an order that comes to rest with anything away
 * are errors. Run by tests/model/run.
 *
 * What the table leaves to memory is free here: whether stock suffices, what fraud finds, what the
 * provider answers, when the customer cancels (twice) and when the deadline passes. With LETTERS, order.created
 * may be dropped by any of the three, as the table's DROP rows promise, and then be redriven at any
 * time or never; a reminder waits behind it until it is gone. With NUDGES=n an operator nudges the order up
 * to n times, at any moment. */

#ifndef NUDGES
#define NUDGES 0
#endif

/* ---- the table's words: events, outside triggers, guards, actions, states ---- */

#define EVENT(symbol, type, topic, structure) symbol,
#define TRIGGER(symbol, source, name, meaning) symbol,
#define GUARD(symbol, question, name, meaning) IF_##symbol,
#define ACTION(symbol, undo, name, meaning) DO_##symbol,
#define STATE(part, symbol, number, name, rests, meaning) IS_##part##_##symbol,
mtype = {
#include "events/catalog.def"
#include "saga/table.def"
    NONE
};

/* ---- a step: the row of the guard, or the row that holds always ---- */

mtype next, action, says;

#define ROW(part, state, trigger, guard, to, act, publishes)                                       \
    :: s == IS_##part##_##state && t == trigger && (IF_##guard == IF_ALWAYS || g == IF_##guard) -> \
       next = IS_##part##_##to; action = DO_##act; says = publishes
#define NO_ROW else -> printf("no row: %e sees %e\n", s, t); assert(false)

/* Each part has its own rows: a row of another part is no alternative of this one. */
#define STEP(part, ...) ROWS_OF_##part(part, __VA_ARGS__)
#define TAKE(part, state, trigger, guard, to, act, publishes, because)                             \
    ROW(part, state, trigger, guard, to, act, publishes)
#define SKIP(...)
#define ROWS_OF_EMAIL(...)

inline decide_order(s, t, g)
{
    if
#define ROWS_OF_ORDERS TAKE
#define ROWS_OF_INVENTORY SKIP
#define ROWS_OF_PAYMENT SKIP
#define ROWS_OF_FRAUD SKIP
#include "saga/table.def"
    :: NO_ROW
    fi
}

#define STEP(part, ...) ROWS_OF_##part(part, __VA_ARGS__)
inline decide_inventory(s, t, g)
{
    if
#undef ROWS_OF_ORDERS
#undef ROWS_OF_INVENTORY
#define ROWS_OF_ORDERS SKIP
#define ROWS_OF_INVENTORY TAKE
#include "saga/table.def"
    :: NO_ROW
    fi
}

#define STEP(part, ...) ROWS_OF_##part(part, __VA_ARGS__)
inline decide_payment(s, t, g)
{
    if
#undef ROWS_OF_INVENTORY
#undef ROWS_OF_PAYMENT
#define ROWS_OF_INVENTORY SKIP
#define ROWS_OF_PAYMENT TAKE
#include "saga/table.def"
    :: NO_ROW
    fi
}

#define STEP(part, ...) ROWS_OF_##part(part, __VA_ARGS__)
inline decide_fraud(s, t, g)
{
    if
#undef ROWS_OF_PAYMENT
#undef ROWS_OF_FRAUD
#define ROWS_OF_PAYMENT SKIP
#define ROWS_OF_FRAUD TAKE
#include "saga/table.def"
    :: NO_ROW
    fi
}

/* ---- the world ---- */

mtype order = IS_ORDERS_NONE, was = NONE;
mtype inventory = IS_INVENTORY_NONE, payment = IS_PAYMENT_NONE, fraud = IS_FRAUD_NONE;
mtype call = NONE; /* what the provider is asked for */
bool heard_reserved, heard_rejected, heard_released, heard_committed;
bool heard_authorized, heard_declined, heard_captured, heard_voided, heard_refunded, heard_cleared;
byte units_held, units_sold, money_held, money_taken, captures, refunds, closings;
byte cancels = 2, nudges = NUDGES;
bool deadline_passed, closed_last;
bool letter_inventory, letter_payment, letter_fraud;

chan to_inventory = [6 + NUDGES] of {mtype};
chan to_payment = [6 + NUDGES] of {mtype};
chan to_fraud = [6 + NUDGES] of {mtype};
chan from_inventory = [6] of {mtype};
chan from_payment = [6] of {mtype};
chan from_fraud = [2] of {mtype};

inline do_action()
{
    if
    :: action == DO_HOLD -> assert(units_held + units_sold == 0); units_held++
    :: action == DO_SELL -> assert(units_held == 1); units_held--; units_sold++
    :: action == DO_UNHOLD -> assert(units_held == 1); units_held--
    :: action == DO_TAKE_BACK -> assert(units_sold == 1); units_sold--
    :: action == DO_ASK || action == DO_CAPTURE || action == DO_VOID || action == DO_REFUND ->
       assert(call == NONE); call = action
    :: else
    fi
}

/* ---- orders: the join, as saga/order_progress.c has it ---- */

inline hear(e)
{
    heard_reserved = heard_reserved || e == INVENTORY_RESERVED;
    heard_rejected = heard_rejected || e == INVENTORY_REJECTED;
    heard_released = heard_released || e == INVENTORY_RELEASED;
    heard_committed = heard_committed || e == INVENTORY_COMMITTED;
    heard_authorized = heard_authorized || e == PAYMENT_AUTHORIZED;
    heard_declined = heard_declined || e == PAYMENT_DECLINED;
    heard_captured = heard_captured || e == PAYMENT_CAPTURED;
    heard_voided = heard_voided || e == PAYMENT_VOIDED;
    heard_refunded = heard_refunded || e == PAYMENT_REFUNDED;
    heard_cleared = heard_cleared || e == FRAUD_CLEARED
}

#define ALL_VERDICTS (heard_reserved && heard_authorized && heard_cleared)
#define ALL_FULFILLED (heard_committed && heard_captured)
#define ALL_UNDONE                                                                                 \
    ((heard_rejected || heard_released) && (heard_declined || heard_voided || heard_refunded))

inline guard_of_order()
{
    if
    :: order == IS_ORDERS_PLACED && ALL_VERDICTS -> g = IF_ALL_YES
    :: order == IS_ORDERS_PLACED && !(ALL_VERDICTS) -> g = IF_VERDICT_MISSING
    :: order == IS_ORDERS_CONFIRMED && ALL_FULFILLED -> g = IF_ALL_FULFILLED
    :: order == IS_ORDERS_CONFIRMED && !(ALL_FULFILLED) -> g = IF_HALF_FULFILLED
    :: order == IS_ORDERS_CANCELLED && ALL_UNDONE -> g = IF_ALL_UNDONE
    :: order == IS_ORDERS_CANCELLED && !(ALL_UNDONE) -> g = IF_HALF_UNDONE
    :: else -> g = IF_ALWAYS
    fi
}

inline step_order(t)
{
    hear(t);
    guard_of_order();
    decide_order(order, t, g);
    if
    :: says == ORDER_CANCELLED -> was = order
    :: else
    fi;
    order = next;
    if
    :: says == ORDER_REMINDED -> to_inventory!says; to_payment!says; to_fraud!says
    :: says != NONE && says != ORDER_REMINDED ->
       closed_last = says == ORDER_CLOSED;
       closings = (says == ORDER_CLOSED -> closings + 1 : closings);
       to_inventory!says; to_payment!says; to_fraud!says
    :: else
    fi
}

active proctype orders()
{
    mtype e, g;

end:
    do
    :: atomic {
           if
           :: order == IS_ORDERS_NONE -> e = CUSTOMER_ORDER
           :: from_inventory?e
           :: from_payment?e
           :: from_fraud?e
           :: cancels > 0 && order != IS_ORDERS_NONE -> cancels--; e = CUSTOMER_CANCEL
           :: nudges > 0 && order != IS_ORDERS_NONE -> nudges--; e = OPERATOR_NUDGE
           :: !deadline_passed && order != IS_ORDERS_NONE -> deadline_passed = true; e = DEADLINE
           fi;
           step_order(e)
       }
    od
}

/* ---- inventory, payment, fraud ---- */

/* These tell the order in full. */
#define TELLS(t) (t == ORDER_CREATED || t == ORDER_REMINDED)

/* What a part may read now: a reminder is parked while the letter in front of it is left. */
#define NEXT_OF(channel, letter) nempty(channel) && !(letter && channel?[ORDER_REMINDED]) -> channel?e

inline step_inventory(t)
{
    if
    :: TELLS(t) -> g = IF_IN_STOCK
    :: TELLS(t) -> g = IF_SHORT
    :: !TELLS(t) && letter_inventory -> g = IF_LETTER_LEFT
    :: !TELLS(t) && !letter_inventory -> g = IF_NO_LETTER
    fi;
    /* It forgets: what it finds must follow from what the event says. */
    assert(t != ORDER_CANCELLED || inventory != IS_INVENTORY_NONE || was != IS_ORDERS_FULFILLED);
    decide_inventory(inventory, t, g);
    inventory = next;
    do_action();
    if
    :: says != NONE -> from_inventory!says
    :: else
    fi
}

inline step_payment(t)
{
    decide_payment(payment, t, IF_ALWAYS);
    payment = next;
    do_action();
    if
    :: says != NONE -> from_payment!says
    :: else
    fi
}

inline step_fraud(t)
{
    if
    :: g = IF_SCORE_BELOW
    :: g = IF_SCORE_REACHED
    fi;
    decide_fraud(fraud, t, g);
    fraud = next;
    if
    :: says != NONE -> from_fraud!says
    :: else
    fi
}

active proctype inventory_part()
{
    mtype e, g;

end:
    do
    :: atomic {
           if
           :: NEXT_OF(to_inventory, letter_inventory)
#ifdef LETTERS
           :: letter_inventory -> letter_inventory = false; e = ORDER_CREATED
#endif
           fi;
           step_inventory(e)
       }
#ifdef LETTERS
    :: atomic { to_inventory?ORDER_CREATED -> letter_inventory = true }
    :: atomic { letter_inventory -> letter_inventory = false }
#endif
    od
}

/* The provider writes its book, then answers. */
inline provider_answers(e)
{
    if
    :: call == DO_ASK -> money_held++; e = PROVIDER_YES
    :: call == DO_ASK -> e = PROVIDER_NO
    :: call == DO_CAPTURE -> assert(money_held == 1); money_held--; money_taken++; captures++;
                             e = PROVIDER_YES
    :: call == DO_CAPTURE -> e = PROVIDER_NO
    :: call == DO_VOID -> assert(money_held == 1); money_held--; e = PROVIDER_DONE
    :: call == DO_REFUND -> assert(money_taken == 1); money_taken--; refunds++; e = PROVIDER_DONE
    fi;
    call = NONE
}

active proctype payment_part()
{
    mtype e;

end:
    do
    :: atomic {
           if
           :: NEXT_OF(to_payment, letter_payment)
           :: call != NONE -> provider_answers(e)
#ifdef LETTERS
           :: letter_payment -> letter_payment = false; e = ORDER_CREATED
#endif
           fi;
           step_payment(e)
       }
#ifdef LETTERS
    :: atomic { to_payment?ORDER_CREATED -> letter_payment = true }
    :: atomic { letter_payment -> letter_payment = false }
#endif
    od
}

active proctype fraud_part()
{
    mtype e, g;

end:
    do
    :: atomic {
           if
           :: NEXT_OF(to_fraud, letter_fraud)
#ifdef LETTERS
           :: letter_fraud -> letter_fraud = false; e = ORDER_CREATED
#endif
           fi;
           step_fraud(e)
       }
#ifdef LETTERS
    :: atomic { to_fraud?ORDER_CREATED -> letter_fraud = true }
    :: atomic { letter_fraud -> letter_fraud = false }
#endif
    od
}

/* ---- at rest ---- */

/* Nobody can do anything any more: the customer and the deadline had their say, too. */
active proctype rest()
{
    atomic {
        timeout ->
        assert(order == IS_ORDERS_FULFILLED || order == IS_ORDERS_CLOSED);
        assert(captures <= 1 && refunds <= captures);
        assert(order != IS_ORDERS_FULFILLED || (units_sold == 1 && money_taken == 1));
        assert(order != IS_ORDERS_CLOSED || units_sold + money_taken == 0);
        assert(units_held + money_held == 0 && call == NONE);
        assert(closed_last && closings <= 2);
        assert(false
#define PAYMENT_STATE(symbol, number, name, rests, meaning) || (rests && payment == IS_PAYMENT_##symbol)
#include "saga/table.def"
        );
        assert(false
#define INVENTORY_STATE(symbol, number, name, rests, meaning) || (rests && inventory == IS_INVENTORY_##symbol)
#include "saga/table.def"
        )
    }
}
