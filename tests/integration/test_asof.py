"""tradewind asof: an order before and after its cancellation, a stock at each event, each field with the event that gave it its value."""

import json

import pytest
from records import headers_of, number_of


def asof(stack, *words):
    answer = stack.tradewind("asof", *words, "--json")
    return {(field["table"], field["field"]): field for field in answer["fields"]}


@pytest.fixture
def cancelled(shop):
    """An order that was fulfilled, then cancelled; and its events in the topic."""
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    shop.cancel(order)
    shop.wait_for(order, "closed")
    return order, {headers_of(record)["ce_type"]: record for record in shop.records("shop.orders.v1", order)}


def position(record):
    return f"orders/{record.partition()}/{number_of(record)}"


def test_an_order_before_and_after_its_cancellation(stack, cancelled):
    order, records = cancelled
    confirmed, ended = records["order.confirmed"], records["order.cancelled"]

    before = asof(stack, "order", order, "--at", position(confirmed))
    after = asof(stack, "order", order, "--at", position(ended))

    state = before["order_states", "state"]
    assert state["value"] == "2" and state["event"]["type"] == "order.confirmed"
    state = after["order_states", "state"]
    assert (state["value"], state["name"]) == ("4", "cancelled")
    assert state["event"]["id"] == headers_of(ended)["ce_id"]
    assert (state["event"]["topic"], state["event"]["partition"], state["event"]["offset"]) == (
        ended.topic(),
        ended.partition(),
        ended.offset(),
    )
    assert before["order_states", "reason"]["value"] == "0" and after["order_states", "reason"]["value"] != "0"
    assert after["order_states", "reason"]["name"] == "CUSTOMER" and "name" not in before["order_states", "reason"]
    # What the cancellation left as it was is still its creation's.
    assert after["order_states", "total_minor"]["event"]["type"] == "order.created"


def test_now_is_what_the_part_itself_has(stack, cancelled):
    order, _ = cancelled

    fields = asof(stack, "order", order)

    live = stack.sql("orders", f"SELECT state, reason, detail FROM order_states WHERE id = '{order}'")[0]
    assert tuple(fields["order_states", name]["value"] for name in ("state", "reason", "detail")) == live


def test_a_payment_and_a_product(shop, cancelled):
    order, _ = cancelled
    mug = shop.product(price=450)

    payment = shop.stack.tradewind("asof", "payment", order, "--json")["fields"]
    product = asof(shop.stack, "product", mug)

    states = [field["event"]["type"] for field in payment if (field["table"], field["field"]) == ("payment_events", "state")]
    assert sorted(states) == ["payment.authorized", "payment.captured", "payment.refunded"]
    assert product["products", "unit_price_minor"]["value"] == "450"
    assert product["products", "unit_price_minor"]["event"]["type"] == "product.upserted"


def test_a_stock_at_each_event_of_an_order(shop):
    """Its units lie in the events of many orders, in many partitions; each field names the one that changed it last."""
    mug = shop.product(stock=10)
    other = shop.order((mug, 3))
    shop.wait_for(other, "fulfilled")
    order = shop.order((mug, 2))
    shop.wait_for(order, "fulfilled")
    shop.cancel(order)
    shop.wait_for(order, "closed")
    records = {headers_of(record)["ce_type"]: record for record in shop.records("shop.inventory.v1", order)}
    wanted = {
        "inventory.reserved": {"received": 10, "on_hand": 5, "held": 2, "sold": 3},
        "inventory.committed": {"received": 10, "on_hand": 5, "held": 0, "sold": 5},
        "inventory.released": {"received": 10, "on_hand": 7, "held": 0, "sold": 3},
    }

    for event, units in wanted.items():
        at = f"inventory/main/{records[event].partition()}/{number_of(records[event])}"
        fields = asof(shop.stack, "stock", mug.lower(), "--at", at)
        assert {name: int(fields["skus", name]["value"]) for name in units} == units, event
    now = asof(shop.stack, "stock", mug)

    assert {name: int(now["skus", name]["value"]) for name in units} == shop.stock(mug)
    released = records["inventory.released"]
    for name in ("on_hand", "sold"):
        event = now["skus", name]["event"]
        assert (event["topic"], event["partition"], event["offset"]) == (released.topic(), released.partition(), released.offset())
        assert event["id"] == headers_of(released)["ce_id"] and event["type"] == "inventory.released"
    assert now["skus", "held"]["event"]["id"] == headers_of(records["inventory.committed"])["ce_id"]
    assert now["skus", "received"]["event"]["type"] == "stock.received"
    people = shop.stack.run_tradewind("asof", "stock", shop.product(stock=1))
    assert people.returncode == 0 and "stock.received" in people.stdout


def test_before_it_was_there(stack, cancelled):
    order, _ = cancelled

    answer = json.loads(stack.run_tradewind("asof", "order", order, "--at", "2020-01-01T00:00:00Z", "--json").stdout)

    assert answer["fields"] == [] and answer["events"] == 0


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["order", "NOBODY"], "no topic knows NOBODY"),
        (["stock", "NOTHING"], "no topic knows NOTHING"),
        (["shelf", "22423"], "want order, payment, product or stock"),
        (["order", "X", "--at", "2999-01-01T00:00:00Z"], "is still to come"),
        (["order", "X", "--at", "orders/0/999999999"], "is past the end"),
        (["order", "X", "--at", "soon"], "want a time like"),
    ],
)
def test_what_cannot_be_told_is_said_in_a_sentence(stack, words, sentence):
    done = stack.run_tradewind("asof", *words)

    assert done.returncode == 2 and sentence in done.stderr, done.stderr


def test_nothing_is_left_behind(stack, cancelled):
    asof(stack, "order", cancelled[0])

    assert stack.sql("orders", "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replay_scratch%'") == []
