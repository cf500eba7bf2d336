"""A part does not answer. An order that was placed does not wait for ever: after its deadline it is cancelled, and what
the other parts held goes back; the silent part undoes nothing when it comes back, for it had done nothing.

An outage or a backlog of our own is no reason to cancel: what the order service has not read yet is not late."""

import time
from datetime import datetime, timezone

import pytest

DEADLINE = "orders:TRADEWIND_ORDER_DEADLINE_MS"
DEADLINE_S = 3
FETCH_WAIT_S = 2  # more than a fetch without records takes (fetch.wait.max.ms), on a busy machine
LONGER_S = 20  # than parts take to read again after an outage


@pytest.fixture
def hasty_shop(shop):
    yield from shop_with_deadline(shop, DEADLINE_S)


@pytest.fixture
def brisk_shop(shop):
    yield from shop_with_deadline(shop, LONGER_S)


def shop_with_deadline(shop, seconds):
    shop.stack.up(settings={DEADLINE: str(seconds * 1000)})
    yield shop
    shop.stack.up(settings={DEADLINE: None})


def test_an_order_without_a_verdict_is_cancelled_in_time(hasty_shop):
    shop, mug = hasty_shop, hasty_shop.product(stock=10)
    shop.stack.stop("fraud")

    order = shop.order((mug, 2))

    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "deadline" and "fraud" in ended["detail"]
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]

    shop.stack.start("fraud")
    later = shop.order((mug, 1))
    shop.wait_for(later, "fulfilled")
    assert shop.get(order)["state"] == "closed"
    assert not [letter for letter in shop.dead_letters("fraud") if letter["key"] in (order, later)]


def test_a_part_that_owes_the_undoing_does_it_when_it_is_back(hasty_shop):
    shop, mug = hasty_shop, hasty_shop.product(stock=10)
    shop.stack.stop("payment")
    order = shop.order((mug, 2))
    cancelled = shop.wait_for(order, "cancelled")
    assert cancelled["reason"] == "deadline"
    shop.stack.wait_until(lambda: shop.get(order)["waits_for"] == ["payment"], what="payment alone owing an answer")

    shop.stack.start("payment")

    ended = shop.wait_for(order, "closed")
    assert ended["history"][-1]["cause"].startswith("payment/")
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]


def test_an_outage_of_the_broker_cancels_nothing(brisk_shop):
    shop, mug = brisk_shop, brisk_shop.product(stock=10)
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    shop.stack.stop("kafka")
    orders = [shop.order((mug, 1)) for _ in range(3)]
    deadline_has_passed(shop, shop.get(orders[-1]), LONGER_S)
    assert {shop.get(order)["state"] for order in orders} == {"placed"}

    shop.stack.start("kafka")

    shop.wait_for_all(orders, "fulfilled")


def test_verdicts_that_lie_unread_are_not_late(hasty_shop):
    """The last verdict is in its topic before the order service has read it; then the broker stands still, until the deadline
    has passed. Not long enough for anybody to be taken for dead."""
    shop, stack, mug = hasty_shop, hasty_shop.stack, hasty_shop.product(stock=100)
    shop.sandbox(slow_ms=1800)
    order, payment, orders = frozen_before_the_verdict(shop, mug)
    broker = None
    try:
        stack.thaw(payment)
        stack.wait_until(lambda: shop.records("shop.payments.v1", order), what="the verdict in its topic")
        broker = stack.freeze("kafka")
        stack.thaw(orders)
        deadline_has_passed(shop, shop.get(order))
        assert shop.get(order)["state"] == "placed"
    finally:
        for pid in filter(None, (payment, orders, broker)):
            stack.thaw(pid)

    shop.wait_for(order, "fulfilled")
    assert "order.cancelled" not in shop.events(order)
    assert orders == stack.pid("orders")


def frozen_before_the_verdict(shop, mug):
    """(order, pid of payment, pid of orders): both stand still, and payment's verdict alone is not in its topic. What the
    order service has asked the broker for is answered, without it."""
    stack = shop.stack
    while True:
        order = shop.order((mug, 2), token="tok_slow")
        stack.wait_until(lambda: shop.get(order)["waits_for"] == ["payment"], what="payment's verdict alone missing")
        payment, orders = stack.freeze("payment"), stack.freeze("orders")
        time.sleep(FETCH_WAIT_S)
        if not shop.records("shop.payments.v1", order):
            return order, payment, orders
        stack.thaw(payment)  # on a busy machine it was faster than we
        stack.thaw(orders)


def deadline_has_passed(shop, order, seconds=DEADLINE_S):
    placed = datetime.fromisoformat(order["created_at"].replace("Z", "+00:00"))
    shop.stack.wait_until(
        lambda: (datetime.now(timezone.utc) - placed).total_seconds() > seconds + 2, what="the deadline having passed"
    )
