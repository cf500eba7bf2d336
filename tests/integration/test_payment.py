"""Money, by the provider's own book: whatever happens to an answer, no order is charged twice or for nothing.

The tests place orders of a charge only (it holds no stock), with the payment token that makes the sandbox provider do
what the test is about, and look at the order, the payment and the provider's book.
"""

import itertools
import time

import pytest
import requests
from local_stack import wait_until

CHARGE = "TEST-CHARGE"
placed = []  # the orders of this file
keys = (f"payment-{time.time_ns()}-{i}" for i in itertools.count())


@pytest.fixture(scope="module", autouse=True)
def product(running_stack):
    product = {"sku": CHARGE, "name": "A charge", "kind": "charge", "unit_price_minor": 500, "currency": "GBP"}
    made = running_stack.http("POST", "/products", role="service", headers={"Idempotency-Key": CHARGE}, json=[product])
    assert made.status_code == 200, made.text
    running_stack.wait_until(
        lambda: running_stack.http("GET", f"/orders/prices/{CHARGE}", role="service").status_code == 200,
        what="the order service knowing the price",
    )


@pytest.fixture
def provider(stack):
    """The provider's own address; afterwards the sandbox behaves as at the start."""
    url = stack.settings["TRADEWIND_PROVIDER"]
    before = requests.get(f"{url}/v1/sandbox", timeout=5).json()
    yield url
    stack.wait_ready("provider")
    requests.put(f"{url}/v1/sandbox", json=before, timeout=5).raise_for_status()


def place(stack, token, amount=1250):
    line = {"sku": CHARGE, "kind": "charge", "quantity": 1, "unit_price_minor": amount}
    key = next(keys)  # a customer of its own too: many orders of one would be suspicious
    order = {"customer_id": key, "currency": "GBP", "payment_token": token, "lines": [line]}
    answer = stack.http("POST", "/orders", role="service", headers={"Idempotency-Key": key}, json=order)
    assert answer.status_code == 201, answer.text
    placed.append(answer.json()["order_id"])
    return placed[-1]


def order(stack, order_id):
    return stack.http("GET", f"/orders/{order_id}", role="service").json()


def payment(stack, order_id):
    answer = stack.http("GET", f"/payments/{order_id}", role="operator")
    return answer.json() if answer.status_code == 200 else {"state": None}


def ends(stack, order_id, state):
    stack.wait_until(lambda: order(stack, order_id)["state"] == state, what=f"order {order_id} {state}")


def cancel(stack, order_id):
    assert stack.http("POST", f"/orders/{order_id}/cancel", role="service").status_code in (200, 202)


def book_of(provider, order_id):
    """What the provider's book says of the order; nothing while it comes back from an outage of its database."""
    answer = requests.get(f"{provider}/v1/operations", params={"merchant_ref": order_id}, timeout=5)
    return answer.json() if answer.status_code == 200 else None


def booked(provider, order_id):
    """What the provider did for the order: {kind: outcome}; each at most once."""
    operations = wait_until(lambda: book_of(provider, order_id), what="the provider's book")
    kinds = [operation["kind"] for operation in operations["operations"]]
    assert len(kinds) == len(set(kinds)), operations
    return {operation["kind"]: operation["outcome"] for operation in operations["operations"]}


def events(stack, order_id):
    return [event["type"] for event in payment(stack, order_id)["history"]]


def test_the_money_is_held_and_then_taken(stack, provider):
    order_id = place(stack, "tok_approve")
    ends(stack, order_id, "fulfilled")
    assert events(stack, order_id) == ["payment.authorized", "payment.captured"]
    assert booked(provider, order_id) == {"authorize": "done", "capture": "done"}


def test_an_order_for_nothing_is_asked_for_like_any_other(stack, provider):
    order_id = place(stack, "tok_approve", amount=0)
    ends(stack, order_id, "fulfilled")
    assert booked(provider, order_id) == {"authorize": "done", "capture": "done"}


