"""A part finds that its group has another member under its own name. After an outage of the broker that may be itself, and
nobody else: it joins once more, and goes on. When it happens again at once there is somebody else, and the part leaves."""

import pytest
from confluent_kafka import Consumer


@pytest.fixture
def namesake(running_stack):
    """namesake(group, topic, name): a member of a group under the name of somebody who is in it."""
    members = []

    def join(group, topic, name):
        member = Consumer(
            {
                **running_stack.kafka(),
                "group.id": group,
                "group.instance.id": name,
                "partition.assignment.strategy": "range",
                "session.timeout.ms": 6000,
                "enable.auto.commit": False,
            }
        )
        members.append(member)
        member.subscribe([topic])
        running_stack.wait_until(lambda: member.poll(0.1) or member.assignment(), what=f"{name} being in {group} twice")

    yield join
    for member in members:
        member.close()


# Payment reads orders and relays its own topic: two groups, and it is a member of both.
MEMBERSHIPS = {"what it reads": ("payment", "shop.orders.v1"), "what it writes": ("payment.relay", "shop.payments.v1")}


@pytest.mark.parametrize("membership", MEMBERSHIPS)
def test_the_first_fence_is_forgiven_and_the_second_is_not(shop, namesake, membership):
    stack, mug = shop.stack, shop.product(stock=10)
    group, topic = MEMBERSHIPS[membership]
    stack.restart("payment")  # nothing is held against it
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    pid, fences = stack.pid("payment"), fences_of(stack, group)

    namesake(group, topic, "payment-1")

    stack.wait_until(lambda: fences_of(stack, group) == fences + 1, what="payment noticing it")
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    assert stack.pid("payment") == pid

    namesake(group, topic, "payment-1")

    stack.wait_until(lambda: stack.pid("payment") != pid, what="payment leaving")
    assert any("fenced" in line["err"] for line in stack.log_lines("payment") if line["what"] in ("stopped", "relay_stopped"))
    shop.wait_for(shop.order((mug, 1)), "fulfilled")


def fences_of(stack, group):
    return len([line for line in stack.log_lines("payment", "group_fenced") if line["group"] == group])
