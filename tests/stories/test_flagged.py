"""Somebody orders for far more than anybody else does, and fraud flags the order: it is cancelled, and what stock and
money were held meanwhile go back."""


def test_a_flagged_order_is_cancelled_and_undone(shop):
    piano = shop.product(stock=3, price=2_600_000)

    order = shop.order((piano, 1))

    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "fraud"
    assert shop.undone(order) == ["inventory.released", "payment.voided"]
    assert shop.stock(piano) == {"on_hand": 3, "held": 0, "sold": 0, "received": 3}
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]


def test_the_event_says_what_stood_out(shop):
    piano = shop.product(stock=3, price=2_600_000)

    order = shop.order((piano, 1))

    shop.wait_for(order, "closed")
    events = shop.stack.tradewind("order", order, "--json")["events"]
    flagged = next(event["data"] for event in events if event["type"] == "fraud.flagged")
    assert [reason["rule"] for reason in flagged["reasons"]] == ["amount", "amount_extreme"]
    assert flagged["score"] >= flagged["threshold"]


def test_several_odd_things_count_together(shop):
    mug = shop.product(stock=2000, price=900)
    many = {"customer": f"keen-{mug}"}
    for _ in range(5):
        shop.wait_for(shop.order((mug, 1), **many), "fulfilled")

    order = shop.order((mug, 600), **many)  # many orders (40), many pieces (50), a large amount (60)

    assert shop.wait_for(order, "closed")["reason"] == "fraud"
