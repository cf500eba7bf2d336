"""The orders and the reckoning of tests/bench/mails, which starts it."""

import argparse
import json
import os
import sys
import time

from local_stack import Stack
from shop import Shop

FEW = 10  # mails that are sent before the clock starts: connections are open then


def mails_per_s(stack, shop, sku, mails, takes_s, connections):
    stack.up(settings={"email:TRADEWIND_MAIL_CONNECTIONS": str(connections)})
    stack.stop("email")
    orders = [shop.order((sku, 1)) for _ in range(mails)]
    shop.wait_for_all(orders, "fulfilled")
    before = taken(stack)
    stack.mail_behaviour(f"stall {takes_s}")
    stack.start("email")
    stack.wait_until(lambda: taken(stack) >= before + FEW, what="the first mails")
    began, sent_before = time.monotonic(), taken(stack)
    stack.wait_until(lambda: taken(stack) >= before + mails, 60 + 2 * mails * takes_s, "all mails")
    return round((before + mails - sent_before) / (time.monotonic() - began), 1)


def taken(stack):
    return stack.mails(limit=1)["count"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=200)
    parser.add_argument("--takes", type=int, default=100)
    parser.add_argument("--connections", action="append", type=int)
    options = parser.parse_args()
    stack = Stack()
    shop = Shop(stack)
    sku = shop.product(kind="charge", stock=0)
    rounds = []
    for connections in options.connections or (1, 8, 16) * 2:
        print(f"bench: {connections} at the same time", file=sys.stderr, flush=True)
        rate = mails_per_s(stack, shop, sku, options.mails, options.takes / 1000, connections)
        rounds.append({"connections": connections, "mails_per_s": rate})
    print(json.dumps({"cores": os.cpu_count(), "server_takes_ms": options.takes, "rounds": rounds}, indent=2))


main()
