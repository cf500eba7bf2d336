#!/usr/bin/env python3
"""Lets the k-th write or connect of one part fail, or its k-th request for memory, or the k-th fsync of PostgreSQL, while an
order and a batch of orders go their way on real servers; whatever happens, each must be fulfilled, and the audit find
nothing.

usage: tests/faults/run [--program PROGRAM]... [--kind KIND]... [--load order|batch] [--sample N] [--seed S]
"""

import argparse
import os
import random
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import requests
from fail_plan import Plan
from local_stack import Stack
from parts import READERS
from shop import Shop

KINDS = ("write", "connect", "malloc-own", "malloc", "fsync")
# Parts leave the disk to the servers. The document store is a static program, of which no call can be made to fail.
CALLS = {**dict.fromkeys(READERS, KINDS[:-1]), "postgres": ("fsync",)}
ORDERS = {"order": 1, "batch": 12}
PATIENCE_S = 60


class Run:
    def __init__(self, stack, build, programs=tuple(CALLS)):
        self.stack, self.programs = stack, programs
        folder = stack.state / "faults"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        library = Path(build) / "tests" / "faults" / "libfail.so"
        self.plans = {program: Plan(folder, library, program) for program in programs}
        stack.up(under={program: plan.environment() for program, plan in self.plans.items()})
        self.shop = Shop(stack)
        self.shop.sandbox(latency_ms=0, slow_ms=1000, lost_ms=10000, down=False)
        self.mug = self.shop.product(stock=1_000_000)
        self.counts = {}

    # --- what happens while calls are counted ------------------------------------------------------------------------

    def place(self, _=None):
        """As a client does: it asks again, under the same key, until it has an answer."""
        key, body = uuid.uuid4().hex, self.shop.cart((self.mug, 1))
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = self.stack.http("POST", "/orders", role="service", json=body, headers={"Idempotency-Key": key})
            except requests.RequestException:
                continue
            if answer.status_code == 201:
                return answer.json()["order_id"]
            assert answer.status_code >= 500, f"refused: {answer.status_code} {answer.text}"
            time.sleep(0.05)
        raise AssertionError("no answer to an order")

    def state(self, order):
        try:
            answer = self.stack.http("GET", f"/orders/{order}", role="service")
            return answer.json()["state"] if answer.status_code == 200 else answer.status_code
        except requests.RequestException as problem:
            return str(problem)

    def mailed(self, order):
        return self.stack.mails(order=order)["count"] > 0

    def work(self, count):
        with ThreadPoolExecutor(count) as pool:
            orders = list(pool.map(self.place, range(count)))
        for order in orders:
            self.stack.wait_until(lambda: self.state(order) == "fulfilled", PATIENCE_S, f"{order} being fulfilled")
            self.stack.wait_until(lambda: self.mailed(order), PATIENCE_S, f"the mail of {order}")

    # --- one case ----------------------------------------------------------------------------------------------------

    def go(self, program, kind, load, k):
        """(how many calls there were, whether the k-th failed)"""
        plan = self.plans[program]
        plan.arm(kind, k)
        try:
            if kind == "connect":  # a part connects when it starts
                self.stack.restart(program)
            self.work(ORDERS[load])
            return plan.seen, plan.struck
        finally:
            plan.disarm()

    def cases(self, kinds, loads=tuple(ORDERS)):
        """Every (program, kind, load, k) that there is, by a count without a fault."""
        for program in self.programs:
            for kind in (kind for kind in kinds if kind in CALLS[program]):
                for load in ("order",) if kind == "connect" else loads:
                    self.counts[program, kind, load] = count = self.go(program, kind, load, 0)[0]
                    yield from ((program, kind, load, k) for k in range(1, count + 1))

    def fail(self, cases):
        """Each of the cases; gives how many struck, and what was wrong."""
        struck, wrong = 0, []
        for program, kind, load, k in cases:
            try:
                struck += self.go(program, kind, load, k)[1]
            except AssertionError as problem:
                wrong.append(f"{program}, {kind} {k} of {load}, {self.plans[program].where}: {problem}")
                print(wrong[-1], flush=True)
        audit = self.stack.run_tradewind("audit", "--wait", "60")
        if audit.returncode != 0:
            wrong.append(f"the audit: {audit.stdout}{audit.stderr}")
        return struck, wrong

    def leave(self):
        self.stack.up(under={program: "" for program in self.programs})


def sample(cases, size, seed):
    """Of each program and kind the same number, drawn by the seed."""
    groups = {}
    for case in cases:
        groups.setdefault(case[:2], []).append(case)
    dice = random.Random(seed)
    each = max(1, size // max(1, len(groups)))
    return [case for group in groups.values() for case in dice.sample(group, min(each, len(group)))]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].strip())
    parser.add_argument("--program", action="append", choices=tuple(CALLS))
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--load", action="append", choices=tuple(ORDERS))
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    stack = Stack()
    stack.up()
    run = Run(stack, os.environ["TRADEWIND_BUILD"], tuple(arguments.program or CALLS))
    cases = list(run.cases(tuple(arguments.kind or KINDS), tuple(arguments.load or ORDERS)))
    for (program, kind, load), count in run.counts.items():
        print(f"{program:10} {kind:10} {load:6} {count:6} calls", flush=True)
    chosen = sample(cases, arguments.sample, arguments.seed) if arguments.sample else cases
    struck, wrong = run.fail(chosen)
    print(f"{len(chosen)} of {len(cases)} cases, {struck} calls failed, {len(wrong)} violations")
    for text in wrong:
        print(text)
    return 1 if wrong or not struck else 0


if __name__ == "__main__":
    sys.exit(main())
