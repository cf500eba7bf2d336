"""A part is asked to leave while orders flow (SIGTERM). It takes nothing new, finishes what it began, commits, publishes, and
has left in under ten seconds. It is started again, and every order that was accepted ends, with nothing lost or doubled."""

import os
import signal

import pytest
from parts import PARTS

LEAVES_WITHIN_S = 10


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_asked_to_leave_finishes_and_leaves(shop, part):
    stack, mug = shop.stack, shop.product(stock=100)
    shop.sandbox(latency_ms=100)
    orders = [shop.order((mug, 1)) for _ in range(10)]
    pid, said = stack.pid(part), len(stack.log_lines(part, "left"))

    os.kill(pid, signal.SIGTERM)

    stack.wait_until(lambda: not runs(pid), LEAVES_WITHIN_S, f"{part} having left")
    assert len(stack.log_lines(part, "left")) == said + 1, "it came to the end of its own accord"
    stack.wait_ready(part)
    shop.wait_for_all(orders, "fulfilled")
    assert shop.stock(mug) == {"on_hand": 90, "held": 0, "sold": 10, "received": 100}
    assert all(shop.booked(order) == [("authorize", "done"), ("capture", "done")] for order in orders)


def test_parts_leave_in_time_when_the_broker_went_while_they_read_its_logs(shop):
    """Relays that have just started read their logs back. Questions that the broker took along are not waited for."""
    stack = shop.stack
    for part in PARTS:
        stack.kill(part)
    stack.stop("kafka")

    all_leave(stack)

    stack.start("kafka")
    stack.wait_ready()


@pytest.mark.parametrize("server", ["postgres", "mongodb"])
def test_parts_leave_in_time_when_a_server_takes_requests_and_answers_none(shop, server):
    stack, mug = shop.stack, shop.product(stock=1)
    order = shop.order((mug, 1))
    frozen = stack.freeze(server)

    all_leave(stack)

    stack.thaw(frozen)
    stack.wait_ready()
    shop.wait_for(order, "fulfilled")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]


def all_leave(stack):
    pids = [stack.pid(part) for part in PARTS]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    stack.wait_until(lambda: not any(map(runs, pids)), LEAVES_WITHIN_S, "all parts having left")


def runs(pid):
    """A process that has ended and was not waited for yet has left, too."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
