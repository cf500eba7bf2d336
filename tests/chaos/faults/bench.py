"""What all kinds of faults use: the list of them, the stack, signals, and how everything is made whole again."""

import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests
from local_stack import Failed
from network import BROKERS
from parts import PARTS

INSTANCES = tuple(name for part in PARTS for name in (part, f"{part}-2"))
WELL = {"latency_ms": 0, "slow_ms": 1000, "lost_ms": 10000, "down": False}
LIMITS = {"fsize": "Max file size", "nofile": "Max open files"}

KINDS = {}  # name -> (targets, seconds, function, what it wants of the stack, as planned() is told)
AHEAD = {}  # name -> (seconds, function), of those that prepare something so long before they strike


def kind(targets, seconds=(0, 0), ahead=None, **wants):
    def add(function):
        KINDS[function.__name__] = (targets, seconds, function, wants)
        if ahead:
            AHEAD[function.__name__] = ahead
        return function

    return add


def planned(brokers=1, power=False, tls=False):
    """What plan.make wants to know of those that a stack can have with so many brokers, disks that lose their power, TLS."""
    has = {"brokers": brokers, "power": power, "tls": tls}
    others = tuple(BROKERS)[1:brokers]
    return {
        name: (targets + others if "kafka" in targets else targets, seconds)
        for name, (targets, seconds, _, wants) in KINDS.items()
        if all(has[what] >= least for what, least in wants.items())
    }


class Missed(Exception):
    """The fault had nothing to strike: what it was for did not run."""


class Bench:
    def __init__(self, stack, network, preload, releases, power, backups):
        self.stack, self.network, self.preload, self.backups = stack, network, preload, backups
        self.releases, self.power = releases, power  # None: no fault of the plan wants it
        self.instances_of = {part: threading.Lock() for part in PARTS}  # of who stops and starts them
        self.copies_of = {part: threading.Lock() for part in PARTS}  # see loses
        self.poison = set()  # (part, place) of the records that have to be set aside
        self.poisoned = set()  # (topic, partition) where they are

    def signal(self, program, number):
        """Gives the pid. A program that has just died is not there to be hit."""
        try:
            pid = self.stack.pid(program)
            os.kill(pid, number)
            return pid
        except (AssertionError, ProcessLookupError) as gone:
            raise Missed(f"{program} does not run") from gone

    def provider(self, **knobs):
        self._put(f"http://{self.stack.settings['TRADEWIND_PROVIDER_HTTP']}/v1/sandbox", json=knobs)

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
        self.network.heal()
        self.preload.heal()
        self.stack.up()
        self.provider(**WELL)
        self.mails("accept")


@contextmanager
def loses(bench, *parts):
    """What a part has published lies in its topic and in its journal. One of them may be lost, until it is made good from
    the other; who loses both is not promised anything (docs/guarantees.md)."""
    with ExitStack() as held:
        for part in sorted(parts):
            held.enter_context(bench.copies_of[part])
        yield


@contextmanager
def stopped(bench, part):
    """No instance of the part runs meanwhile."""
    programs = (part, f"{part}-2")
    with bench.instances_of[part]:
        try:
            for program in programs:
                bench.stack.stop(program)
            yield
        finally:
            for program in programs:
                bench.stack.start(program)


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


def throttled(bench, fault):
    """It runs for a tenth of the time."""
    ends = time.monotonic() + fault.seconds
    while time.monotonic() < ends:
        pid = bench.signal(fault.target, signal.SIGSTOP)
        time.sleep(0.45)
        thaw(pid)
        time.sleep(0.05)


@contextmanager
def limited(pid, what, most):
    """The process and its children, those born meanwhile too, under a soft limit (of LIMITS) for a while."""
    rows = Path(f"/proc/{pid}/limits").read_text().splitlines()
    soft = next(row for row in rows if row.startswith(LIMITS[what])).removeprefix(LIMITS[what]).split()[0]
    set_limits(pid, what, most)
    try:
        yield
    finally:
        set_limits(pid, what, soft)


def set_limits(pid, what, soft):
    """As the user of the process: even root may lack the right to limit what is another's."""
    try:
        owner = os.stat(f"/proc/{pid}")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return  # it has ended, of this or of something else, and its successor has no such limit
    same = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    for one in (str(pid), *children):
        command = ["prlimit", "--pid", one, f"--{what}={soft}:"]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **same)
        if done.returncode != 0 and "No such process" not in done.stderr:
            raise Failed(f"{' '.join(command)}: {done.stderr}")
