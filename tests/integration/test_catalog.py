"""Products through the door: all of a request or none of it, and nothing is published that changes nothing."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

numbers = itertools.count(time.time_ns())


def new_sku(prefix="TEST-CATALOG"):
    return f"{prefix}-{next(numbers)}"


def product(sku, **more):
    return {"sku": sku, "name": "Thing", "kind": "goods", "unit_price_minor": 255, "currency": "GBP"} | more


def put(stack, products, role="service"):
    return stack.http("POST", "/products", role=role, json=products)


def get(stack, sku):
    return stack.http("GET", f"/products/{sku}")


def put_one(stack, sku, **more):
    answer = put(stack, [product(sku, **more)])
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_product_is_there_as_soon_as_it_is_taken(stack):
    sku = new_sku()

    put_one(stack, sku.lower(), category="things")

    found = get(stack, sku).json()
    assert found.items() >= {"sku": sku, "name": "Thing", "unit_price_minor": 255, "category": "things"}.items()
    assert found["sold"] is True


def test_what_changes_nothing_is_not_published_and_names_the_last_event(stack):
    sku = new_sku()
    first = put_one(stack, sku)

    again = put_one(stack, sku)
    dearer = put_one(stack, sku, unit_price_minor=256)

    assert (first["changed"], again["changed"], dearer["changed"]) == (1, 0, 1)
    assert again["products"] == first["products"]
    assert dearer["products"][0]["product_event"] != first["products"][0]["product_event"]


def test_the_order_service_hears_of_the_event_that_the_answer_names(stack):
    sku = new_sku()
    event = put_one(stack, sku)["products"][0]["product_event"]

    def heard():
        answer = stack.http("GET", f"/orders/prices/{sku}", role="service")
        return answer.status_code == 200 and answer.json()["product_event"]

    assert stack.wait_until(heard, what=f"the price of {sku}") == event


def test_one_bad_product_refuses_all(stack):
    good, bad = new_sku(), new_sku()

    answer = put(stack, [product(good), product(bad, unit_price_minor=-1)])

    assert (answer.status_code, answer.json()["pointer"]) == (422, "/1/unit_price_minor")
    assert get(stack, good).status_code == 404


@pytest.mark.parametrize(
    "body, status",
    [
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ("null", 422),
        ("[" * 10_000, 400),
        ('[{"sku": "A", "sku": "B"}]', 400),
        (b'[{"sku": "\xff"}]', 400),
        ('[{"sku": "A", "name": "X", "kind": "goods", "unit_price_minor": 9223372036854775808, "currency": "GBP"}]', 422),
        ('[{"sku": "A", "name": "X", "kind": "goods", "unit_price_minor": 1.5, "currency": "GBP"}]', 422),
        ("", 400),
    ],
)
def test_bad_bodies_are_refused_with_a_problem(stack, body, status):
    headers = {"Content-Type": "application/json"}

    answer = stack.http("POST", "/products", role="service", headers=headers, data=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_more_than_5000_products_are_refused(stack):
    answer = put(stack, [product(f"TOO-MANY-{i}") for i in range(5001)])

    assert answer.status_code == 422
    assert get(stack, "TOO-MANY-0").status_code == 404


def test_only_services_may_change_products_and_anybody_may_read_them(stack):
    sku = new_sku()

    assert put(stack, [product(sku)], role="customer").status_code == 403
    assert stack.http("POST", "/products", json=[product(sku)]).status_code == 401
    assert stack.http("GET", "/products?limit=1").status_code == 200


def test_a_withdrawn_product_is_kept_and_can_be_sold_again(stack):
    sku = new_sku()
    put_one(stack, sku)

    withdrawn = [stack.http("DELETE", f"/products/{sku}", role="service") for _ in range(2)]

    assert [answer.status_code for answer in withdrawn] == [200, 200]
    assert withdrawn[0].json() == withdrawn[1].json()
    assert get(stack, sku).json()["sold"] is False
    assert put_one(stack, sku)["changed"] == 1
    assert get(stack, sku).json()["sold"] is True


def test_nobody_can_withdraw_what_never_was(stack):
    assert stack.http("DELETE", f"/products/{new_sku()}", role="service").status_code == 404


def test_pages_show_every_product_once(stack):
    prefix = new_sku("TEST-PAGES")
    put(stack, [product(f"{prefix}-{i:03}") for i in range(25)])

    seen, cursor = [], prefix
    while cursor:
        page = stack.http("GET", f"/products?limit=10&cursor={cursor}").json()
        seen += [row["sku"] for row in page["products"] if row["sku"].startswith(prefix)]
        cursor = page["next_cursor"]

    assert seen == [f"{prefix}-{i:03}" for i in range(25)]


def test_requests_at_the_same_time_leave_one_of_their_prices(stack):
    sku = new_sku()

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda price: put_one(stack, sku, unit_price_minor=price), range(1, 31)))

    events = [answer["products"][0]["product_event"] for answer in answers]
    assert len(set(events)) == 30
    last = max(events, key=lambda event: int(event.rsplit("/", 1)[1]))
    assert get(stack, sku).json()["product_event"] == last
