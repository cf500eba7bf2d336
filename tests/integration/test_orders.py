"""The order service: what it accepts, what it refuses and in which words, and what happens to an order from there.

Each test has customers of its own; the products are the same for all.
"""

import itertools
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

GOODS, CHARGE, YEN, NONE_LEFT = "TEST-ORDER-A1", "TEST-ORDER-FEE", "TEST-ORDER-YEN", "TEST-ORDER-GONE"
names = (f"orders-{time.time_ns()}-{i}" for i in itertools.count())


@pytest.fixture(scope="module", autouse=True)
def products(running_stack):
    running_stack.up()
    made = running_stack.http(
        "POST",
        "/products",
        role="service",
        json=[
            {"sku": GOODS, "name": "Goods", "kind": "goods", "unit_price_minor": 250, "currency": "GBP"},
            {"sku": CHARGE, "name": "A fee", "kind": "charge", "unit_price_minor": 100, "currency": "GBP"},
            {"sku": YEN, "name": "Sold elsewhere", "kind": "goods", "unit_price_minor": 900, "currency": "JPY"},
            {"sku": NONE_LEFT, "name": "Sold out", "kind": "goods", "unit_price_minor": 250, "currency": "GBP"},
        ],
    )
    assert made.status_code == 200, made.text
    receipt = {"receipt_id": next(names), "sku": GOODS, "quantity": 1_000_000}
    assert running_stack.http("POST", "/stock/receipts", role="service", json=[receipt]).status_code == 200
    running_stack.wait_until(lambda: {GOODS, CHARGE, YEN, NONE_LEFT} <= known_skus(running_stack), what="the prices being known")


def known_skus(stack):
    skus, cursor = set(), ""
    while cursor is not None:
        answer = stack.http("GET", "/orders/prices", role="service", params={"cursor": cursor, "limit": 500})
        if answer.status_code == 503:
            return skus  # a part that comes back is asked again
        page = answer.json()
        skus |= {price["sku"] for price in page["prices"]}
        cursor = page["next_cursor"]
    return skus


def cart(*lines, **more):
    lines = lines or ({"sku": GOODS, "quantity": 1},)
    return {"currency": "GBP", "payment_token": "tok_approve", "lines": list(lines), **more}


def post(stack, body, *, customer=None, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    return stack.http(
        "POST", "/orders", role="customer", subject=customer or next(names), headers=headers, json=body
    )


def place(stack, *lines, customer=None, **more):
    answer = post(stack, cart(*lines, **more), customer=customer)
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"]


def order(stack, order_id):
    return stack.http("GET", f"/orders/{order_id}", role="service").json()


def comes_to(stack, order_id, state):
    stack.wait_until(lambda: order(stack, order_id)["state"] == state, what=f"order {order_id} being {state}")
    return order(stack, order_id)


def history(stack, order_id):
    return [event["type"] for event in order(stack, order_id)["history"]]


def refused(answer, status, pointer=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].startswith("urn:tradewind:problem:") and problem["detail"]
    assert problem.get("pointer") == pointer, problem
    return problem["type"].rsplit(":", 1)[1]


# --- Bad input -----------------------------------------------------------------------------------------------------


def line(**change):
    whole = {"sku": GOODS, "quantity": 1, **change}
    return cart({name: value for name, value in whole.items() if value is not None})


WRONG_FIELDS = {
    "no lines": (cart() | {"lines": []}, "/lines"),
    "lines of the wrong type": (cart() | {"lines": "one"}, "/lines"),
    "too many lines": (cart(*[{"sku": GOODS, "quantity": 1}] * 1001), "/lines"),
    "a line of the wrong type": (cart(7), "/lines/0"),
    "no sku": (line(sku=None), "/lines/0/sku"),
    "an unknown sku": (line(sku="TEST-NOBODY-SELLS-THIS"), "/lines/0/sku"),
    "an sku in another currency": (line(sku=YEN), "/lines/0/sku"),
    "quantity 0": (line(quantity=0), "/lines/0/quantity"),
    "quantity 2^63": (line(quantity=2**63), "/lines/0/quantity"),
    "half a unit": (line(quantity=0.5), "/lines/0/quantity"),
    "quantity as text": (line(quantity="1"), "/lines/0/quantity"),
    "a code of another sku": (line(code=CHARGE), "/lines/0/code"),
    "a price of their own": (line(unit_price_minor=1), "/lines/0/unit_price_minor"),
    "an unknown field": (cart(colour="red"), "/colour"),
    "an unknown field of a line": (line(colour="red"), "/lines/0/colour"),
    "somebody else's order": (cart(customer_id="7"), "/customer_id"),
    "a country": (cart(country="France"), "/country"),
    "a time": (cart(ordered_at="2010-12-01T08:26:00Z"), "/ordered_at"),
    "a warehouse there is not": (cart(warehouse="atlantis"), "/warehouse"),
    "an email that is none": (cart(contact={"email": "ada"}), "/contact/email"),
    "a currency in small letters": (cart() | {"currency": "gbp"}, "/currency"),
    "no payment token": ({"currency": "GBP", "lines": [{"sku": GOODS, "quantity": 1}]}, "/payment_token"),
    "a list": ([], ""),
}


def test_a_wrong_field_is_named_and_makes_no_order(stack):
    customer = next(names)

    for name, (body, pointer) in WRONG_FIELDS.items():
        answer = post(stack, body, customer=customer)
        assert answer.status_code == 422, (name, answer.text)
        refused(answer, 422, pointer)
    listed = stack.http("GET", "/orders", role="customer", subject=customer)
    assert listed.json() == {"orders": [], "next_cursor": None}


WRONG_BODIES = {
    "nothing": (b"", 400),
    "no JSON": (b"hello", 400),
    "half of it": (json.dumps(cart()).encode()[:-2], 400),
    "two keys of one name": (b'{"currency": "GBP", "currency": "EUR"}', 400),
    "bad UTF-8": (b'{"currency": "\xff"}', 400),
    "depth 10,000": (b"[" * 10_000 + b"]" * 10_000, 400),
    "10 MB": (b'{"currency": "' + b"x" * 10_000_000 + b'"}', 413),
}


@pytest.mark.parametrize("name", WRONG_BODIES)
def test_a_body_that_is_none_is_refused_by_the_part_itself(stack, name):
    body, status = WRONG_BODIES[name]
    token = stack.token("customer", "somebody")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    answer = requests.post(f"http://{stack.settings['TRADEWIND_ORDERS_HTTP']}/orders", body, headers=headers, timeout=30)

    refused(answer, status)


def test_an_amount_beyond_64_bits_is_refused(stack):
    line = {"sku": GOODS, "quantity": 10**6, "unit_price_minor": 10**12}

    answer = stack.http("POST", "/orders", role="service", json=cart(*[line] * 20, guest="rich"))

    assert refused(answer, 422, "/lines/9/quantity") == "amount-too-large"


def test_wrong_methods_and_ids_are_refused(stack):
    assert stack.http("PUT", "/orders", role="service", json={}).status_code == 405
    for order_id in ("1", "01J0000000000000000000000A", "x" * 26, "%00" * 26):
        assert stack.http("GET", f"/orders/{order_id}", role="service").status_code in (400, 404)
        assert stack.http("POST", f"/orders/{order_id}/cancel", role="service").status_code in (400, 404)


# --- The same request again ------------------------------------------------------------------------------------------


def test_50_requests_with_one_key_make_one_order(stack):
    customer, key = next(names), next(names)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(stack, cart(), customer=customer, key=key), range(50)))

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {201, 409} and statuses[201] >= 1, statuses
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    listed = stack.http("GET", "/orders", role="customer", subject=customer).json()["orders"]
    assert len(listed) == 1


