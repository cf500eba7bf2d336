"""The kinds of faults: what each does to a stack that is at work, and how it takes it back.

A fault is a function of the bench (the stack and what the run has to remember) and the planned fault. It strikes, holds
on for fault.seconds if it is one that lasts, and leaves everything as it was, or for the process manager to mend.
"""

import json
import os
import random
import signal
import time

import requests

PARTS = ("orders", "catalog", "inventory", "payment", "fraud", "email", "analytics")
INSTANCES = tuple(name for part in PARTS for name in (part, f"{part}-2"))
POSITIONS = ("payment", "fraud", "email", "analytics")  # parts that keep theirs in PostgreSQL and read shop.orders.v1
WELL = {"latency_ms": 0, "slow_ms": 1000, "lost_ms": 10000, "down": False}

KINDS = {}  # name -> (targets, seconds, function)


def kind(targets, seconds=(0, 0)):
    def add(function):
        KINDS[function.__name__] = (targets, seconds, function)
        return function

    return add


def planned():
    """What plan.make wants to know of them."""
    return {name: (targets, seconds) for name, (targets, seconds, _) in KINDS.items()}


class Missed(Exception):
    """The fault had nothing to strike: what it was for did not run."""


class Bench:
    def __init__(self, stack):
        self.stack = stack
        self.poison = set()  # (part, place) of the records that have to be set aside

    def signal(self, program, number):
        """Gives the pid. A program that has just died is not there to be hit."""
        try:
            pid = self.stack.pid(program)
            os.kill(pid, number)
            return pid
        except (AssertionError, ProcessLookupError) as gone:
            raise Missed(f"{program} does not run") from gone

    def provider(self, **knobs):
        self._put(self.stack.settings["TRADEWIND_PROVIDER"] + "/v1/sandbox", json=knobs)

    def mails(self, behaviour):
        self._put(self.stack.settings["TRADEWIND_MAILS"] + "/behaviour", data=behaviour)

    def _put(self, url, **body):
        def done():
            try:
                return requests.put(url, timeout=10, **body).ok
            except requests.RequestException:
                return False

        self.stack.wait_until(done, 60, f"PUT {url}")

    def heal(self):
        """Everything runs and behaves, whatever a fault has left."""
        self.stack.up(wait_s=120)
        self.provider(**WELL)
        self.mails("accept")


# --- Processes of ours ------------------------------------------------------------------------------------------------


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
    ends = time.monotonic() + fault.seconds
    while time.monotonic() < ends:
        pid = bench.signal(fault.target, signal.SIGSTOP)
        time.sleep(0.45)
        thaw(pid)
        time.sleep(0.05)


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


def frozen(bench, fault):
    pid = bench.signal(fault.target, signal.SIGSTOP)
    try:
        time.sleep(fault.seconds)
    finally:
        thaw(pid)


def thaw(pid):
    kill(pid, signal.SIGCONT)


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # another fault was there before


# --- Servers ----------------------------------------------------------------------------------------------------------


@kind(("kafka", "postgres", "mongodb", "mails", "door", "provider"))
def server_killed(bench, fault):
    bench.signal(fault.target, signal.SIGKILL)


@kind(("kafka", "postgres", "mongodb", "door", "provider"), (1, 5))
def server_stopped(bench, fault):
    """As for maintenance: it ends in good order, and is back later."""
    bench.stack.stop(fault.target)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.stack.start(fault.target)


@kind(("kafka", "postgres", "mongodb", "provider", "mails"), (2, 8))
def server_frozen(bench, fault):
    """It takes connections and says nothing."""
    frozen(bench, fault)


@kind(("postgres",))
def postgres_immediate(bench, fault):
    """Its sessions end without a word, and it recovers from its log."""
    bench.signal("postgres", signal.SIGQUIT)


@kind(("orders", "catalog", "payment", "fraud", "email", "analytics", "provider"))
def sessions_ended(bench, fault):
    """All database sessions of a part, in the midst of whatever they do."""
    bench.stack.sql(
        fault.target,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = current_user and pid <> pg_backend_pid()",
    )


# --- The world outside ------------------------------------------------------------------------------------------------


def provider_knobs(bench, fault, **knobs):
    bench.provider(**knobs)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.provider(**WELL)


@kind(("provider",), (3, 6))
def provider_slow(bench, fault):
    provider_knobs(bench, fault, latency_ms=700)


@kind(("provider",), (2, 5))
def provider_refuses(bench, fault):
    provider_knobs(bench, fault, down=True)


@kind(("provider",), (3, 6))
def provider_answers_lost(bench, fault):
    """It charges, and answers when nobody listens any more."""
    provider_knobs(bench, fault, latency_ms=3000)


def mail_behaves(bench, fault, behaviour):
    bench.mails(behaviour)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.mails("accept")


@kind(("mails",), (2, 6))
def mail_refused(bench, fault):
    mail_behaves(bench, fault, "refuse")


@kind(("mails",), (2, 8))
def mail_stalls(bench, fault):
    mail_behaves(bench, fault, "stall 7")


@kind(("mails",), (2, 6))
def mail_hangs_up_before_250(bench, fault):
    mail_behaves(bench, fault, "hang-up-before-250")


@kind(("mails",), (2, 6))
def mail_hangs_up_after_250(bench, fault):
    mail_behaves(bench, fault, "hang-up-after-250")


# --- What parts have read ---------------------------------------------------------------------------------------------


@kind(POSITIONS, (1, 2))
def position_moved(bench, fault):
    """A part's stored positions are behind records that it has not read: it has to notice, and to ask for them."""
    programs = (fault.target, f"{fault.target}-2")
    for program in programs:
        bench.stack.stop(program)
    try:
        time.sleep(fault.seconds)
        bench.stack.sql(
            fault.target,
            "update positions set next_offset = next_offset + 3 where topic = 'shop.orders.v1' and next_offset >= 0",
        )
    finally:
        for program in programs:
            bench.stack.start(program)
