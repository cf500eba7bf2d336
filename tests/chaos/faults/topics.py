"""Faults of what lies in the topics: rubbish, repeats out of order, records that the broker had and has lost."""

import random
import signal
import time
from contextlib import contextmanager

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from growth import JOURNAL_S
from local_stack import Failed
from records import again, headers_of, rubbish
from tails import ends_told, lose_tail

from .bench import Missed, kind, loses

WRITERS = {
    "shop.orders.v1": "orders",
    "shop.inventory.v1": "inventory",
    "shop.payments.v1": "payment",
    "shop.fraud.v1": "fraud",
}
SAGA = tuple(WRITERS)
PARTITIONS = 12
LOOK_BACK = 3000  # records, for those that were written a moment ago


def last_records(bench, topic, partition, count):
    """Waits for a broker that is away."""

    def read():
        try:
            return (bench.stack.consume(topic, last=count),)
        except (Failed, KafkaException):
            return None

    (messages,) = bench.stack.wait_until(read, 240, f"the broker showing {topic}")
    messages = [message for message in messages if message.partition() == partition]
    if not messages:
        raise Missed(f"{topic}/{partition} is empty")
    return messages


def readers(bench, topic):
    """The parts that set records of the topic aside: each has a topic for them."""
    admin = AdminClient({**bench.stack.kafka(), "log_level": 2})
    names = admin.list_topics(timeout=60).topics
    return [name.split(".")[-2] for name in names if name.startswith(f"{topic}.") and name.endswith(".dlq")]


@kind(SAGA)
def poison(bench, fault):
    """Somebody writes what is no event into a topic. Each reader sets it aside, and goes on."""
    draw = random.Random(fault.seed)
    partition = draw.randrange(PARTITIONS)
    good = last_records(bench, fault.target, partition, 20)[-1]
    bench.poisoned.add((fault.target, partition))
    try:
        for key, value, headers in draw.sample(sorted(rubbish(good).values(), key=repr), 3):
            bench.stack.produce(fault.target, value, key=key, headers=headers, partition=partition)
    finally:  # what was written is what lies there, whether or not the broker came to say so
        note_poison(bench, fault.target, partition)


def note_poison(bench, topic, partition):
    parts = readers(bench, topic)
    for record in last_records(bench, topic, partition, LOOK_BACK):
        if not headers_of(record).get("ce_sequence", "").isdigit():
            bench.poison |= {(part, (topic, partition, record.offset())) for part in parts}


@kind(SAGA)
def repeated(bench, fault):
    """A tool writes the last records of a partition once more, some twice, in any order."""
    draw = random.Random(fault.seed)
    records = last_records(bench, fault.target, draw.randrange(PARTITIONS), 30)
    records += draw.sample(records, len(records) // 3)
    draw.shuffle(records)
    for record in records:
        again(bench.stack, record)


@kind(SAGA, (1, 6), brokers=3)
def leader_killed(bench, fault):
    """The broker that leads a partition dies and stays away: another one leads, with all that was acknowledged."""
    partition = random.Random(fault.seed).randrange(PARTITIONS)
    admin = AdminClient({**bench.stack.kafka(), "log_level": 2})
    leader = admin.list_topics(fault.target, timeout=60).topics[fault.target].partitions[partition].leader
    if leader < 1:
        raise Missed(f"{fault.target}/{partition} has no leader")
    program = bench.network.brokers[leader - 1]
    bench.signal(program, signal.SIGKILL)
    bench.stack.stop(program)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.stack.start(program)


@kind(SAGA)
def tail_lost(bench, fault):
    """See tails."""
    draw = random.Random(fault.seed)
    clean = [p for p in range(PARTITIONS) if (fault.target, p) not in bench.poisoned]
    partition = draw.choice(clean)
    with loses(bench, WRITERS[fault.target]), made_good(bench.stack, fault.target):
        last_ms = last_records(bench, fault.target, partition, 1)[-1].timestamp()[1]
        if time.time() - last_ms / 1000 > JOURNAL_S / 2:  # its writer was away; what it could send again goes, too
            raise Missed(f"{fault.target}/{partition} has an old end, which would be on the disk")
        lose_tail(bench.stack, fault.target, partition, draw.randint(200, 20000))


@contextmanager
def made_good(stack, *topics):
    """Until each partition is as long again as it was: the relays have sent again what was lost, behind its end."""

    before = ends_told(stack, *topics)
    yield
    stack.wait_until(
        lambda: all(end >= before[place] for place, end in ends_told(stack, *topics).items()),
        what=f"{', '.join(topics)} being as long as before",
    )
