"""What clients send wrong: to the public door, and past it to the parts themselves. Every mistake gets a 4xx problem that
says what is wrong and where; nothing is half made, and nothing of it is a 5xx. And who may do what."""

import base64
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

JSON = {"Content-Type": "application/json"}
POSTS = {"/orders": "orders", "/products": "catalog", "/stock/receipts": "inventory"}


@pytest.fixture
def sku(shop):
    return shop.product(stock=1000)


def entrances(stack, path):
    """The door, and the part behind it."""
    part = stack.settings[f"TRADEWIND_{POSTS[path].upper()}_HTTP"]
    return stack.settings["TRADEWIND_DOOR"] + path, f"http://{part}{path}"


def post(stack, url, body, *, role="service", headers=None, token=None, subject=None):
    token = token or stack.token(role, subject)
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**JSON, "Authorization": f"Bearer {token}", **(headers or {})}
    return requests.post(url, data=body, headers=headers, timeout=20)


def is_problem(answer, *statuses):
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code and problem["title"] and problem["detail"]
    assert problem["type"].startswith("urn:tradewind:problem:")
    return problem


def orders_made(stack):
    return int(stack.sql("orders", "SELECT count(*) FROM orders")[0][0])


DEEP = b"[" * 10_000 + b"]" * 10_000
NOT_JSON = {
    "no body": b"",
    "not JSON": b"sku=22423&quantity=2",
    "cut off": b'{"currency": "GBP"',
    "two documents": b"{} {}",
    "bad UTF-8": b'{"currency": "\xff\xfe"}',
    "a lone surrogate": b'{"currency": "\\ud800"}',
    "a duplicate key": b'{"currency": "GBP", "currency": "EUR"}',
    "depth 10,000": DEEP,
    "depth 10,000 of objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "NUL": b"\x00" * 100,
    "a comment": b"{/* x */}",
}


@pytest.mark.parametrize("path", POSTS)
def test_what_is_no_json_is_refused_on_every_route(stack, path):
    before = orders_made(stack)
    for url in entrances(stack, path):
        for name, body in NOT_JSON.items():
            assert is_problem(post(stack, url, body), 400, 422)["detail"], name
    assert orders_made(stack) == before


@pytest.mark.parametrize("path", POSTS)
def test_a_body_of_10_mb_is_refused_on_every_route(stack, path):
    door, part = entrances(stack, path)
    body = b'{"note": "' + b"x" * 10_000_000 + b'"}'

    is_problem(post(stack, door, body), 413)
    try:
        is_problem(post(stack, part, body), 413)
    except requests.ConnectionError:
        pass  # it need not read what it will not take


def test_wrong_methods_and_paths_are_refused(stack):
    for path in POSTS:
        for url in entrances(stack, path):
            headers = {"Authorization": f"Bearer {stack.token('service')}"}
            for method in ("PUT", "DELETE", "PATCH"):
                answer = requests.request(method, url, headers=headers, timeout=10)
                assert 400 <= answer.status_code < 500, (method, url, answer.status_code)
            is_problem(requests.put(url, headers={**headers, **JSON}, data=b"{}", timeout=10), 404, 405)
            is_problem(requests.get(url + "/a/b/c/d", headers=headers, timeout=10), 404)


def cart(sku):
    return {
        "customer_id": f"c-{uuid.uuid4().hex[:8]}",
        "currency": "GBP",
        "payment_token": "tok_approve",
        "lines": [{"sku": sku, "quantity": 1}],
    }


def with_line(**changed):
    return lambda cart: cart["lines"][0].update(changed)


def with_member(**changed):
    return lambda cart: cart.update(changed)


def without(name):
    return lambda cart: cart.pop(name)


