"""Records as they lie in a topic, and what a test does to them."""

import json
import struct

from local_stack import CHECKOUT


def headers_of(message):
    return {name: value.decode(errors="replace") for name, value in message.headers() or []}


def number_of(message):
    return int(headers_of(message)["ce_sequence"])


def again(stack, message, **changed):
    """Write the record once more at the end of its partition; value=, key= and headers= stand in for its own.
    Gives its offset."""
    headers = changed.get("headers", dict(message.headers()))
    key = changed.get("key", message.key())
    value = changed.get("value", message.value())
    return stack.produce(message.topic(), value, key=key, headers=headers, partition=message.partition())[1]


def renumbered(message, number):
    """The headers of the record under another number."""
    headers = dict(message.headers())
    source = headers_of(message)["ce_id"].rpartition("/")[0]
    return {**headers, "ce_id": f"{source}/{number}".encode(), "ce_sequence": f"{number:020d}".encode()}


def with_schema(value, schema_id):
    """The same bytes under another schema id."""
    return value[:1] + struct.pack(">I", schema_id) + value[5:]


def schema_ids():
    """event type -> schema id of its newest version, by the lock file."""
    rows = json.loads((CHECKOUT / "schemas" / "ids.lock").read_text())["schemas"]
    return {row["subject"]: row["id"] for row in rows}


def rubbish(good):
    """name -> (key, value, headers) of records that nobody can read, made from one that is good."""
    headers, key, value = dict(good.headers()), good.key(), good.value()
    unnumbered = {name: text for name, text in headers.items() if name not in ("ce_id", "ce_sequence")}
    return {
        "bytes that are nothing": (b"poison", bytes(range(256)), None),
        "no value at all": (key, None, None),
        "a key that is no text": (b"\xff\xfe\x00\x80", b"poison", None),
        "an event without headers": (key, value, None),
        "an event without a number": (key, value, unnumbered),
        "an unknown schema": (key, with_schema(value, 999_999), unnumbered),
        "half an event": (key, value[: len(value) // 2], unnumbered),
        "a number that is none": (key, value, {**headers, "ce_id": b"orders/0/-1", "ce_sequence": b"0x1"}),
        "headers that are no text": (key, value, {**unnumbered, "ce_id": b"\xff\xfe"}),
    }


# --- What a part has of them -----------------------------------------------------------------------------------------


def forget_last(stack, part, record):
    """Stop the part and make it as if it had read its partition up to the record, but never got it. Gives its number."""
    number = number_of(record)
    stack.wait_until(lambda: mark(stack, part, record) >= number, what=f"{part} having read the record")
    stack.stop(part)
    # The part would find the record, or a copy of it that the relay has sent, behind the offset where it stood.
    end = stack.ends(record.topic())[record.topic(), record.partition()]
    stack.sql(part, f"UPDATE positions SET high_water = {number - 1}, next_offset = {end} {lane(record)}")
    return number


def mark(stack, part, record):
    """The highest number that the part has applied of the record's partition."""
    return int(stack.sql(part, f"SELECT high_water FROM positions {lane(record)}")[0][0])


def lane(record):
    return f"WHERE topic = '{record.topic()}' AND partition = {record.partition()}"
