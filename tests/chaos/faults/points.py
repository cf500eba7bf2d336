"""Deaths at marked points: what is done is done, what comes behind is not."""

import random
import signal
import time

from parts import READERS

from .bench import Missed, kind

IN_POSTGRESQL = tuple(part for part in READERS if part != "inventory")
PUBLISH = ("orders", "inventory", "payment", "fraud", "email")
WORK = {  # point: the parts that pass it
    "before_commit": (*IN_POSTGRESQL, "inventory"),
    "commit_sent": IN_POSTGRESQL,
    "after_commit": (*IN_POSTGRESQL, "inventory"),
    "before_send": PUBLISH,
    "before_report": PUBLISH,
    "after_report": PUBLISH,
    "after_answer": ("payment",),
    "after_mail": ("email",),
}
WAIT_S = 20


def targets(works):
    return tuple(f"{part} {name}" for name, parts in works.items() for part in parts)


def die(bench, fault, passings, nudge=None):
    part, name = fault.target.split()
    bench.preload.arm(part, name, passings)
    ends = time.monotonic() + WAIT_S
    try:
        if nudge is not None:
            bench.signal(part, nudge)
        while bench.preload.left(part, name) > 0:
            if time.monotonic() > ends:
                raise Missed(f"{part} has not come to {name} in {WAIT_S} s")
            time.sleep(0.05)
    finally:
        bench.preload.arm(part, name, 0)


@kind(targets(WORK))
def died_at_point(bench, fault):
    die(bench, fault, random.Random(fault.seed).randint(1, 40))


@kind(targets({"at_assignment": IN_POSTGRESQL, "after_assignment": IN_POSTGRESQL}))
def died_at_assignment(bench, fault):
    """It is started again, and dies when it is given its partitions."""
    die(bench, fault, 1, signal.SIGKILL)


@kind(targets({"at_revocation": IN_POSTGRESQL}))
def died_at_revocation(bench, fault):
    """It is told to end, and dies when it gives its partitions back."""
    die(bench, fault, 1, signal.SIGTERM)