BAD_ORDERS = [
    ("quantity 0", with_line(quantity=0), "/lines/0/quantity"),
    ("quantity -1", with_line(quantity=-1), "/lines/0/quantity"),
    ("quantity 2^63", with_line(quantity=2**63), "/lines/0/quantity"),
    ("quantity 2^64 + 1", with_line(quantity=2**64 + 1), "/lines/0/quantity"),
    ("quantity 1.5", with_line(quantity=1.5), "/lines/0/quantity"),
    ("quantity 1e300", with_line(quantity=1e300), "/lines/0/quantity"),
    ("quantity as text", with_line(quantity="1"), "/lines/0/quantity"),
    ("quantity null", with_line(quantity=None), "/lines/0/quantity"),
    ("quantity a list", with_line(quantity=[1]), "/lines/0/quantity"),
    ("unknown SKU", with_line(sku="NO-SUCH-THING"), "/lines/0/sku"),
    ("SKU empty", with_line(sku=""), "/lines/0/sku"),
    ("SKU a number", with_line(sku=22423), "/lines/0/sku"),
    ("SKU of 10,000 bytes", with_line(sku="A" * 10_000), "/lines/0/sku"),
    ("SKU with a NUL", with_line(sku="A\0B"), "/lines/0/sku"),
    ("unknown field of a line", with_line(colour="blue"), "/lines/0/colour"),
    ("price below 0", with_line(unit_price_minor=-1), "/lines/0/unit_price_minor"),
    ("price 2^63", with_line(unit_price_minor=2**63), "/lines/0/unit_price_minor"),
    ("kind of no kind", with_line(kind="service"), "/lines/0/kind"),
    ("no lines", with_member(lines=[]), "/lines"),
    ("lines no list", with_member(lines={"sku": "A"}), "/lines"),
    ("a line no object", with_member(lines=["A"]), "/lines/0"),
    ("1,001 lines", lambda cart: cart.update(lines=cart["lines"] * 1001), "/lines"),
    ("lines missing", without("lines"), "/lines"),
    ("unknown field", with_member(discount=100), "/discount"),
    ("currency missing", without("currency"), "/currency"),
    ("currency small", with_member(currency="gbp"), "/currency"),
    ("currency of another product", with_member(currency="EUR"), "/lines/0/sku"),
    ("payment token missing", without("payment_token"), "/payment_token"),
    ("payment token a number", with_member(payment_token=1), "/payment_token"),
    ("warehouse nobody has", with_member(warehouse="moon"), "/warehouse"),
    ("ordered_at of no time", with_member(ordered_at="yesterday"), "/ordered_at"),
    ("contact no object", with_member(contact="Ada"), "/contact"),
    ("email without @", with_member(contact={"email": "ada"}), "/contact/email"),
    ("unknown field of a contact", with_member(contact={"phone": "1"}), "/contact/phone"),
    ("customer a number", with_member(customer_id=1), "/customer_id"),
    ("customer and guest", with_member(guest="x"), ""),
]


def test_every_mistake_in_an_order_is_named(stack, sku):
    before = orders_made(stack)

    for url in entrances(stack, "/orders"):
        for name, change, pointer in BAD_ORDERS:
            body = cart(sku)
            change(body)
            problem = is_problem(post(stack, url, body), 422)
            assert problem.get("pointer") == pointer, (name, problem)

    assert orders_made(stack) == before


def test_an_amount_beyond_all_numbers_is_refused(stack, sku):
    body = cart(sku)
    body["lines"] = [{"sku": sku, "quantity": 10**9, "unit_price_minor": 10**12}] * 1000

    problem = is_problem(post(stack, entrances(stack, "/orders")[0], body), 422)

    assert problem["type"].endswith("amount-too-large") and problem["pointer"].startswith("/lines")


def test_the_largest_order_is_taken(stack, shop, sku):
    body = cart(sku)
    body["lines"] = body["lines"] * 1000

    answer = post(stack, entrances(stack, "/orders")[0], body)

    assert answer.status_code == 201
    assert len(shop.get(answer.json()["order_id"])["lines"]) == 1000
    shop.wait_for(answer.json()["order_id"], "fulfilled")


