"""A part has missed a record: its numbers say so. It looks back into the log, and when the record does not lie where it
looks, asks its writer for it, who sends it again. What follows waits until then, so nothing is lost and nothing is out of
order."""

from groups import commit

TOPIC = "shop.orders.v1"


def test_a_missed_record_is_asked_for_and_healed(shop):
    stack, mug = shop.stack, shop.product(stock=10)
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    stack.stop("payment")
    order = shop.order((mug, 2))
    created = stack.wait_until(lambda: shop.records(TOPIC, order), what="order.created in its topic")[0]
    nacks = len(stack.log_lines("payment", "gap"))
    stack.sql(
        "payment",
        f"UPDATE positions SET next_offset = {created.offset() + 1}, fresh = false"
        f" WHERE topic = '{TOPIC}' AND partition = {created.partition()}",
    )
    commit(stack, "payment", (TOPIC, created.partition(), created.offset() + 1))  # the other place it could begin at

    stack.start("payment")

    shop.wait_for(order, "fulfilled")
    assert len(stack.log_lines("payment", "gap")) > nacks
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]
    assert shop.stock(mug) == {"on_hand": 7, "held": 0, "sold": 3, "received": 10}
    copies = [record for record in shop.records(TOPIC, order) if record.value() == created.value()]
    assert len(copies) >= 2  # the one that was missed, and the one that was sent again


def test_an_offset_that_is_nowhere_loses_nothing(shop):
    stack, mug = shop.stack, shop.product(stock=10)
    stack.stop("payment")
    order = shop.order((mug, 2))
    stack.sql("payment", f"UPDATE positions SET next_offset = 1000000000 WHERE topic = '{TOPIC}'")
    commit(stack, "payment", *((TOPIC, partition, 1000000000) for partition in range(12)))

    stack.start("payment")

    shop.wait_for(order, "fulfilled")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]
