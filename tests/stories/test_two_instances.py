"""Each part runs twice. One instance of each is killed, and stays away: the other takes over what it did, and every order
that was accepted ends. Then it comes back, and orders go on."""

PARTS = ("orders", "inventory", "payment", "fraud")


def test_the_other_instance_takes_over(shop):
    stack = shop.stack
    mug = shop.product(stock=1000)
    stack.up(instances=2)
    try:
        shop.sandbox(latency_ms=200)
        orders = [shop.order((mug, 1)) for _ in range(10)]
        for part in PARTS:
            stack.kill(part)
            stack.stop(part)

        orders += [shop.order((mug, 1)) for _ in range(10)]

        shop.wait_for_all(orders, "fulfilled", seconds=60)
        assert shop.stock(mug) == {"on_hand": 980, "held": 0, "sold": 20, "received": 1000}
        assert all(shop.booked(order) == [("authorize", "done"), ("capture", "done")] for order in orders)
        for part in PARTS:
            stack.start(part)
        shop.wait_for(shop.order((mug, 1)), "fulfilled")
    finally:
        stack.up(instances=1)
