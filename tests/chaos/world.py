"""What is, after a run: read from the parts' databases, the provider's book, the mail sink, and `tradewind audit`."""

import json
from collections import namedtuple
from dataclasses import dataclass, field

Order = namedtuple("Order", "customer state total")
Entry = namedtuple("Entry", "status captured refunded")
Mail = namedtuple("Mail", "state message_id")

PAGE = 10000


@dataclass
class World:
    orders: dict = field(default_factory=dict)  # id -> Order, by the order service
    book: dict = field(default_factory=dict)  # order id -> [Entry], by the provider
    mails: dict = field(default_factory=dict)  # (order id, kind) -> Mail, by email
    arrived: list = field(default_factory=list)  # (message id, order id), by the mail sink
    poison: set = field(default_factory=set)  # (part, place) that have to be set aside
    dead_letters: set = field(default_factory=set)  # (part, place) that were
    audit: list = field(default_factory=list)  # its findings
    samples: list = field(default_factory=list)  # taken meanwhile (growth.py)


def read(stack, poison, samples):
    world = World(poison=set(poison), samples=samples)
    for order, customer, state, total in stack.sql(
        "orders", "select id, customer_id, state, total_minor from order_states"
    ):
        world.orders[order] = Order(customer, int(state), int(total))
    for order, *entry in stack.sql(
        "provider", "select merchant_ref, status, captured_minor, refunded_minor from authorizations"
    ):
        world.book.setdefault(order, []).append(Entry(entry[0], int(entry[1]), int(entry[2])))
    for order, kind, state, message_id in stack.sql("email", "select order_id, kind, state, message_id from mails"):
        world.mails[order, int(kind)] = Mail(int(state), message_id)
    world.arrived = _arrived(stack)
    world.dead_letters = {
        (letter["part"], (letter["topic"], letter["partition"], letter["offset"]))
        for letter in stack.tradewind("dlq", "ls", "--json")
    }
    world.audit = _audit(stack)
    return world


def _arrived(stack):
    mails, after = [], 0
    while after is not None:
        page = stack.mails(limit=PAGE, after=after)
        mails += [(mail["message_id"].strip("<>"), mail["order"]) for mail in page["mails"]]
        after = page["next"]
    return mails


def _audit(stack):
    done = stack.run_tradewind("audit", "--json", "--wait", "120", timeout=1800)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return [f"audit ended with {done.returncode}: {done.stdout}{done.stderr}"]
    texts = [
        f"{finding['id']}: {example}" for finding in report["invariants"] for example in finding["examples"]
    ]
    texts += [f"{finding['id']} was not checked" for finding in report["invariants"] if finding["not_checked"]]
    if done.returncode != 0 and not texts:
        texts.append(f"audit ended with {done.returncode}: {done.stdout}{done.stderr}")
    return texts
