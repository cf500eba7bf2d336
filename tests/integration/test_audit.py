"""An audit of a shop where all is well finds nothing; then a store is made to lie, and the audit says which and where.

Every invariant has its planted violation in tests/unit/ops/test_audit.c; here the stores are real ones, so that what the
audit reads of them is tested too. Each lie is taken back.
"""

import json
from contextlib import contextmanager

import pytest


@pytest.fixture
def order(shop):
    """A fulfilled order, everything of it heard by everyone."""
    order = shop.order((shop.product(), 2))
    shop.wait_for(order, "fulfilled")
    return order


def audited(stack):
    done = stack.run_tradewind("audit", "--json", "--wait", 30)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def violated(stack):
    """Which invariants are violated, each with its examples."""
    return {found["id"]: found["examples"] for found in audited(stack)["invariants"] if found["violations"]}


# Invariant, database, what makes it lie about an order, and what takes that back.
LIES = [
    ("orders.kept", "orders", "update order_states set state = {} where id = '{order}'", 259, 3),
    (
        "payment.kept",
        "payment",
        "update payment_events set amount_minor = amount_minor {} where order_id = '{order}'",
        "+ 1",
        "- 1",
    ),
    (
        "money.book",
        "provider",
        "update authorizations set captured_minor = {} where merchant_ref = '{order}'",
        0,
        "amount_minor",
    ),
    ("fraud.kept", "fraud", "update verdicts set flagged = {} where order_id = '{order}'", "true", "false"),
    (
        "analytics.orders",
        "analytics",
        "update fact_orders set total_minor = total_minor {} where order_id = '{order}'",
        "+ 1",
        "- 1",
    ),
    (
        "analytics.money",
        "analytics",
        "update fact_payments set amount_minor = {} where order_id = '{order}' and kind = 'captured'",
        1,
        1000,
    ),
    ("mails.kept", "email", "update mails set order_id = {} where order_id in ('{order}', 'moved')",
     "'moved'", "'{order}'"),
]


@contextmanager
def all_lies(stack, order):
    told = []
    try:
        for _, database, statement, false, true in LIES:
            stack.sql(database, statement.format(false, order=order))
            told.append((database, statement.format(true, order=order).format(order=order)))
        yield
    finally:
        for database, taken_back in told:
            stack.sql(database, taken_back)


def test_everything_is_checked_when_all_is_quiet(stack, order):
    report = audited(stack)

    assert report["not_checked"] == 0
    assert report["orders"]["stuck"] == 0
    assert report["down"] == []


def test_each_store_that_lies_is_named(stack, order):
    before = violated(stack)
    assert order not in str(before)

    with all_lies(stack, order):
        found = violated(stack)

    for invariant, *_ in LIES:
        assert order in str(found.get(invariant)), invariant
    assert violated(stack) == before


def test_a_part_that_is_down_is_named_and_excuses_who_waits_for_it(shop, order):
    stack = shop.stack
    stack.stop("fraud")
    waiting = shop.order((shop.product(), 1))
    stack.wait_until(lambda: shop.get(waiting)["waits_for"] == ["fraud"], what="the order waiting for fraud alone")

    done = stack.run_tradewind("audit", "--json")
    report = json.loads(done.stdout)

    assert waiting not in str(report["invariants"])
    assert report["orders"]["waiting"] == 1
    assert "fraud" in report["down"]