PRODUCT = {"sku": "HTTP-1", "name": "A thing", "kind": "goods", "unit_price_minor": 5, "currency": "GBP"}
RECEIPT = {"receipt_id": "http-1", "sku": "HTTP-1", "quantity": 5}
BAD_ARRAYS = [
    ("/products", PRODUCT, {"unit_price_minor": -1}, "/0/unit_price_minor"),
    ("/products", PRODUCT, {"unit_price_minor": 2**63}, "/0/unit_price_minor"),
    ("/products", PRODUCT, {"unit_price_minor": "5"}, "/0/unit_price_minor"),
    ("/products", PRODUCT, {"currency": "pounds"}, "/0/currency"),
    ("/products", PRODUCT, {"kind": "magic"}, "/0/kind"),
    ("/products", PRODUCT, {"sku": ""}, "/0/sku"),
    ("/products", PRODUCT, {"sku": None}, "/0/sku"),
    ("/products", PRODUCT, {"name": 7}, "/0/name"),
    ("/products", PRODUCT, {"weight": 7}, "/0/weight"),
    ("/stock/receipts", RECEIPT, {"quantity": 0}, "/0/quantity"),
    ("/stock/receipts", RECEIPT, {"quantity": 2**63}, "/0/quantity"),
    ("/stock/receipts", RECEIPT, {"quantity": "5"}, "/0/quantity"),
    ("/stock/receipts", RECEIPT, {"sku": ""}, "/0/sku"),
    ("/stock/receipts", RECEIPT, {"sku": "K\u00e4se"}, "/0/sku"),
    ("/stock/receipts", RECEIPT, {"sku": " 22423"}, "/0/sku"),
    ("/stock/receipts", RECEIPT, {"receipt_id": ""}, "/0/receipt_id"),
    ("/stock/receipts", RECEIPT, {"warehouse": "moon"}, "/0/warehouse"),
    ("/stock/receipts", RECEIPT, {"colour": "blue"}, "/0/colour"),
]


def test_every_mistake_in_products_and_receipts_is_named(stack):
    for path, good, change, pointer in BAD_ARRAYS:
        for url in entrances(stack, path):
            problem = is_problem(post(stack, url, [{**good, **change}]), 422)
            assert problem.get("pointer") == pointer, (path, change, problem)
    for path in ("/products", "/stock/receipts"):
        for url in entrances(stack, path):
            for body in ({}, [], "text", 7, [7], [[]], None):
                is_problem(post(stack, url, body), 422)
    assert stack.http("GET", "/stock/HTTP-1", role="service").status_code == 404


def test_the_same_key_in_50_parallel_requests_makes_one_order(stack, shop, sku):
    url, key = entrances(stack, "/orders")[0], {"Idempotency-Key": uuid.uuid4().hex}
    body = cart(sku)

    with ThreadPoolExecutor(50) as at_once:
        answers = list(at_once.map(lambda _: post(stack, url, body, headers=key), range(50)))

    statuses = {answer.status_code for answer in answers}
    made = {answer.json()["order_id"] for answer in answers if answer.status_code == 201}
    assert statuses <= {201, 409} and len(made) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert is_problem(answer, 409)["type"].endswith("idempotency-key-in-flight")
    listed = shop.ask("GET", f"/orders?customer={body['customer_id']}").json()["orders"]
    assert [order["order_id"] for order in listed] == list(made)

    again = post(stack, url, body, headers=key)
    assert again.status_code == 201 and again.json()["order_id"] in made
    other = is_problem(post(stack, url, cart(sku), headers=key), 422)
    assert other["type"].endswith("idempotency-key-reused")


def test_a_key_belongs_to_its_caller_and_a_refusal_does_not_use_it_up(stack, sku):
    url, key = entrances(stack, "/orders")[0], {"Idempotency-Key": uuid.uuid4().hex}
    body = {name: value for name, value in cart(sku).items() if name != "customer_id"}
    wrong = {**body, "currency": "pounds"}

    is_problem(post(stack, url, wrong, headers=key, role="customer", subject="ann"), 422)
    anns = post(stack, url, body, headers=key, role="customer", subject="ann")
    bobs = post(stack, url, body, headers=key, role="customer", subject="bob")

    assert anns.status_code == bobs.status_code == 201
    assert anns.json()["order_id"] != bobs.json()["order_id"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "käse".encode().decode("latin-1")])
def test_a_key_that_is_none_is_refused(stack, sku, key):
    for url in entrances(stack, "/orders"):
        is_problem(post(stack, url, cart(sku), headers={"Idempotency-Key": key}), 400)


