"""An operator stops a part from reading, lets it go on, and slows it down, while it runs.

A wish of an operator lies in the part's store: it holds for every instance, and outlives a restart. Nothing that was
waiting is lost or doubled by it.
"""

import json
import time

import pytest
import requests
from groups import acted, applied, audited, behind, caught_up, shown
from parts import READERS


@pytest.fixture
def steered(shop):
    """The shop; whatever a test has done to a part's reading is undone after it."""
    yield shop
    shop.stack.whole()
    for part in READERS:
        shop.stack.wait_until(
            lambda part=part: shop.stack.run_tradewind("groups", "resume", part).returncode == 0
            and shop.stack.run_tradewind("groups", "throttle", part, "--rate", 0).returncode == 0,
            what=f"{part} reading again",
        )


def idle(stack):
    for part in READERS:
        caught_up(stack, part)


@pytest.mark.parametrize("part", READERS)
def test_a_pause_outlives_a_restart_and_ends_when_it_is_resumed(steered, part):
    stack = steered.stack
    sku = steered.product()
    idle(stack)

    stack.tradewind("groups", "pause", part, "--because", "to look at it")
    before = applied(shown(stack, part))
    order = steered.order((sku, 1))
    behind(stack, part)
    stack.restart(part)
    stack.wait_ready(part)
    after = behind(stack, part)

    assert after["flow"]["paused"] and after["behind_seconds"] > 0
    assert applied(after) == before

    stack.tradewind("groups", "resume", part)
    steered.wait_for(order, "fulfilled")
    caught_up(stack, part)
    audited(stack)


def test_a_pause_and_its_end_are_told_with_who_and_why(steered):
    stack = steered.stack

    stack.tradewind("groups", "pause", "fraud", "--because", "rules are changed")
    again = stack.tradewind("groups", "pause", "fraud", "--json")
    stack.tradewind("groups", "resume", "fraud")
    paused, resumed = acted(stack, "consumer.pause", "fraud")[-1], acted(stack, "consumer.resume", "fraud")[-1]

    assert again["changed"] is False
    assert paused["actor"] and paused["reason"] == "rules are changed"
    assert (json.loads(paused["before"]), json.loads(paused["after"])) == (
        {"paused": False, "rate_per_s": 0},
        {"paused": True, "rate_per_s": 0},
    )
    assert json.loads(resumed["after"]) == {"paused": False, "rate_per_s": 0}


def test_a_try_without_doing_it_changes_and_tells_nothing(steered):
    stack = steered.stack
    told = len(acted(stack, "consumer.pause", "email"))

    would = stack.tradewind("groups", "pause", "email", "--dry-run", "--json")

    assert would["paused"] and would["changed"]
    assert not shown(stack, "email")["flow"]["paused"]
    assert len(acted(stack, "consumer.pause", "email")) == told


def test_who_asks_why_an_order_waits_is_told_of_the_pause(steered):
    stack = steered.stack
    sku = steered.product()
    stack.tradewind("groups", "pause", "payment")
    order = steered.order((sku, 1))

    explained = stack.wait_until(
        lambda: [
            part
            for part in stack.tradewind("saga", "explain", order, "--json")["waits_for"]
            if part["part"] == "payment" and part["paused"]
        ],
        what="payment being named as paused",
    )
    said = stack.tradewind("saga", "explain", order)

    assert explained[0]["reachable"] and explained[0]["ready"]
    assert "is paused by an operator" in said and "groups resume payment" in said


def test_orders_are_taken_while_a_part_is_paused_as_while_it_is_down(steered):
    """Overload is refused at the door; a part that an operator has paused is not overload."""
    stack = steered.stack
    sku = steered.product(stock=1000)
    stack.tradewind("groups", "pause", "payment")
    orders = [steered.order((sku, 1)) for _ in range(25)]

    def all_wait_long():
        done = stack.run_tradewind("saga", "stuck", "--longer-than", "7s", "--limit", 1000, "--json")
        return set(orders) <= {order["order_id"] for order in json.loads(done.stdout)["orders"]}

    stack.wait_until(all_wait_long, what="so many orders waiting that it would be overload")
    orders.append(steered.order((sku, 1)))

    stack.tradewind("groups", "resume", "payment")
    steered.wait_for_all(orders, "fulfilled")


def test_a_throttle_lets_no_more_through_than_it_says(steered):
    stack = steered.stack
    sku = steered.product(stock=1000)
    idle(stack)
    count = sum(applied(shown(stack, "fraud")).values())

    stack.tradewind("groups", "throttle", "fraud", "--rate", 2)
    started = time.monotonic()
    orders = [steered.order((sku, 1)) for _ in range(12)]
    now = behind(stack, "fraud")
    passed = time.monotonic() - started

    assert now["flow"]["rate_per_s"] == 2
    assert sum(applied(now).values()) - count <= 2 * (passed + 1)

    stack.tradewind("groups", "throttle", "fraud", "--rate", 0)
    steered.wait_for_all(orders, "fulfilled")


def test_a_pause_holds_for_every_instance_of_a_part(steered):
    stack = steered.stack
    stack.up(instances=2)
    try:
        addresses = [stack.log_lines(program, "started")[-1]["http"] for program in ("payment", "payment-2")]
        stack.tradewind("groups", "pause", "payment")
        stack.wait_until(lambda: all(map(says_paused, addresses)), what="both instances being paused")
        stack.tradewind("groups", "resume", "payment")
        stack.wait_until(lambda: not any(map(says_paused, addresses)), what="both instances reading again")
    finally:
        stack.up(instances=1)


def says_paused(address):
    return "\ntradewind_intake_paused 1\n" in requests.get(f"http://{address}/metrics", timeout=10).text


def test_what_cannot_be_steered_is_refused_in_one_sentence(steered):
    stack = steered.stack

    for words, code in (
        (("pause", "catalog"), 2),
        (("pause", "nobody"), 2),
        (("throttle", "fraud"), 2),
        (("throttle", "fraud", "--rate", "-1"), 2),
        (("pause", "fraud", "--rate", "1"), 2),
        (("show", "nobody"), 1),
    ):
        done = stack.run_tradewind("groups", *words)
        assert done.returncode == code, (words, done.stderr)
        assert done.stderr.strip() and done.stdout == ""


def test_a_part_that_is_down_is_shown_by_what_kafka_knows(steered):
    stack = steered.stack
    steered.wait_for(steered.order((steered.product(), 1)), "fulfilled")
    stack.stop("email")

    down = stack.wait_until(
        lambda: (lambda group: group if group["state"] == "Empty" else None)(shown(stack, "email")),
        what="the group of email being empty",
    )

    assert down["flow"] is None and down["not_known"] and down["members"] == []
    assert any(place["committed"] for place in down["positions"])
    assert stack.run_tradewind("groups", "pause", "email").returncode == 3
