"""One of three brokers goes, and does not come back. Whatever somebody was asking it then, the other two answer."""

import pytest
from parts import PARTS
from local_stack import Stack
from shop import Shop

ORDERS = 40  # so that there are some in each partition of those that it led


@pytest.fixture
def three_brokers(monkeypatch):
    """A stack beside the one that other tests share."""
    for setting in ("TRADEWIND_STATE", "TRADEWIND_PORT_BASE"):
        monkeypatch.delenv(setting, raising=False)
    stack = Stack()
    try:
        stack.up(brokers=3)
        yield stack
    finally:
        stack.down()


def test_orders_go_on_without_a_broker_that_went_while_relays_read_its_logs(three_brokers):
    stack, shop = three_brokers, Shop(three_brokers)
    mug = shop.product(stock=ORDERS)
    broker = stack.freeze("kafka-2")
    for part in PARTS:
        stack.kill(part)
    stack.kill_frozen("kafka-2", broker)()
    stack.wait_ready(*PARTS)

    orders = [shop.order((mug, 1)) for _ in range(ORDERS)]

    shop.wait_for_all(orders, "fulfilled")
    assert shop.stock(mug) == {"on_hand": 0, "held": 0, "sold": ORDERS, "received": ORDERS}
