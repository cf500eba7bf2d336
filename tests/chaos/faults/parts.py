"""Faults of our own processes: they end, stand still, are slow, or have read something else than they believe."""

import json
import os
import random
import signal
import time

from confluent_kafka import KafkaException
from groups import commit
from local_stack import Failed
from parts import PARTS

from .bench import INSTANCES, Missed, frozen, kill, kind, limited, stopped, throttled

TOPIC = "shop.orders.v1"
POSITIONS = ("payment", "fraud", "email", "analytics")  # parts that keep theirs in PostgreSQL and read shop.orders.v1


@kind(INSTANCES)
def killed(bench, fault):
    bench.signal(fault.target, signal.SIGKILL)


@kind(INSTANCES)
def terminated(bench, fault):
    bench.signal(fault.target, signal.SIGTERM)


@kind(INSTANCES, (7.5, 11))
def zombie(bench, fault):
    """Frozen for longer than its session: another takes over, and then it is back and believes it is the owner."""
    frozen(bench, fault)


@kind(INSTANCES, (3, 6))
def slow(bench, fault):
    """It gets a tenth of the time: what it reads piles up."""
    throttled(bench, fault)


@kind(INSTANCES, (2, 6))
def no_descriptors(bench, fault):
    """It can open no file and no connection, and take none."""
    pid = bench.signal(fault.target, 0)
    with limited(pid, "nofile", len(os.listdir(f"/proc/{pid}/fd"))):
        time.sleep(fault.seconds)


@kind(PARTS)
def storm(bench, fault):
    """Instances come and go faster than a group settles: one rebalance after the other."""
    for _ in range(3):
        for program in (fault.target, f"{fault.target}-2"):
            try:
                bench.signal(program, signal.SIGTERM)
            except Missed:
                pass
            time.sleep(0.7)


@kind(("parts",), (4, 8))
def spree(bench, fault):
    """Ten instances of ours are killed at random moments."""
    draw = random.Random(fault.seed)
    for _ in range(10):
        try:
            bench.signal(draw.choice(INSTANCES), signal.SIGKILL)
        except Missed:
            pass  # it was dead already
        time.sleep(draw.uniform(0, fault.seconds / 5))


@kind(("parts",))
def all_killed(bench, fault):
    """All that is ours dies at one moment."""
    rows = json.loads(bench.stack.command("status", "--json"))
    for row in rows:
        if row["program"] in INSTANCES and row["pid"]:
            kill(row["pid"], signal.SIGKILL)


@kind(POSITIONS, (1, 2))
def position_moved(bench, fault):
    """Both places a part could go on from are behind records that it has not read: it has to notice, and to ask for them."""
    with stopped(bench, fault.target):
        time.sleep(fault.seconds)
        places = when_it_answers(bench, lambda: move_stored(bench.stack, fault.target), "the database")
        when_it_answers(bench, lambda: commit(bench.stack, fault.target, *places) or True, "the broker")


def move_stored(stack, part):
    rows = stack.sql(
        part,
        "update positions set next_offset = next_offset + 3, fresh = false"
        f" where topic = '{TOPIC}' and next_offset >= 0 returning partition, next_offset",
    )
    return [(TOPIC, int(partition), int(offset)) for partition, offset in rows]


def when_it_answers(bench, ask, what):
    """Another fault may have the server down."""

    def answer():
        try:
            return ask()
        except (Failed, KafkaException):
            return None

    return bench.stack.wait_until(answer, 60, f"{what} answering")