def test_a_decline_says_why_and_touches_no_money(stack, provider):
    order_id = place(stack, "tok_decline_insufficient_funds")
    ends(stack, order_id, "closed")
    [declined] = payment(stack, order_id)["history"]
    assert (declined["type"], declined["code"]) == ("payment.declined", "insufficient_funds")
    assert booked(provider, order_id) == {"authorize": "declined"}


def test_money_that_cannot_be_taken_is_let_go(stack, provider):
    order_id = place(stack, "tok_capture_fail")
    ends(stack, order_id, "closed")
    assert events(stack, order_id) == ["payment.authorized", "payment.failed", "payment.voided"]
    assert booked(provider, order_id) == {"authorize": "done", "capture": "declined", "void": "done"}


def test_a_fulfilled_order_that_is_cancelled_gets_its_money_back(stack, provider):
    order_id = place(stack, "tok_approve")
    ends(stack, order_id, "fulfilled")
    cancel(stack, order_id)
    ends(stack, order_id, "closed")
    assert events(stack, order_id) == ["payment.authorized", "payment.captured", "payment.refunded"]
    assert booked(provider, order_id) == {"authorize": "done", "capture": "done", "refund": "done"}


def test_cancelled_while_the_provider_is_asked_the_money_is_let_go(stack, provider):
    order_id = place(stack, "tok_slow")
    stack.wait_until(lambda: payment(stack, order_id)["state"] == "asking")
    cancel(stack, order_id)
    stack.wait_until(lambda: payment(stack, order_id)["state"] == "withdrawing")
    ends(stack, order_id, "closed")
    assert events(stack, order_id) == ["payment.voided"]
    assert booked(provider, order_id) == {"authorize": "done", "void": "done"}


def test_cancelled_while_the_money_is_taken_it_is_given_back(stack, provider):
    order_id = place(stack, "tok_slow")
    stack.wait_until(lambda: payment(stack, order_id)["state"] == "capturing")
    cancel(stack, order_id)
    stack.wait_until(lambda: payment(stack, order_id)["state"] == "reversing")
    ends(stack, order_id, "closed")
    assert events(stack, order_id) == ["payment.authorized", "payment.captured", "payment.refunded"]
    assert booked(provider, order_id) == {"authorize": "done", "capture": "done", "refund": "done"}


def test_an_answer_that_is_lost_after_charging_is_asked_for_again_and_charged_once(stack, provider):
    requests.put(f"{provider}/v1/sandbox", json={"lost_ms": 4000}, timeout=5).raise_for_status()
    order_id = place(stack, "tok_timeout_once")
    stack.wait_until(lambda: booked(provider, order_id) == {"authorize": "done"})
    assert payment(stack, order_id)["state"] == "asking"
    ends(stack, order_id, "fulfilled")
    assert booked(provider, order_id) == {"authorize": "done", "capture": "done"}


def test_orders_wait_for_a_provider_that_is_down_and_go_on(stack, provider):
    requests.put(f"{provider}/v1/sandbox", json={"down": True}, timeout=5).raise_for_status()
    order_ids = [place(stack, "tok_approve") for _ in range(20)]
    stack.wait_until(lambda: all(payment(stack, order_id)["state"] == "asking" for order_id in order_ids))
    requests.put(f"{provider}/v1/sandbox", json={"down": False}, timeout=5).raise_for_status()
    for order_id in order_ids:
        ends(stack, order_id, "fulfilled")


def test_calls_that_find_no_room_in_memory_wait_in_the_table_and_are_made(stack, provider):
    stack.up(settings={"payment:TRADEWIND_PAYMENT_CALLS_IN_MEMORY": "50"})
    try:
        requests.put(f"{provider}/v1/sandbox", json={"down": True}, timeout=5).raise_for_status()
        order_ids = [place(stack, "tok_approve") for _ in range(150)]
        stack.wait_until(lambda: stack.sql("payment", "select count(*) from owed_calls") == [("150",)])
        requests.put(f"{provider}/v1/sandbox", json={"down": False}, timeout=5).raise_for_status()
        # The captures that come while authorizations still wait are left to the table too.
        for order_id in order_ids:
            ends(stack, order_id, "fulfilled")
        assert stack.sql("payment", "select count(*) from owed_calls") == [("0",)]
    finally:
        stack.up(settings={"payment:TRADEWIND_PAYMENT_CALLS_IN_MEMORY": None})


