"""Each part runs twice. One instance of each is killed, and stays away: the other takes over what it did, and every order
that was accepted ends, with its mails and its figures. Then it comes back, and orders go on."""

from parts import PARTS


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
        wrapping = shop.product(kind="charge")  # catalog's other instance tells the order service's other instance
        orders.append(shop.order((wrapping, 1)))

        shop.wait_for_all(orders, "fulfilled")
        assert shop.stock(mug) == {"on_hand": 980, "held": 0, "sold": 20, "received": 1000}
        assert all(shop.booked(order) == [("authorize", "done"), ("capture", "done")] for order in orders)
        stack.wait_until(lambda: all(mails(stack, order) for order in orders), what="each order's mail")
        assert {mails(stack, order) for order in orders} == {1}
        stack.wait_until(lambda: counted(stack, orders) == len(orders), what="analytics having counted each order")
        for part in PARTS:
            stack.start(part)
        shop.wait_for(shop.order((mug, 1)), "fulfilled")
    finally:
        stack.up(instances=1)


def mails(stack, order):
    """How many different mails an order has led to."""
    return stack.mails(order=order)["message_ids"]


def counted(stack, orders):
    listed = ", ".join(f"'{order}'" for order in orders)
    return int(stack.sql("analytics", f"SELECT count(*) FROM fact_confirmations WHERE order_id IN ({listed})")[0][0])
