"""The faults and the reckoning of tests/bench/recovery, which starts it."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime

from local_stack import CHECKOUT, Stack
from records import headers_of

PARTS = ("orders", "inventory", "payment", "fraud")
WANTED_S = {**dict.fromkeys(PARTS, 2), "postgres": 5, "broker": 15, "broker_away": 15}
CALM_S = {**dict.fromkeys(PARTS, 8), "postgres": 12, "broker": 30, "broker_away": 30}  # longer than any should need
AWAY_S = 20
LATE_S = 1  # an order that waits for longer lags
WARM_S = 15


def strike(stack, fault):
    """Gives when the fault was over, in seconds of the clock on the wall."""
    if fault == "broker_away":
        stack.stop("kafka")
        time.sleep(AWAY_S)
        now = time.time()
        stack.start("kafka")
        return now
    program = {"broker": "kafka"}.get(fault, fault)
    sign = signal.SIGQUIT if fault == "postgres" else signal.SIGKILL
    pid = stack.pid(program)
    now = time.time()
    os.kill(pid, sign)
    return now


def load(rate, seconds):
    command = [CHECKOUT / "build-bench/tests/bench/bench-orders", "--rate", rate, "--warm", 0, "--seconds", seconds]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)


def lives(stack):
    """(created, confirmed) of each order, seconds; those without an end have None."""
    created, confirmed = {}, {}
    times_of = {"order.created": created, "order.confirmed": confirmed}
    for message in stack.consume("shop.orders.v1"):
        headers = headers_of(message)
        if headers.get("ce_type") in times_of:
            when = datetime.fromisoformat(headers["ce_time"].replace("Z", "+00:00")).timestamp()
            times_of[headers["ce_type"]].setdefault(message.key(), when)
    return [(when, confirmed.get(key)) for key, when in created.items()]


def recovery_s(orders, over, until):
    """Until the last order has been confirmed that had to wait too long after the fault; 0 when none had to."""
    late = [end for start, end in orders if start < until and over <= end and end - start > LATE_S]
    return max(late) - over if late else 0.0


def summary(fault, took):
    took = sorted(took)
    return {
        "seconds": [round(each, 2) for each in took],
        "median": round(took[len(took) // 2], 2),
        "most": round(took[-1], 2),
        "wanted": WANTED_S[fault],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--fault", action="append", choices=list(WANTED_S))
    options = parser.parse_args()
    faults = options.fault or list(WANTED_S)
    plan = [fault for _ in range(options.rounds) for fault in faults]
    needed_s = WARM_S + sum(CALM_S[fault] + AWAY_S * (fault == "broker_away") + 2 for fault in plan)

    stack = Stack()
    running = load(options.rate, needed_s)
    time.sleep(WARM_S)
    struck = []
    for n, fault in enumerate(plan, 1):
        print(f"bench: fault {n} of {len(plan)}: {fault}", file=sys.stderr, flush=True)
        over = strike(stack, fault)
        struck.append((fault, over, over + CALM_S[fault]))
        time.sleep(max(0, over + CALM_S[fault] - time.time()))
    said = json.loads(running.communicate()[0])

    orders = lives(stack)
    unended = sum(end is None for _, end in orders)
    ended = [(start, end) for start, end in orders if end is not None]
    took = {fault: [recovery_s(ended, over, until) for name, over, until in struck if name == fault] for fault in faults}
    with open("/proc/cpuinfo") as cpu:
        model = next((line.split(": ")[1].strip() for line in cpu if line.startswith("model name")), "")
    result = {"cpu": f"{model}, {os.cpu_count()} cores", "orders_per_s": options.rate, "accepted": said["accepted"]}
    result |= {"refused": said["refused"] + said["failed"], "not_confirmed": unended}
    print(json.dumps(result | {"recovery": {fault: summary(fault, took[fault]) for fault in faults}}, indent=2))


main()
