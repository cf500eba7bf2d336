"""What every test with servers shares: the folder of helpers, and one stack for the whole run."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))


@pytest.fixture(scope="session")
def running_stack():
    from local_stack import Stack

    stack = Stack()
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture
def stack(running_stack):
    """The stack with everything running, whatever the test before has stopped."""
    running_stack.whole()
    running_stack.mail_behaviour("accept")
    return running_stack


@pytest.fixture
def shop(stack):
    """The shop on that stack; the payment provider is quick and answers."""
    from shop import Shop

    shop = Shop(stack)
    shop.sandbox(latency_ms=0, slow_ms=1000, lost_ms=10000, down=False)
    return shop
