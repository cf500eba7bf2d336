"""Faults of clocks."""

import random
import time

from parts import PARTS

from .bench import kind


@kind(PARTS, (3, 8))
def clock_stepped(bench, fault):
    """A machine's clock leaps, forward or back, and some seconds later somebody sets it right, which is a leap too."""
    step = random.Random(fault.seed).choice((-600, -90, -20, 20, 90, 600))
    bench.preload.set_clock(fault.target, step)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.preload.set_clock(fault.target, 0)
