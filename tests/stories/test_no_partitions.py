"""A group gives out no partitions although the broker answers: here a member that has hung keeps the others waiting; a group
coordinator that is stuck looks the same. Orders are accepted and wait, so the part has to say it."""

from contextlib import contextmanager

from confluent_kafka import Consumer

SAID_WITHIN_S = 90  # 30, once the part has noticed that the group begins anew, and what a busy machine adds


@contextmanager
def member(stack, group, topic):
    """One more in a group: it stays in it, and gives partitions back only while it is polled."""
    consumer = Consumer(
        {
            **stack.kafka(),
            "group.id": group,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": 45000,
            "max.poll.interval.ms": 180000,
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic], on_revoke=lambda *_: None)
    try:
        yield consumer
    finally:
        consumer.close()


def test_a_part_that_is_given_no_partitions_says_so_and_goes_on_when_it_is(shop):
    stack, mug = shop.stack, shop.product(stock=10)
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    said = len(stack.log_lines("payment", "no_partitions"))

    with member(stack, "payment", "shop.orders.v1") as hung:
        stack.wait_until(lambda: hung.poll(0.1) or hung.assignment(), what="the other member being in the group")
        with member(stack, "payment", "shop.orders.v1"):
            stack.wait_until(
                lambda: len(stack.log_lines("payment", "no_partitions")) > said, SAID_WITHIN_S, "payment saying so"
            )
            order = shop.order((mug, 1))
            assert shop.get(order)["state"] == "placed"

    shop.wait_for(order, "fulfilled")
