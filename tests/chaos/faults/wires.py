"""Faults of the network between parts, servers, the world outside and the door."""

import random
import time

from network import BROKERS, ROUTES

from .bench import Missed, kind

WIRES = tuple(route for route in ROUTES if route not in tuple(BROKERS)[1:])


def while_it(bench, fault, does, **more):
    bench.network.tell(fault.target, does, **more)
    try:
        time.sleep(fault.seconds)
    finally:
        bench.network.tell(fault.target, "pass")


@kind(WIRES, (3, 8))
def wire_delayed(bench, fault):
    while_it(bench, fault, "delay", ms=random.Random(fault.seed).choice((20, 50, 150)))


@kind(WIRES, (2, 9))
def wire_stalled(bench, fault):
    """Nothing passes, and nobody is told; then all of it does."""
    while_it(bench, fault, "stall")


@kind(WIRES)
def wire_cut(bench, fault):
    bench.network.tell(fault.target, "cut")


@kind(WIRES)
def wire_reset(bench, fault):
    bench.network.tell(fault.target, "reset")


@kind(WIRES, (2, 6))
def wire_refused(bench, fault):
    bench.network.tell(fault.target, "refuse")
    bench.network.tell(fault.target, "reset")
    try:
        time.sleep(fault.seconds)
    finally:
        bench.network.tell(fault.target, "pass")


@kind(WIRES, (0.5, 2.5))
def answers_lost(bench, fault):
    """Requests arrive and are obeyed, a commit among them; no answer comes back, and then the connection breaks."""
    bench.network.tell(fault.target, "swallow")
    try:
        time.sleep(fault.seconds)
    finally:
        bench.network.tell(fault.target, "reset")
        bench.network.tell(fault.target, "pass")


@kind(WIRES, (3, 8), tls=True)
def bits_flipped(bench, fault):
    """A bit arrives as another one, now and then. With TLS the connection breaks, and nothing else does."""
    before = bench.network.flipped(fault.target)["pieces"]
    while_it(bench, fault, "flip", seed=fault.seed, pieces=random.Random(fault.seed).choice((4, 20, 100)))
    if bench.network.flipped(fault.target)["pieces"] == before:
        raise Missed(f"little went over {fault.target}, and no bit of it was flipped")
