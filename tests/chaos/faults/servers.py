"""Faults of the servers that the parts stand on."""

import signal
import time

from network import STORES
from parts import PARTS

from .bench import Missed, frozen, kind, limited, loses, throttled
from .topics import SAGA, made_good


@kind(("kafka", "kafka-controller", "postgres", "mongodb", "mails", "door", "provider"))
def server_killed(bench, fault):
    bench.signal(fault.target, signal.SIGKILL)


@kind(("kafka", "kafka-controller", "postgres", "mongodb", "door", "provider"), (1, 5))
def server_stopped(bench, fault):
    """As for maintenance: it ends in good order, and is back later."""
    bench.stack.stop(fault.target)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.stack.start(fault.target)


@kind(("kafka", "kafka-controller", "postgres", "mongodb", "provider", "mails"), (2, 8))
def server_frozen(bench, fault):
    """It takes connections and says nothing."""
    frozen(bench, fault)


@kind(("postgres",))
def postgres_immediate(bench, fault):
    """Its sessions end without a word, and it recovers from its log."""
    bench.signal("postgres", signal.SIGQUIT)


@kind(STORES)
def sessions_ended(bench, fault):
    """All database sessions of a part, in the midst of whatever they do."""
    bench.stack.sql(
        fault.target,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = current_user and pid <> pg_backend_pid()",
    )


@kind(("kafka", "postgres", "mongodb"), (1, 4))
def disk_full(bench, fault):
    """No file of the server can grow."""
    with limited(bench.signal(fault.target, 0), "fsize", 0):
        time.sleep(fault.seconds)


@kind(("kafka", "postgres", "mongodb"), (0.5, 3), power=True)
def power_lost(bench, fault):
    """Its machine loses power in the midst of writing, and has it again: only what was on its disk is there."""
    if fault.target == "kafka":
        with loses(bench, *PARTS), made_good(bench.stack, *SAGA):
            if lose_power(bench, fault) <= 0:
                raise Missed("all of it was on the disk")
    else:
        lose_power(bench, fault)


def lose_power(bench, fault):
    """Gives how many bytes were not on the disk."""
    bench.power.cut(fault.target)
    try:
        bench.signal(fault.target, signal.SIGKILL)
    except Missed:
        pass  # it has noticed that it has no disk
    bench.stack.stop(fault.target)
    try:
        time.sleep(fault.seconds)
    finally:
        lost = bench.power.back(fault.target)
        bench.stack.start(fault.target)
    return lost


@kind(("kafka", "postgres", "mongodb", "provider"), (2, 5))
def server_slow(bench, fault):
    """It gets a tenth of the time."""
    throttled(bench, fault)