def test_a_customer_states_no_prices_and_speaks_for_nobody_else(stack, sku):
    own = {name: value for name, value in cart(sku).items() if name != "customer_id"}
    cases = [
        ("/lines/0/unit_price_minor", lambda body: body["lines"][0].update(unit_price_minor=1)),
        ("/lines/0/kind", lambda body: body["lines"][0].update(kind="charge")),
        ("/customer_id", lambda body: body.update(customer_id="somebody-else")),
        ("/guest", lambda body: body.update(guest="x")),
        ("/country", lambda body: body.update(country="France")),
        ("/ordered_at", lambda body: body.update(ordered_at="2020-01-01T00:00:00Z")),
    ]

    for url in entrances(stack, "/orders"):
        for pointer, change in cases:
            body = json.loads(json.dumps(own))
            change(body)
            problem = is_problem(post(stack, url, body, role="customer", subject="ann"), 422)
            assert problem["pointer"] == pointer
        assert post(stack, url, own, role="customer", subject="ann").status_code == 201


def test_a_customer_sees_and_cancels_only_their_own_orders(stack, shop, sku):
    ann, bob = f"ann-{sku}", f"bob-{sku}"
    order = shop.order((sku, 1), customer=ann)

    def ask(method, path, subject):
        return stack.http(method, path, role="customer", subject=subject)

    assert ask("GET", f"/orders/{order}", ann).status_code == 200
    assert is_problem(ask("GET", f"/orders/{order}", bob), 404)
    assert is_problem(ask("POST", f"/orders/{order}/cancel", bob), 404)
    assert [o["order_id"] for o in ask("GET", "/orders", ann).json()["orders"]] == [order]
    assert ask("GET", "/orders", bob).json()["orders"] == []
    other = ask("GET", f"/orders?customer={ann}", bob)
    assert other.status_code in (403, 422) or other.json()["orders"] == []
    assert shop.wait_for(order, "fulfilled")
    assert ask("POST", f"/orders/{order}/cancel", ann).status_code in (200, 202)


def test_each_role_may_do_what_it_is_for(stack, shop, sku):
    order = shop.order((sku, 1))
    refused = [
        ("POST", "/products", "customer"),
        ("POST", "/products", "analyst"),
        ("POST", "/stock/receipts", "customer"),
        ("POST", "/stock/receipts", "analyst"),
        ("POST", "/orders", "analyst"),
        ("POST", "/orders", "operator"),
        ("GET", "/orders/prices", "customer"),
        ("GET", f"/payments/{order}", "customer"),
        ("POST", f"/orders/{order}/cancel", "analyst"),
        ("DELETE", f"/products/{sku}", "customer"),
    ]

    for method, path, role in refused:
        body = {"json": []} if method == "POST" and not path.endswith("/cancel") else {}
        is_problem(stack.http(method, path, role=role, subject="x", **body), 403)


def test_the_part_looks_at_tokens_itself(stack, sku):
    part = entrances(stack, "/orders")[1]
    good = stack.token("service")
    head, claims, signature = good.split(".")
    stated = json.loads(base64.urlsafe_b64decode(claims + "=="))
    stated.update(role="operator", exp=int(time.time()) + 3600)
    forged = base64.urlsafe_b64encode(json.dumps(stated).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    expired = stack.tradewind("token", "--role", "service", "--ttl", "1", as_json=False).strip()
    cases = {
        "none": "",
        "garbage": "x.y.z",
        "changed": f"{head}.{forged}.{signature}",
        "alg none": f"{none}.{forged}.",
    }

    for name, token in cases.items():
        headers = {**JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = requests.post(part, data=json.dumps(cart(sku)), headers=headers, timeout=10)
        assert is_problem(answer, 401), name
    stack.wait_until(lambda: post(stack, part, cart(sku), token=expired).status_code == 401, 15, "the token's end")
    assert post(stack, part, cart(sku), token=good).status_code == 201


def test_ids_that_are_none_are_not_found(stack):
    for order in ("x", "01J", "0" * 26, "Z" * 26, "%00", "a" * 5000):
        answer = stack.http("GET", f"/orders/{order}", role="service")
        assert 400 <= answer.status_code < 500, (order, answer.status_code)
    for query in ("limit=0", "limit=-1", "limit=9999999999999999999", "limit=x", "state=nowhere", "cursor=%ff"):
        answer = stack.http("GET", f"/orders?{query}", role="service")
        assert 400 <= answer.status_code < 500, (query, answer.status_code)
