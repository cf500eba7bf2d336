"""An order waits for a part that is away. The operator is told which one, for how long it waits, and why; sees what may come
next; and cancels it, through the order service."""

import getpass
import json

import pytest


@pytest.fixture
def without_payment(shop):
    shop.stack.stop("payment")
    yield shop
    shop.stack.start("payment")


def stuck(stack, *options):
    done = stack.run_tradewind("saga", "stuck", *options, "--json")
    assert done.returncode in (0, 1), done.stderr
    orders = json.loads(done.stdout)["orders"]
    assert (done.returncode == 1) == bool(orders)
    return {order["order_id"]: order for order in orders}


def test_who_waits_for_whom_and_why(without_payment):
    shop, stack = without_payment, without_payment.stack
    mug = shop.product(stock=10)
    order = shop.order((mug, 1))
    stack.wait_until(lambda: shop.get(order)["waits_for"] == ["payment"], what="the others having answered")

    found = stack.wait_until(lambda: stuck(stack, "--longer-than", "1s").get(order), what="it waiting a second")

    assert found["state"] == "placed" and found["waited_ms"] >= 1000 and found["deadline_at"] > found["since"]
    assert [(part["part"], part["reachable"], part["dead_letter"]) for part in found["waits_for"]] == [("payment", False, None)]
    assert order not in stuck(stack), "a minute is not unusual as long as little is known"
    table = stack.run_tradewind("saga", "stuck", "--longer-than", "1s").stdout
    assert order in table and "down: it does not answer" in table

    explained = stack.tradewind("saga", "explain", order)
    assert "payment, which is down" in explained
    assert "deadline" in explained and "payment.authorized" in explained

    foretold = stack.tradewind("saga", "cancel", order, "--dry-run")
    assert "it would become cancelled, publishing order.cancelled" in foretold
    assert shop.get(order)["state"] == "placed"
    stack.tradewind("saga", "cancel", order, "--because", "payment is away")

    assert shop.get(order)["state"] == "cancelled"
    stack.start("payment")
    shop.wait_for(order, "closed")
    told = [record["data"] for record in stack.tradewind("ops", "log", "--action", "order.cancel", "--json")]
    told = [event for event in told if event["subject"] == order]
    assert [(event["actor"], event["reason"]) for event in told] == [(getpass.getuser(), "payment is away")]
    assert json.loads(told[0]["before"]) == {"state": "placed"} and json.loads(told[0]["after"]) == {"state": "cancelled"}
    assert "waits for nobody" in stack.tradewind("saga", "explain", order)


def test_an_order_nobody_knows_is_a_finding(stack):
    nobody = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    for words in (("explain", nobody), ("cancel", nobody), ("cancel", nobody, "--dry-run")):
        done = stack.run_tradewind("saga", *words)
        assert done.returncode == 1 and f"no order {nobody}" in done.stderr, words
