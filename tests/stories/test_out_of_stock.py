"""A customer orders a mug of which there are plenty, and three plates of which there are two. Half an order helps nobody:
nothing is held, the order is cancelled, and the money that was held meanwhile goes back."""


def test_a_short_line_cancels_the_whole_order(shop):
    mug, plate = shop.product(stock=10), shop.product(stock=2)

    order = shop.order((mug, 1), (plate, 3))

    ended = shop.wait_for(order, "closed")
    assert ended["reason"] == "out_of_stock"
    assert shop.undone(order) == ["payment.voided"]
    assert "inventory.reserved" not in shop.events(order)
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    assert shop.stock(plate) == {"on_hand": 2, "held": 0, "sold": 0, "received": 2}
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]


def test_the_last_pieces_go_to_somebody_and_to_nobody_twice(shop):
    mug = shop.product(stock=4)

    orders = [shop.order((mug, 1)) for _ in range(8)]

    def ended():
        states = [shop.get(order)["state"] for order in orders]
        return sorted(states) if set(states) <= {"fulfilled", "closed"} else None

    assert shop.stack.wait_until(ended, what="all orders ended") == ["closed"] * 4 + ["fulfilled"] * 4
    assert shop.stock(mug) == {"on_hand": 0, "held": 0, "sold": 4, "received": 4}


def test_what_comes_in_later_can_be_ordered(shop):
    mug = shop.product(stock=1)
    shop.wait_for(shop.order((mug, 2)), "closed")

    shop.receive((mug, 1))

    shop.wait_for(shop.order((mug, 2)), "fulfilled")
    assert shop.stock(mug) == {"on_hand": 0, "held": 0, "sold": 2, "received": 2}
