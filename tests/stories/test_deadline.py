"""A part does not answer. An order that was placed does not wait for ever: after its deadline it is cancelled, and what
the other parts held goes back; the silent part undoes nothing when it comes back, for it had done nothing.

An outage of our own is no reason to cancel: while the order service cannot read the verdicts, none is called late."""

import pytest

SHORT = {"TRADEWIND_ORDER_DEADLINE_MS": "3000"}


@pytest.fixture
def hasty_shop(shop):
    shop.stack.up(settings={f"orders:{name}": value for name, value in SHORT.items()})
    yield shop
    shop.stack.up(settings={f"orders:{name}": None for name in SHORT})


def test_an_order_without_a_verdict_is_cancelled_in_time(hasty_shop):
    shop, mug = hasty_shop, hasty_shop.product(stock=10)
    shop.stack.stop("fraud")

    order = shop.order((mug, 2))

    assert shop.wait_for(order, "closed")["reason"] == "deadline"
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]

    shop.stack.start("fraud")
    later = shop.order((mug, 1))
    shop.wait_for(later, "fulfilled")
    assert shop.get(order)["state"] == "closed"
    assert shop.dead_letters("fraud") == []


def test_a_part_that_owes_the_undoing_does_it_when_it_is_back(hasty_shop):
    shop, mug = hasty_shop, hasty_shop.product(stock=10)
    shop.stack.stop("payment")
    order = shop.order((mug, 2))
    cancelled = shop.wait_for(order, "cancelled")
    assert cancelled["reason"] == "deadline"
    shop.stack.wait_until(lambda: shop.get(order)["waits_for"] == ["payment"], what="payment alone owing an answer")

    shop.stack.start("payment")

    shop.wait_for(order, "closed")
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]


def test_an_outage_of_the_broker_cancels_nothing(hasty_shop):
    shop, mug = hasty_shop, hasty_shop.product(stock=10)
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    shop.stack.stop("kafka")
    orders = [shop.order((mug, 1)) for _ in range(3)]
    outage_is_longer_than_the_deadline(shop, orders)

    shop.stack.start("kafka")

    shop.wait_for_all(orders, "fulfilled", seconds=120)


def outage_is_longer_than_the_deadline(shop, orders):
    from datetime import datetime, timezone

    placed = datetime.fromisoformat(shop.get(orders[-1])["created_at"].replace("Z", "+00:00"))
    shop.stack.wait_until(
        lambda: (datetime.now(timezone.utc) - placed).total_seconds() > 5, what="the deadline having passed"
    )
    assert {shop.get(order)["state"] for order in orders} == {"placed"}
