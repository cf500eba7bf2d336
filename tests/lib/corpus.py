"""The golden corpus in the hands of a test: records of whole orders as they once were written, and what state they lead to."""

import base64
import json
import tempfile
from pathlib import Path

from bson import json_util
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


# --- Inventory: its state is a ledger of documents --------------------------------------------------------------------

PLACES = ("on_hand", "held", "sold", "received")
EVENT_FIELDS = 5  # behind each value, which event gave it


def stock_of(stack):
    """What a replay makes of the topics: units of each SKU, and the orders that are not closed with what they hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inventory"
        stack.tradewind("replay", "inventory", "--fresh", "--save", path, as_json=False)
        lines = [line.split("\t") for line in path.read_text().splitlines()]
    found, left, kind = {"skus": [], "orders": []}, 0, ""
    for words in lines:
        if left == 0:
            kind, left = words[0], int(words[1]) if words[0] in ("skus", "orders", "receipts", "asides") else 0
            continue
        left -= 1
        if kind == "skus":
            found["skus"].append([words[0], *(int(units) for units in words[1 :: 1 + EVENT_FIELDS])])
        if kind == "orders":
            items = words[5 + EVENT_FIELDS :]
            found["orders"].append([words[0], int(words[1]), [[sku, int(units)] for sku, units in zip(items[::2], items[1::2])]])
    return {what: sorted(rows) for what, rows in found.items()}


def ledger_of(stack):
    """collection -> its documents, as they lie in the document store."""
    database = stack.mongodb()
    names = sorted(database.list_collection_names())
    documents = {name: sorted(database[name].find(), key=lambda document: document["_id"]) for name in names}
    return json.loads(json_util.dumps(documents, json_options=json_util.CANONICAL_JSON_OPTIONS))


def put_ledger(stack, ledger):
    """Put documents in the place of those that are there."""
    database = stack.mongodb()
    database.client.drop_database(database.name)
    for name, documents in json_util.loads(json.dumps(ledger)).items():
        database[name].insert_many(documents)


# --- Generations ------------------------------------------------------------------------------------------------------


def generations():
    return sorted(FOLDER.glob("[0-9]*.json"), key=lambda path: int(path.stem))


def publish(stack, generation):
    """Write its records into topics that are empty, each where it lay."""
    reports = []
    producer = Producer({**stack.kafka(), "enable.idempotence": True})
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