def test_calls_under_way_survive_a_kill_of_the_payment_part(stack, provider):
    requests.put(f"{provider}/v1/sandbox", json={"latency_ms": 700}, timeout=5).raise_for_status()
    order_ids = [place(stack, "tok_approve") for _ in range(20)]
    stack.wait_until(lambda: payment(stack, order_ids[-1])["state"] == "asking")
    stack.kill("payment")
    for order_id in order_ids:
        ends(stack, order_id, "fulfilled")
        assert booked(provider, order_id) == {"authorize": "done", "capture": "done"}


def test_calls_under_way_survive_a_kill_of_the_provider(stack, provider):
    requests.put(f"{provider}/v1/sandbox", json={"latency_ms": 700}, timeout=5).raise_for_status()
    order_ids = [place(stack, "tok_approve") for _ in range(20)]
    stack.wait_until(lambda: booked(provider, order_ids[-1]) != {})
    stack.kill("provider")
    for order_id in order_ids:
        ends(stack, order_id, "fulfilled")
    stack.wait_ready("provider")
    for order_id in order_ids:
        assert booked(provider, order_id) == {"authorize": "done", "capture": "done"}


def test_the_provider_refuses_to_charge_twice_and_remembers_who_tried(provider):
    def ask(path, key, **body):
        return requests.post(f"{provider}/v1/{path}", json=body, headers={"Idempotency-Key": key}, timeout=5)

    money = {"amount_minor": 700, "currency": "GBP"}
    reference = next(keys)
    opened = {"merchant_ref": reference, "payment_token": "tok_approve", **money}
    authorization = ask("authorizations", f"a:{reference}", **opened).json()["id"]
    capture = f"authorizations/{authorization}/capture"
    first = ask(capture, f"c:{reference}", **money)
    assert first.status_code == 201
    assert ask(capture, f"c:{reference}", **money).json() == first.json()
    assert ask(capture, f"c:{reference}", amount_minor=701, currency="GBP").status_code == 422
    assert ask(capture, f"again:{reference}", **money).status_code == 409
    refund = f"captures/{first.json()['id']}/refund"
    assert ask(refund, f"r:{reference}", amount_minor=701, currency="GBP").status_code == 409
    book = requests.get(f"{provider}/v1/book", timeout=5).json()
    found = {row["idempotency_key"]: row["code"] for row in book["violations"]}
    assert found[f"again:{reference}"] == "already_captured"
    assert found[f"r:{reference}"] == "amount_above_captured"
    assert [row for row in book["double_charges"] if row["merchant_ref"] == reference] == []


def test_payment_and_provider_agree_about_every_order(stack, provider):
    """No hold is left, and what was taken and given back is the same on both sides."""
    ids = ", ".join(f"'{order_id}'" for order_id in placed)
    stack.wait_until(lambda: stack.sql("payment", f"select * from owed_calls where order_id in ({ids})") == [])
    ours = stack.sql(
        "payment",
        "select currency, coalesce(sum(amount_minor) filter (where state = 6), 0) as captured,"
        " coalesce(sum(amount_minor) filter (where state = 12), 0) as refunded"
        f" from payment_events where order_id in ({ids}) group by 1",
    )
    theirs = stack.sql(
        "provider",
        "select currency, sum(captured_minor), sum(refunded_minor)"
        f" from authorizations where merchant_ref in ({ids}) group by 1",
    )
    assert ours == theirs
    held = f"select merchant_ref from authorizations where status = 'authorized' and merchant_ref in ({ids})"
    assert stack.sql("provider", held) == []
