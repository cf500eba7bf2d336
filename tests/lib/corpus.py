"""The golden corpus in the hands of a test: records of whole orders as they once were written, and what state they lead to."""

import base64
import json

from confluent_kafka import Producer
from local_stack import CHECKOUT

FOLDER = CHECKOUT / "tests" / "corpus"

# part -> what of its state follows from the topics and was so when the records were written. Columns by name: tables may
# get more of them.
STATE = {
    "orders": {
        "order_states": "id, state, reason, total_minor, currency",
        "order_verdicts": "id, heard",
        "products": "sku, unit_price_minor, currency, kind, sold",
    },
    "payment": {
        "payment_events": "order_id, number, state, provider_ref",
        "payment_requests": "order_id, seen, amount_minor, currency",
    },
    "fraud": {"verdicts": "order_id, flagged, score"},
    "email": {"mails": "order_id, kind, state, reason"},
    "catalog": {"products": "sku, name, kind, unit_price_minor, currency, sold"},
    "analytics": {
        "fact_lines": "order_id, line, sku, quantity, amount_minor",
        "fact_cancellations": "order_id, reason, was",
        "fact_payments": "order_id, kind, amount_minor, currency",
        "dim_products": "sku, name, unit_price_minor, sold",
    },
}


def state_of(stack, part, schema=""):
    """table -> its rows, sorted; schema is "replay_shadow." for what a replay has made."""
    return {
        table: sorted(map(list, stack.sql(part, f"SELECT {columns} FROM {schema}{table}")))
        for table, columns in STATE[part].items()
    }


def generations():
    return sorted(FOLDER.glob("[0-9]*.json"), key=lambda path: int(path.stem))


def publish(stack, generation):
    """Write its records into topics that are empty, each where it lay."""
    reports = []
    producer = Producer({"bootstrap.servers": stack.settings["TRADEWIND_KAFKA"], "enable.idempotence": True})
    for record in json.loads(generation.read_text())["records"]:
        producer.produce(
            record["topic"],
            base64.b64decode(record["value"]),
            record["key"].encode(),
            partition=record["partition"],
            timestamp=record["timestamp"],
            headers=[(name, value.encode()) for name, value in record["headers"]],
            on_delivery=lambda error, message: reports.append(error),
        )
    assert producer.flush(30) == 0 and not any(reports), reports
    return len(reports)
