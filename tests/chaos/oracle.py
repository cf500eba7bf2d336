"""Judges a run: what was promised (promises.py) against what is (world.py). Pure, so that it can be tested on made-up
logs and worlds; what the stores and topics say of each other is the business of `tradewind audit`.
"""

from collections import Counter, defaultdict

import growth

FULFILLED, CLOSED = 3, 5  # saga/table.def
SENT = 2

# name: what must hold
RULES = {
    "answered": "every request is answered: yes, or a reason that was the asker's",
    "exists": "an order that was promised exists, as it was asked for",
    "ended": "an order has ended, fulfilled or fully undone",
    "once": "a key has one order, however often it was sent",
    "asked": "an order was asked for by somebody",
    "cancelled": "an order whose cancellation was acknowledged ended cancelled",
    "charged": "the provider's book: a fulfilled order is paid once and in full, another costs nothing",
    "mailed": "a mail that was sent has arrived, under one id, and none that nobody sent",
    "set_aside": "dead letters are exactly the records that were put there to be set aside",
    "flat": "memory, descriptors and what passes through do not grow in a long run",
    "audit": "tradewind audit finds nothing",
}


def judge(promises, world):
    """rule -> texts, one for each violation; every rule is there."""
    found = {rule: [] for rule in RULES}
    _answered(found["answered"], promises)
    _exists(found["exists"], promises, world)
    _ended(found["ended"], world)
    _once(found["once"], promises, world)
    _asked(found["asked"], promises, world)
    _cancelled(found["cancelled"], promises, world)
    _charged(found["charged"], world)
    _mailed(found["mailed"], promises, world)
    _set_aside(found["set_aside"], world)
    found["flat"] += growth.judge(world.samples)
    found["audit"] += world.audit
    return found


def _answered(found, promises):
    found += [f"request {number} was refused: {status} {body}" for number, status, body in promises.refused]
    found += [f"request {number} had no answer" for number in promises.unanswered]
    answered = {*promises.promised, *(number for number, _, _ in promises.refused), *promises.unanswered}
    found += [f"request {number} left the log without an answer" for number in promises.asked if number not in answered]


def _exists(found, promises, world):
    for order, number in promises.orders().items():
        asked, is_there = promises.asked[number], world.orders.get(order)
        if is_there is None:
            found.append(f"order {order} of request {number} is not there")
        elif is_there.customer != asked.customer:
            found.append(f"order {order} of request {number} is {is_there.customer}'s, want {asked.customer}")
        elif is_there.total != asked.total:
            found.append(f"order {order} of request {number} is of {is_there.total}, want {asked.total}")


def _ended(found, world):
    for order, is_there in world.orders.items():
        if is_there.state not in (FULFILLED, CLOSED):
            found.append(f"order {order} is in state {is_there.state}")


def _once(found, promises, world):
    for number, orders in promises.promised.items():
        if len(orders) > 1:
            found.append(f"request {number} was promised {len(orders)} orders: {', '.join(sorted(orders))}")
    for customer, count in Counter(order.customer for order in world.orders.values()).items():
        if count > 1:
            found.append(f"{customer} asked for one order and has {count}")


def _asked(found, promises, world):
    known = {asked.customer for asked in promises.asked.values()}
    for order, is_there in world.orders.items():
        if is_there.customer not in known:
            found.append(f"order {order} of {is_there.customer} was never asked for")


def _cancelled(found, promises, world):
    for order in promises.cancelled:
        state = world.orders[order].state if order in world.orders else None
        if state != CLOSED:
            found.append(f"order {order} was said to be cancelled and is in state {state}")


def _charged(found, world):
    for order, entries in world.book.items():
        if order not in world.orders:
            found.append(f"the book has order {order}, which is not there")
        if sum(entry.captured > 0 for entry in entries) > 1:
            found.append(f"order {order} was charged {len(entries)} times")
    for order, is_there in world.orders.items():
        entries = world.book.get(order, ())
        kept = sum(entry.captured - entry.refunded for entry in entries)
        want = is_there.total if is_there.state == FULFILLED else 0
        if kept != want:
            found.append(f"order {order} in state {is_there.state} has cost {kept}, want {want}")
        if any(entry.status == "authorized" for entry in entries):
            found.append(f"order {order} still holds money that is neither taken nor let go")


def _mailed(found, promises, world):
    wants_mail = {asked.customer for asked in promises.asked.values() if asked.mail}
    arrived = defaultdict(set)
    for message_id, order in world.arrived:
        arrived[order].add(message_id)
    told = defaultdict(set)
    for (order, kind), mail in world.mails.items():
        is_there = world.orders.get(order)
        if mail.state == SENT:
            told[order].add(mail.message_id)
        elif is_there is not None and is_there.customer in wants_mail:
            found.append(f"mail {kind} of order {order} was given up")
    for order in told.keys() | arrived.keys():
        for message_id in told[order] - arrived[order]:
            found.append(f"order {order}: {message_id} was sent and has not arrived")
        for message_id in arrived[order] - told[order]:
            found.append(f"order {order}: {message_id} has arrived and was not sent")


def _set_aside(found, world):
    for part, place in world.poison - world.dead_letters:
        found.append(f"{part} has not set aside the record at {place}")
    for part, place in world.dead_letters - world.poison:
        found.append(f"{part} has set aside the record at {place}, which is good")
