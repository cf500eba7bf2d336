"""Topics that a test may empty: as a foreign client sees them, as an archive has them, and how they come back."""

import json
from pathlib import Path

import fastavro
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


def done(stack, *words, code=0):
    """What the command says with --json, with the exit code that is wanted."""
    ended = stack.run_tradewind(*words, "--json")
    assert ended.returncode == code, f"exit {ended.returncode}\n{ended.stdout}{ended.stderr}"
    return json.loads(ended.stdout)


def kept_topics(stack):
    return sorted(topic["topic"] for topic in stack.tradewind("topics", "list", "--json") if topic["settings"]["retention.ms"] == "-1")


def in_topics(stack):
    """(topic, partition) -> its records, by a Kafka client that is not ours."""
    places = {}
    for message in stack.consume(*kept_topics(stack)):
        record = (message.timestamp()[1], message.key(), message.value(), message.headers() or [])
        places.setdefault((message.topic(), message.partition()), []).append(record)
    return places


def in_files(folder):
    """The same out of the files, by an Avro reader that is not ours."""
    places = {}
    for path in sorted(Path(folder).glob("*.avro")):
        with open(path, "rb") as file:
            reader = fastavro.reader(file)
            place = reader.metadata["tradewind.topic"], int(reader.metadata["tradewind.partition"])
            for record in reader:
                milliseconds = round(record["timestamp"].timestamp() * 1000)
                headers = [(header["name"], header["value"]) for header in record["headers"]]
                places.setdefault(place, []).append((milliseconds, record["key"], record["value"], headers))
    return places


def manifest(folder):
    return json.loads((Path(folder) / "manifest.json").read_text())


def empty_topics(stack):
    """As if the cluster were new: the topics are gone, and with them all records."""
    admin = admin_of(stack)
    topics = there(stack)
    if topics:
        for future in admin.delete_topics(topics).values():
            future.result(30)
    stack.wait_until(lambda: not there(stack), what="the topics being gone")


def make_topics(stack):
    stack.tradewind("topics", "apply", as_json=False)
    stack.wait_until(lambda: not unreadable(stack), what="the topics being there")


def unreadable(stack):
    try:
        in_topics(stack)
    except (AssertionError, KafkaException) as unread:
        return unread
    return None


def admin_of(stack):
    return AdminClient(stack.kafka())


def there(stack):
    """Those of the topics that the broker has."""
    return sorted(set(kept_topics(stack)) & set(admin_of(stack).list_topics(timeout=10).topics))


def missing(stack):
    """Whether the topics are not what was archived and what was told since."""
    try:
        now = in_topics(stack)
    except (AssertionError, KafkaException):
        return True
    return any(now.get(place, [])[: len(records)] != records for place, records in stack.was.items())


def strange_records(stack):
    """What foreign writers leave: nulls, nothing, bytes, a header twice. In a topic of copies, which no part reads."""
    topic = "shop.orders.v1.payment.dlq"
    stack.produce(topic, None, key=None)
    stack.produce(topic, b"", key=b"")
    stack.produce(topic, bytes(range(256)) * 1000, key=b"\xff\x00", headers=[("a", b"1"), ("a", None), ("\u00e9", b"")])


def sums_of(stack, part):
    answer = done(stack, "replay", part, "--fresh", "--compare")
    stack.tradewind("replay", part, "--drop")
    assert answer["equal"]
    return {table["table"]: table for table in answer["tables"]}