def test_a_key_gives_the_same_answer_again_to_its_caller_only(stack):
    customer, key = next(names), next(names)
    first = post(stack, cart(), customer=customer, key=key)

    again = post(stack, cart(), customer=customer, key=key)
    other_body = post(stack, line(quantity=2), customer=customer, key=key)
    other_caller = post(stack, cart(), key=key)

    assert (again.status_code, again.text) == (201, first.text)
    assert again.headers["location"] == f"/orders/{first.json()['order_id']}"
    assert refused(other_body, 422) == "idempotency-key-reused"
    assert other_caller.status_code == 201
    assert other_caller.json()["order_id"] != first.json()["order_id"]


def test_a_refused_request_may_be_corrected_under_its_key(stack):
    customer, key = next(names), next(names)

    refused(post(stack, line(sku="TEST-NOBODY-SELLS-THIS"), customer=customer, key=key), 422, "/lines/0/sku")

    assert post(stack, cart(), customer=customer, key=key).status_code == 201


def test_a_key_is_kept_for_a_day_and_then_free_again(stack):
    customer, young, old = next(names), next(names), next(names)
    first = {key: post(stack, cart(), customer=customer, key=key).json()["order_id"] for key in (young, old)}

    make_older(stack, young, hours=24, but_seconds=60)
    make_older(stack, old, hours=24)

    stack.wait_until(lambda: not keys_like(stack, old), what="the old key being gone")
    assert keys_like(stack, young) == [(f"customer {customer} {young}",)]
    again = {key: post(stack, cart(), customer=customer, key=key) for key in (young, old)}
    assert again[young].json()["order_id"] == first[young]
    assert again[old].status_code == 201 and again[old].json()["order_id"] not in first.values()
    assert refused(post(stack, line(quantity=2), customer=customer, key=old), 422) == "idempotency-key-reused"


def make_older(stack, key, *, hours, but_seconds=0):
    """As if the key had been used so much earlier than it was."""
    microseconds = (hours * 3600 - but_seconds) * 10**6
    stack.sql("orders", f"update idempotency set created_us = created_us - {microseconds} where key like '%{key}'")


def keys_like(stack, key):
    return stack.sql("orders", f"select key from idempotency where key like '%{key}'")


# --- An order's life -------------------------------------------------------------------------------------------------


