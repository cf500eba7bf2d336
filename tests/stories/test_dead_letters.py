"""What an operator does with dead letters: finds one, looks at it, tries it again, does without it. A try that fails is
counted and changes nothing else; after five the part refuses another one, unless the operator insists. What an order could
not end without is not dropped."""

import getpass
import json

import pytest
from dead_letters import listed, set_aside, told_of
from records import again, forget_last, headers_of, renumbered

TOPIC = "shop.orders.v1"


@pytest.fixture
def impossible(shop):
    """part, event type -> the dead letter of an event that comes where order.closed should be, which no row knows."""
    made = []

    def make(part, type):
        order = shop.order((shop.product(), 1))
        shop.wait_for(order, "fulfilled")
        records = shop.records(TOPIC, order)
        number = forget_last(shop.stack, part, records[-1])
        event = next(record for record in records if headers_of(record)["ce_type"] == type)
        again(shop.stack, event, headers=renumbered(event, number))
        shop.stack.start(part)
        shop.stack.wait_ready(part)
        letter = shop.stack.wait_until(
            lambda: listed(shop.stack, part, "--key", order), what=f"the dead letter of {order}"
        )[0]
        made.append((part, letter["id"]))
        return letter

    yield make
    for part, letter in made:
        shop.stack.sql(part, f"DELETE FROM dead_letters WHERE id = {letter}")


def attempt(stack, part, letter, *options):
    return stack.run_tradewind("dlq", "redrive", part, letter["id"], *options)


def test_a_letter_is_found_by_what_is_known_of_it(impossible, shop):
    letter = impossible("fraud", "order.created")
    stack, id = shop.stack, letter["id"]

    assert letter["reason"] == "impossible" and letter["type"] == "order.created" and letter["attempts"] == 1
    for filters in (("--type", "order.created"), ("--reason", "impossible"), ("--since", "10m"), ("--key", letter["key"])):
        assert id in [found["id"] for found in listed(stack, "fraud", *filters)], filters
    for filters in (("--type", "order.closed"), ("--reason", "no_number"), ("--until", "10m"), ("--key", "nobody's")):
        assert id not in [found["id"] for found in listed(stack, "fraud", *filters)], filters

    shown = stack.tradewind("dlq", "show", "fraud", id)
    assert letter["error"] in shown and letter["key"] in shown
    assert '"order_id"' in shown or "order_id" in shown
    assert "00 00 00 00 01" in shown  # the bytes: Confluent's zero and the schema's id


def test_tries_are_counted_and_a_loop_is_refused(impossible, shop):
    letter = impossible("fraud", "order.created")
    stack = shop.stack

    for tries in range(2, 6):
        done = attempt(stack, "fraud", letter)
        assert done.returncode == 1 and f"attempt {tries} of 5" in done.stderr
        now = listed(stack, "fraud", "--key", letter["key"])
        assert [(row["id"], row["attempts"]) for row in now] == [(letter["id"], tries)]

    refused = attempt(stack, "fraud", letter)
    assert refused.returncode == 1 and "it was tried 5 times, the limit is 5" in refused.stderr
    tried = attempt(stack, "fraud", letter, "--beyond-limit", "--dry-run")
    assert tried.returncode == 1 and "would be set aside" in tried.stderr
    assert listed(stack, "fraud", "--key", letter["key"])[0]["attempts"] == 5, "a dry run counts nothing"
    insisted = attempt(stack, "fraud", letter, "--beyond-limit")
    assert insisted.returncode == 1 and "attempt 6 of 5" in insisted.stderr


def test_an_order_confirmed_is_not_dropped(impossible, shop):
    letter = impossible("payment", "order.confirmed")

    refused = shop.stack.run_tradewind("dlq", "drop", "payment", letter["id"])

    assert refused.returncode == 1 and "order.confirmed can be redriven, not dropped" in refused.stderr
    assert listed(shop.stack, "payment", "--key", letter["key"])


