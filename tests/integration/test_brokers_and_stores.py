"""Servers go away while orders flow: the broker, PostgreSQL, the document store. What was accepted ends once they are back,
and nobody has to do anything. Parts that start before their servers wait, and say what they wait for."""

import pytest
import requests
from parts import ON_POSTGRESQL


def test_orders_are_accepted_without_a_broker_and_go_on_when_it_is_back(shop):
    stack, mug = shop.stack, shop.product(stock=100)
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    stack.stop("kafka")
    stack.wait_until(lambda: not health(stack, "orders")["broker"], what="the order service missing the broker")

    orders = [shop.order((mug, 1)) for _ in range(10)]

    assert {shop.get(order)["state"] for order in orders} == {"placed"}
    stack.start("kafka")
    shop.wait_for_all(orders, "fulfilled")
    assert shop.stock(mug) == {"on_hand": 89, "held": 0, "sold": 11, "received": 100}


@pytest.mark.parametrize("server", ["kafka", "postgres", "mongodb"])
def test_a_server_is_killed_while_orders_flow(shop, server):
    stack, mug = shop.stack, shop.product(stock=100)
    shop.sandbox(latency_ms=100)
    orders = [shop.order((mug, 1)) for _ in range(15)]

    stack.kill(server)

    orders += [place_until_accepted(shop, mug) for _ in range(5)]
    shop.wait_for_all(orders, "fulfilled")
    assert shop.stock(mug) == {"on_hand": 80, "held": 0, "sold": 20, "received": 100}
    assert all(shop.booked(order) == [("authorize", "done"), ("capture", "done")] for order in orders)


def place_until_accepted(shop, sku):
    """As a client does: the same request under the same key, until it is answered."""
    cart = shop.cart((sku, 1))
    key = {"Idempotency-Key": cart["customer_id"]}

    def accepted():
        answer = shop.stack.http("POST", "/orders", role="service", headers=key, json=cart)
        assert answer.status_code in (201, 409, 503), answer.text
        return answer if answer.status_code == 201 else None

    return shop.stack.wait_until(accepted, what="the order being accepted").json()["order_id"]


def test_a_part_that_starts_before_its_servers_waits_and_says_so(shop):
    stack, mug = shop.stack, shop.product(stock=10)
    for program in ("payment", "inventory", "postgres", "mongodb", "kafka"):
        stack.stop(program)
    said = {part: len(stack.log_lines(part)) for part in ("payment", "inventory")}

    for part in said:
        stack.start(part)

    for part, before in said.items():
        stack.wait_until(lambda: waits(stack, part, before), what=f"{part} saying what it waits for")
        assert get(stack, part, "/livez").status_code == 200
        assert get(stack, part, "/readyz").status_code == 503
    pids = {part: stack.pid(part) for part in said}
    for server in ("postgres", "mongodb", "kafka"):
        stack.start(server)
    stack.wait_ready()
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    assert {part: stack.pid(part) for part in said} == pids


NOTICED_WITHIN_S = 10  # two seconds, and what a busy machine adds


def test_a_database_that_is_away_is_noticed_by_parts_that_have_nothing_to_do(shop):
    stack = shop.stack
    mug = shop.product(stock=10)
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    pids = {part: stack.pid(part) for part in ON_POSTGRESQL}

    stack.stop("postgres")

    for part in ON_POSTGRESQL:
        assert_is_ready(stack, part, False)
        assert get(stack, part, "/livez").status_code == 200
        assert health(stack, part)["store"] is False
        assert get(stack, part, "/readyz").json()["detail"].startswith("store: ")
    assert get(stack, "inventory", "/readyz").status_code == 200, "its database is another one"
    assert stack.http("POST", "/orders", role="service", json=shop.cart((mug, 1))).status_code == 503

    stack.start("postgres")

    for part in ON_POSTGRESQL:
        assert_is_ready(stack, part, True)
    assert {part: stack.pid(part) for part in ON_POSTGRESQL} == pids
    for path in ("/orders", "/products"):  # the first question finds that its session has ended
        stack.wait_until(lambda path=path: stack.http("GET", path, role="service").status_code == 200, what=f"{path} being answered")


def test_a_database_that_is_frozen_answers_nothing_and_is_noticed(stack):
    pid = stack.freeze("mongodb")
    try:
        assert_is_ready(stack, "inventory", False)
        assert get(stack, "inventory", "/livez").status_code == 200
        assert get(stack, "orders", "/readyz").status_code == 200, "its database is another one"
    finally:
        stack.thaw(pid)

    assert_is_ready(stack, "inventory", True)


def assert_is_ready(stack, part, is_ready):
    stack.wait_until(
        lambda: (get(stack, part, "/readyz").status_code == 200) == is_ready,
        NOTICED_WITHIN_S,
        f"{part} being {'ready' if is_ready else 'not ready'}",
    )


def waits(stack, part, before):
    return [line for line in stack.log_lines(part)[before:] if line["level"] == "warn"]


def get(stack, part, path):
    return requests.get(f"http://{stack.settings[f'TRADEWIND_{part.upper()}_HTTP']}{path}", timeout=10)


def health(stack, part):
    """name -> whether it is well."""
    checks = get(stack, part, "/health").json()["checks"]
    return {name: check["status"] == "pass" for name, check in checks.items()}