def test_an_order_is_priced_fulfilled_and_tells_its_history(stack):
    order_id = place(stack, {"sku": GOODS.lower(), "quantity": 3}, {"sku": CHARGE, "quantity": 1})

    whole = comes_to(stack, order_id, "fulfilled")

    assert whole["total_minor"] == 3 * 250 + 100 and whole["waits_for"] == []
    assert [(line["sku"], line["code"], line["kind"]) for line in whole["lines"]] == [
        (GOODS, GOODS.lower(), "goods"),
        (CHARGE, CHARGE, "charge"),
    ]
    price = stack.http("GET", f"/orders/prices/{GOODS}", role="service").json()
    assert whole["lines"][0]["price_event"] == price["product_event"]
    events = {event["type"]: event for event in whole["history"]}
    assert list(events)[0] == "order.created" and list(events)[-1] == "order.closed"
    assert set(events) == {
        "order.created", "inventory.reserved", "payment.authorized", "fraud.cleared",
        "order.confirmed", "inventory.committed", "payment.captured", "order.closed",
    }  # fmt: skip
    ids = {event["id"] for event in whole["history"]}
    assert all(event["cause"] in ids for event in whole["history"][1:]), whole["history"]
    assert events["order.confirmed"]["cause"] in {
        events[verdict]["id"] for verdict in ("inventory.reserved", "payment.authorized", "fraud.cleared")
    }


def test_one_no_cancels_and_undoes_the_rest(stack):
    cases = {
        "out_of_stock": place(stack, {"sku": NONE_LEFT, "quantity": 1}),
        "payment_declined": place(stack, payment_token="tok_decline"),
        "payment_failed": place(stack, payment_token="tok_capture_fail"),
    }

    for reason, order_id in cases.items():
        whole = comes_to(stack, order_id, "closed")
        assert whole["reason"] == reason and whole["detail"]
        assert whole["history"][-1]["type"] == "order.closed"


def test_a_fulfilled_order_is_cancelled_and_closed_twice(stack):
    customer = next(names)
    order_id = place(stack, customer=customer)
    comes_to(stack, order_id, "fulfilled")

    first = stack.http("POST", f"/orders/{order_id}/cancel", role="customer", subject=customer)
    comes_to(stack, order_id, "closed")
    again = stack.http("POST", f"/orders/{order_id}/cancel", role="operator")

    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert (again.status_code, again.json()) == (200, {"order_id": order_id, "state": "closed", "reason": "customer"})
    assert Counter(history(stack, order_id))["order.closed"] == 2
    assert Counter(history(stack, order_id))["order.cancelled"] == 1


def test_customers_see_and_cancel_only_their_own(stack):
    mine, theirs = next(names), next(names)
    order_id = place(stack, customer=theirs)

    assert stack.http("GET", f"/orders/{order_id}", role="customer", subject=mine).status_code == 404
    assert stack.http("POST", f"/orders/{order_id}/cancel", role="customer", subject=mine).status_code == 404
    assert stack.http("GET", f"/orders?customer={theirs}", role="customer", subject=mine).status_code == 403
    assert comes_to(stack, order_id, "fulfilled")["customer_id"] == theirs


def test_a_list_is_newest_first_in_pages_and_by_state(stack):
    customer = next(names)
    placed = [place(stack, customer=customer) for _ in range(5)]
    stop = place(stack, customer=customer, payment_token="tok_decline")
    for order_id in placed:
        comes_to(stack, order_id, "fulfilled")
    comes_to(stack, stop, "closed")

    def pages(**query):
        cursor, ids = None, []
        while True:
            params = {"customer": customer, **query} | ({"cursor": cursor} if cursor else {})
            page = stack.http("GET", "/orders", role="operator", params=params).json()
            ids.append([row["order_id"] for row in page["orders"]])
            cursor = page["next_cursor"]
            if cursor is None:
                return ids

    assert sum(pages(limit=2), []) == sorted([*placed, stop], reverse=True)
    assert max(map(len, pages(limit=2))) == 2
    assert sum(pages(state="closed"), []) == [stop]
    assert sum(pages(state="fulfilled", limit=3), []) == sorted(placed, reverse=True)


# --- Time and load ---------------------------------------------------------------------------------------------------


def test_no_more_orders_wait_than_may(stack):
    stack.up(settings={"orders:TRADEWIND_OPEN_ORDERS_MAX": "5"})
    try:
        stack.stop("payment")
        placed = [place(stack) for _ in range(5)]
        full = post(stack, cart())
        assert refused(full, 503) == "overloaded" and int(full.headers["retry-after"]) >= 1

        stack.start("payment")
        for order_id in placed:
            comes_to(stack, order_id, "fulfilled")
        stack.wait_until(lambda: post(stack, cart()).status_code == 201, what="orders being accepted again")
    finally:
        stack.up(settings={"orders:TRADEWIND_OPEN_ORDERS_MAX": None})


def test_one_slow_order_does_not_close_the_shop(stack):
    slow = place(stack, payment_token="tok_slow")
    until = time.monotonic() + 8
    while time.monotonic() < until:
        assert post(stack, cart()).status_code == 201
        time.sleep(0.5)
    comes_to(stack, slow, "fulfilled")
