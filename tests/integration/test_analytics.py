"""The star against the order service, and the questions of docs/analytics.md as they stand there."""

import itertools
import re
import time
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "analytics.md"
QUESTIONS = re.findall(r"^([A-Z][^\n]*\?)[^\n]*\n\n```sql\n(.*?);\n```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
CHARGE = "TEST-STAR"
keys = (f"star-{time.time_ns()}-{i}" for i in itertools.count())


@pytest.fixture(scope="module", autouse=True)
def product(running_stack):
    product = {"sku": CHARGE, "name": "A charge", "kind": "charge", "unit_price_minor": 500, "currency": "GBP"}
    assert running_stack.http("POST", "/products", role="service", json=[product]).status_code == 200
    running_stack.wait_until(
        lambda: running_stack.http("GET", f"/orders/prices/{CHARGE}", role="service").status_code == 200,
        what="the order service knowing the price",
    )


def place(stack, country, *, token="tok_approve", quantity=2):
    key = next(keys)
    order = {
        "customer_id": key,
        "country": country,
        "currency": "GBP",
        "payment_token": token,
        "ordered_at": "2011-03-01T10:59:59Z",
        "lines": [{"sku": CHARGE, "quantity": quantity}, {"sku": CHARGE, "quantity": 1, "unit_price_minor": 300}],
    }
    answer = stack.http("POST", "/orders", role="service", headers={"Idempotency-Key": key}, json=order)
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"]


def wait_for(stack, order, state):
    row = f"select state, coalesce(reason, '') from orders where order_id = '{order}'"
    stack.wait_until(
        lambda: [found[0] for found in stack.sql("analytics", row)] == [state], what=f"analytics: {order} {state}"
    )
    return stack.sql("analytics", row)[0]


def test_a_fulfilled_order_is_revenue_of_its_country_its_hour_and_its_product(stack):
    country = next(keys)

    order = place(stack, country)

    wait_for(stack, order, "fulfilled")
    assert stack.sql("analytics", f"select * from revenue_by_country where country = '{country}'") == [
        (country, "GBP", "1", "1300")
    ]
    hour = f"select ordered_hour from orders where order_id = '{order}'"
    assert stack.sql("analytics", hour) == [("2011-03-01 10:00:00",)]
    lines = f"select line, sku, kind, quantity, amount_minor from fact_lines where order_id = '{order}' order by line"
    assert stack.sql("analytics", lines) == [("1", CHARGE, "charge", "2", "1000"), ("2", CHARGE, "charge", "1", "300")]


def test_a_cancelled_order_is_no_revenue_and_has_its_reason(stack):
    country = next(keys)

    order = place(stack, country, token="tok_decline")

    assert wait_for(stack, order, "closed") == ("closed", "payment_declined")
    assert stack.sql("analytics", f"select * from revenue_by_country where country = '{country}'") == []


def test_a_fulfilled_order_that_is_cancelled_is_no_revenue_any_more(stack):
    country = next(keys)
    order = place(stack, country)
    wait_for(stack, order, "fulfilled")

    assert stack.http("POST", f"/orders/{order}/cancel", role="service").status_code in (200, 202)

    assert wait_for(stack, order, "closed") == ("closed", "customer")
    assert stack.sql("analytics", f"select * from revenue_by_country where country = '{country}'") == []
    money = f"select kind, amount_minor from fact_payments where order_id = '{order}' order by kind"
    stack.wait_until(
        lambda: stack.sql("analytics", money)
        == [("authorized", "1300"), ("captured", "1300"), ("refunded", "1300")],
        what="the money of the order",
    )


def test_each_fact_names_the_event_it_came_from(stack):
    order = place(stack, next(keys))
    wait_for(stack, order, "fulfilled")
    events = {
        event["id"]: event["type"] for event in stack.tradewind("order", order, "--json")["events"]
    }
    facts = {
        "fact_orders": "order.created",
        "fact_lines": "order.created",
        "fact_confirmations": "order.confirmed",
        "fact_closures": "order.closed",
    }

    for table, event_type in facts.items():
        rows = stack.sql("analytics", f"select distinct event from {table} where order_id = '{order}'")
        assert [events[event] for (event,) in rows] == [event_type], table


def test_a_part_that_was_down_catches_up(stack):
    country = next(keys)
    stack.stop("analytics")
    orders = [place(stack, country) for _ in range(5)]
    stack.start("analytics")

    for order in orders:
        wait_for(stack, order, "fulfilled")

    assert stack.sql("analytics", f"select orders from revenue_by_country where country = '{country}'") == [("5",)]


def test_there_are_five_questions():
    assert len(QUESTIONS) == 5


@pytest.mark.parametrize("question, query", QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_the_questions_of_the_page_can_be_asked(stack, question, query):
    order = place(stack, next(keys))
    wait_for(stack, order, "fulfilled")

    rows = stack.sql("analytics", query)

    assert bool(rows) != question.startswith("Is the money"), rows
