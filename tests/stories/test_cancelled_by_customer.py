"""A customer changes their mind: while the payment provider still thinks about the card, while it takes the money, and
after the order was fulfilled. Each time it ends with all stock back and no money away, whatever the provider said."""


def test_cancelled_while_the_provider_is_asked(shop):
    shop.sandbox(slow_ms=1500)
    mug = shop.product(stock=10)
    order = shop.order((mug, 2), token="tok_slow")
    shop.stack.wait_until(lambda: shop.booked(order), what="the provider having booked the authorization")

    answer = shop.stack.http("POST", f"/orders/{order}/cancel", role="service")

    assert answer.status_code == 202 and answer.json()["state"] == "cancelled"
    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "customer"
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert "payment.authorized" not in shop.events(order)  # it would come too late to matter
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}


def test_cancelled_while_the_provider_is_about_to_decline(shop):
    shop.sandbox(latency_ms=1500)
    mug = shop.product(stock=10)
    order = shop.order((mug, 2), token="tok_decline")
    shop.stack.wait_until(lambda: shop.booked(order), what="the provider having booked its no")

    shop.cancel(order)

    assert shop.wait_for(order, "closed")["reason"] == "customer"
    assert shop.undone(order) == ["inventory.released"]
    assert shop.booked(order) == [("authorize", "declined")]


def test_cancelled_while_the_provider_takes_the_money(shop):
    shop.sandbox(slow_ms=1500)
    mug = shop.product(stock=10)
    order = shop.order((mug, 2), token="tok_slow")
    shop.stack.wait_until(lambda: len(shop.booked(order)) == 2, what="the provider having booked the capture")

    shop.cancel(order)

    assert shop.wait_for(order, "closed")["reason"] == "customer"
    assert shop.undone(order) == ["inventory.released", "payment.refunded"]
    assert "payment.captured" in shop.events(order)  # the books show that it was taken
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done"), ("refund", "done")]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}


def test_cancelled_after_fulfilment(shop):
    mug = shop.product(stock=10)
    order = shop.order((mug, 2))
    shop.wait_for(order, "fulfilled")

    shop.cancel(order)

    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "customer"
    assert shop.undone(order) == ["inventory.released", "payment.refunded"]
    assert shop.events(order).count("order.closed") == 2
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done"), ("refund", "done")]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    cancelled = next(
        event["data"]
        for event in shop.stack.tradewind("order", order, "--json")["events"]
        if event["type"] == "order.cancelled"
    )
    assert cancelled["was"] == "FULFILLED"


def test_cancelling_again_changes_nothing(shop):
    order = shop.order((shop.product(), 1))
    shop.cancel(order)
    shop.wait_for(order, "closed")
    events = shop.events(order)

    again = shop.stack.http("POST", f"/orders/{order}/cancel", role="service")

    assert again.status_code == 200
    assert again.json() == {"order_id": order, "state": "closed", "reason": "customer"}
    assert shop.events(order) == events
