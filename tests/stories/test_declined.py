"""A card is declined: the order is cancelled and the stock that was held goes back. Or the card is good, the money is held,
and then cannot be taken: the order was confirmed already, and still ends with nothing away."""


def test_a_declined_card_cancels_the_order(shop):
    mug = shop.product(stock=10)

    order = shop.order((mug, 2), token="tok_decline_insufficient_funds")

    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "payment_declined"
    assert shop.undone(order) == ["inventory.released"]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    assert shop.booked(order) == [("authorize", "declined")]
    told = shop.ask("GET", f"/payments/{order}").json()
    assert told["state"] == "declined" and told["history"][-1]["code"] == "insufficient_funds"


def test_money_that_cannot_be_taken_undoes_a_confirmed_order(shop):
    mug = shop.product(stock=10)

    order = shop.order((mug, 2), token="tok_capture_fail")

    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "payment_failed"
    assert "order.confirmed" in shop.events(order) and "payment.failed" in shop.events(order)
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    assert [kind for kind, outcome in shop.booked(order) if outcome == "done"] == ["authorize", "void"]
