"""The kinds of faults: what each does to a stack that is at work, and how it takes it back.

A fault is a function of the bench (the stack and what the run has to remember) and the planned fault (plan.py). It
strikes, holds on for fault.seconds if it is one that lasts, and leaves everything as it was, or for the process manager
to mend.
"""

from . import clocks, outside, parts, points, releases, servers, stores, topics, wires  # noqa: F401: each adds its kinds
from .bench import AHEAD, INSTANCES, KINDS, Bench, Missed, planned  # noqa: F401