def test_what_comes_later_for_the_key_is_parked_and_comes_back_in_order(impossible, shop):
    """The order's customer returns: while its dead letter is there, its order.cancelled waits behind it; other orders go on."""
    letter = impossible("payment", "order.created")
    stack, order = shop.stack, letter["key"]

    shop.cancel(order)  # fulfilled, not shipped: order.cancelled, and the money has to come back
    both = stack.wait_until(lambda: two(listed(stack, "payment", "--key", order)), what="what is parked behind it")
    assert [(row["type"], row["reason"], row["attempts"]) for row in both] == [
        ("order.created", "impossible", 1),
        ("order.cancelled", "parked", 0),
    ]
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")

    stack.tradewind("dlq", "drop", "payment", letter["id"])

    shop.wait_for(order, "closed")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done"), ("refund", "done")]
    assert listed(stack, "payment", "--key", order) == []


def test_a_row_with_a_state_that_is_none_stops_its_order_alone(shop):
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    stack, pid = shop.stack, shop.stack.pid("payment")
    captured = "UPDATE payment_events SET state = {} WHERE order_id = '{}' AND state = {}"
    history = f"SELECT state FROM payment_events WHERE order_id = '{order}' ORDER BY number DESC"
    was = stack.sql("payment", history)[0][0]
    stack.sql("payment", captured.format(99, order, was))

    shop.cancel(order)
    letter = stack.wait_until(lambda: listed(stack, "payment", "--key", order), what=f"the dead letter of {order}")[0]

    assert letter["reason"] == "impossible" and f"payment of order {order} is unknown" in letter["error"]
    assert shop.ask("GET", f"/payments/{order}").json()["state"] == "unknown"
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")
    assert stack.pid("payment") == pid, "it has not died of it"
    stack.sql("payment", captured.format(was, order, 99))
    stack.tradewind("dlq", "redrive", "payment", letter["id"])
    shop.wait_for(order, "closed")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done"), ("refund", "done")]


def two(rows):
    return rows if len(rows) == 2 else None


def test_inventorys_ledger_keeps_its_dead_letters_the_same_way(shop):
    stack = shop.stack
    letter = set_aside(stack, "inventory", TOPIC, 5)

    assert attempt(stack, "inventory", letter).returncode == 1
    stack.restart("inventory")
    stack.wait_ready("inventory")
    now = [row for row in listed(stack, "inventory") if row["id"] == letter["id"]][0]
    assert now["attempts"] == 2 and "it still cannot be read" in now["error"]
    assert "no event" in stack.tradewind("dlq", "show", "inventory", letter["id"])

    stack.tradewind("dlq", "drop", "inventory", letter["id"], "--because", "nobody's order")
    assert letter["id"] not in [row["id"] for row in listed(stack, "inventory")]
    assert stack.run_tradewind("dlq", "drop", "inventory", letter["id"]).returncode == 1


@pytest.mark.parametrize("part", ["payment", "inventory", "analytics"])
def test_what_was_done_is_told_by_the_part_that_did_it(shop, part):
    stack = shop.stack
    letter = set_aside(stack, part, TOPIC, 6)

    attempt(stack, part, letter, "--dry-run")
    attempt(stack, part, letter, "--because", "is it mended?")
    stack.tradewind("dlq", "drop", part, letter["id"], "--because", "it was \u00bbnobody's\u00ab")
    stack.kill(part)

    told = stack.wait_until(lambda: two(told_of(stack, part, letter)), what="both being told")
    assert [(event["action"], event["reason"]) for event in told] == [
        ("dead_letter.redrive", "is it mended?"),
        ("dead_letter.drop", "it was \u00bbnobody's\u00ab"),
    ]
    assert {event["actor"] for event in told} == {getpass.getuser()}
    assert json.loads(told[0]["before"])["attempts"] == 1
    assert json.loads(told[0]["after"])[0]["attempts"] == 2
    assert json.loads(told[1]["after"]) == [{"id": letter["id"], "outcome": "dropped"}]
