"""Somebody who never read our code subscribes to our topics.

All they have is what is published: Confluent's wire format, Avro, the CloudEvents Kafka binding, Kafka's default
partitioner, and the schemas, out of the lock file or out of a registry. They read every topic and understand every
event and every header; and by the numbers they can tell that nothing is missing.
"""

import io
import json
import re
import struct
import subprocess
import time
from collections import defaultdict
from datetime import datetime

import fastavro
import pytest
import requests
from local_stack import CHECKOUT

TOPICS = [f"shop.{name}.v1" for name in ("orders", "inventory", "payments", "fraud", "emails", "products", "ops")]
SCHEMAS = CHECKOUT / "schemas"
REQUIRED = {"content-type", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_sequence"}


@pytest.fixture(scope="module")
def records(running_stack):
    """Orders of every fate were placed; all there is in the topics."""
    stack = running_stack
    stack.up()
    run = f"FOREIGN{int(time.time())}"
    product = {"name": "A thing", "kind": "goods", "unit_price_minor": 500, "currency": "GBP"}
    stack.http("POST", "/products", role="service", json=[{"sku": f"{run}{n}", **product} for n in "AB"])
    stack.http(
        "POST",
        "/stock/receipts",
        role="service",
        json=[{"receipt_id": f"{run}{n}", "sku": f"{run}{n}", "quantity": 50} for n in "AB"],
    )
    for n in "AB":
        stack.wait_until(lambda: stack.http("GET", f"/orders/prices/{run}{n}", role="service").ok, what="the price")
    orders = [
        place(stack, run, "tok_approve", 1),
        place(stack, run, "tok_decline", 1),
        place(stack, run, "tok_capture_fail", 1),
        place(stack, run, "tok_approve", 5000),
    ]
    last = place(stack, run, "tok_approve", 2)
    wait_for_state(stack, last, "fulfilled")
    assert stack.http("POST", f"/orders/{last}/cancel", role="operator").status_code in (200, 202)
    for order in orders[1:] + [last]:
        wait_for_state(stack, order, "closed")
    wait_for_state(stack, orders[0], "fulfilled")
    stack.wait_until(lambda: stack.mails(order=last)["count"] >= 3, what="the mails of the last order")
    ask_again(stack, run)
    assert stack.http("DELETE", f"/products/{run}B", role="service").ok
    stack.wait_until(lambda: "product.withdrawn" in types(stack.consume("shop.products.v1")), what="the withdrawal")
    stack.wait_until(lambda: "ops.acted" in types(stack.consume("shop.ops.v1")), what="the operator's cancellation")
    return stack.consume(*TOPICS)


def ask_again(stack, run):
    """An operator nudges an order that waits."""
    stack.stop("fraud")
    waits = place(stack, run, "tok_approve", 3)
    assert stack.http("POST", f"/orders/{waits}/nudge", role="operator").status_code == 202
    stack.start("fraud")
    wait_for_state(stack, waits, "fulfilled")


def place(stack, run, token, quantity):
    answer = stack.http(
        "POST",
        "/orders",
        role="service",
        json={
            "customer_id": f"{run}-{token}-{quantity}",
            "currency": "GBP",
            "payment_token": token,
            "contact": {"name": "Zoë Müller", "email": "zoe@example.test"},
            "lines": [{"sku": f"{run}A", "quantity": quantity}],
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"]


def wait_for_state(stack, order, state):
    stack.wait_until(
        lambda: stack.http("GET", f"/orders/{order}", role="service").json()["state"] == state, 60, f"{order} {state}"
    )


def headers_of(message):
    return {name: value.decode() for name, value in message.headers()}


def types(messages):
    return {headers_of(message)["ce_type"] for message in messages}


def decode(message, schema):
    magic, schema_id = struct.unpack(">bI", message.value()[:5])
    assert magic == 0
    body = io.BytesIO(message.value()[5:])
    event = fastavro.schemaless_reader(body, schema(schema_id))
    assert body.read() == b"", "bytes behind the end"
    return event


def by_lock_file():
    lock = json.loads((SCHEMAS / "ids.lock").read_text())["schemas"]
    parsed = {row["id"]: fastavro.parse_schema(json.loads((SCHEMAS / row["file"]).read_text())) for row in lock}
    return parsed.__getitem__


def murmur2(data):
    """As org.apache.kafka.common.utils.Utils.murmur2, written down from its description."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def test_all_kinds_of_events_are_there(records):
    expected = {path.name.removesuffix(".avsc") for path in (SCHEMAS / "events").glob("*.avsc")} - {"email.failed"}

    assert expected - types(records) == set()


def test_every_event_decodes_with_the_schemas_of_the_lock_file(records):
    schema = by_lock_file()

    for message in records:
        event = decode(message, schema)
        key = event.get("order_id") or event.get("sku") or event["part"]
        assert key == message.key().decode()


def test_every_header_is_a_cloud_event_in_binary_mode(records):
    for message in records:
        headers = headers_of(message)
        assert REQUIRED <= set(headers), headers
        assert headers["ce_specversion"] == "1.0"
        assert headers["content-type"] == "application/avro"
        assert headers["ce_subject"] == message.key().decode()
        assert re.fullmatch(r"\d{20}", headers["ce_sequence"])
        source = headers["ce_source"].removeprefix("/tradewind/")
        assert headers["ce_id"] == f"{source}/{message.partition()}/{int(headers['ce_sequence'])}"
        assert datetime.fromisoformat(headers["ce_time"].replace("Z", "+00:00")).tzinfo is not None
        assert headers["ce_correlationid"]


def test_the_partition_is_the_one_a_java_client_would_choose(records):
    for message in records:
        assert message.partition() == (murmur2(message.key()) & 0x7FFFFFFF) % 12


def test_the_numbers_of_each_source_in_a_partition_begin_at_one_and_have_no_gap(records):
    numbers = defaultdict(list)
    for message in records:
        headers = headers_of(message)
        numbers[headers["ce_source"], message.partition()].append(int(headers["ce_sequence"]))

    for place, seen in numbers.items():
        assert set(seen) == set(range(1, max(seen) + 1)), place


def test_a_cause_is_an_event_that_exists(records):
    ids = {headers_of(message)["ce_id"] for message in records}

    causes = [headers_of(message).get("ce_causationid") for message in records]
    assert any(causes)
    assert {cause for cause in causes if cause} <= ids


def test_no_address_of_a_customer_can_be_read(records):
    for message in records:
        assert b"zoe@example.test" not in message.value()


def test_kcat_reads_the_records_and_their_headers(running_stack, records):
    done = subprocess.run(
        ["kcat", "-b", running_stack.settings["TRADEWIND_KAFKA"], "-C", "-t", "shop.payments.v1"]
        + ["-o", "beginning", "-e", "-q", "-f", "%k %h\n"],
        capture_output=True,
        timeout=60,
    )

    lines = done.stdout.decode().splitlines()
    assert len(lines) >= len([message for message in records if message.topic() == "shop.payments.v1"])
    assert all("ce_type=payment." in line for line in lines)


def test_every_event_decodes_with_the_schemas_of_a_registry(running_stack, records):
    """With a registry beside it the shop registers its schemas under the same ids."""
    running_stack.up(registry=True)
    try:
        decode_by_registry(running_stack.settings["TRADEWIND_REGISTRY"], records)
    finally:
        running_stack.command("up", "--no-registry")  # the stories that follow know only the lock file
        running_stack.up()


def decode_by_registry(registry, records):
    fetched = {}

    def schema(schema_id):
        if schema_id not in fetched:
            answer = requests.get(f"{registry}/schemas/ids/{schema_id}", timeout=10)
            answer.raise_for_status()
            fetched[schema_id] = fastavro.parse_schema(json.loads(answer.json()["schema"]))
        return fetched[schema_id]

    for message in records:
        decode(message, schema)
    subjects = requests.get(f"{registry}/subjects", timeout=10).json()
    assert "shop.orders.v1-shop.orders.OrderCreated" in subjects
