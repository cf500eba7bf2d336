"""One run of chaos: orders come in, faults strike as planned, and afterwards every promise is looked at."""

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

import faults  # noqa: E402
import growth  # noqa: E402
import oracle  # noqa: E402
import plan  # noqa: E402
import promises  # noqa: E402
import world  # noqa: E402
from load import Door, Load, Orders  # noqa: E402
from confluent_kafka import KafkaException  # noqa: E402
from local_stack import Failed, Stack  # noqa: E402
from network import Network  # noqa: E402
from oncall import OnCall  # noqa: E402
from parts import ON_POSTGRESQL, PARTS  # noqa: E402
from power import Power  # noqa: E402
from preload import Preload  # noqa: E402
from releases import Releases  # noqa: E402

RATE = 200  # orders a second that a release build bears on two cores while things fail
AT_ONCE = 4  # faults that strike side by side
PRODUCTS, SCARCE = 60, 6  # the scarce ones run out ...
FEW = 5000  # ... soon, also in a long run: what grows with the orders does so evenly from then on
UNDECIDED = "select count(*) from dead_letters where reason = 'undecided'"
REST_S = 900  # to come to rest in, when nothing fails any more: the mails of an hour may be owed
EXAMPLES = 8


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def stock_up(stack, run, orders):
    """sku -> price; all are known to the order service."""
    prices = {f"{run}-{i}": 250 + i for i in range(PRODUCTS)}
    products = [
        {"sku": sku, "name": sku, "kind": "goods", "unit_price_minor": price, "currency": "GBP"}
        for sku, price in prices.items()
    ]
    receipts = [
        {"receipt_id": sku, "sku": sku, "quantity": orders * 6 if i >= SCARCE else max(1, min(orders // 60, FEW))}
        for i, sku in enumerate(prices)
    ]
    # The door may just have lost an instance that the start has replaced; the same again is one.
    for path, body in (("/products", products), ("/stock/receipts", receipts)):
        stack.wait_until(lambda: stack.http("POST", path, role="service", json=body).ok, what=f"POST {path}")
    for sku in prices:
        stack.wait_until(
            lambda: stack.http("GET", f"/orders/prices/{sku}", role="service").status_code == 200, 60, f"price of {sku}"
        )
    return prices


class Strikes:
    """Carries a plan out beside a load."""

    def __init__(self, bench, planned):
        self.bench, self.planned = bench, planned
        self.room = threading.Semaphore(AT_ONCE)
        self.one_at_a_time = {fault.target: threading.Lock() for fault in planned}
        self.struck, self.missed = Counter(), []
        self.threads = []

    def go(self, load):
        threading.Thread(target=self._prepare, args=(load,), daemon=True).start()
        for fault in self.planned:
            while load.sent < fault.at_order and not load.is_over:
                time.sleep(0.01)
            self.room.acquire()
            thread = threading.Thread(target=self._strike, args=(fault,), daemon=True)
            self.threads.append(thread)
            thread.start()
        for thread in self.threads:
            thread.join()

    def _prepare(self, load):
        for fault in self.planned:
            if fault.kind in faults.AHEAD:
                seconds, prepare = faults.AHEAD[fault.kind]
                while load.sent < fault.at_order - seconds * load.rate:
                    time.sleep(0.05)
                prepare(self.bench, fault)

    def _strike(self, fault):
        try:
            with self.one_at_a_time[fault.target]:
                say(f"fault {fault}")
                faults.KINDS[fault.kind][2](self.bench, fault)
            self.struck[fault.kind] += 1
        except (faults.Missed, Failed, OSError, KafkaException) as problem:
            say(f"fault {fault.number} missed: {' '.join(str(problem).split())[:300]}")
            self.missed.append(fault)
        finally:
            self.room.release()


def tell(load, stopped):
    while not stopped.wait(10):
        say(f"{load.sent} orders sent, {load.accepted} promised")


def come_to_rest(stack):
    """Until every order has ended, every mail is out, and nothing waits that a replay has left; what has not by then is
    for the oracle to tell."""

    def at_rest():
        time.sleep(1)  # the tables are long, and the parts want the processor
        try:
            (open_orders,), = stack.sql("orders", "select count(*) from order_states where state not in (3, 5)")
            (owed_mails,), = stack.sql("email", "select count(*) from owed_mails")
            undecided = sum(int(stack.sql(part, UNDECIDED)[0][0]) for part in ON_POSTGRESQL)
            return int(open_orders) + int(owed_mails) + undecided == 0
        except Failed:
            return False

    try:
        stack.wait_until(at_rest, REST_S, "rest")
    except Failed:
        say(f"not at rest after {REST_S} s")


def make_plan(seed, orders, count, only, **ground):
    kinds = {name: row for name, row in faults.planned(**ground).items() if not only or name in only}
    if not kinds:
        sys.exit(f"{', '.join(only)}: not on such a stack: see --brokers, --power and --tls")
    planned = plan.make(seed, orders, count, kinds)
    print(f"seed {seed}: {orders} orders, {count} faults of {len({fault.kind for fault in planned})} kinds")
    print("\n".join(map(str, planned)), flush=True)
    return planned


def run(stack, seed, orders, count, rate=RATE, only=None, brokers=1, power=False, tls=False):
    """Gives (struck kinds, found) after a whole run on an empty stack, which is down then; its records lie in `chaos` of
    the stack's folder."""
    planned = make_plan(seed, orders, count, only, brokers=brokers, power=power, tls=tls)
    stack.up(servers_only=True, brokers=brokers, tls=tls)  # makes the folder, and passwords that are part of addresses
    folder = stack.state / "chaos"
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps([fault.as_json() for fault in planned], indent=1) + "\n")
    library = stack.build / "tests" / "chaos" / "chaos-preload.so"
    preload = Preload(folder / "preload", library, struck_by(planned, ("clock_", "died_")))
    releases = Releases(stack, folder) if struck_by(planned, ("rolled_out",)) else None
    disks = Power(stack, folder / "power", struck_by(planned, ("power_lost",))) if power else None
    network = Network(stack, brokers, tls)
    try:
        settings = {"TRADEWIND_JOURNAL_SECONDS": growth.JOURNAL_S, **network.settings()}
        settings["TRADEWIND_MAIL_RATE"] = max(200, 2 * rate)  # an instance's: mails come as orders do, and catch up
        settings |= releases.settings() if releases else {}
        stack.up(instances=2, settings=settings, under=preload.under())
        backups = folder / "backups"
        backups.mkdir(exist_ok=True)
        strikes = Strikes(faults.Bench(stack, network, preload, releases, disks, backups), planned)
        with OnCall(strikes.bench, say) as on_call:
            told, samples = under_load(stack, network, strikes, Orders(orders, rate, seed), folder)
            come_to_rest(stack)
        flips = {route: network.flipped(route) for route in struck_by(planned, ("bits_flipped",))}
        say("what was promised is looked at")
        found = oracle.judge(promises.read(told), world.read(stack, strikes.bench.poison, samples))
    finally:
        stack.down()  # parts end quickly while they can reach what they talk to
        network.close()
        if disks:
            disks.close()
    print(report(strikes, found, samples, flips, on_call.restarts))
    return strikes.struck, found


def struck_by(planned, kinds):
    """The parts that faults whose kind begins so are for."""
    return sorted({fault.target.split()[0] for fault in planned if fault.kind.startswith(kinds)})


def under_load(stack, network, strikes, orders, folder):
    """Gives the log of what was promised, and samples of what grew."""
    name = f"CHAOS{int(time.time())}"
    log = promises.Log(folder / "promises")
    door = Door(f"127.0.0.1:{network.ports['door']}", stack.token("service", "chaos", ttl=86400), stack.trust())
    load = Load(door, stock_up(stack, name, orders.count), orders, name, log)
    stopped = threading.Event()
    threading.Thread(target=tell, args=(load, stopped), daemon=True).start()
    load.start()
    watch = growth.Watch(stack, faults.INSTANCES, ON_POSTGRESQL, load, folder / "samples")
    strikes.go(load)
    strikes.bench.heal()
    load.calm()
    load.join()
    samples = watch.end()
    log.close()
    stopped.set()
    say(f"{load.sent} orders sent, {load.accepted} promised; nothing fails any more")
    return folder / "promises", samples


def report(strikes, found, samples, flips, restarts):
    total = sum(strikes.struck.values())
    lines = [f"{total} faults of {len(strikes.struck)} kinds struck, {len(strikes.missed)} missed:"]
    lines += [f"  {number:4}  {kind}" for kind, number in sorted(strikes.struck.items())]
    if restarts:
        lines.append(f"brokers started again because a part was given no partitions: {restarts} times")
    if flips:
        lines.append("of pieces with a flipped bit, their connections, and those of them that have not ended:")
        lines += ["  {:20}{pieces:6}{connections:6}{alive:6}".format(route, **row) for route, row in flips.items()]
    lines += growth.summary(samples)
    lines += ["violations:"]
    for rule, texts in found.items():
        lines.append(f"  {len(texts):4}  {rule}: {oracle.RULES[rule]}")
        lines += [f"        {text}" for text in texts[:EXAMPLES]]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="tests/chaos/run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--faults", type=int, default=8)
    parser.add_argument("--rate", type=int, default=RATE, help=f"orders a second (default {RATE})")
    parser.add_argument("--only", action="append", choices=sorted(faults.KINDS), help="only this kind; may be repeated")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="how many Kafka brokers (default 1)")
    parser.add_argument("--power", action="store_true", help="with disks that lose their power; needs root")
    parser.add_argument("--tls", action="store_true", help="the wires carry TLS, and bits are flipped on them")
    parser.add_argument("--plan", action="store_true", help="print the plan and do nothing")
    asked = parser.parse_args()
    ground = {"brokers": asked.brokers, "power": asked.power, "tls": asked.tls}
    if asked.plan:
        make_plan(asked.seed, asked.orders, asked.faults, asked.only, **ground)
        return 0
    if asked.power and os.geteuid() != 0:
        parser.error("--power mounts file systems, and only root may")
    _, found = run(Stack(), asked.seed, asked.orders, asked.faults, asked.rate, asked.only, **ground)
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
